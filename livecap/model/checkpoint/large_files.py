"""Downloads the large files of a repository into the Hub's cache, and continues a download that was stopped.

The Hub's client (huggingface_hub 2.4.0) deletes an unfinished file, and a model is one file of gigabytes. Here it grows
under another name, next to the place where the client looks for finished files, and is moved there when it is complete.
"""

import fcntl
import hashlib
import os
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from http import HTTPStatus
from pathlib import Path
from typing import BinaryIO, cast

from huggingface_hub import HfApi, constants, get_hf_file_metadata, hf_hub_url
from huggingface_hub.errors import HfHubHTTPError
from huggingface_hub.file_download import repo_folder_name
from huggingface_hub.utils import build_hf_headers, get_session, hf_raise_for_status  # type: ignore[attr-defined]

from livecap.errors import ModelError
from livecap.files import make_folder
from livecap.model.checkpoint.catalogue import Progress

LARGE_BYTES = 4_000_000
"""Smaller files are left to the client."""
SPARE_BYTES = 50_000_000
"""Space on the disk that is left free."""
RECEIVED_BYTES = 1 << 18
"""Bytes between two calls of `progress`, which may stop the download."""
TRIES = 5
"""Attempts in a row without a new byte before giving up."""
WAIT_SECONDS = 1.0
SHA256_DIGITS = 64

TransportError = cast(type[Exception], HfHubHTTPError.__bases__[0])
"""The base error of the HTTP library that the client uses."""


@dataclass(frozen=True, slots=True)
class _File:
    """A large file of a repository."""

    url: str
    size: int
    etag: str
    """Its name in the cache. For weights, the SHA-256 of their content."""
    blob: Path

    @property
    def part(self) -> Path:
        """The unfinished file."""
        return self.blob.with_name(f"{self.etag}.livecap-part")

    @property
    def n_here(self) -> int:
        """Bytes that are on the disk already."""
        if self.blob.exists():
            return self.size
        return min(self.size, self.part.stat().st_size) if self.part.exists() else 0


def download_large_files(repository: str, revision: str, patterns: Sequence[str], progress: Progress | None) -> bool:
    """Download the large files that are not in the cache yet; False if none was missing.

    Args:
        patterns: of the names of wanted files.

    Raises:
        ModelError: the disk has too little space, or another process is downloading the same file.
        HfHubHTTPError, OSError: as from the Hub's client.
    """
    info = HfApi().model_info(repository, revision=revision, files_metadata=True)
    wanted = [each for each in info.siblings or [] if any(fnmatch(each.rfilename, pattern) for pattern in patterns)]
    large = [each.rfilename for each in wanted if (each.size or 0) >= LARGE_BYTES]
    files = [_located(repository, name, info.sha or revision) for name in large]
    if all(file.blob.exists() for file in files):
        return False
    total = sum(each.size or 0 for each in wanted)
    _check_space(files, repository)
    for file in files:

        def on_bytes(n: int, others: int = sum(other.n_here for other in files if other is not file)) -> None:
            if progress:
                progress(others + n, total)

        if not file.blob.exists():
            _download(file, on_bytes)
    return True


def _located(repository: str, name: str, commit: str) -> _File:
    url = hf_hub_url(repository, name, revision=commit)
    metadata = get_hf_file_metadata(url)
    assert metadata.etag and metadata.size is not None, f"the Hub reported no size for {url}"
    blobs = Path(constants.HF_HUB_CACHE) / repo_folder_name(repo_id=repository, repo_type="model") / "blobs"
    return _File(url, metadata.size, metadata.etag, blobs / metadata.etag)


def _check_space(files: Sequence[_File], repository: str) -> None:
    folder = files[0].blob.parent
    make_folder(folder)
    missing, free = sum(file.size - file.n_here for file in files), shutil.disk_usage(folder).free
    if free < missing + SPARE_BYTES:
        raise ModelError(
            f"{repository} needs {missing / 1e6:,.0f} MB more in {constants.HF_HUB_CACHE}, where {free / 1e6:,.0f} MB "
            "are free. Free some space, or choose another folder: HF_HOME=FOLDER livecap"
        )


def _download(file: _File, on_bytes: Callable[[int], None]) -> None:
    with file.part.open("ab") as part:
        try:
            fcntl.flock(part, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ModelError("Another livecap is already downloading this model: wait until it has finished.") from None
        tries_left = TRIES
        while (before := file.n_here) < file.size:
            on_bytes(before)
            try:
                _receive(file, part, on_bytes)
            except HfHubHTTPError:  # the server answers, and refuses
                raise
            except TransportError:
                tries_left = TRIES if file.n_here > before else tries_left - 1
                if not tries_left:
                    raise
                time.sleep(WAIT_SECONDS)
        os.fsync(part.fileno())
        if len(file.etag) == SHA256_DIGITS and _sha256(file.part) != file.etag:
            file.part.unlink()
            raise OSError("the download was damaged and has been deleted: try again")
        file.part.rename(file.blob)


def _receive(file: _File, part: BinaryIO, on_bytes: Callable[[int], None]) -> None:
    """Append the missing bytes, until the file is complete or the connection breaks."""
    n_bytes = file.n_here
    headers = {**build_hf_headers(), "Accept-Encoding": "identity", "Range": f"bytes={n_bytes}-"}
    timeout = constants.HF_HUB_DOWNLOAD_TIMEOUT
    with get_session().stream("GET", file.url, headers=headers, timeout=timeout, follow_redirects=True) as response:
        hf_raise_for_status(response)
        if response.status_code != HTTPStatus.PARTIAL_CONTENT:  # the server ignores ranges and sends the whole file
            part.truncate(0)
            n_bytes = 0
        for data in response.iter_bytes(RECEIVED_BYTES):
            part.write(data)
            part.flush()
            n_bytes += len(data)
            on_bytes(n_bytes)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

"""The large files of a repository, brought into the hub's cache so that a stopped download goes on where it stopped.

The hub's client throws an unfinished file away, and a model is one file of gigabytes. Here it grows under a name of
its own beside the place where the client looks for finished ones, and moves there once it is whole.
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

LARGE_BYTES = 4_000_000
"""Smaller files are left to the client: they come in one breath."""
SPARE_BYTES = 50_000_000
"""Of the disk, left free."""
CHUNK_BYTES = 1 << 18
"""After each, a person may stop."""
TRIES = 5
"""Of a connection that breaks, without a byte between."""
WAIT_SECONDS = 1.0
SHA256_DIGITS = 64

TransportError = cast(type[Exception], HfHubHTTPError.__bases__[0])
"""Of whichever HTTP library the client uses."""

Progress = Callable[[int, int], None]
"""Told (bytes so far, bytes in all). What it raises stops the download and is raised."""


@dataclass(frozen=True, slots=True)
class _File:
    """One large file."""

    url: str
    size: int
    etag: str
    """Its name in the cache; of weights the SHA-256 of what is in it."""
    blob: Path

    @property
    def part(self) -> Path:
        """Where it grows."""
        return self.blob.with_name(f"{self.etag}.livecap-part")

    @property
    def n_here(self) -> int:
        """Bytes that need not come."""
        if self.blob.exists():
            return self.size
        return min(self.size, self.part.stat().st_size) if self.part.exists() else 0


def bring_large_files(repository: str, revision: str, patterns: Sequence[str], progress: Progress | None) -> bool:
    """Bring what is not in the cache yet, and tell how far that is; True where there was anything to bring.

    Args:
        patterns: of the names of wanted files.

    Raises:
        ModelError: the disk has no room, or another process brings the same file.
        HfHubHTTPError, OSError: as the hub's client.
    """
    info = HfApi().model_info(repository, revision=revision, files_metadata=True)
    wanted = [each for each in info.siblings or [] if any(fnmatch(each.rfilename, pattern) for pattern in patterns)]
    large = [each.rfilename for each in wanted if (each.size or 0) >= LARGE_BYTES]
    files = [_located(repository, name, info.sha or revision) for name in large]
    if all(file.blob.exists() for file in files):
        return False
    total = sum(each.size or 0 for each in wanted)
    _check_room(files, repository)
    for file in files:

        def told(n: int, others: int = sum(other.n_here for other in files if other is not file)) -> None:
            if progress:
                progress(others + n, total)

        if not file.blob.exists():
            _bring(file, told)
    return True


def _located(repository: str, name: str, commit: str) -> _File:
    url = hf_hub_url(repository, name, revision=commit)
    metadata = get_hf_file_metadata(url)
    assert metadata.etag and metadata.size is not None, f"the hub told no size of {url}"
    blobs = Path(constants.HF_HUB_CACHE) / repo_folder_name(repo_id=repository, repo_type="model") / "blobs"
    return _File(url, metadata.size, metadata.etag, blobs / metadata.etag)


def _check_room(files: Sequence[_File], repository: str) -> None:
    folder = files[0].blob.parent
    folder.mkdir(parents=True, exist_ok=True)
    missing, free = sum(file.size - file.n_here for file in files), shutil.disk_usage(folder).free
    if free < missing + SPARE_BYTES:
        raise ModelError(
            f"{repository} needs {missing / 1e6:,.0f} MB more in {constants.HF_HUB_CACHE}, where {free / 1e6:,.0f} MB "
            "are free. Make room, or choose another folder: HF_HOME=FOLDER livecap"
        )


def _bring(file: _File, told: Callable[[int], None]) -> None:
    with file.part.open("ab") as part:
        try:
            fcntl.flock(part, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ModelError("Another livecap downloads this model already: wait for it.") from None
        tries_left = TRIES
        while (before := file.n_here) < file.size:
            told(before)
            try:
                _receive(file, part, told)
            except HfHubHTTPError:  # it is reached, and says no
                raise
            except TransportError:
                tries_left = TRIES if file.n_here > before else tries_left - 1
                if not tries_left:
                    raise
                time.sleep(WAIT_SECONDS)
        os.fsync(part.fileno())
        if len(file.etag) == SHA256_DIGITS and _sha256(file.part) != file.etag:
            file.part.unlink()
            raise OSError("what came is damaged, and was thrown away: try again")
        file.part.rename(file.blob)


def _receive(file: _File, part: BinaryIO, told: Callable[[int], None]) -> None:
    """Append what is missing, as far as the connection holds."""
    n_bytes = file.n_here
    headers = {**build_hf_headers(), "Accept-Encoding": "identity", "Range": f"bytes={n_bytes}-"}
    timeout = constants.HF_HUB_DOWNLOAD_TIMEOUT
    with get_session().stream("GET", file.url, headers=headers, timeout=timeout, follow_redirects=True) as response:
        hf_raise_for_status(response)
        if response.status_code != HTTPStatus.PARTIAL_CONTENT:  # the server knows no ranges: all comes again
            part.truncate(0)
            n_bytes = 0
        for data in response.iter_bytes(CHUNK_BYTES):
            part.write(data)
            part.flush()
            n_bytes += len(data)
            told(n_bytes)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

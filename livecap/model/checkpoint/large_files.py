"""Downloads the large files of a repository into the Hub's cache, and continues a download that was stopped.

The Hub's client (huggingface_hub 2.4.0) deletes an unfinished file, and a model is one file of gigabytes. Here it grows
under another name, next to the place where the client looks for finished files, and is moved there when it is complete.
"""

import os
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import BinaryIO, cast

from huggingface_hub import constants, get_hf_file_metadata, hf_hub_url
from huggingface_hub.errors import HfHubHTTPError
from huggingface_hub.file_download import repo_folder_name
from huggingface_hub.utils import build_hf_headers, get_session, hf_raise_for_status  # type: ignore[attr-defined]

from livecap.errors import ModelError
from livecap.files import make_folder, try_lock
from livecap.model.checkpoint.cached import PART, digest
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
class Published:
    """A file of a repository as the Hub lists it."""

    name: str
    size: int | None
    sha256: str | None
    """The SHA-256 of its content, or leading digits of it; None where it is not known."""


@dataclass(frozen=True, slots=True)
class _File:
    """A large file of a repository."""

    url: str
    size: int
    etag: str
    """Its name in the cache. For weights, the SHA-256 of their content."""
    sha256: str | None
    """As in `Published`."""
    blob: Path

    @property
    def part(self) -> Path:
        """The unfinished file."""
        return self.blob.with_name(self.etag + PART)

    @property
    def n_here(self) -> int:
        """Bytes that are on the disk already."""
        if self.blob.exists():
            return self.size
        return min(self.size, self.part.stat().st_size) if self.part.exists() else 0


def download_large_files(
    repository: str, commit: str, published: Sequence[Published], progress: Progress | None
) -> bool:
    """Download the large files that are not in the cache yet; False if none was missing.

    Args:
        published: the wanted files, large and small.

    Raises:
        ModelError: the disk has too little space, or another process is downloading the same file.
        HfHubHTTPError, OSError: as from the Hub's client.
    """
    files = [file for each in published if _is_large(each) and (file := _located(repository, each, commit))]
    if all(file.blob.exists() for file in files):
        return False
    sizes = {file.url: file.size for file in files}
    total = sum(each.size or sizes.get(hf_hub_url(repository, each.name, revision=commit), 0) for each in published)
    _check_space(files, repository)
    for file in files:

        def on_bytes(n: int, others: int = sum(other.n_here for other in files if other is not file)) -> None:
            if progress:
                progress(others + n, total)

        if not file.blob.exists():
            _download(file, on_bytes)
    return True


def _is_large(file: Published) -> bool:
    """Weights of unknown size count as large: some mirrors list no sizes."""
    return file.name.endswith(".safetensors") if file.size is None else file.size >= LARGE_BYTES


def _located(repository: str, published: Published, commit: str) -> _File | None:
    """Where a file is, and its name in the cache; None where the Hub does not say, so that the client has to try."""
    url = hf_hub_url(repository, published.name, revision=commit)
    metadata = get_hf_file_metadata(url)
    etag, size = metadata.etag, metadata.size if metadata.size is not None else published.size
    if not etag or size is None:
        return None
    sha256 = published.sha256 or (etag if len(etag) == SHA256_DIGITS else None)
    blobs = Path(constants.HF_HUB_CACHE) / repo_folder_name(repo_id=repository, repo_type="model") / "blobs"
    return _File(url, size, etag, sha256, blobs / etag)


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
        if try_lock(part) is False:
            raise ModelError("Another livecap is already downloading this model: wait until it has finished.")
        if file.blob.exists():  # another livecap has just finished it
            file.part.unlink(missing_ok=True)
            return
        tries_left = TRIES
        while (before := file.n_here) < file.size:
            on_bytes(before)
            failure: Exception = OSError("the answers of the server end too early")
            try:
                _receive(file, part, on_bytes)
            except HfHubHTTPError:  # the server answers, and refuses
                raise
            except TransportError as error:
                failure = error
            if file.n_here < file.size:
                tries_left = TRIES if file.n_here > before else tries_left - 1
                if not tries_left:
                    raise failure
                time.sleep(WAIT_SECONDS)
        os.fsync(part.fileno())
        if file.sha256 and not digest(file.part).startswith(file.sha256):
            file.part.unlink()
            raise ModelError(
                "The download was damaged and has been deleted. Try again; if it is damaged again, the Hub or the "
                "network is at fault."
            )
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

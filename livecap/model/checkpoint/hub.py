"""Models from the Hugging Face Hub: from the cache, or else by a download, without telemetry.

A model that is in the cache is used without a request to the network.
"""

import errno
import os
from pathlib import Path
from typing import cast

os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")  # read by the client when it is imported

from huggingface_hub import constants, snapshot_download  # noqa: E402
from huggingface_hub.errors import (  # noqa: E402
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.utils.tqdm import tqdm  # noqa: E402

from livecap.errors import ModelError  # noqa: E402
from livecap.model.checkpoint.catalogue import RELEASED_REVISION, Progress  # noqa: E402
from livecap.model.checkpoint.large_files import download_large_files  # noqa: E402
from livecap.model.checkpoint.weights import weight_files  # noqa: E402

FILES = ["*.json", "*.safetensors", "merges.txt"]
"""Files of a checkpoint that are downloaded. No code and no pickles."""
TRANSPORT_ERRORS = cast(tuple[type[Exception], ...], HfHubHTTPError.__bases__)
"""Errors of a download: OSError, and the base error of the HTTP library that the client uses."""


def fetch(repository: str, revision: str | None = None, progress: Progress | None = None) -> Path:
    """The folder of a repository in the cache. Missing files are downloaded.

    Raises:
        ModelError: no such repository or revision, or neither a network nor a complete copy in the cache.
    """
    revision = revision or RELEASED_REVISION
    folder = _cached(repository, revision)
    return folder if folder is not None else _downloaded(repository, revision, progress)


def _cached(repository: str, revision: str) -> Path | None:
    """The folder of a complete copy in the cache, or None."""
    try:
        folder = Path(snapshot_download(repository, revision=revision, allow_patterns=FILES, local_files_only=True))
        weight_files(folder)
    except HFValidationError as error:
        raise ModelError(f'"{repository}" is not a valid repository name: {error}') from error
    except (OSError, ModelError):
        return None  # missing or incomplete, so it has to be downloaded
    return folder if (folder / "config.json").is_file() else None


def _downloaded(repository: str, revision: str, progress: Progress | None) -> Path:
    try:
        is_reported = download_large_files(repository, revision, FILES, progress)
        bar = _bar(None if is_reported else progress)
        return Path(snapshot_download(repository, revision=revision, allow_patterns=FILES, tqdm_class=bar))
    except (RepositoryNotFoundError, GatedRepoError) as error:
        raise ModelError(
            f"There is no model {repository} on the Hugging Face Hub, or you have no access to it. "
            "Check the name, or use the built-in model: --model tiny"
        ) from error
    except RevisionNotFoundError as error:
        raise ModelError(f"The repository {repository} has no revision {revision}.") from error
    except TRANSPORT_ERRORS as error:
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            raise ModelError(
                f"The disk of {constants.HF_HUB_CACHE} is full, so {repository} is incomplete. What was downloaded "
                "is kept: free some space and try again."
            ) from error
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ModelError(
            f"{repository} is not in the cache and cannot be downloaded ({reason}). "
            "Check the network, or use the built-in model: --model tiny"
        ) from error


def _bar(progress: Progress | None) -> type[tqdm]:
    """A progress bar for the client that draws nothing and calls `progress` with bytes."""

    class Silent(tqdm):
        def __init__(self, *args: object, **kwargs: object) -> None:
            # two bars count bytes: those that came over the network, and those that are in place
            over_network = str(kwargs.get("name")).endswith(".transfer")
            self.counts_bytes = kwargs.get("unit") == "B" and not over_network
            super().__init__(*args, **{**kwargs, "disable": True})  # type: ignore[no-untyped-call]

        def update(self, n: float | None = 1) -> None:
            self.n += n or 0
            if progress is not None and self.counts_bytes:
                progress(int(self.n), int(self.total or 0))

    return Silent

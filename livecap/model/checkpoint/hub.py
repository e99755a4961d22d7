"""Models from the Hugging Face Hub: the cache first, then one download, then one clear error.

Without telemetry. A model that is in the cache is used without a word to the network.
"""

import errno
import os
from collections.abc import Callable
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
from livecap.model.checkpoint.large_files import bring_large_files  # noqa: E402
from livecap.model.checkpoint.weights import weight_files  # noqa: E402

REVISIONS = {
    "Qwen/Qwen3-ASR-0.6B": "main",
    "Qwen/Qwen3-ASR-1.7B": "main",
}
"""The revision of each known repository. No full commit hash could be seen yet; put it here once one was."""
FILES = ["*.json", "*.safetensors", "merges.txt"]
"""What a checkpoint needs; never code, never pickles."""
TRANSPORT_ERRORS = cast(tuple[type[Exception], ...], HfHubHTTPError.__bases__)
"""What can go wrong on the way: OSError, and the base error of whichever HTTP library the client uses."""

Progress = Callable[[int, int], None]
"""Told (bytes so far, bytes in all)."""


def fetch(repository: str, revision: str | None = None, progress: Progress | None = None) -> Path:
    """The folder of a repository's files in the cache, downloaded where they are not all there.

    Raises:
        ModelError: no such repository or revision, or no network and no complete copy in the cache.
    """
    wanted = revision or REVISIONS.get(repository, "main")
    folder = _cached(repository, wanted)
    return folder if folder is not None else _downloaded(repository, wanted, progress)


def _cached(repository: str, revision: str) -> Path | None:
    """The folder of a complete copy in the cache, or None."""
    try:
        folder = Path(snapshot_download(repository, revision=revision, allow_patterns=FILES, local_files_only=True))
        weight_files(folder)
    except HFValidationError as error:
        raise ModelError(f'"{repository}" is no name of a repository: {error}') from error
    except (OSError, ModelError):
        return None  # nothing there, or only a part of it: to be downloaded
    return folder if (folder / "config.json").is_file() else None


def _downloaded(repository: str, revision: str, progress: Progress | None) -> Path:
    try:
        told = bring_large_files(repository, revision, FILES, progress)
        bar = _bar(None if told else progress)
        return Path(snapshot_download(repository, revision=revision, allow_patterns=FILES, tqdm_class=bar))
    except (RepositoryNotFoundError, GatedRepoError) as error:
        raise ModelError(
            f"No model {repository} on the Hugging Face Hub, or none you may read. "
            "Check the name, or use the built-in model: --model tiny"
        ) from error
    except RevisionNotFoundError as error:
        raise ModelError(f"The repository {repository} has no revision {revision}.") from error
    except TRANSPORT_ERRORS as error:
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            raise ModelError(
                f"The disk of {constants.HF_HUB_CACHE} is full, and {repository} is not all there. What has come "
                "stays: make room and try again."
            ) from error
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ModelError(
            f"{repository} is not in the cache and cannot be downloaded ({reason}). "
            "Check the network, or use the built-in model: --model tiny"
        ) from error


def _bar(progress: Progress | None) -> type[tqdm]:
    """A progress bar for the client that draws nothing and tells `progress` about bytes."""

    class Telling(tqdm):
        def __init__(self, *args: object, **kwargs: object) -> None:
            # two bars count bytes: those that came over the network, and those that are in place
            over_network = str(kwargs.get("name")).endswith(".transfer")
            self.counts_bytes = kwargs.get("unit") == "B" and not over_network
            super().__init__(*args, **{**kwargs, "disable": True})  # type: ignore[no-untyped-call]

        def update(self, n: float | None = 1) -> None:
            self.n += n or 0
            if progress is not None and self.counts_bytes:
                progress(int(self.n), int(self.total or 0))

    return Telling

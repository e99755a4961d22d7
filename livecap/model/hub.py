"""Models from the Hugging Face Hub: the cache first, then one download, then one clear error.

Without telemetry. A model that is in the cache is used without a word to the network.
"""

import os
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")  # read by the client when it is imported

from huggingface_hub import snapshot_download  # noqa: E402
from huggingface_hub.errors import (  # noqa: E402
    GatedRepoError,
    HTTPError,
    HfHubHTTPError,
    HFValidationError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from tqdm import tqdm  # noqa: E402

from livecap.errors import ModelError  # noqa: E402
from livecap.model.weights import weight_files  # noqa: E402

REVISIONS = {
    "Qwen/Qwen3-ASR-0.6B": "main",
    "Qwen/Qwen3-ASR-1.7B": "main",
}
"""The revision of each known repository. No full commit hash could be seen yet; put it here once one was."""
FILES = ["*.json", "*.safetensors", "merges.txt"]
"""What a checkpoint needs; never code, never pickles."""

Progress = Callable[[int, int], None]


def fetch(repository: str, revision: str | None = None, progress: Progress | None = None) -> Path:
    """The folder of a repository's files in the cache, downloaded where they are not all there.

    Raises:
        ModelError: no such repository or revision, or no network and no complete copy in the cache.
    """
    wanted = revision or REVISIONS.get(repository, "main")
    cached = _cached(repository, wanted)
    if cached is not None:
        return cached
    try:
        return Path(
            snapshot_download(
                repository, revision=wanted, allow_patterns=FILES, tqdm_class=_reporting_to(progress)
            )
        )
    except (RepositoryNotFoundError, GatedRepoError, HFValidationError) as error:
        raise ModelError(f"No model {repository} on the Hugging Face Hub, or none you may read.") from error
    except RevisionNotFoundError as error:
        raise ModelError(f"The repository {repository} has no revision {wanted}.") from error
    except (HfHubHTTPError, HTTPError, OSError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ModelError(
            f"{repository} is not in the cache and cannot be downloaded ({reason}). "
            "Check the network, or use the built-in model: --model tiny"
        ) from error


def _cached(repository: str, revision: str) -> Path | None:
    """The folder of a complete copy in the cache, or None."""
    try:
        folder = Path(
            snapshot_download(repository, revision=revision, allow_patterns=FILES, local_files_only=True)
        )
        weight_files(folder)
    except HFValidationError as error:
        raise ModelError(f'"{repository}" is no name of a repository: {error}') from error
    except (OSError, ModelError):
        return None  # nothing there, or only a part of it: to be downloaded
    return folder if (folder / "config.json").is_file() else None


def _reporting_to(progress: Progress | None) -> type[tqdm]:  # type: ignore[type-arg]  # generic in its stubs only
    """A progress bar that draws nothing and tells `progress` about bytes."""

    class Reporting(tqdm):  # type: ignore[type-arg]
        def __init__(self, *args: object, **kwargs: object) -> None:
            self.counts_bytes = kwargs.get("unit") == "B"
            kwargs.pop("name", None)
            super().__init__(*args, **{**kwargs, "disable": True})

        def update(self, n: float | None = 1) -> bool | None:
            self.n += n or 0
            if progress is not None and self.counts_bytes:
                progress(int(self.n), int(self.total or 0))
            return None

    return Reporting

"""The models livecap knows by name: short names, sizes, and whether one is on this machine. Loads nothing heavy.

Capture starts before the model's code is read, so this file must stay light: no NumPy, no MLX, no Hub client.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

Progress = Callable[[int, int], None]
"""Called with (bytes so far, bytes in all) during a download. An exception that it raises stops the download."""
RELEASED_REVISION = "main"
"""The revision of repositories that is downloaded if none is given. Not pinned to a commit yet."""

TINY = "tiny"
"""The small demo model inside the package."""
TINY_BYTES = 9_000_000
"""Size of the tiny model on the disk."""


@dataclass(frozen=True, slots=True)
class Release:
    """A released model that livecap recommends."""

    disk_bytes: int
    n_parameters: int
    """Parameters in memory; the output head shares the embedding's and is not counted again."""
    about: str


RELEASES = {
    "Qwen/Qwen3-ASR-0.6B": Release(1_876_091_704, 782_426_112, "for most machines"),
    "Qwen/Qwen3-ASR-1.7B": Release(4_698_521_512, 2_038_000_000, "fewer errors, slower"),
}
"""Repository on the Hugging Face Hub to its size, smallest first."""
SHORT_NAMES = {
    short: repository
    for repository in RELEASES
    for short in (repository.rpartition("-")[2].lower(), repository.rpartition("/")[2].lower())
}
"""`0.6b` and `qwen3-asr-0.6b` to the repository; compared in lower case."""


def repository_of(name: str) -> str:
    """The repository that a short name stands for; any other name as it is."""
    return SHORT_NAMES.get(name.lower(), name)


def is_here(name: str) -> bool:
    """Whether a model needs no download. Also False where only the Hub's client could tell."""
    return name == TINY or folder_of(name) is not None


def folder_of(name: str) -> Path | None:
    """A model's folder: `name` itself if it is a folder, else a complete snapshot in the Hub's cache, else None."""
    if Path(name).is_dir():
        return Path(name)
    snapshots = hub_cache() / f"models--{repository_of(name).replace('/', '--')}" / "snapshots"
    folders = (folder for folder in snapshots.glob("*") if (folder / "config.json").exists())
    return next((folder for folder in folders if any(folder.glob("*.safetensors"))), None)


def cached_models() -> list[str]:
    """The repositories of Qwen3-ASR models in the Hub's cache, complete or not."""
    names = (folder.name.removeprefix("models--").replace("--", "/") for folder in hub_cache().glob("models--*"))
    return sorted(name for name in names if "qwen3-asr" in name.lower())


def hub_cache() -> Path:
    """Where the Hugging Face client keeps downloads; the same rules as `huggingface_hub.constants.HF_HUB_CACHE`."""
    given = os.environ.get("HF_HUB_CACHE", os.environ.get("HUGGINGFACE_HUB_CACHE"))
    if given is None:
        home = os.environ.get("HF_HOME", os.path.join(os.environ.get("XDG_CACHE_HOME", "~/.cache"), "huggingface"))
        given = os.path.join(home, "hub")
    return Path(os.path.expandvars(os.path.expanduser(given)))

"""What is said of a model without loading anything: whether it is on this machine, and who tells its warnings. Capture
begins before the model's code is read."""

import os
from pathlib import Path

SHORT_NAMES = {"0.6b": "Qwen/Qwen3-ASR-0.6B", "1.7b": "Qwen/Qwen3-ASR-1.7B"}


def is_here(name: str) -> bool:
    """False where it has to be downloaded, or where that cannot be told so simply."""
    return name == "tiny" or folder_of(name) is not None


def folder_of(name: str) -> Path | None:
    """Where its files are, of a folder or of what the cache holds; None where that cannot be told so simply."""
    if Path(name).is_dir():
        return Path(name)
    lowered = name.lower()
    repository = SHORT_NAMES.get(lowered.removeprefix("qwen3-asr-"), name)
    snapshots = _cache() / f"models--{repository.replace('/', '--')}" / "snapshots"
    folders = (folder for folder in snapshots.glob("*") if (folder / "config.json").exists())
    return next((folder for folder in folders if any(folder.glob("*.safetensors"))), None)


def told_elsewhere() -> None:
    """What the model's code warns of is told by who calls this; without a handler Python prints it as well."""
    import logging

    logging.getLogger("livecap.model").addHandler(logging.NullHandler())


def _cache() -> Path:
    """Where Hugging Face's client keeps what it downloads."""
    if cache := os.environ.get("HF_HUB_CACHE"):
        return Path(cache)
    home = os.environ.get("HF_HOME") or Path(os.environ.get("XDG_CACHE_HOME", "~/.cache"), "huggingface")
    return Path(home).expanduser() / "hub"

"""Which folder holds the model, where a folder around it is given: a repository in the Hub's cache, a download with one
model inside. Loads nothing heavy.
"""

import os
from contextlib import suppress
from pathlib import Path

from livecap.errors import ModelError

MOST_FOLDERS = 300
"""Folders that are looked into."""
MOST_DEPTH = 4
WEIGHTS = (".safetensors", ".gguf", ".bin", ".pt", ".onnx")


def model_folder(folder: Path) -> Path:
    """The folder of the model in `folder`: itself, or the only one inside; itself where there is none.

    Links in `folder` itself are followed, as to a model on another disk; those further below are not.

    Raises:
        ModelError: there are several.
    """
    paths: dict[str, Path] = {}
    for path in _found(folder, MOST_DEPTH, [MOST_FOLDERS]):
        paths.setdefault(os.path.realpath(path), path)
    found = list(paths.values())
    if len(found) > 1:
        names = ", ".join(str(path.relative_to(folder)) for path in found[:5])
        more = f", and {len(found) - 5} more" if len(found) > 5 else ""
        raise ModelError(f"{folder} holds {len(found)} models: {names}{more}. Give the folder of one of them.")
    return found[0] if found else folder


def newest_snapshot(repository_folder: Path) -> Path | None:
    """The snapshot that `main` points to in a repository's folder of the Hub's cache, else the newest one."""
    snapshots = repository_folder / "snapshots"
    try:
        commit = (repository_folder / "refs" / "main").read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        commit = ""
    if commit and os.path.exists(snapshots / commit / "config.json"):
        return snapshots / commit
    return next(iter(snapshots_in(repository_folder)), None)


def snapshots_in(repository_folder: Path) -> list[Path]:
    """The snapshots with a config.json in a repository's folder of the Hub's cache, newest first; those that cannot be
    read are left out."""
    dated = []
    for name in names_in(repository_folder / "snapshots"):
        path = repository_folder / "snapshots" / name
        with suppress(OSError):
            if os.path.exists(path / "config.json"):
                dated.append((path.stat().st_mtime, path))
    return [path for _, path in sorted(dated, key=lambda each: each[0], reverse=True)]


def names_in(folder: Path) -> list[str]:
    """The names in a folder; none if it is not there or cannot be read."""
    try:
        return os.listdir(folder)
    except OSError:
        return []


def _found(folder: Path, depth: int, left: list[int]) -> list[Path]:
    """The folders with a config.json at or below `folder`. `left` counts down the folders that may be looked into."""
    left[0] -= 1
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: (os.path.islink(entry.path), entry.name))
    except OSError:
        return []
    names = {entry.name for entry in entries}
    if "config.json" in names or any(name.endswith(WEIGHTS) for name in names):
        return [folder] if "config.json" in names else []
    if "snapshots" in names:
        snapshot = newest_snapshot(folder)
        return [] if snapshot is None else [snapshot]
    found: list[Path] = []
    for entry in entries:
        is_followed = depth == MOST_DEPTH or not os.path.islink(entry.path)
        if depth and left[0] > 0 and is_followed and os.path.isdir(entry.path) and not entry.name.startswith("."):
            found += _found(Path(entry.path), depth - 1, left)
    return found

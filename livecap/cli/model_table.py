"""The table of models that `livecap models` and the model page of the screen show."""

import os
import stat
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from livecap.model.checkpoint.cached import cached_models, damages, is_here, repository_folder, snapshots, unfinished
from livecap.model.checkpoint.catalogue import ALIGNER, RELEASES, TINY, TINY_BYTES, fits, recommended
from livecap.tui.choices import ModelChoice


@dataclass(frozen=True, slots=True)
class ModelRow:
    """A model of the table, and what is in the cache of it."""

    choice: ModelChoice
    folder: Path | None
    """Folder of the model; None if nothing of it is in the cache."""
    cached_bytes: int
    """Size of what is in the cache, unfinished downloads too."""
    trouble: str
    """Why what is in the cache cannot be used, such as "model.safetensors is cut off"; "" where nothing is wrong."""


def model_table(memory_bytes: int) -> list[ModelRow]:
    """The models of livecap's catalogue, those that other programs cached, and `tiny`.

    Args:
        memory_bytes: memory of the machine; the model that it should take is marked.
    """
    best = recommended(memory_bytes)
    rows = [
        _row(
            ModelChoice(
                name,
                release.about,
                release.disk_bytes,
                release.memory_bytes,
                is_here(name),
                fits(release, memory_bytes),
                name == best,
                release.licence,
            )
        )
        for name, release in RELEASES.items()
    ]
    for name in cached_models():
        if name not in RELEASES:
            about = "finds the times of words" if "aligner" in name.lower() or name == ALIGNER else "in the cache"
            rows.append(_row(ModelChoice(name, about, None, None, is_here(name), True)))
    about = "a demo: understands synthetic voices only"
    return [*rows, ModelRow(ModelChoice(TINY, about, TINY_BYTES, None, True, True), None, TINY_BYTES, "")]


def _row(choice: ModelChoice) -> ModelRow:
    folder = repository_folder(choice.name)
    n_bytes, trouble = 0, ""
    try:
        n_bytes = _size_of_files(folder / "blobs") if folder else 0
    except OSError as error:
        trouble = f"its folder in the cache cannot be read: {error.strerror}"
    snapshot = next(snapshots(choice.name), None)
    if not choice.is_here and n_bytes:
        is_partial = snapshot is None or unfinished(choice.name)
        found = [] if is_partial or snapshot is None else damages(snapshot, deep=False)
        trouble = f"{found[0].path.name} {found[0].what}" if found else "the download is not finished"
    return ModelRow(choice, snapshot or (folder if n_bytes else None), n_bytes, trouble)


def _size_of_files(folder: Path) -> int:
    """The size of all files in a folder; 0 if there is none. Downloads of other programs rename files meanwhile.

    Raises:
        OSError: the folder cannot be read.
    """
    n_bytes = 0
    try:
        for name in os.listdir(folder):
            with suppress(FileNotFoundError):
                status = (folder / name).stat()
                n_bytes += status.st_size if stat.S_ISREG(status.st_mode) else 0
    except FileNotFoundError:
        return 0
    return n_bytes

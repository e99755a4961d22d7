"""The weight files of a checkpoint: which they are, and whether each is a whole safetensors file. Loads nothing heavy.

folder ─▶ its files ─▶ header of each: JSON, known types, offsets inside
"""

import math
import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TypeGuard

from livecap.errors import ModelError, brief
from livecap.files import open_regular
from livecap.model.files import AGAIN, parse_json, read_json

SINGLE_FILE = "model.safetensors"
INDEX_FILE = "model.safetensors.index.json"
MAX_HEADER_BYTES = 8 << 20
"""The header of a released file has at most 200 kB."""
MAX_AXES = 8
MAX_NAME_BYTES = 255
"""Length of a file name."""
LFS_POINTER = b"version "
"""The first bytes of the text that Git leaves in the place of a large file until Git LFS has brought it."""
MOST_LFS_BYTES = 1024
BYTES_OF_TYPE = {
    "BOOL": 1,
    "U8": 1,
    "I8": 1,
    "U16": 2,
    "I16": 2,
    "F16": 2,
    "BF16": 2,
    "U32": 4,
    "I32": 4,
    "F32": 4,
    "U64": 8,
    "I64": 8,
}
"""Element types that MLX can read."""


def is_adapter(name: str) -> bool:
    """Whether a file of this name belongs to a LoRA adapter, as PEFT or MLX writes them."""
    return name.startswith("adapter_") or name.endswith("adapters.safetensors")


def is_weights(name: str) -> bool:
    """Whether a file of this name may hold a model's weights. macOS writes `._NAME` beside files on other disks."""
    return name.endswith(".safetensors") and not name.startswith(".") and not is_adapter(name)


def weight_files(folder: Path) -> list[Path]:
    """The safetensors files of a checkpoint's folder, as `weight_names` chooses them.

    Raises:
        ModelError: there are none, or several without an index, or one in the index is missing.
    """
    index = read_json(folder / INDEX_FILE) if (folder / INDEX_FILE).exists() else None
    return [folder / name for name in weight_names(str(folder), [path.name for path in folder.iterdir()], index)]


def weight_names(where: str, names: Collection[str], index: Mapping[str, object] | None) -> list[str]:
    """The names of a checkpoint's safetensors files: those in its index, or the single one, whatever its name.

    An index that names a missing file does not count where `SINGLE_FILE` is there.

    Args:
        where: the folder or repository, for messages.
        names: its files.
        index: the parsed index; None if there is none.

    Raises:
        ModelError: there are none, or several without an index, or one in the index is missing.
    """
    if index is not None:
        weight_map = index.get("weight_map")
        if not isinstance(weight_map, dict) or not weight_map:
            raise ModelError(f"{where}/{INDEX_FILE} is damaged: it has no weight_map. {AGAIN}")
        listed = sorted({_file_name(where, name) for name in weight_map.values()})
        here = set(names)
        missing = [name for name in listed if name not in here]
        if missing and SINGLE_FILE in here.difference(listed):
            return [SINGLE_FILE]  # the index is that of another copy
        if missing:
            n_found = len(listed) - len(missing)
            raise ModelError(f"{where} lacks {missing[0]}: {n_found} of {len(listed)} weight files are there. {AGAIN}")
        return listed
    if SINGLE_FILE in names:
        return [SINGLE_FILE]
    singles = sorted(filter(is_weights, names))
    if len(singles) > 1:
        raise ModelError(f"{where} has {len(singles)} weight files and no {INDEX_FILE}, which lists them. {AGAIN}")
    if not singles:
        raise ModelError(f"{where} has no {SINGLE_FILE}: not a complete Qwen3-ASR checkpoint.")
    return singles


def _file_name(where: str, name: object) -> str:
    """A name in the index, checked to be that of a file in this folder."""
    if not isinstance(name, str) or not name.isprintable() or not 0 < len(os.fsencode(name)) <= MAX_NAME_BYTES:
        raise ModelError(f"{where}/{INDEX_FILE} is damaged: {brief(name)} is not the name of a file. {AGAIN}")
    if Path(name).name != name or name == "..":
        raise ModelError(f"{where}/{INDEX_FILE} names a file outside its folder: {brief(name)}.")
    return name


def check_file(path: Path) -> int:
    """How many arrays a safetensors file has.

    Raises:
        ModelError: it is not a complete safetensors file that MLX can read.
    """
    try:
        with open_regular(path) as file:
            size = os.fstat(file.fileno()).st_size
            prefix = file.read(8)
            n_header = int.from_bytes(prefix, "little")
            if prefix == LFS_POINTER and size < MOST_LFS_BYTES:
                raise ModelError(
                    f"{path} is a pointer of Git LFS, not the weights. Run `git lfs pull` in its folder, or give "
                    "the name of the repository instead."
                )
            if len(prefix) < 8 or not 2 <= n_header <= size - 8:
                raise ModelError(f"{path} is cut off or not a safetensors file: {size} bytes. {AGAIN}")
            if n_header > MAX_HEADER_BYTES:
                raise ModelError(f"{path} has a header of {n_header:,} bytes; at most {MAX_HEADER_BYTES:,} are read.")
            text = file.read(n_header)
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror}.") from error
    try:
        header = parse_json(text)
    except ValueError as error:
        raise ModelError(f"{path} is damaged: its header is {error}. {AGAIN}") from error
    if not isinstance(header, dict):
        raise ModelError(f"{path} is damaged: its header is not a JSON object. {AGAIN}")
    places = [_check_entry(path, name, entry) for name, entry in header.items() if name != "__metadata__"]
    end = max((stop for _, stop in places), default=0)
    expected = 8 + n_header + end
    if size < expected:
        raise ModelError(f"{path} is cut off: {size} of {expected} bytes. {AGAIN}")
    if sum(stop - start for start, stop in places) > end:
        raise ModelError(f"{path} is damaged: its arrays overlap. {AGAIN}")
    return len(places)


def _check_entry(path: Path, name: str, entry: object) -> tuple[int, int]:
    """The start and end of an array's bytes, counted from the end of the header."""
    damaged = ModelError(f"{path} is damaged: its header's entry for {shown(name)} is invalid. {AGAIN}")
    if not isinstance(entry, dict):
        raise damaged
    kind, shape, offsets = entry.get("dtype"), entry.get("shape"), entry.get("data_offsets")
    if not isinstance(kind, str) or kind not in BYTES_OF_TYPE:
        raise ModelError(f"{path} holds {shown(name)} as {shown(kind)}, which MLX cannot read.")
    if not _are_counts(shape) or not _are_counts(offsets) or len(offsets) != 2:
        raise damaged
    start, stop = offsets
    if stop - start != math.prod(shape) * BYTES_OF_TYPE[kind]:
        raise damaged
    return start, stop


def _are_counts(value: object) -> TypeGuard[list[int]]:
    return (
        isinstance(value, list)
        and len(value) <= MAX_AXES
        and all(isinstance(n, int) and not isinstance(n, bool) and 0 <= n < 1 << 63 for n in value)
    )


def shown(name: object) -> str:
    """A name from a file in a message: printable and short."""
    return brief(name).strip("'\"")

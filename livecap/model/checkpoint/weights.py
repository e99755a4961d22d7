"""Weights from safetensors files, which are checked before MLX reads them.

    folder ─▶ its files ─▶ header of each: JSON, known types, offsets inside ─▶ arrays ─▶ names, shapes

A file that is cut off, or not a safetensors file at all, ends in one line of text and not in an error inside MLX.
"""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import TypeGuard, cast

from livecap.errors import ModelError
from livecap.model.backend import mx
from livecap.model.text.tokenizer import read_json

SINGLE_FILE = "model.safetensors"
INDEX_FILE = "model.safetensors.index.json"
MAX_HEADER_BYTES = 100_000_000
"""The limit of the format."""
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
AGAIN = "Download the model again."


def weight_files(folder: Path) -> list[Path]:
    """The safetensors files of a checkpoint: those in its index, or the single one.

    Raises:
        ModelError: there are none, or one in the index is missing.
    """
    if (folder / INDEX_FILE).is_file():
        weight_map = read_json(folder / INDEX_FILE).get("weight_map")
        if not isinstance(weight_map, dict) or not weight_map:
            raise ModelError(f"{folder / INDEX_FILE} is damaged: it has no weight_map. {AGAIN}")
        names = sorted({str(name) for name in weight_map.values()})
        if any(Path(name).name != name for name in names):
            raise ModelError(f"{folder / INDEX_FILE} names files outside its folder: {', '.join(names)}.")
        missing = [name for name in names if not (folder / name).is_file()]
        if missing:
            found = len(names) - len(missing)
            raise ModelError(f"{folder} lacks {missing[0]}: {found} of {len(names)} weight files are there. {AGAIN}")
        return [folder / name for name in names]
    if (folder / SINGLE_FILE).is_file():
        return [folder / SINGLE_FILE]
    others = sorted(path.name for pattern in ("*.bin", "*.pt", "*.npz", "*.gguf") for path in folder.glob(pattern))
    found_instead = f" Found {others[0]}, but only safetensors are read." if others else ""
    raise ModelError(f"{folder} has no {SINGLE_FILE}: not a complete Qwen3-ASR checkpoint.{found_instead}")


def read_weights(folder: Path) -> dict[str, mx.array]:
    """All arrays of a checkpoint by their names in the files, not evaluated yet.

    Raises:
        ModelError: a file is missing, cut off, or not a safetensors file.
    """
    weights: dict[str, mx.array] = {}
    for path in weight_files(folder):
        check_file(path)
        try:
            arrays = mx.load(str(path), format="safetensors")
        except (RuntimeError, ValueError, OSError) as error:
            raise ModelError(f"{path} cannot be read: {error}. {AGAIN}") from error
        weights.update(cast(dict[str, mx.array], arrays))
    return weights


def check_file(path: Path) -> None:
    """Raise ModelError if a file is not a complete safetensors file that MLX can read."""
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            prefix = file.read(8)
            n_header = int.from_bytes(prefix, "little")
            if len(prefix) < 8 or not 2 <= n_header <= min(MAX_HEADER_BYTES, size - 8):
                raise ModelError(f"{path} is cut off or not a safetensors file: {size} bytes. {AGAIN}")
            text = file.read(n_header)
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror}.") from error
    try:
        header = json.loads(text)
    except ValueError as error:
        raise ModelError(f"{path} is damaged: its header is not JSON. {AGAIN}") from error
    if not isinstance(header, dict):
        raise ModelError(f"{path} is damaged: its header is not a JSON object. {AGAIN}")
    end = 0
    for name, entry in header.items():
        if name != "__metadata__":
            end = max(end, _check_entry(path, name, entry))
    expected = 8 + n_header + end
    if size < expected:
        raise ModelError(f"{path} is cut off: {size} of {expected} bytes. {AGAIN}")


def _check_entry(path: Path, name: str, entry: object) -> int:
    """The end of the tensor's bytes, counted from the end of the header."""
    damaged = ModelError(f"{path} is damaged: its header's entry for {name} is invalid. {AGAIN}")
    if not isinstance(entry, dict):
        raise damaged
    kind, shape, offsets = entry.get("dtype"), entry.get("shape"), entry.get("data_offsets")
    if not isinstance(kind, str) or kind not in BYTES_OF_TYPE:
        raise ModelError(f"{path} holds {name} as {kind}, which MLX cannot read.")
    if not _are_counts(shape) or not _are_counts(offsets) or len(offsets) != 2:
        raise damaged
    start, stop = offsets
    if stop - start != math.prod(shape) * BYTES_OF_TYPE[kind]:
        raise damaged
    return stop


def _are_counts(value: object) -> TypeGuard[list[int]]:
    return isinstance(value, list) and all(isinstance(n, int) and n >= 0 for n in value)


def check_names_and_shapes(
    folder: Path, weights: Mapping[str, mx.array], expected: Mapping[str, tuple[int, ...]]
) -> None:
    """Raise ModelError if the weights are not those that config.json describes."""
    missing = sorted(expected.keys() - weights.keys())
    unknown = sorted(weights.keys() - expected.keys())
    complaints = [
        f"{name} has shape {weights[name].shape}, expected {expected[name]}"
        for name in expected.keys() & weights.keys()
        if weights[name].shape != expected[name]
    ]
    for names, what in ((missing, "is missing"), (unknown, "is not known")):
        if names:
            complaints.append(f"{names[0]} {what}" + (f", and {len(names) - 1} more" if len(names) > 1 else ""))
    if complaints:
        raise ModelError(f"The weights in {folder} do not fit its config.json: {complaints[0]}.")

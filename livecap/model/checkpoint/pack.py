"""Packing a checkpoint: matrices as small whole numbers, in the layout of the MLX community.

    any layout ─▶ network's names ─▶ half precision ─▶ matrices packed ─▶ new folder ─▶ read back and compared

The new folder takes its name when all of it is written. Other programs that run MLX read it too.
"""

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from livecap.errors import ModelError
from livecap.model.backend import mx
from livecap.model.checkpoint.find import read_config
from livecap.model.checkpoint.layouts import official_form
from livecap.model.checkpoint.load import main_dtype
from livecap.model.checkpoint.quantized import GROUP_SIZES
from livecap.model.checkpoint.weight_files import INDEX_FILE, SINGLE_FILE
from livecap.model.checkpoint.weights import is_equal, read_weights, with_known_tie
from livecap.model.files import read_json
from livecap.model.qwen3_asr import sanitize
from livecap.text.units import size

EMBEDDING = "model.embed_tokens"
FEWEST_EMBEDDING_BITS = 8
"""A tied embedding is also the head that chooses each word: with 4 bit it is published to destroy the 0.6B."""
SMALL_FILES = (".json", ".txt", ".jinja", ".md")
MOST_COPIED_BYTES = 64 << 20


@dataclass(frozen=True, slots=True)
class Packing:
    """How a checkpoint is packed."""

    bits: int = 8
    """Bits of the decoder's weights."""
    group_size: int = 64
    """Weights that share a scale and an offset; a matrix whose width it does not divide gets smaller groups."""
    encoder_bits: int | None = None
    """Bits of the audio encoder's weights; None leaves it in half precision, as the community does."""
    embedding_bits: int | None = None
    """Bits of the embedding table; None takes `bits`, but at least 8 where the table is the head too."""


@dataclass(frozen=True, slots=True)
class Packed:
    """The result of packing: what was written and left."""

    folder: Path
    source_bytes: int
    """Weights of the source in memory, as a GPU holds them."""
    packed_bytes: int
    """The same of the packed checkpoint."""
    n_parameters: int
    embedding_bits: int
    tied: bool
    """The embedding table is the output head too."""
    n_left: int
    """Matrices that no size of groups divides, and that stayed as they were."""


def pack(source: Path, target: Path, how: Packing) -> Packed:
    """Write a packed copy of the checkpoint in `source`.

    Raises:
        ModelError: the source is packed already or damaged, the target exists, or it cannot be written.
    """
    check_target(target)
    config = read_config(source)
    weights = read_weights(source)
    tied = with_known_tie(config, weights).text.tie_word_embeddings
    weights = sanitize(weights, tied)
    if any(name.endswith(".scales") for name in weights):
        raise ModelError(f"{source} is packed already. Pack the model that it was made from: packing twice loses more.")
    dtype = main_dtype(weights)
    dtype = mx.bfloat16 if dtype == mx.float32 else dtype
    embedding_bits = how.embedding_bits or (max(how.bits, FEWEST_EMBEDDING_BITS) if tied else how.bits)
    default = {"group_size": how.group_size, "bits": how.bits, "mode": "affine"}
    arrays: dict[str, mx.array] = {}
    layers: dict[str, dict[str, object]] = {}
    n_left = 0
    for name, array in weights.items():
        array = mx.contiguous(array.astype(dtype))
        layer = name.removesuffix(".weight")
        bits = _bits_of(layer, how, embedding_bits) if array.ndim == 2 and name.endswith(".weight") else None
        group = next((n for n in reversed(GROUP_SIZES) if n <= how.group_size and array.shape[-1] % n == 0), None)
        if bits is None or group is None:
            n_left += bits is not None
            arrays[name] = array
            continue
        parts = mx.quantize(array, group_size=group, bits=bits)
        arrays |= {f"{layer}.{part}": value for part, value in zip(("weight", "scales", "biases"), parts, strict=True)}
        if (own := {"group_size": group, "bits": bits, "mode": "affine"}) != default:
            layers[layer] = own
    said = official_form(read_json(source / "config.json"))
    said = {name: said[name] for name in sorted(said)} | dict.fromkeys(
        ("quantization", "quantization_config"), default | layers
    )
    n_parameters = sum(array.size for array in weights.values())
    _write(source, target, arrays, said, n_parameters)
    return Packed(
        target,
        sum(array.size * dtype.size for array in weights.values()),
        sum(array.nbytes for array in arrays.values()),
        n_parameters,
        embedding_bits,
        tied,
        n_left,
    )


def check_target(target: Path) -> None:
    """Refuse a folder that a packed model cannot take the place of; for callers that download the source first.

    Raises:
        ModelError: it is not empty, cannot be looked at, or is the current one.
    """
    try:
        is_empty = target.is_dir() and not target.is_symlink() and not os.listdir(target)
        is_free = is_empty or not os.path.lexists(target)
    except OSError as error:
        raise ModelError(f"{target} cannot be used: {error.strerror or error}. Choose another with -o.") from None
    if not is_free:
        raise ModelError(f"{target} exists and is not an empty folder. Choose another with -o.")
    if not target.name:  # the new folder takes the place of an empty one, and nobody can stand in that
        raise ModelError("The current folder cannot be replaced by the packed model. Give a new folder with -o.")


def _bits_of(layer: str, how: Packing, embedding_bits: int) -> int | None:
    """The bits for a layer's matrix; None leaves it."""
    if layer == EMBEDDING:
        return embedding_bits
    return how.encoder_bits if layer.startswith("audio_tower.") else how.bits


def _write(
    source: Path, target: Path, arrays: Mapping[str, mx.array], said: Mapping[str, Any], n_parameters: int
) -> None:
    """Write the folder under another name, compare what can be read back, and rename it."""
    new = target.with_name(f".{target.name}.{os.urandom(4).hex()}.new")
    total = sum(array.nbytes for array in arrays.values())
    try:
        copied = [path for path in sorted(source.iterdir()) if _is_copied(path)]
        _check_space(target, total + sum(path.stat().st_size for path in copied))
        new.mkdir(parents=True)
        for path in copied:
            shutil.copyfile(path, new / path.name)
        (new / "config.json").write_text(json.dumps(said, indent=4, ensure_ascii=False) + "\n", encoding="utf-8")
        mx.save_safetensors(str(new / SINGLE_FILE), dict(arrays), metadata={"format": "mlx"})
        index = {
            "metadata": {"total_size": total, "total_parameters": n_parameters},
            "weight_map": dict.fromkeys(sorted(arrays), SINGLE_FILE),
        }
        (new / INDEX_FILE).write_text(json.dumps(index, indent=4) + "\n", encoding="utf-8")
        back = read_weights(new)
        if back.keys() != arrays.keys() or not all(is_equal(back[name], arrays[name]) for name in arrays):
            raise ModelError(f"What was written to {new} reads back differently: the disk may be failing.")
        new.replace(target)
    except (OSError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ModelError(f"{target} cannot be written: {reason.rstrip('.')}.") from error
    finally:
        shutil.rmtree(new, ignore_errors=True)  # nothing is left there after a success


def _is_copied(path: Path) -> bool:
    """Whether a file of the source is taken over as it is."""
    small = path.suffix in SMALL_FILES and path.is_file() and path.stat().st_size <= MOST_COPIED_BYTES
    return small and path.name not in ("config.json", INDEX_FILE, "quantization_config.json")


def _check_space(target: Path, n_bytes: int) -> None:
    """Raise ModelError where the disk of a new folder has not so much space; MLX does not say that a disk is full."""
    disk = next(folder for folder in target.absolute().parents if folder.exists())
    free = shutil.disk_usage(disk).free
    if n_bytes > free:
        raise ModelError(
            f"The packed model needs {size(n_bytes)} in {target}, where {size(free)} are free. "
            "Free some space, or choose another folder with -o."
        )

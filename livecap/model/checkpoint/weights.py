"""Weights from safetensors files, which are checked before MLX reads them.

    folder ─▶ whole files (weight_files.py) ─▶ arrays ─▶ names, shapes

A file that is cut off, or not a safetensors file at all, ends in one line of text and not in an error inside MLX.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import cast

from livecap.errors import ModelError
from livecap.model.backend import mx
from livecap.model.checkpoint.layouts import network_name
from livecap.model.checkpoint.weight_files import check_file, shown, weight_files
from livecap.model.config import ModelConfig
from livecap.model.files import AGAIN

MAX_ARRAYS = 50_000
"""Arrays of a checkpoint; a released one has at most 2000, packed layers included."""


def read_weights(folder: Path) -> dict[str, mx.array]:
    """All arrays of a checkpoint by their names in the files, not evaluated yet.

    Raises:
        ModelError: a file is missing, cut off, or not a safetensors file.
    """
    weights: dict[str, mx.array] = {}
    n_arrays = 0
    for path in weight_files(folder):
        n_arrays += check_file(path)
        if n_arrays > MAX_ARRAYS:
            raise ModelError(f"{folder} has {n_arrays:,} arrays of weights; at most {MAX_ARRAYS:,} are read.")
        try:
            arrays = cast(dict[str, mx.array], mx.load(str(path), format="safetensors"))
        except (RuntimeError, ValueError, OSError) as error:
            raise ModelError(f"{path} cannot be read: {error}. {AGAIN}") from error
        if twice := weights.keys() & arrays.keys():
            raise ModelError(f"{folder} has {shown(min(twice))} in two files, one of them {path.name}. {AGAIN}")
        weights.update(arrays)
    return weights


def with_known_tie(config: ModelConfig, stored: Mapping[str, mx.array]) -> ModelConfig:
    """The configuration of a checkpoint with these arrays. Where config.json does not say whether the embedding table
    is the output head, it is, unless another head is stored."""
    if config.is_tie_known:
        return config
    named = {network_name(name): array for name, array in stored.items()}
    parts = [name.removeprefix("lm_head.") for name in named if name.startswith("lm_head.")]
    tables = [(named[f"lm_head.{part}"], named.get(f"model.embed_tokens.{part}")) for part in parts]
    tied = all(table is not None and is_equal(head, table) for head, table in tables)
    return replace(config, text=replace(config.text, tie_word_embeddings=tied))


def is_equal(one: mx.array, other: mx.array) -> bool:
    """Whether two arrays have the same type, shape and bits. Waits for them."""
    same = one.dtype == other.dtype and one.shape == other.shape
    return same and bool(mx.array_equal(one, other, equal_nan=True).item())


def check_names_and_shapes(folder: Path, weights: Mapping[str, mx.array], expected: Mapping[str, mx.array]) -> None:
    """Raise ModelError if the weights are not those that config.json describes.

    Args:
        expected: the arrays of the network that they are for, not evaluated.
    """
    missing = sorted(expected.keys() - weights.keys())
    unknown = sorted(weights.keys() - expected.keys())
    known = sorted(expected.keys() & weights.keys())
    complaints = [
        f"{name} has shape {weights[name].shape}, expected {expected[name].shape}"
        for name in known
        if weights[name].shape != expected[name].shape
    ]
    complaints += [
        f"{name} holds {weights[name].dtype}"
        for name in known
        if mx.issubdtype(weights[name].dtype, mx.floating) != mx.issubdtype(expected[name].dtype, mx.floating)
    ]
    for names, what in ((missing, "is missing"), (unknown, "is not known")):
        if names:
            complaints.append(f"{shown(names[0])} {what}" + (f", and {len(names) - 1} more" if len(names) > 1 else ""))
    if complaints:
        raise ModelError(f"The weights in {folder} do not fit its config.json: {complaints[0]}.")

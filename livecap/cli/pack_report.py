"""Packs a model, and measures what that costs: size, memory, and errors on recordings. Loads MLX."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from livecap.cli.download import find_model
from livecap.engine import Engine, EngineSettings
from livecap.eval.offline import offline_text
from livecap.eval.reference import Reference, read_reference
from livecap.eval.wer import ErrorCounts, count_errors
from livecap.model.checkpoint.pack import FEWEST_EMBEDDING_BITS, Packing, check_target, pack
from livecap.model.checkpoint.weight_files import weight_files

FEWEST_SAFE_BITS = 5


def packed_report(options: argparse.Namespace) -> dict[str, Any]:
    """Write the packed copy that the options of `livecap quantize` ask for; the report as plain values.

    Raises:
        LivecapError: no such model or recording, or the folder cannot be written.
    """
    recordings = [read_reference(path) for path in options.recordings]  # before the download and the work
    check_target(options.target)
    source = find_model(options.source)
    how = Packing(options.bits, options.group_size, options.encoder_bits, options.embedding_bits)
    packed = pack(source, options.target, how)
    before: dict[str, float] = {"disk_bytes": _bytes_of(source), "memory_bytes": packed.source_bytes}
    after: dict[str, float] = {"disk_bytes": _bytes_of(packed.folder), "memory_bytes": packed.packed_bytes}
    report: dict[str, Any] = {"model": options.source, "folder": str(packed.folder), "before": before, "after": after}
    report |= {"bits": options.bits, "embedding_bits": packed.embedding_bits, "encoder_bits": options.encoder_bits}
    if recordings:
        errors = [_errors(folder, recordings) for folder in (source, packed.folder)]
        before["wer"], after["wer"] = (round(counts.wer, 4) for counts in errors)
        report["words"] = errors[0].n_words
    report["notices"] = _notices(options, packed.embedding_bits, packed.n_left, packed.tied)
    return report


def _notices(options: argparse.Namespace, embedding_bits: int, n_left: int, tied: bool) -> list[str]:
    """What the user should know of this packing."""
    notices = []
    if options.bits < FEWEST_SAFE_BITS:
        notices.append(
            "Published results with 4 bit are far worse outside English: measure your languages before you use it."
        )
    if tied and embedding_bits < FEWEST_EMBEDDING_BITS:
        notices.append(
            f"The embedding table is the output head too. Published results of the 0.6B with {embedding_bits} bit in "
            "it are far worse."
        )
    elif tied and embedding_bits > options.bits:
        notices.append("The embedding table is the output head too, so it has 8 bit; --embedding-bits changes that.")
    if n_left:
        notices.append(f"{n_left} matrices stayed as they were: no group size divides their width.")
    return notices


def _bytes_of(folder: Path) -> int:
    """Size of the weights on the disk."""
    return sum(path.stat().st_size for path in weight_files(folder))


def _errors(folder: Path, recordings: Sequence[Reference]) -> ErrorCounts:
    """The errors of a model on these recordings, transcribed offline."""
    with Engine.load(EngineSettings(folder)) as engine:
        counts = [count_errors(each.text, offline_text(engine, each.samples)) for each in recordings]
    return sum(counts, ErrorCounts())

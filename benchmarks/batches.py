"""Pieces decoded together against one by one: time by stage, at the size of the embedded model or a released one.

    python -m benchmarks.batches recordings/*.flac --out docs/benchmarks/batches.json
    python -m benchmarks.batches recordings/continuous.flac --geometry 0.6b --keep DIR --pieces 8

The batches are timed alternately in one run, since the speed of a shared machine changes. Every text is compared with
the text of its piece alone, and the error rate of the recordings is stored with the figures.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.grown_checkpoint import GEOMETRIES, write_grown
from livecap.audio_in.vad import SpeechDetector
from livecap.engine import Engine, EngineSettings
from livecap.errors import LivecapError
from livecap.eval.output import store_figures
from livecap.eval.provenance import machine
from livecap.eval.reference import Reference, read_reference
from livecap.eval.wer import ErrorCounts, count_errors
from livecap.transcribe.cutter import Cutter, Piece
from livecap.transcribe.decoding import DecodingOptions, PieceDecoder
from livecap.transcribe.recordings import Options, transcribe_samples
from livecap.transcribe.result import Segment

OPTIONS = DecodingOptions(word_times=False)


def pieces_of(references: Sequence[Reference], most: int | None) -> list[Piece]:
    """The pieces of all recordings, the longest first; at most `most`."""
    found: list[Piece] = []
    for reference in references:
        cutter = Cutter(SpeechDetector())
        found += [*cutter.hear(reference.samples), *cutter.rest()]
    return sorted(found, key=lambda piece: len(piece.samples), reverse=True)[:most]


def decode(engine: Engine, pieces: Sequence[Piece], batch: int) -> tuple[dict[str, float], list[Segment | None]]:
    """Seconds of each stage, and the segments, of all pieces in batches of this size."""
    decoder = PieceDecoder(engine, OPTIONS)
    segments: list[Segment | None] = []
    began = time.perf_counter()
    for at in range(0, len(pieces), batch):
        segments += decoder.decode(pieces[at : at + batch])
    seconds = {
        "all": time.perf_counter() - began,
        "encoder": decoder.timings.encoder_seconds,
        "decoder": decoder.timings.prefill_and_generate_seconds,
    }
    return seconds, segments


def measure(engine: Engine, pieces: Sequence[Piece], batches: Sequence[int], rounds: int) -> dict[str, Any]:
    """Seconds of compute per second of sound for each batch size, and their ratio to one by one."""
    decode(engine, pieces[:1], 1)  # the first decode loads code and fills caches
    seconds: dict[int, list[dict[str, float]]] = {batch: [] for batch in batches}
    texts: dict[int, list[str | None]] = {}
    for _ in range(rounds):
        for batch in batches:
            spent, segments = decode(engine, pieces, batch)
            seconds[batch].append(spent)
            texts[batch] = [segment.text if segment else None for segment in segments]
    sound_seconds = sum(len(piece.samples) for piece in pieces) / 16_000
    figures: dict[str, Any] = {"pieces": len(pieces), "sound_seconds": round(sound_seconds, 1), "batches": {}}
    for batch in batches:
        stages = {stage: median(spent[stage] for spent in seconds[batch]) for stage in seconds[batch][0]}
        alone = {stage: median(spent[stage] for spent in seconds[batches[0]]) for stage in stages}
        figures["batches"][str(batch)] = {
            "per_second_of_sound": {stage: round(value / sound_seconds, 4) for stage, value in stages.items()},
            "ratio": {stage: round(value / alone[stage], 3) for stage, value in stages.items()},
            "texts_that_differ": sum(a != b for a, b in zip(texts[batch], texts[batches[0]], strict=True)),
        }
    return figures


def add_arguments(parser: argparse.ArgumentParser, batches: str) -> None:
    """The options of a benchmark that decodes pieces in batches.

    Args:
        batches: the default sizes, for the help.
    """
    add = parser.add_argument
    add("recordings", nargs="+", type=Path)
    add("--model", default="tiny")
    add("--geometry", choices=GEOMETRIES, help="the size of a released model, grown from --model")
    add("--keep", type=Path, metavar="DIR", help="keep grown checkpoints there")
    add("--pieces", type=int, metavar="N", help="only the N longest pieces")
    add("--batch", type=int, action="append", metavar="N", help=f"repeatable (default: {batches})")
    add("--rounds", type=int, default=3, metavar="N")
    add("--out", type=Path)


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status: 1 where a text of a batch differs from that of its piece alone."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.batches",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_arguments(parser, "1, 2, 4, 8")
    options = parser.parse_args(arguments)
    batches = [1, *[batch for batch in options.batch or (2, 4, 8) if batch != 1]]
    try:
        references = [read_reference(path) for path in options.recordings]
        with tempfile.TemporaryDirectory(prefix="livecap.") as folder:
            model: str | Path = options.model
            if options.geometry:
                model = write_grown(options.keep or Path(folder), options.geometry, options.model)
            with Engine.load(EngineSettings(model)) as engine:
                figures = measure(engine, pieces_of(references, options.pieces), batches, options.rounds)
                if not options.geometry:
                    texts = [transcribe_samples(engine, each.samples, Options(batches[-1])).text for each in references]
                    errors = sum(map(count_errors, [each.text for each in references], texts), ErrorCounts())
                    figures["wer"] = round(errors.wer, 4)
    except LivecapError as error:
        print(f"batches: {error}", file=sys.stderr)
        return 1
    figures = {"machine": machine(), "model": options.model, "geometry": options.geometry, **figures}
    for batch, values in figures["batches"].items():
        print(f"batch {batch}: {values}")
    print(f"word error rate: {figures.get('wer', 'not measured')}")
    if options.out:
        store_figures(options.out, figures)
    return int(any(values["texts_that_differ"] for values in figures["batches"].values()))


if __name__ == "__main__":
    sys.exit(main())

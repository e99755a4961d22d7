"""Pieces decoded together against one by one: time, at the size of the embedded model or a released one.

    python -m benchmarks.batches recordings/*.flac --out docs/benchmarks/batches.json
    python -m benchmarks.batches recordings/continuous.flac --geometry 0.6b --keep DIR --seconds 60

The batches are timed alternately in one run, since the speed of a shared machine changes: by the clock, and in seconds
of processor time, which other programs hardly change, with the shares of the encoder, of reading prompts, and of the
passes that write tokens. Every text is compared with the text of its piece alone, and the error rate of the recordings
is stored with the figures.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any, cast

from benchmarks.costs import beginning
from benchmarks.grown_checkpoint import GEOMETRIES, load_sized
from benchmarks.stages import Stages
from livecap.audio_in.vad import SpeechDetector
from livecap.engine import Engine, EngineSettings
from livecap.errors import LivecapError
from livecap.eval.output import store_figures
from livecap.eval.provenance import machine
from livecap.eval.reference import Reference, read_reference
from livecap.eval.wer import ErrorCounts, count_errors
from livecap.model.backend import mx
from livecap.model.cache import PromptCache
from livecap.model.checkpoint.load import LoadedModel
from livecap.model.network import Network, Rows
from livecap.text.scripts import joined
from livecap.transcribe.cutter import Cutter, Piece
from livecap.transcribe.decoding import DecodingOptions, PieceDecoder
from livecap.transcribe.result import Segment

OPTIONS = DecodingOptions(word_times=False)


def references_of(options: argparse.Namespace) -> list[Reference]:
    """The recordings that were named, or the beginning of each."""
    found = [read_reference(path) for path in options.recordings]
    return [beginning(each, options.seconds) for each in found] if options.seconds else found


def pieces_of(references: Sequence[Reference]) -> list[tuple[int, Piece]]:
    """The pieces of all recordings, each with the number of its recording; the longest first."""
    found: list[tuple[int, Piece]] = []
    for number, reference in enumerate(references):
        cutter = Cutter(SpeechDetector())
        found += [(number, piece) for piece in (*cutter.hear(reference.samples), *cutter.rest())]
    return sorted(found, key=lambda each: len(each[1].samples), reverse=True)


def counts_of(
    references: Sequence[Reference], pieces: Sequence[tuple[int, Piece]], texts: Sequence[str]
) -> list[ErrorCounts]:
    """The errors of the texts of all pieces of each recording."""
    found = []
    for number, reference in enumerate(references):
        said = [(piece.start_sample, text) for (n, piece), text in zip(pieces, texts, strict=True) if n == number]
        found.append(count_errors(reference.text, joined(text for _, text in sorted(said))))
    return found


def errors_of(references: Sequence[Reference], pieces: Sequence[tuple[int, Piece]], texts: Sequence[str]) -> float:
    """The word error rate of the texts of all pieces of the recordings."""
    return round(sum(counts_of(references, pieces, texts), ErrorCounts()).wer, 4)


class _Passes:
    """A `Network` that adds up the processor time of its decoder, computing each result at once: "prompts" for several
    positions of one text, "tokens" for one more position of one or of several texts, and for all logits."""

    def __init__(self, network: Network, stages: Stages) -> None:
        self._network, self._stages = network, stages

    def __getattr__(self, name: str) -> Any:
        return getattr(self._network, name)

    def __call__(self, embeddings: mx.array, cache: PromptCache, n_last: int | None = None) -> mx.array:
        n = embeddings.shape[1]
        stage = "prompts" if n > 1 else "tokens"
        return self._stages.timed(stage, n, (n,), lambda: self._network(embeddings, cache, n_last))

    def logits(self, hidden: mx.array, rows: slice = slice(None)) -> mx.array:
        return self._stages.timed("tokens", 0, hidden.shape, lambda: self._network.logits(hidden, rows))

    def rows(self, caches: Sequence[PromptCache]) -> Rows:
        return _PassesOfRows(self._network.rows(caches), self._stages)


class _PassesOfRows:
    """`Rows` whose passes are counted as "tokens"."""

    def __init__(self, rows: Rows, stages: Stages) -> None:
        self._rows, self._stages = rows, stages
        self.keep = rows.keep

    def __call__(self, embeddings: mx.array) -> mx.array:
        return self._stages.timed("tokens", len(embeddings), embeddings.shape, lambda: self._rows(embeddings))


def decode(engine: Engine, pieces: Sequence[Piece], batch: int) -> tuple[dict[str, float], list[Segment | None]]:
    """What all pieces take in batches of this size, and their segments.

    Returns:
        Seconds by the "clock", in "processor" time, and those of the "encoder", which are processor time too.
    """
    decoder = PieceDecoder(engine, OPTIONS, time.process_time)
    segments: list[Segment | None] = []
    began, processor_began = time.perf_counter(), time.process_time()
    for at in range(0, len(pieces), batch):
        segments += decoder.decode(pieces[at : at + batch])
    seconds = {
        "clock": time.perf_counter() - began,
        "processor": time.process_time() - processor_began,
        "encoder": decoder.timings.encoder_seconds,
    }
    return seconds, segments


def measure(
    loaded: LoadedModel, name: str, references: Sequence[Reference], batches: Sequence[int], rounds: int
) -> dict[str, Any]:
    """Seconds of compute per second of sound for each batch size, their ratio to one by one, and the error rate."""
    numbered = pieces_of(references)
    pieces = [piece for _, piece in numbered]
    seconds: dict[int, list[dict[str, float]]] = {batch: [] for batch in batches}
    texts: dict[int, list[str]] = {}
    passes = Stages(clock=time.process_time)
    watched = replace(loaded, model=cast(Network, _Passes(loaded.model, passes)))
    with Engine(watched, EngineSettings(name)) as engine:
        decode(engine, pieces[:1], 1)  # the first decode loads code and fills caches
        for _ in range(rounds):
            for batch in batches:
                passes.stage_seconds.clear()
                spent, segments = decode(engine, pieces, batch)
                seconds[batch].append(spent | passes.stage_seconds)
                texts[batch] = [segment.text if segment else "" for segment in segments]
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
    said = texts[batches[0]]
    each = {
        one.name: round(found.wer, 4)
        for one, found in zip(references, counts_of(references, numbered, said), strict=True)
    }
    return figures | {"wer": errors_of(references, numbered, said), "wer_of_each": each}


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
    add("--seconds", type=float, metavar="S", help="only the first seconds of each recording")
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
        references = references_of(options)
        with tempfile.TemporaryDirectory(prefix="livecap.") as folder:
            loaded = load_sized(options.model, options.geometry, options.keep or Path(folder))
            figures = measure(loaded, options.model, references, batches, options.rounds)
    except LivecapError as error:
        print(f"batches: {error}", file=sys.stderr)
        return 1
    figures = {"machine": machine(), "model": options.model, "geometry": options.geometry, **figures}
    for batch, values in figures["batches"].items():
        print(f"batch {batch}: {values}")
    print(f"word error rate: {figures['wer']}")
    if options.out:
        store_figures(options.out, figures)
    return int(any(values["texts_that_differ"] for values in figures["batches"].values()))


if __name__ == "__main__":
    sys.exit(main())

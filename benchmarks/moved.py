"""The errors of recordings when the same sound begins a little later: how much of a difference is chance.

    python -m benchmarks.moved kinds/*.flac --moved 37 --moved 113 --live --out docs/benchmarks/moved.json

Frames and cuts then lie elsewhere, so words that a model is not sure of come out another way. Counted are the wrong
words of `livecap transcribe`, of offline text, and with --live of live text at a step cost of 0.05 s.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.batches import decode, pieces_of
from livecap.engine import Engine, EngineSettings
from livecap.errors import LivecapError
from livecap.eval.measurement import texts_of
from livecap.eval.modes import parse_mode
from livecap.eval.offline import offline_text
from livecap.eval.output import store_figures
from livecap.eval.provenance import machine
from livecap.eval.reference import Reference, read_reference
from livecap.eval.timeline import play
from livecap.eval.wer import count_errors, normalise
from livecap.text.scripts import joined
from livecap.transcript import SAMPLE_RATE

STEP_COST_SECONDS = 0.05
BATCH = 8
"""Changes no text."""


def errors_of_each(engine: Engine, reference: Reference, with_live: bool) -> dict[str, int]:
    """Wrong words of a recording: of "files", "offline" and perhaps "live" text."""
    pieces = pieces_of([reference])
    _, segments = decode(engine, [piece for _, piece in pieces], BATCH)
    said = [(piece.start_sample, each.text) for (_, piece), each in zip(pieces, segments, strict=True) if each]
    texts = {"files": joined(text for _, text in sorted(said)), "offline": offline_text(engine, reference.samples)}
    if with_live:
        texts["live"] = _live(engine, reference)
    return {name: count_errors(reference.text, text).word_errors for name, text in texts.items()}


def _live(engine: Engine, reference: Reference) -> str:
    """The stable text of all utterances."""
    settings = engine.settings
    engine.change(replace(settings, stream=parse_mode("default", STEP_COST_SECONDS).config))
    timeline = play(engine.transcriber(), reference.samples, STEP_COST_SECONDS)
    engine.change(settings)
    return texts_of(timeline)[0]


def measure(
    engine: Engine, references: Sequence[Reference], moved_ms: Sequence[int], with_live: bool
) -> dict[str, dict[str, Any]]:
    """The words of each recording, and the wrong ones of each text, in the order of `moved_ms`."""
    figures: dict[str, dict[str, Any]] = {}
    for reference in references:
        figures[reference.name] = {"words": len(normalise(reference.text))}
        for ms in moved_ms:
            later = replace(reference, samples=np.pad(reference.samples, (ms * SAMPLE_RATE // 1000, 0)))
            for text, wrong in errors_of_each(engine, later, with_live).items():
                figures[reference.name].setdefault(text, []).append(wrong)
        print(f"{reference.name}: {figures[reference.name]}", flush=True)
    return figures


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print and store; the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.moved", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("recordings", nargs="+", type=Path)
    parser.add_argument("--model", default="tiny")
    parser.add_argument("--moved", type=int, action="append", default=[], metavar="MS", help="repeatable; 0 is first")
    parser.add_argument("--live", action="store_true", help="also live text, which takes longer")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args(arguments)
    moved_ms = [0, *options.moved]
    try:
        references = [read_reference(path) for path in options.recordings]
        with Engine.load(EngineSettings(options.model)) as engine:
            found = measure(engine, references, moved_ms, options.live)
    except LivecapError as error:
        print(f"moved: {error}", file=sys.stderr)
        return 1
    if options.out:
        common = {"machine": machine(), "model": options.model, "moved_ms": moved_ms}
        store_figures(options.out, common | {"recordings": found})
    return 0


if __name__ == "__main__":
    sys.exit(main())

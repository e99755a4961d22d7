"""Modes of the stream over the oracle: exact figures of commit policies, without a model, in seconds instead of hours.

    python -m benchmarks.policies --minutes 120 --tokenizer DIR
    python -m benchmarks.policies --mode default --mode "mine:chunk_seconds=2;commit.rule=rollback"

The sound is silence; the oracle knows the words. It is as unstable as real models are, or always right with --steady.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.oracle import PUBLISHED, Faults, Oracle
from benchmarks.oracle_session import Clock
from benchmarks.scripted_speech import ScriptDetector, ScriptStyle, speak
from livecap.errors import LivecapError
from livecap.eval.bounds import missed, parse_bound
from livecap.eval.figures import figures
from livecap.eval.figures_table import table
from livecap.eval.measurement import Measurement, assess, total
from livecap.eval.modes import Mode, parse_mode
from livecap.eval.output import store_figures
from livecap.eval.provenance import machine
from livecap.eval.reference import Reference, SpokenWord
from livecap.eval.timeline import play
from livecap.model.checkpoint.load import resolve
from livecap.model.text.tokenizer import Tokenizer
from livecap.stream.transcriber import StreamingTranscriber
from livecap.transcript import SAMPLE_RATE

RULES = ("rollback", "agreement", "confidence")
CHUNKS = ("0.5", "1", "2")
COMPARED = [f"{rule} {chunk}:chunk_seconds={chunk};commit.rule={rule}" for rule in RULES for chunk in CHUNKS] + [
    "default"
]
"""The modes that decision 0008 compares."""
SESSION_WORDS = 1200
"""About ten minutes."""
STYLES = (
    ScriptStyle(),
    ScriptStyle(pause_chance=0.15),
    ScriptStyle(pause_chance=0.01, pause_seconds=(0.2, 0.6)),
)
"""Conversation, dictation, and speech almost without pauses."""


def session(words: Sequence[SpokenWord], tokenizer: Tokenizer, mode: Mode, faults: Faults, seed: int) -> Measurement:
    """Run one script in one mode. The cost of a step comes from the faults, on a simulated clock."""
    clock = Clock()
    oracle = Oracle(words, tokenizer, faults, seed=seed, spend=clock.spend)
    transcriber = StreamingTranscriber(
        oracle,
        tokenizer,
        mode.config,
        make_detector=lambda: ScriptDetector(words),  # type: ignore[arg-type,return-value]
        now=clock,
    )
    samples = np.zeros(words[-1].end_sample + 2 * SAMPLE_RATE, np.float32)
    timeline = play(transcriber, samples, None, clock)
    text = " ".join(word.text for word in words)
    return assess(
        Reference(f"script {seed}", samples, text, tuple(words)), timeline, mode.name, transcriber.statistics, None
    )


def measure(modes: Sequence[Mode], minutes: float, faults: Faults, tokenizer: Tokenizer) -> list[dict[str, Any]]:
    """The figures of each mode over the same scripts."""
    parts: dict[str, list[Measurement]] = {mode.name: [] for mode in modes}
    seconds, seed = 0.0, 0
    while seconds < minutes * 60:
        words = speak(min(SESSION_WORDS, round(minutes * 60) + 1), seed, STYLES[seed % len(STYLES)])
        for mode in modes:
            parts[mode.name].append(session(words, tokenizer, mode, faults, seed))
        seconds += words[-1].end_sample / SAMPLE_RATE
        seed += 1
    return [figures(total(parts[mode.name])) | {"settings": repr(mode.config)} for mode in modes]


def main() -> int:
    """Measure, print a table, store the figures; the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.policies", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--mode", dest="modes", action="append", help="as in livecap eval (default: all rules and chunks)"
    )
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--cost", type=float, default=0.1, help="seconds of a step (default: 0.1)")
    parser.add_argument(
        "--token-cost",
        type=float,
        default=0.01,
        help="additional seconds of each token that was not in the draft (default: 0.01)",
    )
    parser.add_argument("--steady", action="store_true", help="a model that is always right")
    parser.add_argument(
        "--tokenizer", type=Path, metavar="DIR", help="Qwen's tokenizer files (default: the embedded model's)"
    )
    parser.add_argument("--require", metavar="BOUND", action="append", default=[])
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    try:
        bounds = [parse_bound(text) for text in options.require]
        modes = [parse_mode(text) for text in options.modes or COMPARED]
        faults = Faults() if options.steady else PUBLISHED
        faults = replace(faults, cost_seconds=options.cost, cost_per_token_seconds=options.token_cost)
        tokenizer = Tokenizer.from_folder(options.tokenizer or resolve("tiny"))
        columns = measure(modes, options.minutes, faults, tokenizer)
        print(table(columns))
        if options.out:
            store_figures(options.out, {"machine": machine(), "faults": repr(faults), "all": columns})
        complaints = [line for column in columns for line in missed(column, bounds)]
    except LivecapError as error:
        complaints = [str(error)]
    for line in complaints:
        print(f"policies: {line}", file=sys.stderr)
    return int(bool(complaints))


if __name__ == "__main__":
    sys.exit(main())

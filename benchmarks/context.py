"""What a context costs: time of a step and word errors, by the length of the context in tokens.

python -m benchmarks.context recordings/*.flac --out docs/benchmarks/context.json
python -m benchmarks.context --geometry 0.6b --keep DIR --lengths 0 1000 4000

The context is not shortened here, so the figures go beyond the bound of the program. Times are the processor's, because
another program on the machine changes those of the clock.
"""

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import soundfile

from benchmarks.grown_checkpoint import load_grown, write_grown
from livecap.eval.offline import cut_at_pauses
from livecap.eval.output import as_json, store_figures
from livecap.eval.provenance import machine
from livecap.eval.reference import read_reference
from livecap.eval.wer import word_error_rate
from livecap.model.checkpoint.load import LoadedModel, load
from livecap.shipped import demo_recording
from livecap.stream.config import StreamConfig, samples_in
from livecap.stream.recogniser import ModelRecogniser

NAMES = (
    "Priya Kowalski Marseille Okonkwo Lindqvist Siobhan Tokyo Ferrara Nguyen Schwarzenberg Adeyemi Caracas Ivanova "
    "Zurich Hassan Delgado Bristol Yamamoto Osman Petrov Galway Chaudhry Luca Reykjavik Fitzgerald Abebe Montreal"
).split()
PROMPT_SECONDS = 8
"""Sound in the prompt of the first step."""
STEP_SECONDS = 0.5
"""New sound of each further step."""
N_STEPS = 3


def context_of(loaded: LoadedModel, n_tokens: int) -> str:
    """A list of names with that many tokens."""
    names = ", ".join(NAMES[n % len(NAMES)] for n in range(n_tokens))
    return loaded.tokenizer.decode(loaded.tokenizer.encode(names)[:n_tokens])


def step_seconds(loaded: LoadedModel, context: str) -> dict[str, float]:
    """Processor seconds of the first step, which reads the context, and the median of the steps after it."""
    samples, _ = soundfile.read(demo_recording(), dtype="float32")
    recogniser = ModelRecogniser(loaded, context, "English", StreamConfig())
    recogniser.begin(0)
    taken: list[float] = []
    ids: list[int] = []
    heard = 0
    for n in range(N_STEPS + 1):
        stop = samples_in(PROMPT_SECONDS + n * STEP_SECONDS)
        recogniser.append(samples[heard:stop])
        heard = stop
        start = time.process_time()
        ids = recogniser.decode((), (), ids, 200).ids
        taken.append(time.process_time() - start)
    return {"first_step_cpu": round(taken[0], 3), "next_steps_cpu": round(statistics.median(taken[1:]), 3)}


def word_errors(loaded: LoadedModel, context: str, recordings: Sequence[Path]) -> float:
    """The word error rate of the recordings as wholes, with this context."""
    config, recogniser = StreamConfig(), ModelRecogniser(loaded, context, None, StreamConfig())
    said, heard = [], []
    for path in recordings:
        reference = read_reference(path)
        said.append(reference.text)
        for start, stop in cut_at_pauses(reference.samples, config.detector):
            recogniser.begin(start)
            recogniser.append(reference.samples[start:stop])
            pad = samples_in(config.utterance.pad_seconds)
            decoded = recogniser.decode((), (), (), config.loops.token_budget(stop - start), pad)
            heard.append(loaded.tokenizer.decode(decoded.ids))
    return round(word_error_rate(" ".join(said), " ".join(heard)), 4)


def measure(loaded: LoadedModel, lengths: Sequence[int], recordings: Sequence[Path]) -> list[dict[str, Any]]:
    """A row for each length. The costs are those of one run on one machine: compare them with the row of length 0."""
    step_seconds(loaded, "")  # warms up
    rows: list[dict[str, Any]] = []
    for n_tokens in lengths:
        context = context_of(loaded, n_tokens)
        row: dict[str, Any] = {"tokens": n_tokens, "characters": len(context), **step_seconds(loaded, context)}
        if recordings:
            row["wer"] = word_errors(loaded, context, recordings)
        rows.append(row)
        print(row, file=sys.stderr)
    return rows


def main() -> int:
    """Measure, print and store; the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.context",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("recordings", nargs="*", type=Path, help="with their text beside them, for the word errors")
    parser.add_argument("--model", default="tiny")
    parser.add_argument("--geometry", metavar="SIZE", help="give the model the shape of 0.6b or 1.7b")
    parser.add_argument("--keep", metavar="DIR", type=Path, help="folder of the grown checkpoint, for later runs")
    parser.add_argument("--lengths", nargs="+", type=int, default=[0, 16, 32, 48, 64, 96, 128, 256, 1000])
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        loaded = (
            load_grown(write_grown(options.keep or Path(folder), options.geometry, options.model))
            if options.geometry
            else load(options.model)
        )
        rows = measure(loaded, options.lengths, options.recordings)
    result = {
        "machine": machine(),
        "model": options.geometry or options.model,
        "prompt_seconds": PROMPT_SECONDS,
        "recordings": [path.stem for path in options.recordings],
        "by_length": rows,
    }
    print(as_json({key: value for key, value in result.items() if key != "machine"}))
    if options.out:
        store_figures(options.out, result)
    return 0


if __name__ == "__main__":
    sys.exit(main())

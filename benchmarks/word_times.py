"""Accuracy of the times of committed words, of settled words, and of words of whole recordings, and what they cost.

python -m benchmarks.word_times recordings/*.flac --out docs/benchmarks/word_times.json
"""

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from livecap.engine import Engine, EngineSettings
from livecap.eval.alignment import align
from livecap.eval.modes import parse_mode
from livecap.eval.offline import offline_text
from livecap.eval.output import as_json, store_figures
from livecap.eval.provenance import machine
from livecap.eval.reference import Reference, read_reference
from livecap.eval.timeline import play
from livecap.eval.wer import normalise, word_error_rate
from livecap.stream.recogniser import Decoded, ModelRecogniser
from livecap.transcribe.heard import heard_words
from livecap.transcript import SAMPLE_RATE, Word

Distances = list[tuple[int, int]]
"""(start, end) in samples: livecap's time minus the reference's."""


def distances(reference: Reference, words: Sequence[Word]) -> Distances:
    """The distances of all correct words."""
    placed = [(part, word) for word in words for part in normalise(word.text)]
    found: Distances = []
    for i, j in align([word.text for word in reference.words], [part for part, _ in placed]):
        if i is not None and j is not None and reference.words[i].text == placed[j][0]:
            truth, ours = reference.words[i], placed[j][1]
            found.append((ours.start_sample - truth.start_sample, ours.end_sample - truth.end_sample))
    return found


def measure(engine: Engine, reference: Reference, mode: str) -> tuple[Distances, Distances, str]:
    """The distances of the live words and of the settled words, and the live text."""
    engine.change(replace(engine.settings, stream=parse_mode(mode, step_cost=0.1).config))
    timeline = play(engine.transcriber(), reference.samples, step_cost=0.1)
    finals = [moment.update for moment in timeline.moments if moment.update.final]
    settled = sorted(timeline.settled, key=lambda item: item.start_sample)
    return (
        distances(reference, [word for update in finals for word in update.words]),
        distances(reference, [word for item in settled for word in item.words]),
        " ".join(update.stable for update in finals),
    )


def heard(engine: Engine, samples: NDArray[np.float32]) -> tuple[list[Word], float, float]:
    """The words of a whole recording, and the seconds that decoding it and finding their times took."""
    clock = Clocked(engine.recogniser())
    return heard_words(engine, samples, clock), clock.decode_seconds, clock.times_seconds


class Clocked:
    """A recogniser whose calls are timed, in seconds of the processor, which other programs do not lengthen."""

    def __init__(self, recogniser: ModelRecogniser) -> None:
        self._recogniser = recogniser
        self.begin, self.append, self.close = recogniser.begin, recogniser.append, recogniser.close
        self.decode_seconds = self.times_seconds = 0.0

    @property
    def start_sample(self) -> int:
        return self._recogniser.start_sample

    @property
    def end_sample(self) -> int:
        return self._recogniser.end_sample

    def decode(self, *arguments: Any, **named: Any) -> Decoded:
        start = time.process_time()
        decoded = self._recogniser.decode(*arguments, **named)
        self.decode_seconds += time.process_time() - start
        return decoded

    def starts_of(self, *arguments: Any) -> NDArray[np.int64] | None:
        start = time.process_time()
        starts = self._recogniser.starts_of(*arguments)
        self.times_seconds += time.process_time() - start
        return starts


def summary(found: Distances) -> dict[str, Any]:
    """Seconds: the median of the signed distances (`bias`), and p50, p90 and p95 of the absolute ones."""
    values = np.array(found, float).reshape(-1, 2) / SAMPLE_RATE
    result: dict[str, Any] = {"words": len(values)}
    for name, column in zip(("start", "end"), values.T, strict=True):
        found_at = np.percentile(np.abs(column), (50, 90, 95))
        figures = {"bias": np.median(column), **dict(zip(("p50", "p90", "p95"), found_at, strict=True))}
        result[name] = {key: round(float(value), 3) for key, value in figures.items()}
    return result


def main() -> int:
    """Measure, print and store; the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.word_times",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("recordings", nargs="+", type=Path)
    parser.add_argument("--model", default="tiny")
    parser.add_argument("--mode", default="default")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    engine = Engine.load(EngineSettings(options.model))
    live: Distances = []
    settled: Distances = []
    files: Distances = []
    said, live_texts, offline = [], [], []
    seconds = np.zeros(3)  # of sound, of decoding, of finding word times
    heard(engine, read_reference(options.recordings[0]).samples[: 2 * SAMPLE_RATE])  # finds the head that tells
    for path in options.recordings:
        reference = read_reference(path)
        of_live, of_settled, text = measure(engine, reference, options.mode)
        live, settled = live + of_live, settled + of_settled
        said.append(reference.text)
        live_texts.append(text)
        engine.change(EngineSettings(options.model))
        words, *spent = heard(engine, reference.samples)
        files += distances(reference, words)
        seconds += (len(reference.samples) / SAMPLE_RATE, *spent)
        offline.append(offline_text(engine, reference.samples))
    result = {
        "machine": machine(),
        "mode": options.mode,
        "recordings": [path.stem for path in options.recordings],
        "live_wer": round(word_error_rate(" ".join(said), " ".join(live_texts)), 4),
        "offline_wer": round(word_error_rate(" ".join(said), " ".join(offline)), 4),
        "live": summary(live),
        "settled": summary(settled),
        "files": summary(files),
        "processor_seconds_per_second_of_sound": {
            "decoding": round(seconds[1] / seconds[0], 4),
            "word_times": round(seconds[2] / seconds[0], 4),
        },
    }
    print(as_json({key: value for key, value in result.items() if key != "machine"}))
    if options.out:
        store_figures(options.out, result)
    return 0


if __name__ == "__main__":
    sys.exit(main())

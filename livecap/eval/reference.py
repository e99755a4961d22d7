"""Recordings with the truth beside them: NAME.flac, what is said in NAME.txt, when in NAME.words.json."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from livecap.errors import AudioError
from livecap.eval.wer import normalise
from livecap.transcript import SAMPLE_RATE

STRETCH_PAUSE_SECONDS = 1.0
"""Speech without a pause of this length is one stretch: longer than any endpoint of the stream."""


@dataclass(frozen=True, slots=True)
class SpokenWord:
    """A word of the reference, after the normaliser."""

    text: str
    start_sample: int
    end_sample: int


@dataclass(frozen=True)
class Reference:
    """A recording and what is said in it."""

    name: str
    samples: NDArray[np.float32]
    """[n] at 16 kHz."""
    text: str
    words: tuple[SpokenWord, ...]
    """In the order said; empty where the recording has no word times."""

    @property
    def seconds(self) -> float:
        return len(self.samples) / SAMPLE_RATE

    @property
    def stretches(self) -> list[tuple[int, int]]:
        """[start, end) in samples of speech between pauses of at least `STRETCH_PAUSE_SECONDS`."""
        found: list[tuple[int, int]] = []
        for word in self.words:
            if found and word.start_sample - found[-1][1] < STRETCH_PAUSE_SECONDS * SAMPLE_RATE:
                found[-1] = (found[-1][0], max(found[-1][1], word.end_sample))
            else:
                found.append((word.start_sample, word.end_sample))
        return found


def read_reference(path: Path) -> Reference:
    """A recording with its text, and with its word times where there are any.

    Raises:
        AudioError: not there, not 16 kHz mono, or without its text.
    """
    try:
        samples, rate = soundfile.read(path, dtype="float32")
    except (OSError, soundfile.LibsndfileError) as error:
        raise AudioError(f"Cannot measure {path}: it cannot be read ({error}). Give a recording.") from None
    if rate != SAMPLE_RATE or samples.ndim != 1:
        channels = 1 if samples.ndim == 1 else samples.shape[1]
        raise AudioError(f"Cannot measure {path}: it has {rate} Hz and {channels} channels; wanted are 16000 Hz, mono.")
    text_path = path.with_suffix(".txt")
    if not text_path.is_file():
        raise AudioError(f"Cannot measure {path}: there is no {text_path.name} beside it that says what is said.")
    words_path = path.with_suffix(".words.json")
    words = _read_words(words_path) if words_path.is_file() else ()
    return Reference(path.stem, samples, text_path.read_text(encoding="utf-8"), words)


def _read_words(path: Path) -> tuple[SpokenWord, ...]:
    """Words of the file; one that the normaliser takes apart shares its span."""
    words: list[SpokenWord] = []
    try:
        for entry in json.loads(path.read_text(encoding="utf-8")):
            start, end = (round(float(entry[edge]) * SAMPLE_RATE) for edge in ("start", "end"))
            words += [SpokenWord(text, start, end) for text in normalise(str(entry["word"]))]
    except (ValueError, KeyError, TypeError) as error:
        raise AudioError(f"Cannot measure by {path}: it is no list of words with start and end ({error}).") from None
    return tuple(words)

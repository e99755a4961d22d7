"""Recordings with their reference: NAME.flac, the text in NAME.txt, the word times in NAME.words.json."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from livecap.errors import AudioError
from livecap.eval.wer import normalise
from livecap.files import open_regular
from livecap.transcript import SAMPLE_RATE

STRETCH_PAUSE_SECONDS = 1.0
"""A pause of this length ends a stretch of speech. It is longer than any endpoint of the stream."""


@dataclass(frozen=True, slots=True)
class SpokenWord:
    """A word of the reference, after the normaliser."""

    text: str
    start_sample: int
    end_sample: int


@dataclass(frozen=True)
class Reference:
    """A recording, its text and its word times."""

    name: str
    samples: NDArray[np.float32]
    """[n] at 16 kHz."""
    text: str
    words: tuple[SpokenWord, ...]
    """The words in spoken order; empty where the recording has no word times."""

    @property
    def seconds(self) -> float:
        return len(self.samples) / SAMPLE_RATE

    @property
    def stretches(self) -> list[tuple[int, int]]:
        """[start, end) in samples of the speech between pauses of at least `STRETCH_PAUSE_SECONDS`."""
        found: list[tuple[int, int]] = []
        for word in self.words:
            if found and word.start_sample - found[-1][1] < STRETCH_PAUSE_SECONDS * SAMPLE_RATE:
                found[-1] = (found[-1][0], max(found[-1][1], word.end_sample))
            else:
                found.append((word.start_sample, word.end_sample))
        return found


def read_reference(path: Path) -> Reference:
    """Read a recording with its text, and its word times where they exist.

    Raises:
        AudioError: the file cannot be read, is not 16 kHz mono, has no sound or samples that are not numbers, or has no
            text with words beside it.
    """
    try:
        with open_regular(path) as file:
            samples, rate = soundfile.read(file, dtype="float32")
    except OSError as error:
        raise AudioError(f"Cannot measure {path}: {error.strerror or error}.") from None
    except soundfile.LibsndfileError as error:
        raise AudioError(f"Cannot measure {path}: it cannot be read as sound ({error.error_string}).") from None
    if rate != SAMPLE_RATE or samples.ndim != 1:
        channels = 1 if samples.ndim == 1 else samples.shape[1]
        raise AudioError(f"Cannot measure {path}: {rate} Hz and {channels} channels; 16000 Hz mono is required.")
    if not len(samples):
        raise AudioError(f"Cannot measure {path}: there is not a single sample in it.")
    if len(bad := np.flatnonzero(~np.isfinite(samples))):
        raise AudioError(
            f"Cannot measure {path}: its sample at {bad[0] / rate:.3f} s is not a number (NaN or infinite). "
            "The program that wrote the file failed there."
        )
    text_path = path.with_suffix(".txt")
    if not text_path.is_file():
        raise AudioError(f"Cannot measure {path}: put its text beside it, as {text_path.name}.")
    words_path = path.with_suffix(".words.json")
    words = _read_words(words_path) if words_path.is_file() else ()
    try:
        text = text_path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise AudioError(f"Cannot measure {path}: {text_path.name} is not text in UTF-8.") from None
    if not normalise(text):
        raise AudioError(f"Cannot measure {path}: {text_path.name} has no words, so there is no error rate.")
    return Reference(path.stem, samples, text, words)


def _read_words(path: Path) -> tuple[SpokenWord, ...]:
    """The words of the file. Parts of a word that the normaliser splits share its times."""
    words: list[SpokenWord] = []
    try:
        for entry in json.loads(path.read_text(encoding="utf-8")):
            start, end = (round(float(entry[edge]) * SAMPLE_RATE) for edge in ("start", "end"))
            words += [SpokenWord(text, start, end) for text in normalise(str(entry["word"]))]
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise AudioError(f"Cannot measure by {path}: not a list of words with start and end times ({error}).") from None
    return tuple(words)

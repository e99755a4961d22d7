"""Alignment of long sound: cut at pauses into pieces that fit the aligner, each with its part of the text.

Which part that is, a recogniser tells: the words it hears that are also in the text, in the same order, tie the text to
the sound. Between two such words, and where nothing ties it, the text runs with the voice.
"""

import difflib
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from livecap.align.aligner import MOST_SECONDS, Aligner, belong_together, check_speed, cut_between
from livecap.align.units import Unit, units
from livecap.audio_in.source import AudioBlock
from livecap.audio_in.vad import DetectorConfig, SpeechDetector
from livecap.transcript import SAMPLE_RATE, Word

MOST_SAMPLES = MOST_SECONDS * SAMPLE_RATE
LEAST_SHARE = 2 / 3
"""A piece is cut at the longest pause in the last third of what fits."""
FEWEST_TIED = 2
"""Fewest words in a row that tie text to sound: a single word may occur anywhere."""

Span = tuple[int, int]
"""[start, end) in samples."""
Hear = Callable[[NDArray[np.float32]], Sequence[Word]]
"""A recogniser: from sound [n] to its words, with times from the start of the sound."""
Progress = Callable[[int, int], None]
"""Called with (samples aligned so far, samples in all)."""


def align(
    aligner: Aligner,
    samples: NDArray[np.float32],
    text: str,
    language: str,
    hear: Hear,
    most_samples: int = MOST_SAMPLES,
    on_progress: Progress = lambda done, total: None,
) -> tuple[Word, ...]:
    """The words of `text`, each with the samples of `samples` in which it was said; see `Aligner.words`.

    Args:
        samples: [n] float32 at 16 kHz, of any length.
        hear: asked only if the sound does not fit the aligner.
        most_samples: the longest piece.

    Raises:
        SettingsError: the aligner does not know the language, or so much cannot be said in that time.
    """
    if len(samples) <= most_samples:
        words = aligner.words(samples, text, language)
        on_progress(len(samples), len(samples))
        return words
    aligner.check(language)
    found = units(text, language)
    check_speed(len(found), len(samples))
    spans, voiced = cut_at_pauses(samples, most_samples)
    ties = _ties([unit.text for unit in found], hear(samples), language)
    placed: list[Word] = []
    for (start, end), part in zip(spans, _parts(text, found, ties, spans, voiced), strict=True):
        placed += (word.moved(start) for word in aligner.words(samples[start:end], part, language))
        on_progress(end, len(samples))
    return tuple(placed)


def cut_at_pauses(samples: NDArray[np.float32], most_samples: int) -> tuple[list[Span], list[Span]]:
    """(pieces of at most `most_samples`, where there is voice in all of the sound)."""
    detector = SpeechDetector(DetectorConfig(history_seconds=most_samples / SAMPLE_RATE + 1))
    pieces: list[Span] = []
    voiced: list[Span] = []
    start = heard = 0
    while start < len(samples):
        most = min(start + most_samples, len(samples))
        detector.accept(AudioBlock(heard, samples[heard:most]))
        heard = stop = most
        if most < len(samples):
            pause = detector.longest_pause(start + int(LEAST_SHARE * most_samples), most)
            stop = (pause[0] + pause[1]) // 2 if pause else most
        voiced += detector.voiced_spans(start, stop)
        pieces.append((start, stop))
        start = stop
    return pieces, voiced


def _ties(texts: Sequence[str], heard: Sequence[Word], language: str) -> list[tuple[int, int]]:
    """(index of a unit of the text, sample in the middle of its sound) where the recogniser heard the same, rising."""
    spoken = [(unit.text.casefold(), word) for word in heard for unit in units(word.text, language)]
    matcher = difflib.SequenceMatcher(
        None, [text.casefold() for text in texts], [text for text, _ in spoken], autojunk=False
    )
    return [
        (block.a + i, (spoken[block.b + i][1].start_sample + spoken[block.b + i][1].end_sample) // 2)
        for block in matcher.get_matching_blocks()
        if block.size >= FEWEST_TIED
        for i in range(block.size)
    ]


def _parts(
    text: str, found: Sequence[Unit], ties: Sequence[tuple[int, int]], spans: Sequence[Span], voiced: Sequence[Span]
) -> Iterator[str]:
    """The part of the text that is said in each of these spans of the sound; together they are the text."""
    edges = [0]
    for _, end in spans[:-1]:
        n = _units_before(end, len(found), ties, voiced)
        while 0 < n < len(found) and belong_together(text, found[n - 1], found[n]):
            n -= 1
        inside = 0 < n < len(found)
        edges.append(cut_between(text, found[n - 1], found[n]) if inside else 0 if n <= 0 else len(text))
    for start, end in pairwise([*edges, len(text)]):
        yield text[start:end]


def _units_before(sample: int, n_units: int, ties: Sequence[tuple[int, int]], voiced: Sequence[Span]) -> int:
    """How many units are said before a sample."""
    place = bisect_left([at for _, at in ties], sample)
    low_n, low = (ties[place - 1][0] + 1, ties[place - 1][1]) if place else (0, 0)
    high_n, high = ties[place] if place < len(ties) else (n_units, max((b for _, b in voiced), default=sample))
    before, between = (sum(max(0, min(b, stop) - max(a, low)) for a, b in voiced) for stop in (sample, high))
    return low_n + round((high_n - low_n) * min(before / between, 1.0) if between else 0)

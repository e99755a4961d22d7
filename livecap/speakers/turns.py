"""Turns: who speaks from when to when, what finds them, and which turn a word belongs to."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from livecap.transcript import Word


@dataclass(frozen=True, slots=True)
class Turn:
    """One speaker speaks without a long pause. Turns of different speakers may overlap, those of one speaker do not."""

    start: int
    """The first sample, at 16 kHz."""
    end: int
    """The sample after the last one."""
    speaker: int
    """From 0, in the order in which the speakers are heard first."""


class Sound(Protocol):
    """Samples at 16 kHz that need not be in memory all at once. An array [n] is one, and so is a memory map."""

    def __len__(self) -> int:
        """The number of samples."""

    def __getitem__(self, span: slice, /) -> NDArray[np.float32]:
        """A stretch of them, float32 within -1..1."""


class Diariser(Protocol):
    """Tells speakers apart by their voices (`load_diariser` in diariser.py makes one)."""

    def turns(
        self, samples: Sound, *, speakers: int | None = None, at_least: int = 1, at_most: int | None = None
    ) -> list[Turn]:
        """Who speaks when, sorted by start; empty where there is no speech.

        Args:
            speakers: the number of speakers, where it is known.
            at_least: fewer speakers are not found, as far as the sound has so many stretches of speech.
            at_most: more speakers are not found; None for no limit.
        """

    def embed(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """The voice in a sound of one speaker [n] at 16 kHz, as a unit vector. The scalar product of two such vectors
        says how alike the voices are. One second or more is needed for a useful answer."""


def assign(words: Sequence[Word], turns: Sequence[Turn]) -> list[int]:
    """The speaker of each word: the one whose turns cover most of it.

    Where several cover it equally, which is usual for overlapping turns, the speaker of the word before goes on. A word
    that no turn touches gets the speaker of the nearest turn. Without turns, every word gets 0.

    Args:
        words: in the order of the text.
        turns: in any order, with times of the same clock as the words.
    """
    if not turns or not words:
        return [0] * len(words)
    spans = np.array([(word.start_sample, word.end_sample) for word in words], np.float64)
    speakers = sorted({turn.speaker for turn in turns})
    columns = [_cover(spans, [turn for turn in turns if turn.speaker == speaker]) for speaker in speakers]
    covered = np.stack([column for column, _ in columns], axis=1)
    distance = np.stack([column for _, column in columns], axis=1)
    found: list[int] = []
    for word_covered, word_distance in zip(covered, distance, strict=True):
        score = word_covered if word_covered.max() > 0 else -word_distance
        best = np.flatnonzero(score == score.max())
        before = speakers.index(found[-1]) if found else best[0]
        found.append(speakers[before if before in best else best[0]])
    return found


def _cover(spans: NDArray[np.float64], turns: Sequence[Turn]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """How many samples of each span [n, 2] these turns of one speaker cover, and how far the nearest of them is."""
    merged: list[list[int]] = []
    for turn in sorted(turns, key=lambda turn: turn.start):
        if merged and turn.start <= merged[-1][1]:
            merged[-1][1] = max(merged[-1][1], turn.end)
        else:
            merged.append([turn.start, turn.end])
    edges = np.array(merged, np.float64)
    lengths = edges[:, 1] - edges[:, 0]
    covered_at = np.stack([np.cumsum(lengths) - lengths, np.cumsum(lengths)], axis=1)
    until = np.interp(spans, edges.ravel(), covered_at.ravel())
    after = np.searchsorted(edges[:, 0], spans[:, 1])  # the first turn that starts at or after the word's end
    to_next = np.append(edges[:, 0], np.inf)[after] - spans[:, 1]
    since_last = spans[:, 0] - np.concatenate([[-np.inf], edges[:, 1]])[after]
    return until[:, 1] - until[:, 0], np.maximum(0, np.minimum(to_next, since_last))

"""Turns: who speaks from when to when, and what finds them. `archive.speakers.speakers_of` gives words to speakers."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from livecap.transcript import Voice


@dataclass(frozen=True, slots=True)
class Turn:
    """One speaker speaks without a long pause. Turns of different speakers may overlap, those of one speaker do not."""

    start: int
    """The first sample, at 16 kHz."""
    end: int
    """The sample after the last one."""
    speaker: int
    """From 0, in the order in which the speakers are heard first."""

    @property
    def voice(self) -> Voice:
        """The same as a value of the log."""
        return Voice(self.start, self.end, self.speaker)


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

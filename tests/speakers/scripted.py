"""Diarisers without networks: one finds the turns that a test says, one takes each level of sound for a voice."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from livecap.speakers.networks import EMBEDDING_SIZE
from livecap.speakers.turns import Sound, Turn

SECOND = 16_000


@dataclass
class ScriptedDiariser:
    """Says the next script for each sound, and the vector that a voice has by the level of its sound."""

    scripts: list[Sequence[tuple[float, float, int]]]
    """For each sound in turn: (start, end, speaker), in seconds."""
    asked: list[dict[str, int | None]] = field(default_factory=list)
    """Length of each sound in samples, and the counts that were given."""

    def turns(
        self, samples: Sound, *, speakers: int | None = None, at_least: int = 1, at_most: int | None = None
    ) -> list[Turn]:
        self.asked.append({"n": len(samples), "speakers": speakers, "at_least": at_least, "at_most": at_most})
        assert len(samples[0:100]) == min(100, len(samples))
        return [Turn(round(start * SECOND), round(end * SECOND), who) for start, end, who in self.scripts.pop(0)]

    def embed(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        vector = np.zeros(EMBEDDING_SIZE, np.float32)
        vector[round(float(np.abs(samples).max(initial=0)) * 7)] = 1
        return vector


class LevelDiariser:
    """Takes each level of a sound for a voice: 0.25 is one speaker, 0.5 another. Silence is nobody."""

    def turns(
        self, samples: Sound, *, speakers: int | None = None, at_least: int = 1, at_most: int | None = None
    ) -> list[Turn]:
        sound = samples[0 : len(samples)]
        edges = [0, *(np.flatnonzero(np.diff(sound)) + 1), len(sound)]
        levels = sorted(
            {float(level) for level in np.unique(sound)} - {0.0}, key=lambda level: list(sound).index(level)
        )
        spans = zip(edges, edges[1:], strict=False)
        return [Turn(int(a), int(b), levels.index(float(sound[a]))) for a, b in spans if b > a and sound[a]]

    def embed(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        vector = np.zeros(EMBEDDING_SIZE, np.float32)
        vector[round(float(np.median(samples)) * 8)] = 1
        return vector

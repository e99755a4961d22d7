"""Diarisers without networks: one finds the turns that a test says, one takes each level of sound for a voice."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from livecap.speakers.diariser import DiariserConfig, VoiceDiariser
from livecap.speakers.networks import EMBEDDING_SIZE, n_frames
from livecap.speakers.turns import Sound, Turn

SECOND = 16_000


def turns_of(*spans: tuple[float, float, int]) -> list[Turn]:
    """Turns from (start, end, speaker), in seconds."""
    return [Turn(round(start * SECOND), round(end * SECOND), speaker) for start, end, speaker in spans]


def rounded(turns: Sequence[Turn]) -> list[tuple[float, float, int]]:
    """(start, end, speaker) of turns, in tenths of a second."""
    return [(round(turn.start / SECOND, 1), round(turn.end / SECOND, 1), turn.speaker) for turn in turns]


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
        return turns_of(*self.scripts.pop(0))

    def embed(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        vector = np.zeros(EMBEDDING_SIZE, np.float32)
        vector[round(float(np.abs(samples).max(initial=0)) * 7)] = 1
        return vector


class ScriptedNetworks:
    """A sound is a level for each speaker: 0.1 is the first, 0.2 the second, ...; 0 is nobody. The first to speak in a
    window is person 0 there."""

    def segment(self, windows: np.ndarray) -> np.ndarray:
        found = np.full((len(windows), n_frames(windows.shape[1]), 7), -9, np.float32)
        for window, frames in zip(windows, found, strict=True):
            levels = np.round(window[495 : 495 + 270 * len(frames) : 270] * 10).astype(int)
            people: dict[int, int] = {}
            for frame, level in zip(frames, levels, strict=True):
                person = people.setdefault(level, min(len(people), 2)) if level else -1
                frame[person + 1] = 0
        return found

    def embed(self, frames: np.ndarray) -> np.ndarray:
        raise AssertionError("the scripted diariser needs no network of voices")


class LevelDiariser(VoiceDiariser):
    """Constant sound has no spectrum, so the voice is the level. Voices of different levels are at right angles."""

    def __init__(self, config: DiariserConfig | None = None) -> None:
        super().__init__(ScriptedNetworks(), config)

    def embed(self, samples: np.ndarray) -> np.ndarray:
        vector = np.zeros(EMBEDDING_SIZE, np.float32)
        vector[round(float(np.median(samples)) * 10)] = 1
        return vector

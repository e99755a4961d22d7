"""The level of sound in the band of speech, and the quietest and loudest of the last seconds: noise floor and voice."""

import math
from collections import deque
from functools import cache

import numpy as np
from numpy.typing import NDArray

from livecap.transcript import SAMPLE_RATE

SMOOTH_SECONDS = 0.1
"""Levels are averaged over this time before the quietest and the loudest are looked for."""
MEMORY_SECONDS = 10.0
"""How far back they are remembered; even continuous speech has a moment as quiet as the noise in this time."""
FIRST_FLOOR_DB = -60.0
"""Highest noise floor, in dBFS, during the first second: a recording may begin with a word."""
LOWEST_FLOOR_DB = -75.0
"""Lowest noise floor, in dBFS: after digital silence, faint background noise is not speech."""
SILENT_DB = -200.0
"""The level of digital silence."""

_BLOCKS_PER_SECOND = 2


class LevelMemory:
    """The quietest and the loudest 100 ms of the last seconds, remembered as a pair for each half second."""

    def __init__(self, frame_samples: int) -> None:
        self._frames_per_second = SAMPLE_RATE // frame_samples
        self._block_frames = SAMPLE_RATE // frame_samples // _BLOCKS_PER_SECOND
        self._blocks: deque[tuple[float, float]] = deque(maxlen=round(MEMORY_SECONDS * _BLOCKS_PER_SECOND))
        self._last: deque[float] = deque(maxlen=round(SMOOTH_SECONDS * SAMPLE_RATE / frame_samples))
        self._quietest_block, self._loudest_block = math.inf, SILENT_DB  # of all blocks
        self._quietest, self._loudest = math.inf, SILENT_DB  # of the block being filled
        self._n_frames = 0

    def add(self, level_db: float) -> tuple[float, float]:
        """The noise floor and the loudest level, in dBFS, after one more frame of level `level_db`."""
        self._last.append(level_db)
        smooth_db = sum(self._last) / len(self._last)
        self._loudest = max(self._loudest, smooth_db)
        if len(self._last) == self._last.maxlen:
            self._quietest = min(self._quietest, smooth_db)
        floor_db = min(self._quietest, self._quietest_block)
        loudest_db = max(self._loudest, self._loudest_block)
        self._n_frames += 1
        if self._n_frames % self._block_frames == 0:
            self._blocks.append((self._quietest, self._loudest))
            self._quietest_block = min(quiet for quiet, _ in self._blocks)
            self._loudest_block = max(loud for _, loud in self._blocks)
            self._quietest, self._loudest = math.inf, SILENT_DB
        if self._n_frames <= self._frames_per_second:
            floor_db = min(floor_db, FIRST_FLOOR_DB)
        return max(floor_db, LOWEST_FLOOR_DB), loudest_db


def speech_band_levels_db(frames: NDArray[np.float32]) -> list[float]:
    """The level of each frame, [n, frame_samples] float32, within 200..4000 Hz, in dBFS; a full-scale sine has -3.

    Mains hum, fans and DC lie below. NumPy transforms row by row, so a level does not depend on other frames.
    """
    n_samples = frames.shape[1]
    window = _hann(n_samples)
    spectrum = np.fft.rfft(frames * window, axis=1)
    power = spectrum.real**2 + spectrum.imag**2
    first, last = 200 * n_samples // SAMPLE_RATE, 4000 * n_samples // SAMPLE_RATE
    mean_square = power[:, first : last + 1].sum(axis=1) * (2 / (n_samples * float((window**2).sum())))
    levels: list[float] = (10 * np.log10(np.maximum(mean_square, 1e-20))).tolist()
    return levels


@cache
def _hann(n_samples: int) -> NDArray[np.float32]:
    return np.hanning(n_samples).astype(np.float32)

"""LoudSound: where sound stands out from its noise floor, whoever makes it.

The speech detector may be wrong. So before sound counts as silence, or as a pause, its level must agree. Sound that is
loud although the detector hears no speech is decoded, and the recogniser decides.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from livecap.transcript import SAMPLE_RATE

FRAME_SAMPLES = SAMPLE_RATE // 50
"""20 ms."""
MEMORY_FRAMES = 40 * 50
"""Levels are remembered for 40 s, longer than an utterance."""
FLOOR_FRAMES = 10 * 50
"""The noise floor is the quietest 100 ms of the last 10 s, and the peak the loudest."""
SMOOTH_FRAMES = 5
MARGIN_DB = 8.0
"""Loud sound is at least this far above the noise floor: brown noise alone varies by 6 dB."""
MOST_BELOW_PEAK_DB = 30.0
"""Loud sound is at most this far below the peak: breath and rustling beside a voice are not loud."""
LOWEST_FLOOR_DB = -75.0
"""After digital silence, faint background noise is not loud."""
GROUP_SAMPLES = SAMPLE_RATE // 2
"""Loud sounds with less time between them belong together."""
LEAST_LOUD_SAMPLES = SAMPLE_RATE // 5
"""A group with less loud sound than this is a click, not a word."""

_WINDOW = np.hanning(FRAME_SAMPLES).astype(np.float32)
_SCALE = 2 / FRAME_SAMPLES / float((_WINDOW**2).sum())
_BINS = slice(200 // 50, 4000 // 50 + 1)

Span = tuple[int, int]
"""[start, end) in samples."""


class LoudSound:
    """The level of one stream of sound within 200..4000 Hz, frame by frame on a grid of absolute samples."""

    def __init__(self) -> None:
        self._waiting = np.zeros(0, np.float32)
        self._levels = np.zeros(0, np.float32)
        """dBFS of the remembered frames."""
        self._end_sample = 0
        """The end of the last frame."""

    def append(self, start_sample: int, samples: NDArray[np.float32]) -> None:
        """Add sound at or after the end of the sound so far. A gap before it is silence."""
        if start_sample != self._end_sample + len(self._waiting):
            # Lost sound has no level, so that it is neither loud nor the noise floor.
            aligned = start_sample // FRAME_SAMPLES * FRAME_SAMPLES
            n_lost = min((aligned - self._end_sample) // FRAME_SAMPLES, MEMORY_FRAMES)
            self._levels = np.concatenate([self._levels, np.full(n_lost, np.nan, np.float32)])[-MEMORY_FRAMES:]
            self._waiting, self._end_sample = np.zeros(start_sample - aligned, np.float32), aligned
        sound = np.concatenate([self._waiting, samples])
        n = len(sound) // FRAME_SAMPLES
        self._waiting = sound[n * FRAME_SAMPLES :]
        self._end_sample += n * FRAME_SAMPLES
        spectrum = np.fft.rfft(sound[: n * FRAME_SAMPLES].reshape(n, FRAME_SAMPLES) * _WINDOW, axis=1)[:, _BINS]
        power = (spectrum.real**2 + spectrum.imag**2).sum(axis=1) * _SCALE
        levels = 10 * np.log10(np.maximum(power, 1e-20)).astype(np.float32)
        self._levels = np.concatenate([self._levels, levels])[-MEMORY_FRAMES:]

    def groups(self, start_sample: int, end_sample: int) -> list[Span]:
        """Stretches of [start_sample, end_sample) that may hold a word, in order."""
        groups: list[list[Span]] = []
        for span in self.spans(start_sample, end_sample):
            if groups and span[0] - groups[-1][-1][1] < GROUP_SAMPLES:
                groups[-1].append(span)
            else:
                groups.append([span])
        return [(spans[0][0], spans[-1][1]) for spans in groups if _length(spans) >= LEAST_LOUD_SAMPLES]

    def spans(self, start_sample: int, end_sample: int) -> list[Span]:
        """The loud stretches of [start_sample, end_sample), in order."""
        if not (self._heard(start_sample, end_sample)[0] >= LOWEST_FLOOR_DB + MARGIN_DB).any():
            return []  # wherever the floor is: mostly there is silence, and the floor takes ten times as long
        floor_db, peak_db = self._floor_and_peak()
        return self._above(max(floor_db + MARGIN_DB, peak_db - MOST_BELOW_PEAK_DB), start_sample, end_sample)

    def voice_share(self, start_sample: int, end_sample: int) -> float:
        """The share of the sound, 0..1, that is nearer to the level of the voice than to the noise floor: no pause."""
        floor_db, peak_db = self._floor_and_peak()
        loud = self._above(max(floor_db + MARGIN_DB, (floor_db + peak_db) / 2), start_sample, end_sample)
        return _length(loud) / max(end_sample - start_sample, 1)

    def _floor_and_peak(self) -> tuple[float, float]:
        levels = self._levels[-FLOOR_FRAMES:]
        if len(levels) < SMOOTH_FRAMES:
            return np.inf, LOWEST_FLOOR_DB
        smooth = np.convolve(levels, np.full(SMOOTH_FRAMES, 1 / SMOOTH_FRAMES), mode="valid")
        known = smooth[~np.isnan(smooth)]
        lowest = float(known.min(initial=np.inf))
        return max(lowest, LOWEST_FLOOR_DB), float(known.max(initial=LOWEST_FLOOR_DB))

    def _heard(self, start_sample: int, end_sample: int) -> tuple[NDArray[np.float32], int]:
        """The remembered levels of the frames that overlap the samples, and where the first frame starts."""
        oldest = self._end_sample - len(self._levels) * FRAME_SAMPLES
        first = max(0, (start_sample - oldest) // FRAME_SAMPLES)
        last = max(first, -(-(end_sample - oldest) // FRAME_SAMPLES))
        return self._levels[first:last], oldest + first * FRAME_SAMPLES

    def _above(self, least_db: float, start_sample: int, end_sample: int) -> list[Span]:
        levels, first_sample = self._heard(start_sample, end_sample)
        loud = np.concatenate([[False], levels >= least_db, [False]])
        edges = np.flatnonzero(loud[1:] != loud[:-1]) * FRAME_SAMPLES + first_sample
        return [
            (max(int(a), start_sample), min(int(b), end_sample)) for a, b in zip(edges[::2], edges[1::2], strict=True)
        ]


def _length(spans: Sequence[Span]) -> int:
    return sum(end - start for start, end in spans)

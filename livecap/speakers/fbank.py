"""Sound to log mel filter bank: Kaldi's front end, which the network of voices was trained with.

    samples ─▶ frames of 400, hop 160 ─▶ minus mean ─▶ pre-emphasis ─▶ Povey's window ─▶ |rfft 512|² ─▶ 80 bins ─▶ log

Kaldi's options `num_mel_bins=80`, `dither=0`, others as they are: 20 to 8000 Hz, triangles in mel, only whole frames.
"""

import numpy as np
from numpy.typing import NDArray

from livecap.transcript import SAMPLE_RATE

FRAME_SAMPLES = 400
HOP_SAMPLES = 160
N_BINS = 80
_N_FFT = 512
_LOWEST_HZ = 20.0
_PRE_EMPHASIS = 0.97
_FLOOR = np.float32(1.1920929e-07)
_FRAMES_AT_ONCE = 1000
"""Bounds memory; does not change the result."""


def log_mel(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Log mel energies [n_frames, 80] of sound [n] at 16 kHz within -1..1; no frames for less than 25 ms."""
    n_frames = max(0, 1 + (len(samples) - FRAME_SAMPLES) // HOP_SAMPLES)
    found = np.empty((n_frames, N_BINS), np.float32)
    step = samples.strides[0]
    shape, strides = (n_frames, FRAME_SAMPLES), (HOP_SAMPLES * step, step)
    all_frames = np.lib.stride_tricks.as_strided(samples, shape, strides, writeable=False)
    for start in range(0, n_frames, _FRAMES_AT_ONCE):
        frames = all_frames[start : start + _FRAMES_AT_ONCE]
        frames = frames - frames.mean(axis=1, keepdims=True)
        before = np.concatenate([frames[:, :1], frames[:, :-1]], axis=1)
        spectrum = np.fft.rfft((frames - _PRE_EMPHASIS * before) * _WINDOW, _N_FFT)
        power = np.square(spectrum.real) + np.square(spectrum.imag)
        found[start : start + len(frames)] = np.log(np.maximum(power.astype(np.float32) @ _FILTERS, _FLOOR))
    return found


def _mel(hz: NDArray[np.float64]) -> NDArray[np.float64]:
    return 1127.0 * np.log1p(hz / 700.0)


def _filters() -> NDArray[np.float32]:
    """[257, 80]: triangles that rise and fall linearly in mel. Kaldi leaves the bin of 8 kHz out."""
    lowest, highest = _mel(np.array([_LOWEST_HZ, SAMPLE_RATE / 2])).tolist()
    edges = np.linspace(lowest, highest, N_BINS + 2)
    at = _mel(np.arange(_N_FFT // 2 + 1) * SAMPLE_RATE / _N_FFT)[:, None]
    rising = (at - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - at) / (edges[2:] - edges[1:-1])
    filters = np.maximum(0, np.minimum(rising, falling))
    filters[-1] = 0
    return filters.astype(np.float32)  # type: ignore[no-any-return]


_WINDOW = ((0.5 - 0.5 * np.cos(2 * np.pi * np.arange(FRAME_SAMPLES) / (FRAME_SAMPLES - 1))) ** 0.85).astype(np.float32)
_FILTERS = _filters()

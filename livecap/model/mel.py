"""Sound to log-mel frames: Whisper's front end.

    samples ─▶ reflect 200 at both ends ─▶ frames of 400, hop 160 ─▶ Hann ─▶ |rfft|² ─▶ 128 mel bins ─▶ log10
    unclamped log-mel ─▶ max(·, maximum - 8) ─▶ (· + 4) / 4

A frame depends only on its own 400 samples, so frames can be computed in parts. The floor depends on all of the sound:
8 below the maximum. So there are two functions: compute unclamped frames and keep them; then clamp and scale them once
the maximum is known.
"""

import numpy as np
from numpy.typing import NDArray

from livecap.model.backend import mx
from livecap.transcript import SAMPLE_RATE

N_FFT = 400
"""Samples in one frame, 25 ms."""
HOP_LENGTH = 160
"""Samples from one frame to the next, 10 ms."""
N_MELS = 128
PAD_SAMPLES = N_FFT // 2
"""Samples on each side of a frame's centre that it depends on, and that are reflected at the ends of the sound."""
MIN_SAMPLES = PAD_SAMPLES + 1
"""The fewest samples that can be reflected at both ends."""
POWER_FLOOR = 1e-10
MEL_DYNAMIC_RANGE = 8.0
"""In log10 units of power: values further below the maximum are clamped."""

Samples = NDArray[np.float32] | mx.array


def n_mel_frames(n_samples: int) -> int:
    """The number of frames: one per hop, without the last one, which the official front end drops."""
    return n_samples // HOP_LENGTH


def log_mel_slice(samples: Samples, start_frame: int, stop_frame: int) -> mx.array:
    """Unclamped log10 mel frames [stop_frame - start_frame, 128] of float32 mono samples at 16 kHz.

    Computed only from the samples that these frames depend on, and by the processor: a few frames take less time
    than to wait for a GPU, and the caller has to know their maximum.

    Raises:
        ValueError: fewer than 201 samples, or frames that these samples do not have.
    """
    n_samples = samples.shape[0]
    if n_samples < MIN_SAMPLES:
        raise ValueError(f"{n_samples} samples are too few for a mel frame: at least {MIN_SAMPLES} are needed.")
    n_available = n_mel_frames(n_samples)
    if not 0 <= start_frame <= stop_frame <= n_available:
        raise ValueError(f"No mel frames {start_frame} to {stop_frame}: {n_samples} samples have {n_available}.")
    n_frames = stop_frame - start_frame
    if n_frames == 0:
        return mx.zeros((0, N_MELS))
    start = start_frame * HOP_LENGTH - PAD_SAMPLES
    stop = (stop_frame - 1) * HOP_LENGTH + PAD_SAMPLES
    reflected = mx.array(_reflected(np.asarray(samples, dtype=np.float32), start, stop))
    with mx.stream(mx.cpu):
        frames = mx.as_strided(reflected, (n_frames, N_FFT), (HOP_LENGTH, 1))
        spectrum = mx.fft.rfft(frames * _HANN)  # [n_frames, 201]
        power = spectrum.real.square() + spectrum.imag.square()
        log_mel = mx.log10(mx.maximum(power @ _MEL_FILTERS, POWER_FLOOR))
    mx.eval(log_mel)
    return log_mel


def clamp_and_scale(log_mel: mx.array, maximum: float) -> mx.array:
    """The input of the encoder: unclamped log-mel, clamped to `maximum` - 8, then (x + 4) / 4.

    Args:
        maximum: of all frames that the encoder will see together, not only of these.
    """
    return (mx.maximum(log_mel, maximum - MEL_DYNAMIC_RANGE) + 4.0) / 4.0


def _reflected(samples: NDArray[np.float32], start: int, stop: int) -> NDArray[np.float32]:
    """Samples [start, stop). Positions outside the sound are mirrored at its first or last sample."""
    n_samples = samples.shape[0]
    inside = samples[max(start, 0) : min(stop, n_samples)]
    before = samples[1 : 1 - start][::-1] if start < 0 else samples[:0]
    after = samples[n_samples - 1 - (stop - n_samples) : n_samples - 1][::-1] if stop > n_samples else samples[:0]
    return np.concatenate([before, inside, after])


def mel_filter_bank() -> NDArray[np.float32]:
    """Slaney's mel filters [201, 128], each with unit area, from 0 to 8000 Hz."""
    bin_hz = np.linspace(0, SAMPLE_RATE / 2, N_FFT // 2 + 1)
    edge_hz = _mel_to_hz(np.linspace(0, _hz_to_mel(SAMPLE_RATE / 2), N_MELS + 2))
    width = np.diff(edge_hz)
    away = edge_hz[None, :] - bin_hz[:, None]  # [201, 130]
    rising = -away[:, :-2] / width[:-1]
    falling = away[:, 2:] / width[1:]
    triangles = np.maximum(0, np.minimum(rising, falling))
    return (triangles * (2 / (edge_hz[2:] - edge_hz[:-2]))).astype(np.float32)


# Slaney's scale (Auditory Toolbox, 1998): linear up to 1000 Hz, which is 15 mel; above that, 27 mel per factor of 6.4
_LINEAR_HZ_PER_MEL = 200 / 3
_BREAK_HZ = 1000.0
_BREAK_MEL = _BREAK_HZ / _LINEAR_HZ_PER_MEL
_MEL_PER_LOG = 27 / np.log(6.4)


def _hz_to_mel(hz: float) -> float:
    if hz < _BREAK_HZ:
        return hz / _LINEAR_HZ_PER_MEL
    return float(_BREAK_MEL + np.log(hz / _BREAK_HZ) * _MEL_PER_LOG)


def _mel_to_hz(mel: NDArray[np.float64]) -> NDArray[np.float64]:
    above = _BREAK_HZ * np.exp((mel - _BREAK_MEL) / _MEL_PER_LOG)
    return np.where(mel < _BREAK_MEL, mel * _LINEAR_HZ_PER_MEL, above)


# arrays made from NumPy's need no evaluation, so any thread can use them
_HANN = mx.array((0.5 - 0.5 * np.cos(2 * np.pi * np.arange(N_FFT) / N_FFT)).astype(np.float32))
_MEL_FILTERS = mx.array(mel_filter_bank())

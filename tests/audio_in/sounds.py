"""Sounds made by arithmetic, [n] float32 at 16 kHz."""

import numpy as np
from numpy.typing import NDArray

from livecap.transcript import SAMPLE_RATE

Sound = NDArray[np.float32]


def white(seconds: float, db: float, seed: int = 0) -> Sound:
    """White noise with an RMS of `db` dBFS."""
    noise = np.random.default_rng(seed).normal(size=round(seconds * SAMPLE_RATE))
    return (noise * 10 ** (db / 20)).astype(np.float32)


def pink(seconds: float, db: float, seed: int = 0) -> Sound:
    """Noise that falls by 3 dB an octave."""
    spectrum = np.fft.rfft(white(seconds, 0, seed))
    spectrum[1:] /= np.sqrt(np.arange(1, len(spectrum)))
    return at_level(np.fft.irfft(spectrum, round(seconds * SAMPLE_RATE)), db)


def fan_and_hum(seconds: float, db: float, seed: int = 0) -> Sound:
    """Mains hum of 50 Hz with harmonics, and the low noise of a fan, equally loud."""
    t = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    hum = sum(np.sin(2 * np.pi * 50 * k * t + k) / k for k in (1, 2, 3, 4, 6, 8))
    fan = np.convolve(white(seconds, 0, seed), np.ones(40), "same")
    return at_level(at_level(np.asarray(hum), 0) + at_level(fan, 0), db)


def voice(seconds: float, db: float, seed: int = 0) -> Sound:
    """Something like a vowel that opens and closes four times a second: pulses through three resonances."""
    rng = np.random.default_rng(seed)
    n = round(seconds * SAMPLE_RATE)
    t = np.arange(n) / SAMPLE_RATE
    pitch = 120 * (1 + 0.1 * np.sin(2 * np.pi * 0.7 * t) + 0.02 * rng.normal(size=n).cumsum() / np.sqrt(n))
    pulses = np.diff(np.floor(np.cumsum(pitch) / SAMPLE_RATE), prepend=0.0)
    ring = np.arange(800) / SAMPLE_RATE
    mouth = sum(
        np.exp(-np.pi * width * ring) * np.sin(2 * np.pi * formant * ring)
        for formant, width in ((600, 80), (1200, 90), (2500, 120))
    )
    syllables = np.maximum(0.03, np.sin(2 * np.pi * 2 * t) ** 2)
    return at_level(np.convolve(pulses, np.asarray(mouth))[:n] * syllables, db)


def silence(seconds: float) -> Sound:
    """Digital zero."""
    return np.zeros(round(seconds * SAMPLE_RATE), np.float32)


def at_level(sound: NDArray, db: float) -> Sound:
    """The sound with an RMS of `db` dBFS."""
    return (sound * (10 ** (db / 20) / np.sqrt(np.mean(np.square(sound, dtype=np.float64))))).astype(np.float32)


def join(*sounds: Sound) -> Sound:
    return np.concatenate(sounds)

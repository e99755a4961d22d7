"""Synthetic noises of everyday surroundings: [n] float32 at 16 kHz with an RMS of 1, from a seeded generator.

Detector, stream and model are measured in these; training uses the same kinds with other seeds. Babble is mixed from
voices that the caller has.
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

RATE = 16_000

Noise = NDArray[np.float32]
Random = np.random.Generator


def white(n: int, random: Random) -> Noise:
    """Equal power in every band."""
    return random.standard_normal(n, dtype=np.float32)


def hiss(n: int, random: Random) -> Noise:
    """White noise whose power rises with frequency, as of a poor preamplifier."""
    return _unit(np.diff(white(n + 1, random)) + 0.3 * white(n, random))


def coloured(n: int, random: Random, slope: float) -> Noise:
    """Noise whose amplitude falls with frequency to the power of `slope`: 0.5 is pink, 1 is brown."""
    spectrum = np.fft.rfft(white(n, random))
    return _unit(np.fft.irfft(spectrum / np.maximum(np.arange(len(spectrum)), 20) ** slope, n))


def rumble(n: int, random: Random) -> Noise:
    """White noise through 1 / (1 - 0.97 / z): traffic, handling, wind; steeper than pink."""
    frequency = np.exp(-2j * np.pi * np.arange(n // 2 + 1) / n)
    return _unit(np.fft.irfft(np.fft.rfft(white(n, random)) / (1 - 0.97 * frequency), n))


def hum(n: int, random: Random) -> Noise:
    """Mains hum: 50 or 60 Hz and its harmonics."""
    base = random.choice([50.0, 60.0])
    seconds = np.arange(n, dtype=np.float32) / RATE
    parts = [np.sin(2 * np.pi * (base * k * seconds + random.random())) * random.random() / k for k in range(1, 13)]
    return _unit(np.sum(parts, axis=0) + 0.05 * white(n, random))


def fan(n: int, random: Random) -> Noise:
    """Broad noise with the whine of blades and a slow wobble."""
    seconds = np.arange(n, dtype=np.float32) / RATE
    blades = random.uniform(80, 300)
    wobble = 1 + 0.1 * np.sin(2 * np.pi * random.uniform(0.2, 2) * seconds)
    tones = sum(np.sin(2 * np.pi * blades * k * seconds + k) / k for k in range(1, 6))
    return _unit((coloured(n, random, random.uniform(0.4, 0.8)) + 0.15 * tones) * wobble)


def typing(n: int, random: Random) -> Noise:
    """Keys of a keyboard: press and release as short bursts, in runs with pauses between."""
    sound = np.zeros(n + RATE, np.float32)
    at = 0.0
    brightness = random.uniform(0.3, 0.95)
    while at < n:
        for _ in range(int(random.integers(3, 25))):
            for delay, loudness in ((0.0, 1.0), (random.uniform(0.05, 0.12), random.uniform(0.2, 0.6))):
                length = int(random.uniform(0.004, 0.02) * RATE)
                burst = random.standard_normal(length) * np.exp(-np.linspace(0, random.uniform(4, 8), length))
                burst[1:] -= brightness * burst[:-1]
                start = int(at + delay * RATE)
                if start + length < len(sound):
                    sound[start : start + length] += burst * loudness * random.uniform(0.4, 1.0)
            at += random.uniform(0.08, 0.25) * RATE
        at += random.uniform(0.2, 1.5) * RATE
    return _unit(sound[:n])


def music(n: int, random: Random) -> Noise:
    """Plucked or held chords with a bass and, sometimes, a beat."""
    sound = np.zeros(n + 4 * RATE, np.float32)
    root = random.uniform(100, 220)
    beat = 60 / random.uniform(70, 150)
    decay, n_harmonics = random.uniform(1.5, 8), int(random.integers(3, 10))
    drums = random.random() < 0.5
    scale = np.array([0, 2, 3, 5, 7, 8, 10] if random.random() < 0.5 else [0, 2, 4, 5, 7, 9, 11])
    for step in range(int(n / RATE / beat) + 1):
        degree = int(random.integers(0, 7)) if step % 2 == 0 else 0
        notes = [scale[(degree + k) % 7] + 12 * ((degree + k) // 7) for k in (0, 2, 4)] + [scale[degree] - 12]
        if random.random() < 0.5:
            notes.append(int(random.choice(scale)) + 12)
        start, length = int(step * beat * RATE), int(min(3.5, 3 * beat) * RATE)
        seconds = np.arange(length, dtype=np.float32) / RATE
        for note in notes:
            tone = root * 2 ** (note / 12)
            for k in range(1, n_harmonics + 1):
                if tone * k < RATE / 2:
                    envelope = np.exp(-seconds * decay * (0.6 + 0.4 * k))
                    sound[start : start + length] += np.sin(2 * np.pi * tone * k * seconds) * envelope / k
        if drums:
            hit = random.standard_normal(2400) * np.exp(-np.linspace(0, 7, 2400))
            sound[start : start + 2400] += 1.5 * hit
    return _unit(sound[:n])


def babble(n: int, random: Random, voices: Sequence[NDArray[np.floating]], n_speakers: int = 6) -> Noise:
    """Several voices at once, none of which can be understood.

    Args:
        voices: sounds at 16 kHz that are drawn from.
    """
    mixed = np.zeros(n, np.float32)
    for _ in range(n_speakers):
        voice = np.asarray(voices[int(random.integers(len(voices)))], np.float32)
        mixed += np.resize(np.roll(_unit(voice), int(random.integers(len(voice)))), n)
    return _unit(mixed)


KINDS: dict[str, Callable[[int, Random], Noise]] = {
    "white": white,
    "hiss": hiss,
    "pink": lambda n, random: coloured(n, random, 0.5),
    "brown": lambda n, random: coloured(n, random, 1.0),
    "rumble": rumble,
    "hum": hum,
    "fan": fan,
    "typing": typing,
    "music": music,
}
"""Every noise but babble, by name."""


def speech_rms(samples: NDArray[np.float32]) -> float:
    """RMS of the frames of 10 ms that are at most 40 dB below the loudest: the level of the speech alone."""
    n = len(samples) // 160
    power = np.square(samples[: n * 160].reshape(n, 160).astype(np.float64)).mean(axis=1)
    loud = power[power > power.max(initial=0.0) * 1e-4]
    return float(np.sqrt(loud.mean())) if len(loud) else 0.0


def mixed(samples: NDArray[np.float32], noise: Noise, snr_db: float) -> NDArray[np.float32]:
    """Speech with noise `snr_db` below the level of the speech."""
    return samples + noise[: len(samples)] * np.float32(speech_rms(samples) * 10 ** (-snr_db / 20))


def _unit(sound: NDArray[np.floating]) -> Noise:
    return (sound / (float(np.sqrt(np.mean(np.square(sound, dtype=np.float64)))) or 1.0)).astype(np.float32)

"""Voices: for training, and for tests only."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace

import numpy as np
import soxr

from training.espeak import Espeak, word_starts
from training.flite import Flite

RATE = 16_000
ACCENTS = ["en", "en-us", "en-gb-scotland", "en-gb-x-rp", "en-gb-x-gbclan", "en-us-nyc", "en-029"]
VARIANTS = """ m1 m2 m3 m4 m5 m6 m7 f1 f2 f3 f4 klatt klatt2 klatt3 Alex Alicia Andrea Andy Denis Diogo Gene Jacky
Lee Mario Michael Mike adam anika announcer antonio belinda benjamin boris david ed edward grandma
iven iven2 john linda marcelo max miguel norbert pablo paul pedro quincy rob sandro shelby steph
steph2 travis victor zac""".split()
UNSEEN_ESPEAK = [
    "en-us+Annie", "en+f5", "en-us+robert", "en+michel", "en-us+m8", "en-gb-x-gbcwmd+caleb",
    "en-gb-x-gbcwmd", "en-us+steph3",
]  # fmt: skip
"""Seven variants and an accent for tests only."""
FLITE = ["us_slt", "us_awb", "us_kal16", "us_kal16"]
UNSEEN_FLITE = ["us_rms"]
FLITE_SHARE = 0.3
"""The share of training utterances that flite speaks; espeak-ng speaks the others."""


@dataclass(frozen=True)
class Spoken:
    """One utterance at 16 kHz, trimmed to the first and last sound."""

    samples: np.ndarray
    """[n] int16 samples."""
    words: list[str]
    starts: np.ndarray
    """The first sample of each word, int32; -1 where word times are unknown."""
    ends: np.ndarray
    voice: str

    @property
    def text(self) -> str:
        return " ".join(self.words)


class Speakers:
    """All synthesisers; make only one per process."""

    def __init__(self) -> None:
        self._espeak = Espeak()
        self._flite = Flite()

    def say(self, text: str, choice: random.Random, unseen: bool = False, flite: bool | None = None) -> Spoken | None:
        """Speak `text` in a random voice; None where the synthesiser dropped words or was silent."""
        if flite if flite is not None else choice.random() < FLITE_SHARE:
            return self.flite(text, choice.choice(UNSEEN_FLITE if unseen else FLITE), choice.uniform(0.85, 1.25))
        if unseen:
            voice = choice.choice(UNSEEN_ESPEAK)
        else:
            variant = choice.choice(["", *VARIANTS, *VARIANTS])
            voice = choice.choice(ACCENTS) + (f"+{variant}" if variant else "")
        return self.espeak(text, voice, choice.randint(125, 215), choice.randint(25, 75), choice.randint(25, 75))

    def espeak(self, text: str, voice: str, rate: int, pitch: int, pitch_range: int) -> Spoken | None:
        """Speak with espeak-ng: `rate` in words per minute, pitch and pitch range from 0 to 99."""
        samples, events = self._espeak.speak(text, voice, rate, pitch, pitch_range, 0)
        if len(samples) < 2000 or not events:
            return None
        factor = RATE / self._espeak.rate
        starts = np.array(word_starts(text, events, len(samples)), dtype=np.float64) * factor
        sound = resampled(samples, self._espeak.rate)
        ends = np.append(starts[1:], len(sound))
        return trimmed(sound, text.split(), starts, ends, voice)

    def flite(self, text: str, voice: str, stretch: float) -> Spoken | None:
        """Speak with flite, `stretch` times as long as the voice's default."""
        samples, rate, times = self._flite.speak(text, voice, stretch)
        if len(times) != len(text.split()):
            return None
        sound = resampled(samples, rate)
        spans = np.array(times) * RATE
        return trimmed(sound, text.split(), spans[:, 0], spans[:, 1], voice)


def resampled(samples: np.ndarray, rate: int) -> np.ndarray:
    if rate == RATE:
        return samples.astype(np.int16)
    out = soxr.resample(samples.astype(np.float32) / 32768, rate, RATE, quality="HQ")
    return (np.clip(out, -1, 1) * 32767).astype(np.int16)


def trimmed(sound: np.ndarray, words: list[str], starts: np.ndarray, ends: np.ndarray, voice: str) -> Spoken | None:
    """Trim silence at both ends, and end each word where its sound ends, not after the following pause."""
    hop = 160
    n = len(sound) // hop
    if n < 10:
        return None
    level = np.abs(sound[: n * hop].astype(np.int32)).reshape(n, hop).max(axis=1)
    loud = level > max(60, level.max() * 0.015)
    if not loud.any():
        return None
    first, last = int(np.argmax(loud)), n - int(np.argmax(loud[::-1]))
    cut_start, cut_end = max(0, first - 3) * hop, min(n, last + 5) * hop
    sound_ends = []
    for start, end in zip(starts, ends, strict=True):
        a, b = int(start) // hop, max(int(start) // hop + 1, int(end) // hop)
        inside = np.flatnonzero(loud[a:b])
        sound_ends.append((a + int(inside[-1]) + 1) * hop if len(inside) else int(end))
    limit = cut_end - cut_start
    return Spoken(
        sound[cut_start:cut_end],
        words,
        np.clip(starts - cut_start, 0, limit).astype(np.int32),
        np.clip(np.array(sound_ends) - cut_start, 0, limit).astype(np.int32),
        voice,
    )


def whole(sound: np.ndarray, words: list[str], voice: str) -> Spoken | None:
    """An utterance whose word times are unknown (-1), trimmed."""
    spoken = trimmed(sound, words, np.zeros(len(words)), np.full(len(words), len(sound)), voice)
    unknown = np.full(len(words), -1, np.int32)
    return spoken and replace(spoken, starts=unknown, ends=unknown)

"""Coughs, music and notification tones are no speaker, and one voice stays one: the real networks."""

from collections.abc import Callable
from itertools import count
from pathlib import Path

import numpy as np
import pytest
import soundfile

from benchmarks import noises
from livecap.speakers.diariser import VoiceDiariser, load_diariser
from livecap.speakers.hearing import CONTEXT_SAMPLES, Hearing
from livecap.speakers.numbers import SpeakerNumbers
from livecap.transcript import SAMPLE_RATE

RECORDINGS = Path(__file__).parents[2] / "recordings"
Random = np.random.Generator


@pytest.fixture(scope="module")
def diariser() -> VoiceDiariser:
    return load_diariser()


def coughs(n: int, random: Random) -> np.ndarray:
    """Two bursts of dull noise that fade within a third of a second, every two seconds."""
    sound = np.zeros(n)
    seconds = np.arange(SAMPLE_RATE // 3) / SAMPLE_RATE
    for start in range(SAMPLE_RATE // 2, n - SAMPLE_RATE, 2 * SAMPLE_RATE):
        for at in (start, start + SAMPLE_RATE * 2 // 5):
            burst = np.convolve(random.standard_normal(len(seconds)), np.ones(6) / 6, "same")
            sound[at : at + len(burst)] += 0.3 * burst * np.exp(-seconds * random.uniform(8, 16))
    return sound


def notifications(n: int, random: Random) -> np.ndarray:
    """Two tones, one after the other, every three seconds."""
    sound = np.zeros(n)
    seconds = np.arange(SAMPLE_RATE * 2 // 5) / SAMPLE_RATE
    pitch = random.uniform(500, 1000)
    for start in range(SAMPLE_RATE // 2, n - SAMPLE_RATE, 3 * SAMPLE_RATE):
        for at, tone in ((start, pitch), (start + SAMPLE_RATE // 4, 1.5 * pitch)):
            sound[at : at + len(seconds)] += 0.3 * np.sin(2 * np.pi * tone * seconds) * np.exp(-seconds * 8)
    return sound


def music(n: int, random: Random) -> np.ndarray:
    return 0.1 * noises.music(n, random)


Make = Callable[[int, Random], np.ndarray]


def made(make: Make, seconds: float, seed: int = 0) -> np.ndarray:
    """A noise over the faint hiss that every microphone has."""
    random = np.random.default_rng(seed)
    n = round(seconds * SAMPLE_RATE)
    return (make(n, random) + 1e-4 * random.standard_normal(n)).astype(np.float32)


def speech(name: str, start: float, seconds: float) -> np.ndarray:
    first = round(start * SAMPLE_RATE)
    return soundfile.read(RECORDINGS / f"{name}.flac", round(seconds * SAMPLE_RATE), first, dtype="float32")[0]


@pytest.mark.parametrize("make", [coughs, music, notifications])
def test_a_noise_is_no_speaker(diariser: VoiceDiariser, make: Make) -> None:
    assert diariser.turns(made(make, 10)) == []


@pytest.mark.parametrize("make", [coughs, music, notifications])
def test_a_noise_after_speech_makes_no_new_speaker_in_a_live_session(diariser: VoiceDiariser, make: Make) -> None:
    """Even where the recogniser wrote words for it."""
    parts = [speech("dictation", 0, 4), made(make, 4, seed=1), speech("dictation", 5, 2)]
    assert set(heard(diariser, parts)) == {0}


@pytest.mark.parametrize(("name", "seed"), [("silences", 0), ("noise", 1), ("continuous", 2)])
def test_one_voice_in_noise_is_one_speaker(diariser: VoiceDiariser, name: str, seed: int) -> None:
    """It gets louder and quieter, and each second part has a noise 15 dB below the voice."""
    random = np.random.default_rng(seed)
    parts = []
    for i in range(3):
        part = speech(name, 4.0 * i, 3) * np.float32(10 ** (random.uniform(-12, 6) / 20))
        parts.append(noises.mixed(part, noises.KINDS["fan"](len(part), random), 15) if i % 2 else part)
    assert set(heard(diariser, parts)) == {0}


def heard(diariser: VoiceDiariser, parts: list[np.ndarray]) -> list[int]:
    """The speakers that the parts of a live session get."""
    hearing, sound, at, found = Hearing(diariser, SpeakerNumbers(count().__next__)), np.concatenate(parts), 0, []
    for part in parts:
        before, end = max(0, at - CONTEXT_SAMPLES), at + len(part)
        hearing.hear(before, sound[before:end], at)
        found += [turn.speaker for turn in hearing.turns(at, end)]
        at = end
    return found + [turn.speaker for turn in hearing.turns(0, at)]

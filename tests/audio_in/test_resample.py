"""Resampling has no seams, keeps the length, keeps speech and lets nothing fold back."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from livecap.audio_in.resample import Resampler
from livecap.transcript import SAMPLE_RATE

RATES = [8000, 11025, 16000, 22050, 24000, 32000, 44100, 48000, 96000]


def resample(sound, rate, cuts=()):
    resampler = Resampler(rate, sound.shape[1])
    parts = [resampler.process(part) for part in np.split(sound, sorted(cuts))]
    return np.concatenate([*parts, resampler.flush()])


def tone(hz, rate, seconds=2.0, n_channels=1):
    t = np.arange(round(rate * seconds)) / rate
    return np.repeat((0.5 * np.sin(2 * np.pi * hz * t)).astype(np.float32)[:, None], n_channels, axis=1)


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(RATES), st.integers(1, 3), st.lists(st.integers(0, 20_000), max_size=30))
def test_output_does_not_depend_on_the_cuts(rate, n_channels, cuts):
    sound = np.random.default_rng(rate).normal(scale=0.2, size=(20_000, n_channels)).astype(np.float32)
    assert np.array_equal(resample(sound, rate), resample(sound, rate, cuts))


@pytest.mark.parametrize("rate", RATES)
def test_length_is_right_within_a_sample_over_a_long_time(rate):
    sound = np.zeros((rate * 60 + 7, 1), np.float32)
    blocks = range(0, len(sound), rate // 50)
    assert abs(len(resample(sound, rate, blocks)) - len(sound) * SAMPLE_RATE / rate) <= 1


def test_16_khz_mono_passes_bit_for_bit():
    sound = np.random.default_rng(1).uniform(-1, 1, (5000, 1)).astype(np.float32)
    assert np.array_equal(resample(sound, SAMPLE_RATE), sound[:, 0])


@pytest.mark.parametrize("rate", [24000, 44100, 48000])
def test_speech_passes_and_what_lies_above_does_not_fold_back(rate):
    kept, folded = resample(tone(3000, rate), rate), resample(tone(9000, rate), rate)
    middle = slice(4000, -4000)
    assert np.abs(kept[middle]).max() == pytest.approx(0.5, abs=0.005)
    assert np.abs(folded[middle]).max() < 1e-5


def test_channels_are_averaged():
    left, right = tone(440, SAMPLE_RATE), tone(300, SAMPLE_RATE)
    both = np.concatenate([left, right], axis=1)
    assert np.allclose(resample(both, SAMPLE_RATE), (left[:, 0] + right[:, 0]) / 2, atol=1e-3)
    assert np.array_equal(resample(np.repeat(left, 2, axis=1), SAMPLE_RATE), left[:, 0])


def test_one_live_channel_of_two_is_not_halved():
    left = tone(440, SAMPLE_RATE)
    hiss = np.random.default_rng(0).normal(0, 1e-4, left.shape).astype(np.float32)
    for dead in (np.zeros_like(left), hiss):
        assert np.allclose(resample(np.concatenate([left, dead], axis=1), SAMPLE_RATE)[8:], left[8:, 0])


@given(st.lists(st.integers(0, 700), max_size=8), st.integers(0, 1999))
def test_when_a_channel_comes_to_life_does_not_depend_on_the_cuts(cuts, begins):
    sound = np.concatenate([tone(440, SAMPLE_RATE)[:2000], tone(300, SAMPLE_RATE)[:2000]], axis=1)
    sound[:begins, 1] = 0
    whole = resample(sound, SAMPLE_RATE)
    resampler, parts, at = Resampler(SAMPLE_RATE, 2), [], 0
    for length in [*cuts, len(sound)]:
        parts.append(resampler.process(sound[at : at + length]))
        at += length
    assert np.array_equal(np.concatenate(parts), whole)


@pytest.mark.parametrize("rate", [SAMPLE_RATE, 48000])
def test_samples_stay_within_bounds(rate):
    loud = np.sign(tone(100, rate, n_channels=2)) * np.float32(3e38)
    assert np.abs(resample(loud, rate)).max() <= 1.0

"""Mel frames can be computed in parts, and what the official front end refuses is refused."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from livecap.model.backend import mx
from livecap.model.mel import (
    HOP_LENGTH,
    MIN_SAMPLES,
    clamp_and_scale,
    log_mel_slice,
    mel_filter_bank,
    n_mel_frames,
)
from tests.model.parity import DATA, farthest, official_mel

FUNCTIONS = json.loads((DATA / "functions.json").read_text())


def log_mel(samples: np.ndarray) -> mx.array:
    return log_mel_slice(samples, 0, n_mel_frames(len(samples)))


def noise(n_samples: int, seed: int = 1) -> np.ndarray:
    return (0.1 * np.random.default_rng(seed).standard_normal(n_samples)).astype(np.float32)


def test_filters_are_the_official_ones() -> None:
    official = np.load(DATA / "frontend.npz")["mel_filters"]
    assert farthest(mel_filter_bank(), official) < 1e-7


@settings(max_examples=40, deadline=None)
@given(st.integers(MIN_SAMPLES, 6000), st.data())
def test_a_slice_is_that_slice_of_the_whole(n_samples: int, data: st.DataObject) -> None:
    samples = noise(n_samples)
    n_frames = n_mel_frames(n_samples)
    start = data.draw(st.integers(0, n_frames))
    stop = data.draw(st.integers(start, n_frames))
    whole = np.array(log_mel(samples))
    assert farthest(log_mel_slice(samples, start, stop), whole[start:stop]) < 1e-5


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 30), st.integers(30, 60))
def test_more_sound_changes_only_frames_that_heard_the_end(n_frames: int, n_more: int) -> None:
    samples = noise((n_frames + n_more) * HOP_LENGTH)
    short, long = np.array(log_mel(samples[: (n_frames + 2) * HOP_LENGTH])), np.array(log_mel(samples))
    final = n_frames + 1  # the last frame depends on 40 samples after the end
    assert farthest(short[:final], long[:final]) < 1e-5
    assert np.abs(short[final] - long[final]).max() > 1e-5


def test_frame_counts_are_the_official_ones() -> None:
    for n_samples, expected in FUNCTIONS["mel_frames_by_samples"].items():
        samples = np.zeros(int(n_samples), np.float32)
        if isinstance(expected, list):
            assert log_mel(samples).shape == (expected[0], 128)
        else:
            with pytest.raises(ValueError, match=f"{n_samples} samples are too few"):
                log_mel(samples)


def test_digital_silence_is_the_floor() -> None:
    mel = np.array(official_mel(np.zeros(16_000, np.float32)))
    assert np.abs(mel - FUNCTIONS["mel_value_of_digital_silence"]).max() < 1e-6


def test_clamping_late_is_clamping_at_once() -> None:
    samples = np.concatenate([noise(8000) * 1e-4, noise(8000)])
    frames = log_mel(samples)
    late = clamp_and_scale(frames[:20], frames.max().item())
    assert farthest(late, np.array(official_mel(samples))[:20]) == 0.0


@pytest.mark.parametrize(("start", "stop"), [(-1, 3), (2, 1), (0, 101)])
def test_frames_that_do_not_exist_are_refused(start: int, stop: int) -> None:
    with pytest.raises(ValueError, match="have 100"):
        log_mel_slice(np.zeros(16_000, np.float32), start, stop)

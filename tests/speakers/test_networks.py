"""Both networks compute what the original PyTorch code computes with the same weights, in NumPy and in MLX."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from livecap.speakers.fbank import log_mel
from livecap.speakers.mlx_networks import MLXNetworks
from livecap.speakers.networks import FEWEST_FRAMES, VoiceNetworks, n_frames
from livecap.speakers.numpy_networks import NumpyNetworks
from livecap.speakers.one_core import one_core

ROOT = Path(__file__).parents[2]
SPANS = {"long": (0.0, 7.3), "short": (1.0, 1.6), "other": (12.0, 15.0)}
"""Seconds of the recording that training/speaker_networks.py embedded."""


@pytest.fixture(scope="module")
def expected():
    with np.load(Path(__file__).with_name("data") / "expected.npz") as arrays:
        return dict(arrays)


@pytest.fixture(scope="module")
def sound():
    return soundfile.read(ROOT / "recordings" / "meeting.flac", frames=16 * 16_000, dtype="float32")[0]


@pytest.fixture(autouse=True)
def on_one_core():
    with one_core():
        yield


@pytest.fixture(scope="module", params=[NumpyNetworks, MLXNetworks], ids=["numpy", "mlx"])
def networks(request) -> VoiceNetworks:
    return request.param()


def part(sound, name):
    start, end = SPANS[name]
    return sound[round(start * 16_000) : round(end * 16_000)]


def test_the_front_end_is_kaldis(expected, sound):
    found = log_mel(part(sound, "short"))
    assert found.shape == expected["features"].shape
    assert np.abs(found - expected["features"]).max() < 3e-4


def test_sound_shorter_than_a_frame_has_no_frames():
    assert log_mel(np.zeros(399, np.float32)).shape == (0, 80)
    assert log_mel(np.zeros(400, np.float32)).shape == (1, 80)


def test_the_segmentation_is_the_originals(networks, expected, sound):
    found = networks.segment(sound[80_000:240_000][None])
    assert found.shape == (1, n_frames(160_000), 7)
    assert np.abs(found[0] - expected["log_probabilities"]).max() < 2e-4
    assert np.abs(np.exp(found[0]) - np.exp(expected["log_probabilities"])).max() < 1e-4


@pytest.mark.parametrize("name", SPANS)
def test_a_voice_is_the_originals(networks, expected, sound, name):
    found = networks.embed(log_mel(part(sound, name)))
    assert np.abs(found - expected[f"embedding_{name}"]).max() < 1e-4


def test_windows_are_segmented_alone(networks, sound):
    both = networks.segment(np.stack([sound[:32_000], 0.1 * sound[32_000:64_000]]))
    assert np.abs(both[1] - networks.segment(0.1 * sound[None, 32_000:64_000])[0]).max() < 1e-3


def test_the_fewest_frames_are_enough(networks, sound):
    found = networks.embed(log_mel(sound[16_000 : 16_000 + 400 + 160 * (FEWEST_FRAMES - 1)]))
    assert np.isfinite(found).all() and np.abs(found).max() > 0

"""What a stream can keep of the encoder: complete conv blocks and windows; and how incomplete ones differ."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from livecap.model.backend import mx
from livecap.model.network import Network, convolve_mel, encode_windows
from tests.model.parity import DATA, encoded, farthest
from tests.model.small_models import small_mlx_model, small_model

pytestmark = pytest.mark.usefixtures("arithmetic")
N_TOKENS = json.loads((DATA / "functions.json").read_text())["audio_token_count_by_mel_frames"]
"""Audio embeddings of n mel frames, as the official package counts them."""


@pytest.fixture(scope="module")
def model(arithmetic: None) -> Network:
    return small_model()


def random_mel(n_frames: int) -> mx.array:
    values = np.random.default_rng(0).uniform(-1, 1.5, (n_frames, 128))
    return mx.array(values.astype(np.float32))


@settings(max_examples=15, deadline=None)
@given(st.integers(0, len(N_TOKENS) - 1))
def test_there_are_as_many_tokens_as_officially(model: Network, n_frames: int) -> None:
    assert convolve_mel(model, random_mel(n_frames)).shape == (N_TOKENS[n_frames], 16)


@pytest.mark.parametrize("n_frames", [1, 7, 8, 30, 99, 100, 130, 199])
def test_blocks_convolved_apart_are_the_clips_tokens(model: Network, n_frames: int) -> None:
    mel = random_mel(300 + n_frames)
    apart = [convolve_mel(model, mel[n : n + 100]) for n in (0, 100, 200)]
    apart.append(convolve_mel(model, mel[300:], pad_tail=True))
    assert farthest(mx.concatenate(apart), np.array(convolve_mel(model, mel))) < 1e-6


@pytest.mark.parametrize("n_frames", range(1, 100, 7))
def test_an_incomplete_block_is_padded_with_zeros_to_a_blocks_length(model: Network, n_frames: int) -> None:
    tail = random_mel(n_frames)
    padded = mx.concatenate([tail, mx.zeros((100 - n_frames, 128))])
    whole = convolve_mel(model, padded)[: N_TOKENS[n_frames]]
    assert farthest(convolve_mel(model, tail, pad_tail=True), np.array(whole)) < 1e-6


def test_a_clip_shorter_than_a_block_is_not_padded(model: Network) -> None:
    clip = random_mel(70)
    alone, padded = convolve_mel(model, clip), convolve_mel(model, clip, pad_tail=True)
    assert farthest(alone, np.array(padded)) > 1e-3


@pytest.mark.parametrize("n_window_infer", [100, 200, 400, 800])
def test_windows_encoded_apart_are_the_clips_embeddings(n_window_infer: int) -> None:
    model = small_model(audio={"n_window_infer": n_window_infer})
    tokens = convolve_mel(model, random_mel(930))
    whole = encode_windows(model, tokens)
    size = 13 * n_window_infer // 100
    assert size == model.config.audio.window_tokens
    apart = [encode_windows(model, tokens[n : n + size]) for n in range(0, tokens.shape[0], size)]
    assert farthest(mx.concatenate(apart), np.array(whole)) < 1e-5


@pytest.mark.parametrize("n_window_infer", [200, 800])
def test_attention_covers_all_of_its_window_and_nothing_else(n_window_infer: int) -> None:
    model = small_model(audio={"n_window_infer": n_window_infer})
    mel = random_mel(2 * n_window_infer)
    touched = mx.array(np.concatenate([np.array(mel[:-1]), np.ones((1, 128), np.float32)]))
    before, after = np.array(encoded(model, mel)), np.array(encoded(model, touched))
    size = model.config.audio.window_tokens
    assert np.abs(before - after)[:size].max() < 1e-6
    assert np.abs(before - after)[size:].max(axis=1).min() > 1e-6


def test_many_blocks_and_windows_go_in_several_passes_and_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    model = small_model(audio={"n_window_infer": 100})
    mel = random_mel(1050)
    once = np.array(encoded(model, mel))
    monkeypatch.setattr("livecap.model.network.CONV_BLOCKS_PER_PASS", 3)
    monkeypatch.setattr("livecap.model.network.WINDOWS_PER_PASS", 3)
    assert farthest(encoded(model, mel), once) < 1e-6


def test_the_position_table_is_not_a_parameter() -> None:
    assert not [name for name in small_mlx_model().parameter_arrays() if "position" in name]

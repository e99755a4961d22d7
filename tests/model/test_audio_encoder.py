"""What a stream may keep of the encoder: complete chunks, complete windows; and how a tail differs."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from livecap.model.audio_encoder import AudioEncoder, n_audio_tokens
from livecap.model.backend import mx
from tests.model.parity import DATA, farthest
from tests.model.small_models import small_encoder

pytestmark = pytest.mark.usefixtures("arithmetic")
FUNCTIONS = json.loads((DATA / "functions.json").read_text())


def random_mel(n_frames: int, seed: int = 0) -> mx.array:
    values = np.random.default_rng(seed).uniform(-1, 1.5, (n_frames, 128))
    return mx.array(values.astype(np.float32))


def test_token_counts_are_the_official_ones() -> None:
    counts = FUNCTIONS["audio_token_count_by_mel_frames"]
    assert [n_audio_tokens(n) for n in range(len(counts))] == counts


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 450))
def test_as_many_embeddings_come_out_as_were_counted(n_frames: int) -> None:
    encoder = small_encoder(encoder_layers=1)
    assert encoder(random_mel(n_frames)).shape == (n_audio_tokens(n_frames), 16)


@pytest.mark.parametrize("n_frames", [1, 7, 8, 30, 99, 100, 130, 199])
def test_chunks_convolved_apart_are_the_clips_tokens(n_frames: int) -> None:
    encoder = small_encoder()
    mel = random_mel(300 + n_frames)
    apart = [encoder.conv_tokens(mel[n : n + 100]) for n in (0, 100, 200)]
    apart.append(encoder.conv_tokens(mel[300:], pad_tail=True))
    assert farthest(mx.concatenate(apart), np.array(encoder.conv_tokens(mel))) < 1e-6


@pytest.mark.parametrize("n_frames", range(1, 100, 7))
def test_a_tail_sees_zeros_up_to_a_chunks_length(n_frames: int) -> None:
    encoder = small_encoder()
    tail = random_mel(n_frames)
    padded = mx.concatenate([tail, mx.zeros((100 - n_frames, 128))])
    whole = encoder.conv_tokens(padded)[: n_audio_tokens(n_frames)]
    assert farthest(encoder.conv_tokens(tail, pad_tail=True), np.array(whole)) < 1e-6


def test_a_lone_short_clip_is_not_padded() -> None:
    encoder = small_encoder()
    clip = random_mel(70)
    alone, padded = encoder.conv_tokens(clip), encoder.conv_tokens(clip, pad_tail=True)
    assert farthest(alone, np.array(padded)) > 1e-3


@pytest.mark.parametrize("n_window_infer", [100, 200, 400, 800])
def test_windows_encoded_apart_are_the_clips_embeddings(n_window_infer: int) -> None:
    encoder = small_encoder(n_window_infer=n_window_infer)
    tokens = encoder.conv_tokens(random_mel(930))
    whole = encoder.windows(tokens)
    size = 13 * n_window_infer // 100
    assert size == encoder.config.window_tokens
    apart = [encoder.windows(tokens[n : n + size]) for n in range(0, tokens.shape[0], size)]
    assert farthest(mx.concatenate(apart), np.array(whole)) < 1e-5


@pytest.mark.parametrize("n_window_infer", [200, 800])
def test_attention_reaches_all_of_its_window_and_nothing_else(n_window_infer: int) -> None:
    encoder = small_encoder(n_window_infer=n_window_infer)
    mel = random_mel(2 * n_window_infer)
    touched = mx.array(np.concatenate([np.array(mel[:-1]), np.ones((1, 128), np.float32)]))
    before, after = np.array(encoder(mel)), np.array(encoder(touched))
    size = encoder.config.window_tokens
    assert np.abs(before - after)[:size].max() < 1e-6
    assert np.abs(before - after)[size:].max(axis=1).min() > 1e-6


def test_many_windows_go_in_several_passes_and_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = small_encoder(n_window_infer=100)
    tokens = encoder.conv_tokens(random_mel(1050))
    once = np.array(encoder.windows(tokens))
    monkeypatch.setattr("livecap.model.audio_encoder.WINDOWS_PER_PASS", 3)
    assert farthest(encoder.windows(tokens), once) < 1e-6


def test_no_frames_give_no_tokens() -> None:
    assert small_encoder().conv_tokens(mx.zeros((0, 128))).shape == (0, 16)


def test_the_position_table_is_no_parameter() -> None:
    encoder: AudioEncoder = small_encoder()
    assert not [name for name in encoder.parameter_arrays() if "position" in name]

"""EncoderWindows: embeddings of sound in pieces are those of one pass, and finished work is not done again."""

import os

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from livecap.model.backend import mx
from livecap.model.qwen3_asr import Qwen3ASR
from livecap.stream.windows import EncoderWindows
from tests.model.parity import encoded, official_mel
from tests.model.small_models import small_mlx_model

PROVE = bool(os.environ.get("LIVECAP_PROVE"))
SECOND = 16_000


def sound(seed: int, n: int) -> NDArray[np.float32]:
    """Noise whose loudness varies over 60 dB, with digital silence in it, so that the mel's floor moves."""
    random = np.random.default_rng(seed)
    loudness = np.repeat(10 ** random.uniform(-3, 0, n // 8000 + 1), 8000)[:n]
    loudness[np.repeat(random.random(n // 8000 + 1) < 0.2, 8000)[:n]] = 0
    return (random.standard_normal(n) * 0.1 * loudness).astype(np.float32)


@settings(max_examples=200 if PROVE else 12)
@given(st.integers(0, 2**31), st.lists(st.integers(1, 5 * SECOND), min_size=1, max_size=12))
def test_embeddings_in_pieces_equal_one_long_pass(seed: int, lengths: list[int]) -> None:
    model = small_mlx_model()
    samples = sound(seed, sum(lengths))
    windows = EncoderWindows(model, 0)
    rows: dict[object, NDArray[np.float32]] = {}
    at = 0
    for length in lengths:
        windows.append(samples[at : at + length])
        at += length
        audio = windows.encode(windows.log_mel())
        embeddings = np.array(audio.embeddings)
        assert len(audio.names) == len(set(audio.names)) == len(embeddings)
        if at >= 1600:
            one_pass = np.array(encoded(model, official_mel(samples[:at])))
            np.testing.assert_allclose(embeddings, one_pass, atol=2e-4)
        for name, row in zip(audio.names, embeddings, strict=True):
            np.testing.assert_allclose(row, rows.setdefault(name, row), atol=2e-4, err_msg="one name, two meanings")


class Counting(Qwen3ASR):
    """Counts the conv blocks that it computes."""

    n_blocks = 0

    def convolve(self, blocks: mx.array) -> mx.array:
        self.n_blocks += blocks.shape[0]
        return super().convolve(blocks)


def test_finished_blocks_are_computed_once() -> None:
    model = Counting(small_mlx_model().config)
    windows = EncoderWindows(model, 0)
    steady = np.random.default_rng(0).standard_normal(30 * SECOND).astype(np.float32) * 0.1
    made = []
    for start in range(0, len(steady), 2 * SECOND):
        before = model.n_blocks
        windows.append(steady[start : start + 2 * SECOND])
        windows.encode(windows.log_mel())
        made.append(model.n_blocks - before)
    assert max(made) <= 4, "two new blocks, the one that was not final, and the incomplete last one"


def test_a_very_short_sound_is_encoded() -> None:
    windows = EncoderWindows(small_mlx_model(), 0)
    windows.append(np.zeros(3, np.float32))
    audio = windows.encode(windows.log_mel())
    assert len(audio.names) == audio.embeddings.shape[0] > 0
    assert bool(mx.all(mx.isfinite(audio.embeddings)))

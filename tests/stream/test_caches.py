"""Every cache can be switched off, and nothing changes but the time it takes."""

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from livecap.audio_in.source import AudioBlock
from livecap.model.backend import mx, on_cpu
from livecap.model.checkpoint.load import LoadedModel, load, load_model
from livecap.model.numpy.network import NumpyQwen3ASR
from livecap.model.qwen3_asr import Qwen3ASR
from livecap.stream.config import ChunkConfig, ReuseConfig, StreamConfig
from livecap.stream.recogniser import ModelRecogniser
from livecap.stream.transcriber import StreamingTranscriber
from livecap.stream.windows import EncoderWindows
from livecap.transcript import TranscriptUpdate
from tests.model.parity import encoded, official_mel
from tests.model.small_models import small_mlx_model

ROOT = Path(__file__).parents[2]
RECORDINGS = sorted((ROOT / "recordings").glob("*.flac"))
RANDOM_CHECKPOINT = ROOT / "tests" / "model" / "data" / "asr"
PROVE = bool(os.environ.get("LIVECAP_PROVE"))
SECOND = 16_000
CONFIG = StreamConfig(ChunkConfig(1.0, 0.1))


@pytest.fixture(scope="module")
def tiny() -> LoadedModel:
    return load("tiny")


def updates(loaded: LoadedModel, samples: NDArray[np.float32], config: StreamConfig) -> list[TranscriptUpdate]:
    recogniser = ModelRecogniser(loaded, "", None, config)
    transcriber = StreamingTranscriber(recogniser, loaded.tokenizer, config)

    def run() -> Iterator[TranscriptUpdate]:
        for start in range(0, len(samples), SECOND // 4):
            transcriber.accept(AudioBlock(start, samples[start : start + SECOND // 4]))
            if transcriber.ready:
                yield from transcriber.step()
        yield from transcriber.flush()

    return list(run())


OFF = [ReuseConfig(reuse_encoder=False), ReuseConfig(reuse_kv=False), ReuseConfig(verify_draft=False)]


@pytest.mark.parametrize("off", OFF, ids=["encoder", "kv", "draft"])
@pytest.mark.parametrize("path", RECORDINGS, ids=lambda path: path.stem)
def test_recordings_read_the_same_without_a_cache(tiny: LoadedModel, path: Path, off: ReuseConfig) -> None:
    samples, _ = soundfile.read(path, dtype="float32", frames=-1 if PROVE else 12 * SECOND)
    with_cache = updates(tiny, samples, CONFIG)
    assert with_cache and updates(tiny, samples, replace(CONFIG, reuse=off)) == with_cache


@pytest.mark.parametrize("seed", range(8 if PROVE else 1))
def test_random_checkpoints_say_the_same_without_a_cache(seed: int) -> None:
    """Their text is nonsense that loops and runs away, so every path of the stream is walked; rolls are among them."""
    mx.random.seed(seed)
    model, _ = load_model(RANDOM_CHECKPOINT, dtype=mx.float32)
    weights = model.parameter_arrays()
    model.load_weights([(name, mx.random.normal(x.shape) * x.std() + x.mean()) for name, x in weights.items()])
    network = NumpyQwen3ASR.from_mlx(model) if on_cpu else model
    random_model = replace(load(RANDOM_CHECKPOINT), model=network)
    samples, _ = soundfile.read(
        RECORDINGS[seed % len(RECORDINGS)], dtype="float32", frames=(42 if PROVE else 26) * SECOND
    )
    config = StreamConfig(ChunkConfig(2.0, 0.1))
    with_caches = updates(random_model, samples, config)
    assert with_caches
    for off in OFF:
        assert updates(random_model, samples, replace(config, reuse=off)) == with_caches, off


def sound(seed: int, n: int) -> NDArray[np.float32]:
    """Noise whose loudness wanders over 60 dB, with digital silence in it: the mel's floor moves."""
    random = np.random.default_rng(seed)
    loudness = np.repeat(10 ** random.uniform(-3, 0, n // 8000 + 1), 8000)[:n]
    loudness[np.repeat(random.random(n // 8000 + 1) < 0.2, 8000)[:n]] = 0
    return (random.standard_normal(n) * 0.1 * loudness).astype(np.float32)


pieces = st.lists(st.integers(1, 5 * SECOND), min_size=1, max_size=12)


@settings(max_examples=200 if PROVE else 12)
@given(st.integers(0, 2**31), pieces, st.data())
def test_embeddings_in_pieces_equal_one_long_pass(seed: int, lengths: list[int], data: st.DataObject) -> None:
    model = small_mlx_model()
    samples = sound(seed, sum(lengths))
    windows = EncoderWindows(model, 0)
    names: dict[object, NDArray[np.float32]] = {}
    at = 0
    for length in lengths:
        windows.append(samples[at : at + length])
        at += length
        audio = windows.encode(windows.log_mel())
        got = np.array(audio.embeddings)
        assert len(audio.names) == len(set(audio.names)) == len(got)
        if at >= 1600:
            one_pass = np.array(encoded(model, official_mel(samples[:at])))
            np.testing.assert_allclose(got, one_pass, atol=2e-4)
        for name, row in zip(audio.names, got, strict=True):
            np.testing.assert_allclose(row, names.setdefault(name, row), atol=2e-4, err_msg="one name, two meanings")


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

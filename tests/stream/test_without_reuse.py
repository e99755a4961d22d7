"""Each kind of reuse between steps can be switched off, and the text stays the same."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from livecap.audio_in.source import AudioBlock
from livecap.model.backend import mx, on_cpu
from livecap.model.checkpoint.load import LoadedModel, load, load_model
from livecap.model.numpy.network import NumpyQwen3ASR
from livecap.stream.config import ChunkConfig, LoopConfig, PromptConfig, ReuseConfig, StreamConfig
from livecap.stream.recogniser import ModelRecogniser
from livecap.stream.statistics import StepStatistics
from livecap.stream.transcriber import StreamingTranscriber
from livecap.transcript import TranscriptUpdate

ROOT = Path(__file__).parents[2]
RECORDINGS = sorted((ROOT / "recordings").glob("*.flac"))
RANDOM_CHECKPOINT = ROOT / "tests" / "model" / "data" / "asr"
PROVE = bool(os.environ.get("LIVECAP_PROVE"))
SECOND = 16_000
OFF = {
    "encoder": ReuseConfig(reuse_encoder=False),
    "kv": ReuseConfig(reuse_kv=False),
    "draft": ReuseConfig(verify_draft=False),
    "all": ReuseConfig(reuse_encoder=False, reuse_kv=False, verify_draft=False),
}


def transcribed(
    loaded: LoadedModel, samples: NDArray[np.float32], config: StreamConfig, language: str | None = None
) -> tuple[list[TranscriptUpdate], StepStatistics]:
    """All updates of a stream in blocks of a quarter of a second."""
    transcriber = StreamingTranscriber(
        ModelRecogniser(loaded, "", language, config), loaded.tokenizer, config, language=language
    )
    updates = []
    for start in range(0, len(samples), SECOND // 4):
        transcriber.accept(AudioBlock(start, samples[start : start + SECOND // 4]))
        if transcriber.ready:
            updates += transcriber.step()
    return [*updates, *transcriber.flush()], transcriber.statistics


SMALL = StreamConfig(
    ChunkConfig(2.0, 0.1),
    PromptConfig(
        max_context_seconds=12, max_new_seconds=4, roll_seconds=6, look_for_pause_seconds=4, keep_context_seconds=3
    ),
    loops=LoopConfig(tokens_per_second=6, spare_tokens=8),
)
"""Prompts roll after 6 s instead of 16 s, and text that runs away ends soon."""


@pytest.mark.parametrize("seed", range(8 if PROVE else 1))
def test_random_checkpoints_say_the_same_without_reuse(seed: int) -> None:
    """Their text is nonsense that loops and runs away, so all paths of the stream are taken."""
    mx.random.seed(seed)
    model = load_model(RANDOM_CHECKPOINT, dtype=mx.float32)
    weights = model.parameter_arrays()
    model.load_weights([(name, mx.random.normal(x.shape) * x.std() + x.mean()) for name, x in weights.items()])
    network = NumpyQwen3ASR(model) if on_cpu else model
    random_model = replace(load(RANDOM_CHECKPOINT), model=network)
    recording = RECORDINGS[seed % len(RECORDINGS)]
    for config, seconds in [(SMALL, 12)] + ([(StreamConfig(ChunkConfig(2.0, 0.1)), 42)] if PROVE else []):
        samples, _ = soundfile.read(recording, dtype="float32", frames=seconds * SECOND)
        with_caches, statistics = transcribed(random_model, samples, config, "English")
        assert statistics.n_rolls and statistics.n_runaways and statistics.n_accepted
        for name in OFF if PROVE else ["encoder", "kv", "draft"]:
            assert transcribed(random_model, samples, replace(config, reuse=OFF[name]), "English")[0] == with_caches, (
                name
            )


@pytest.fixture(scope="module")
def tiny() -> LoadedModel:
    return load("tiny")


@pytest.mark.parametrize("path", RECORDINGS, ids=lambda path: path.stem)
def test_recordings_read_the_same_without_reuse(tiny: LoadedModel, path: Path) -> None:
    samples, _ = soundfile.read(path, dtype="float32", frames=-1 if PROVE else 8 * SECOND)
    config = StreamConfig(ChunkConfig(1.0, 0.1))
    with_caches = transcribed(tiny, samples, config)[0]
    assert with_caches
    for name in OFF if PROVE else ["all"]:
        assert transcribed(tiny, samples, replace(config, reuse=OFF[name]))[0] == with_caches, name

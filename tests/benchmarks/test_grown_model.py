"""A grown model computes the same function as the small one, which makes benchmarks at the released size valid."""

import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from benchmarks import grown_checkpoint
from benchmarks.grown_checkpoint import FIRST_ADDED_ID as RELEASED_FIRST_ADDED_ID
from benchmarks.grown_checkpoint import load_grown, write_checkpoint, write_grown
from benchmarks.grown_weights import head_places
from livecap.engine import Engine, EngineSettings
from livecap.eval.offline import offline_text
from livecap.model.backend import mx
from livecap.model.checkpoint.load import LoadedModel, load, resolve
from livecap.model.config import AudioConfig, TextConfig
from livecap.model.generate import prefill
from livecap.model.text.prompt import Prompt
from livecap.shipped import demo_recording
from tests.model.parity import encoded, official_mel

AUDIO = AudioConfig(128, 512, 15, 8, 1024, 512, 48)
TEXT = TextConfig(4000, 512, 768, 7, 8, 4, 128)
FIRST_ADDED_ID = 3000


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[LoadedModel, LoadedModel]:
    """The embedded model, and a wider and deeper model grown from it."""
    folder = tmp_path_factory.mktemp("grown")
    write_checkpoint(folder, resolve("tiny"), AUDIO, TEXT, FIRST_ADDED_ID)
    return load("tiny", dtype=mx.float32), load_grown(folder)


def outputs(loaded: LoadedModel, samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Audio embeddings, and the logits of the prompt's last positions."""
    audio = encoded(loaded.model, official_mel(samples))
    keys = [("a", i) for i in range(audio.shape[0])]
    prefix = loaded.tokenizer.encode("language English") + [loaded.tokenizer.asr_text_id]
    prompt = Prompt.build(loaded.tokenizer, keys, audio, "", None, prefix + loaded.tokenizer.encode("Dear"))
    hidden = prefill(loaded.model, loaded.model.new_cache(), prompt, 8)
    return np.array(audio), np.array(loaded.model.logits(hidden))


def test_a_grown_model_computes_the_same_function(pair: tuple[LoadedModel, LoadedModel]) -> None:
    check_same_function(*pair, FIRST_ADDED_ID)


@pytest.mark.skipif(not os.environ.get("LIVECAP_PROVE"), reason="3 GB of checkpoint: with LIVECAP_PROVE")
def test_the_released_size_computes_the_same_function(tmp_path: Path) -> None:
    write_grown(tmp_path, "0.6b")
    check_same_function(load("tiny", dtype=mx.float32), load_grown(tmp_path), RELEASED_FIRST_ADDED_ID)
    (tmp_path / "model.safetensors").unlink()


def check_same_function(small: LoadedModel, large: LoadedModel, first_added_id: int) -> None:
    samples = soundfile.read(demo_recording(), dtype="float32")[0][: 10 * 16_000]
    small_audio, small_logits = outputs(small, samples)
    large_audio, large_logits = outputs(large, samples)
    n, width = small_logits.shape[-1], small_audio.shape[-1]
    scale = (large_audio.shape[-1] / width) ** 0.5
    assert np.abs(large_audio[:, width:]).max() == 0
    assert np.allclose(large_audio[:, :width] / scale, small_audio, atol=2e-4 * np.abs(small_audio).max())
    n_plain = min(int(i) for i in small.tokenizer._added)
    moved = [i if i < n_plain else i - n_plain + first_added_id for i in range(n)]
    assert np.allclose(large_logits[:, moved], small_logits, atol=2e-4 * np.abs(small_logits).max())


def test_spare_rows_of_the_vocabulary_never_win(pair: tuple[LoadedModel, LoadedModel]) -> None:
    small, large = pair
    logits = outputs(large, soundfile.read(demo_recording(), dtype="float32")[0][:64_000])[1]
    n = small.config.text.vocab_size
    real = {*range(n), *range(FIRST_ADDED_ID, FIRST_ADDED_ID + 62)}
    assert set(logits.argmax(axis=-1).tolist()) <= real


def test_a_grown_model_says_the_same_text(pair: tuple[LoadedModel, LoadedModel]) -> None:
    samples = soundfile.read(demo_recording(), dtype="float32")[0][: 8 * 16_000]
    small, large = (offline_text(Engine(loaded, EngineSettings(loaded.path)), samples) for loaded in pair)
    assert small and small == large


def test_a_model_is_not_grown_to_fewer_layers(tmp_path: Path) -> None:
    for audio, text in ((replace(AUDIO, encoder_layers=13), TEXT), (AUDIO, replace(TEXT, num_hidden_layers=5))):
        with pytest.raises(AssertionError):
            write_checkpoint(tmp_path, resolve("tiny"), audio, text, FIRST_ADDED_ID)


def test_a_grown_checkpoint_has_the_files_of_a_released_one(tmp_path: Path) -> None:
    write_checkpoint(tmp_path, resolve("tiny"), AUDIO, TEXT, FIRST_ADDED_ID)
    expected = {path.name for path in resolve("tiny").iterdir()}
    assert {path.name for path in tmp_path.iterdir()} == expected


def test_a_kept_checkpoint_is_written_again_for_another_small_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shape = (replace(AUDIO, output_dim=256), replace(TEXT, vocab_size=152_000, hidden_size=256))
    monkeypatch.setitem(grown_checkpoint.GEOMETRIES, "small", shape)
    tiny, kept = tmp_path / "tiny", tmp_path / "kept"
    shutil.copytree(resolve("tiny"), tiny)
    weights = kept / "model.safetensors"
    write_grown(kept, "small", str(tiny))
    before = weights.stat().st_mtime_ns
    write_grown(kept, "small", str(tiny))
    assert weights.stat().st_mtime_ns == before
    data = bytearray((tiny / "model.safetensors").read_bytes())
    data[-1] ^= 1
    (tiny / "model.safetensors").write_bytes(data)
    write_grown(kept, "small", str(tiny))
    assert weights.stat().st_mtime_ns > before


@pytest.mark.parametrize(
    ("old", "new"), [((4, 2), (16, 8)), ((4, 1), (16, 8)), ((8, 8), (16, 8)), ((14, 2), (16, 8)), ((6, 3), (16, 8))]
)
def test_every_query_head_finds_its_keys(old: tuple[int, int], new: tuple[int, int]) -> None:
    small, large = (TextConfig(10, 8, 8, 1, heads, kv, 8) for heads, kv in (old, new))
    heads, kv_heads = head_places(small, large)
    of_place = {place: kv for kv, place in kv_heads}
    assert sorted(head for head, _ in heads) == list(range(old[0]))
    assert len({place for _, place in heads}) == old[0]
    for head, place in heads:
        assert of_place[place // (new[0] // new[1])] == head // (old[0] // old[1])

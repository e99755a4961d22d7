"""The forced aligner computes the official one's function: its fixtures, within the tolerances of their README."""

from functools import cache
from pathlib import Path

import numpy as np
import pytest

from livecap.errors import ModelError
from livecap.model.aligner import aligner_prompt, best_segments, segments_of
from livecap.model.backend import mx
from livecap.model.checkpoint.load import load, load_model
from livecap.model.network import Network, convolve_mel
from livecap.model.text.tokenizer import Tokenizer
from tests.model import small_models
from tests.model.parity import (
    CONV_TOKENS,
    DATA,
    EMBEDDINGS_FROM_AUDIO,
    EMBEDDINGS_FROM_MEL,
    FULL_SET,
    LOGITS_FROM_AUDIO,
    LOGITS_FROM_EMBEDDINGS,
    MEL,
    encoded,
    farthest,
    official_mel,
    prompt_of_ids,
    set_params,
)

pytestmark = pytest.mark.usefixtures("arithmetic")
PROMPTS = {"a_0p7s": ("three",), "c_11s": ("twelve", "one")}
TIMESTAMP, AUDIO = 505, 492


def case_params() -> list:
    return [
        pytest.param(p.values[0] / "aligner" / f"{name}.npz", id=f"{p.id}-{name}", marks=p.marks)
        for p in set_params()
        for name in PROMPTS
    ]


every_case = pytest.mark.parametrize("path", case_params())


@cache
def arrays(path: Path) -> dict[str, np.ndarray]:
    with np.load(path) as file:
        return dict(file)


@cache
def _network(folder: Path, by_numpy: bool) -> Network:
    return small_models.in_tested_arithmetic(load_model(folder, dtype=mx.float32, aligner=True))


def network(folder: Path = DATA / "aligner") -> Network:
    return _network(folder, small_models.by_numpy)


def samples_of(path: Path) -> np.ndarray:
    return arrays(path)["wave_int16"].astype(np.float32) / 32768.0


def logits_at_timestamps(model: Network, ids: np.ndarray, embeddings: mx.array) -> np.ndarray:
    prompt = prompt_of_ids(ids.tolist(), embeddings, AUDIO)
    hidden = model(prompt.embeddings(model, 0, len(ids)), model.new_cache())[0]
    return np.array(model.logits(hidden[mx.array(np.flatnonzero(ids == TIMESTAMP))]))


@every_case
def test_sound_becomes_the_official_embeddings(path: Path) -> None:
    case, model = arrays(path), network(path.parent)
    mel = official_mel(samples_of(path))
    if "mel" in case:
        assert farthest(np.array(mel).T, case["mel"]) < MEL
        stored = mx.array(np.ascontiguousarray(case["mel"].T))
        assert farthest(convolve_mel(model, stored), case["conv_tokens"]) < CONV_TOKENS
        assert farthest(encoded(model, stored), case["audio_embeds"]) < EMBEDDINGS_FROM_MEL
    assert farthest(encoded(model, mel), case["audio_embeds"]) < EMBEDDINGS_FROM_AUDIO


@every_case
def test_logits_at_timestamps_are_the_official_heads(path: Path) -> None:
    case, model = arrays(path), network(path.parent)
    from_audio = encoded(model, official_mel(samples_of(path)))
    for name in PROMPTS[path.stem]:
        ids, theirs = case[f"{name}.input_ids"], case[f"{name}.logits_at_timestamps"]
        ours = logits_at_timestamps(model, ids, mx.array(case["audio_embeds"]))
        assert farthest(ours, theirs) < LOGITS_FROM_EMBEDDINGS
        assert farthest(logits_at_timestamps(model, ids, from_audio), theirs) < LOGITS_FROM_AUDIO


@every_case
def test_segments_are_the_official_classes(path: Path) -> None:
    case, model = arrays(path), network(path.parent)
    embeddings = encoded(model, official_mel(samples_of(path)))
    for name in PROMPTS[path.stem]:
        found = best_segments(model, prompt_of_ids(case[f"{name}.input_ids"].tolist(), embeddings, AUDIO))
        assert found.tolist() == case[f"{name}.classes"].tolist()


def test_a_prompt_longer_than_one_pass_gives_the_same_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    """Slices of a prompt share one cache, and a slice may hold no timestamp at all."""
    case, model = arrays(DATA / "aligner" / "c_11s.npz"), network()
    prompt = prompt_of_ids(case["twelve.input_ids"].tolist(), mx.array(case["audio_embeds"]), AUDIO)
    monkeypatch.setattr("livecap.model.aligner.PREFILL_SLICE", 40)
    assert best_segments(model, prompt).tolist() == case["twelve.classes"].tolist()


def test_the_prompt_is_sound_then_each_word_with_two_timestamps() -> None:
    tokenizer = Tokenizer.from_folder(DATA / "aligner")
    prompt = aligner_prompt(network(), tokenizer, mx.zeros((2, 64)), ["the", "<timestamp>"])
    ids = [key if isinstance(key, int) else AUDIO for key in prompt.keys]
    assert ids[:4] == [490, AUDIO, AUDIO, 491]
    the, name = tokenizer.encode("the"), tokenizer.encode("<timestamp>")
    assert ids[4:] == [*the, TIMESTAMP, TIMESTAMP, *name, TIMESTAMP, TIMESTAMP]
    assert TIMESTAMP not in name, "text never becomes a control token"


def test_each_word_of_a_text_gets_a_start_and_an_end() -> None:
    model, tokenizer = network(), Tokenizer.from_folder(DATA / "aligner")
    samples = samples_of(DATA / "aligner" / "a_0p7s.npz")
    found = segments_of(model, tokenizer, samples, ["the", "of", "and"])
    assert found.shape == (3, 2) and found.min() >= 0 and found.max() < 300
    assert segments_of(model, tokenizer, samples, []).shape == (0, 2)


def test_an_aligner_and_a_recogniser_are_not_taken_for_each_other() -> None:
    with pytest.raises(ModelError, match="forced aligner, not a recogniser"):
        load(DATA / "aligner")
    with pytest.raises(ModelError, match="a recogniser, not a forced aligner"):
        load(DATA / "asr", aligner=True)
    loaded = load(DATA / "aligner", aligner=True)
    assert loaded.config.aligner is not None and loaded.config.n_logits == 300


@pytest.mark.skipif(not FULL_SET.is_dir(), reason="this checkout has no full parity set")
def test_the_small_set_is_a_copy_of_the_full_one() -> None:
    mine, full = (arrays(folder / "aligner" / "c_11s.npz") for folder in (DATA, FULL_SET))
    assert mine.keys() <= full.keys() and all(np.array_equal(mine[key], full[key]) for key in mine)


def test_numbers_that_are_not_finite_are_an_error_and_no_times() -> None:
    model = network()
    embeddings = mx.full((3, model.config.text.hidden_size), float("nan"))
    prompt = prompt_of_ids([5, AUDIO, AUDIO, AUDIO, 6, TIMESTAMP, TIMESTAMP], embeddings, AUDIO)
    with pytest.raises(ModelError, match="not finite"):
        best_segments(model, prompt)

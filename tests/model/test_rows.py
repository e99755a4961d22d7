"""Several sounds at once have the embeddings and the text that each has alone."""

import os

import numpy as np
import pytest

from livecap.errors import ModelError
from livecap.model.backend import mx
from livecap.model.mel import clamp_and_scale, log_mel_slice, n_mel_frames
from livecap.model.network import Network, convolve_mel, encode_windows
from livecap.model.rows import embed_sounds, generate_rows
from livecap.model.sampling import Sampling
from livecap.model.text.prompt import Prompt
from tests.model.small_models import greedy, small_model

pytestmark = pytest.mark.usefixtures("arithmetic")

GREEDY = Sampling()


def prompts(model: Network, seed: int, n: int) -> list[Prompt]:
    """Prompts of different lengths with random tokens and embeddings."""
    random = np.random.default_rng(seed)
    made = []
    for number in range(n):
        n_audio = int(random.integers(1, 40))
        before = [int(i) for i in random.integers(0, 36, random.integers(1, 6))]
        embeddings = mx.array(random.standard_normal((n_audio, model.config.text.hidden_size)).astype(np.float32))
        keys = (*before, *((number, i) for i in range(n_audio)), *(int(i) for i in random.integers(0, 36, 3)))
        made.append(Prompt(keys, embeddings))
    return made


def alone(model: Network, prompt: Prompt, budget: int) -> tuple[list[int], bool]:
    """The text of one prompt by itself, and whether the model ended it."""
    cache = model.new_cache()
    ids = [token.id for token in greedy(model, cache, prompt, budget)]
    if ids and ids[-1] in model.config.eos_token_ids:
        return ids[:-1], True
    return ids, False


@pytest.mark.parametrize("lookahead", [False, True])
@pytest.mark.parametrize("seed", range(6 if os.environ.get("LIVECAP_PROVE") else 2))
def test_rows_have_the_text_of_each_prompt_alone(seed: int, lookahead: bool) -> None:
    """Texts of different lengths: rows leave at different times, by their end or by their budget."""
    model = small_model(seed, eos=(0, 7, 13, 22, 30))
    some = prompts(model, seed, 7)
    budgets = [3, 30, 1, 17, 30, 8, 30]
    texts = generate_rows(model, some, budgets, GREEDY, lookahead=lookahead)
    expected = [alone(model, prompt, budget) for prompt, budget in zip(some, budgets, strict=True)]
    assert [([token.id for token in text.tokens], text.is_complete) for text in texts] == expected
    assert len({len(ids) for ids, _ in expected}) > 2, "rows of equal length would prove less"


def test_a_row_without_budget_has_no_text() -> None:
    model = small_model(1)
    some = prompts(model, 1, 3)
    texts = generate_rows(model, some, [0, 5, 0], GREEDY)
    assert [len(text.tokens) for text in texts] == [0, len(alone(model, some[1], 5)[0]), 0]
    assert generate_rows(model, some, [0, 0, 0], GREEDY)[1].tokens == []


def test_margins_are_those_of_each_prompt_alone() -> None:
    model = small_model(3)
    some = prompts(model, 3, 4)
    texts = generate_rows(model, some, [6] * 4, GREEDY)
    for prompt, text in zip(some, texts, strict=True):
        cache = model.new_cache()
        margins = [token.margin for token in greedy(model, cache, prompt, 6)]
        assert [token.margin for token in text.tokens] == pytest.approx(margins[: len(text.tokens)], abs=1e-3)


@pytest.mark.parametrize("seconds", [[0.11], [0.4, 0.7], [3.3, 0.5, 8.0, 1.0, 17.2, 24.0], [8.0, 8.0], [9.0, 0.2]])
def test_sounds_have_the_embeddings_of_each_sound_alone(seconds: list[float]) -> None:
    """Shorter than a conv block, whole windows, and windows that are cut off, in any order."""
    model = small_model(2)
    random = np.random.default_rng(4)
    sounds = [(random.standard_normal(round(s * 16_000)) * 0.1).astype(np.float32) for s in seconds]
    together = embed_sounds(model, sounds)
    for sound, embeddings in zip(sounds, together, strict=True):
        log_mel = log_mel_slice(sound, 0, n_mel_frames(len(sound)))
        mel = clamp_and_scale(log_mel, float(np.array(log_mel.max())))
        expected = np.array(encode_windows(model, convolve_mel(model, mel)))
        assert embeddings.shape == expected.shape
        np.testing.assert_allclose(np.array(embeddings), expected, atol=2e-4)


@pytest.mark.parametrize("sampling", [GREEDY, Sampling(temperature=1.0), Sampling(repetition_penalty=1.2)])
def test_numbers_that_are_not_finite_are_an_error_however_tokens_are_chosen(sampling: Sampling) -> None:
    model = small_model()
    [prompt] = prompts(model, 3, 1)
    broken = Prompt(prompt.keys, prompt.audio_embeddings * mx.array(np.nan))
    with pytest.raises(ModelError, match="not finite"):
        generate_rows(model, [broken], [5], sampling)

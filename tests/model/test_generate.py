"""Generation: the same tokens however they are computed, and a cache that is always consistent."""

import itertools
import os

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from livecap.model import generate
from livecap.model.backend import mx
from livecap.model.generate import as_tokens, best_rows, generate_drafted, prefill, verify
from livecap.model.network import Network
from livecap.model.nn import quantize
from livecap.model.numpy.network import NumpyQwen3ASR
from livecap.model.text.prompt import Prompt
from tests.model import small_models
from tests.model.parity import farthest
from tests.model.small_models import greedy, in_tested_arithmetic, small_mlx_model, small_model

pytestmark = pytest.mark.usefixtures("arithmetic")
KEYS = (3, 1, 4, 1, 5, 9, 2, 6)
PROMPT = Prompt(KEYS, mx.zeros((0, 16)))
PROVE = bool(os.environ.get("LIVECAP_PROVE"))
both_ways = pytest.mark.parametrize("ahead", [False, True], ids=["in_turn", "ahead"])


def text_of(model: Network, n: int, ahead: bool = False) -> list[int]:
    cache = model.new_cache()
    return [token.id for token in greedy(model, cache, PROMPT, n, ahead)]


def by_hand(model: Network, n: int) -> list[int]:
    """Greedy tokens without a cache: the whole text is computed again for each."""
    ids = list(KEYS)
    for _ in range(n):
        logits = model.logits(model(model.embed(mx.array(ids))[None], model.new_cache())[0, -1])
        ids.append(int(mx.argmax(logits).item()))
    return ids[len(KEYS) :]


@pytest.mark.parametrize("seed", range(4))
@both_ways
def test_steps_are_passes_over_the_whole_text(seed: int, ahead: bool) -> None:
    model = small_model(seed, eos=(1000,))
    assert text_of(model, 12, ahead) == by_hand(model, 12)


@pytest.mark.parametrize("n_held", [1, 3])
@pytest.mark.parametrize("n_last", [1, 2, 5])
def test_positions_that_are_not_needed_are_not_computed_and_change_nothing(n_held: int, n_last: int) -> None:
    model = small_model()
    asked, whole = model.new_cache(), model.new_cache()
    for cache in (asked, whole):
        mx.eval(model(model.embed(mx.array(KEYS[:n_held]))[None], cache))
    rest = model.embed(mx.array(KEYS[n_held:]))[None]
    got, expected = model(rest, asked, n_last), model(rest, whole)
    assert got.shape[1] == n_last
    assert farthest(got, np.array(expected[:, -n_last:])) < 1e-5
    assert len(asked.layers) == len(whole.layers) and asked.layers[-1].offset == len(KEYS)
    one_more = model.embed(mx.array([7]))[None]
    assert farthest(model(one_more, asked), np.array(model(one_more, whole))) < 1e-5


@both_ways
def test_the_end_of_the_text_is_yielded_and_not_cached(ahead: bool) -> None:
    ids = text_of(small_model(eos=(1000,)), 12)
    eos = ids[5]
    first = ids.index(eos)
    model = small_model(eos=(eos,))
    cache = model.new_cache()
    tokens = [t.id for t in greedy(model, cache, PROMPT, 12, ahead)]
    assert tokens == ids[: first + 1]
    assert tuple(cache.keys) == KEYS + tuple(ids[:first])
    assert {layer.offset for layer in cache.layers} == {len(cache.keys)}


@both_ways
@pytest.mark.parametrize("n_taken", [0, 1, 3])
def test_the_cache_holds_what_was_yielded_after_an_early_end(n_taken: int, ahead: bool) -> None:
    model = small_model(eos=(1000,))
    cache = model.new_cache()
    tokens = greedy(model, cache, PROMPT, 12, ahead)
    taken = [token.id for token in itertools.islice(tokens, n_taken)]
    tokens.close()
    assert tuple(cache.keys) == KEYS + tuple(taken)
    assert {layer.offset for layer in cache.layers} == {len(cache.keys)}
    more = Prompt(tuple(cache.keys), mx.zeros((0, 16)))
    again = greedy(model, cache, more, 4)
    assert [token.id for token in again] == text_of(model, n_taken + 4)[n_taken:]


@both_ways
def test_a_step_that_fails_leaves_a_consistent_cache(ahead: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    model = small_model(eos=(1000,))
    cache = model.new_cache()
    tokens = greedy(model, cache, PROMPT, 12, ahead)
    taken = next(tokens).id

    def fail(hidden: mx.array) -> mx.array:
        raise KeyboardInterrupt

    monkeypatch.setattr(model, "logits", fail)
    with pytest.raises(KeyboardInterrupt):
        next(tokens)
    assert cache.keys == [*KEYS, taken]
    assert {layer.offset for layer in cache.layers} == {len(cache.keys)}


def test_the_budget_limits_the_tokens() -> None:
    model = small_model(eos=(1000,))
    assert text_of(model, 0) == []
    assert len(text_of(model, 7)) == 7


def test_a_token_has_its_margin() -> None:
    model = small_model(eos=(1000,))
    cache = model.new_cache()
    values = np.array(model.logits(prefill(model, cache, PROMPT)[-1])).astype(np.float64)
    token = next(greedy(model, cache, PROMPT, 1))
    second, best = np.sort(values)[-2:]
    assert token.id == int(values.argmax())
    assert token.margin == pytest.approx(best - second, abs=1e-5)


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("bits", [None, 8])
def test_blocks_of_the_vocabulary_are_one_block(tied: bool, bits: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    if bits and small_models.by_numpy:
        pytest.skip("NumPy computes no packed weights")
    mlx_model = small_mlx_model(vocab_size=1500, tie_word_embeddings=tied, hidden_size=64)
    if bits:
        quantize(mlx_model, 64, bits, class_predicate=lambda name, _: "embed_tokens" in name or name == "lm_head")
    model = in_tested_arithmetic(mlx_model)
    hidden = mx.random.normal((9, 64))
    whole = as_tokens(best_rows(model, hidden))
    sizes = []

    def logits(hidden: mx.array, rows: slice) -> mx.array:
        sizes.append(len(range(1500)[rows]))
        return type(model).logits(model, hidden, rows)

    monkeypatch.setattr(model, "logits", logits)
    monkeypatch.setattr(generate, "BLOCK_BYTES", 9 * 4 * 700)
    tokens = as_tokens(best_rows(model, hidden))
    assert sizes == [512, 512, 476]
    assert [token.id for token in tokens] == [token.id for token in whole]
    assert [token.margin for token in tokens] == pytest.approx([token.margin for token in whole], abs=1e-5)


@pytest.mark.parametrize("size", [1, 2, 3, 5, 8])
@pytest.mark.parametrize("n_last", [1, 3, 8])
def test_slices_of_a_prefill_are_one_pass(size: int, n_last: int, monkeypatch: pytest.MonkeyPatch) -> None:
    model = small_model()
    whole = np.array(prefill(model, model.new_cache(), PROMPT, n_last))
    monkeypatch.setattr(generate, "PREFILL_SLICE", size)
    cache = model.new_cache()
    assert farthest(prefill(model, cache, PROMPT, n_last), whole) < 1e-5
    assert tuple(cache.keys) == KEYS


def test_logits_of_several_positions_are_those_of_each_alone() -> None:
    model = small_model()
    last = np.array(prefill(model, model.new_cache(), PROMPT, 3))
    for n in range(3):
        shorter = Prompt(KEYS[: len(KEYS) - 2 + n], mx.zeros((0, 16)))
        assert farthest(prefill(model, model.new_cache(), shorter)[0], last[n]) < 1e-5


def test_a_cached_prompt_computes_only_the_needed_positions(monkeypatch: pytest.MonkeyPatch) -> None:
    model = small_model()
    cache = model.new_cache()
    first = np.array(prefill(model, cache, PROMPT))
    lengths: list[int] = []
    embeddings = Prompt.embeddings

    def counting(prompt: Prompt, model: Network, start: int, stop: int) -> mx.array:
        lengths.append(stop - start)
        return embeddings(prompt, model, start, stop)

    monkeypatch.setattr(Prompt, "embeddings", counting)
    assert farthest(prefill(model, cache, PROMPT), first) < 1e-5
    assert lengths == [1]


def test_an_untied_head_is_its_own_matrix() -> None:
    model = small_mlx_model(tie_word_embeddings=False)
    hidden = mx.random.normal((2, 16))
    expected = np.array(hidden @ model.parameter_arrays()["lm_head.weight"].T)
    assert farthest(in_tested_arithmetic(model).logits(hidden), expected) < 1e-5


def test_the_numpy_network_frees_the_weights_of_mlx() -> None:
    model = small_mlx_model(tie_word_embeddings=False)
    NumpyQwen3ASR(model)
    assert not model.parameter_arrays()


def test_a_cache_belongs_to_the_network_that_made_it() -> None:
    mlx, numpy = small_mlx_model(), NumpyQwen3ASR(small_mlx_model())
    for model, other in ((mlx, numpy), (numpy, mlx)):
        with pytest.raises(AssertionError, match="another network"):
            prefill(model, other.new_cache(), PROMPT)


@settings(max_examples=300 if PROVE else 15)
@given(st.integers(0, 5), st.lists(st.integers(0, 37), max_size=12), st.integers(0, 12), st.integers(1, 14), st.data())
def test_a_draft_changes_the_passes_and_never_the_text(
    seed: int, noise: list[int], n_true: int, budget: int, data: st.DataObject
) -> None:
    """Drafts that begin true, go wrong, drop or double a word, and are true again."""
    model = small_model(seed)
    plain = text_of(model, budget)
    text = [token for token in text_of(model, 14) if token not in model.config.eos_token_ids]
    at = data.draw(st.integers(0, len(text)))
    draft = [*text[:n_true], *noise, *text[at:]]
    cache = model.new_cache()
    prompt = Prompt((*KEYS, *draft), mx.zeros((0, 16)))
    accepted, following = verify(model, cache, prompt, len(draft))
    rest = draft[len(accepted) :]
    said = [token.id for token in accepted]
    for token, _ in generate_drafted(model, cache, following, rest, budget - len(said)):
        said.append(token.id)
    assert said == (plain if len(accepted) < budget else [token.id for token in accepted])
    held = [token for token in said if token not in model.config.eos_token_ids]
    assert cache.keys == [*KEYS, *held]
    assert {layer.offset for layer in cache.layers} == {len(cache.keys)}


def test_a_correct_draft_costs_no_pass() -> None:
    model = small_model(eos=(1000,))
    text = text_of(model, 10)
    accepted, _ = verify(model, model.new_cache(), Prompt((*KEYS, *text), mx.zeros((0, 16))), 10)
    assert [token.id for token in accepted] == text


def test_one_wrong_word_in_a_draft_does_not_spoil_the_rest() -> None:
    model = small_model(seed=3, eos=(1000,))
    text = text_of(model, 9)
    wrong = [*text[:3], (text[3] + 1) % 38, *text[4:]]
    cache = model.new_cache()
    accepted, following = verify(model, cache, Prompt((*KEYS, *wrong), mx.zeros((0, 16))), 9)
    said = list(generate_drafted(model, cache, following, wrong[len(accepted) :], 6))
    assert [token.id for token, _ in said] == text[3:]
    assert [guessed for _, guessed in said].count(False) <= 2

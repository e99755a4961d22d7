"""The cache holds what a fresh pass would compute, and its keys name it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from livecap.model.backend import mx
from livecap.model.cache import GROWTH, KVCache, PromptCache
from livecap.model.generate import prefill
from livecap.model.network import Network
from livecap.model.numpy.decoder import KVColumns
from livecap.model.text.prompt import Prompt
from tests.model.parity import farthest
from tests.model.small_models import greedy, small_model

pytestmark = pytest.mark.usefixtures("arithmetic")
N_AUDIO = 6
AUDIO = mx.array(np.random.default_rng(3).standard_normal((N_AUDIO, 16)).astype(np.float32))


def new_keys(n: int) -> mx.array:
    return mx.arange(2 * n * 4, dtype=mx.float32).reshape(1, 2, n, 4)


@pytest.fixture(scope="module")
def model(arithmetic: None) -> Network:
    return small_model()


def prompt_of(keys: list[int]) -> Prompt:
    """A prompt of keys; those from 40 on name audio embeddings, always the same one."""
    named = tuple(key if key < 40 else ("audio", key) for key in keys)
    rows = [AUDIO[key - 40] for key in keys if key >= 40]
    return Prompt(named, mx.stack(rows) if rows else mx.zeros((0, 16)))


def test_storage_grows_in_blocks_and_keeps_its_content() -> None:
    cache = KVCache()
    pieces = [new_keys(n) + n for n in (3, GROWTH - 3, 1, 2 * GROWTH)]
    for piece in pieces:
        keys, values = cache.update_and_fetch(piece, -piece)
    whole = np.concatenate([np.array(piece) for piece in pieces], axis=2)
    assert farthest(keys, whole) == 0 and farthest(values, -whole) == 0
    assert cache.offset == 3 * GROWTH + 1 and cache.capacity == 4 * GROWTH


def test_trimmed_positions_are_overwritten() -> None:
    cache = KVCache()
    cache.update_and_fetch(new_keys(5), new_keys(5))
    cache.trim_to(2)
    keys, _ = cache.update_and_fetch(new_keys(1) + 50, new_keys(1))
    assert keys.shape == (1, 2, 3, 4)
    assert farthest(keys[:, :, :2], np.array(new_keys(5))[:, :, :2]) == 0
    assert farthest(keys[:, :, 2:], np.array(new_keys(1) + 50)) == 0


def test_fetched_arrays_do_not_change_later() -> None:
    cache = KVCache()
    before, _ = cache.update_and_fetch(new_keys(3), new_keys(3))
    cache.trim_to(1)
    cache.update_and_fetch(new_keys(2) + 9, new_keys(2))
    assert farthest(before, np.array(new_keys(3))) == 0


def test_columns_grow_in_blocks_and_keep_their_content() -> None:
    cache = KVColumns(2, 4)
    whole = np.random.default_rng(0).standard_normal((2, 4, 3 * GROWTH + 1)).astype(np.float32)
    at = 0
    for n in (3, GROWTH - 3, 1, 2 * GROWTH):
        keys, values = cache.append(n)
        keys[:], values[:] = whole[:, :, at : at + n], -whole[:, :, at : at + n]
        at += n
    keys, values = cache.held()
    assert np.array_equal(keys, whole) and np.array_equal(values, -whole)
    assert cache.offset == 3 * GROWTH + 1 and cache.capacity == 4 * GROWTH
    cache.trim_to(5)
    cache.append(1)[0][:] = 7
    assert np.array_equal(cache.held()[0][:, :, :5], whole[:, :, :5]) and (cache.held()[0][:, :, 5:] == 7).all()


@pytest.mark.parametrize("cache", [KVCache(), KVColumns(2, 4)])
@pytest.mark.parametrize("n", [-1, 4])
def test_a_trim_beyond_the_cached_positions_is_refused(cache: KVCache | KVColumns, n: int) -> None:
    cache.offset = 3
    with pytest.raises(AssertionError):
        cache.trim_to(n)


@given(st.lists(st.integers(0, 2), max_size=8), st.lists(st.integers(0, 2), max_size=8))
def test_the_common_prefix_is_the_longest_one(held: list[int], wanted: list[int]) -> None:
    cache = PromptCache([KVCache()])
    cache.keys = list(held)
    n = cache.common_prefix(wanted)
    assert held[:n] == wanted[:n]
    assert n == min(len(held), len(wanted)) or held[n] != wanted[n]


@settings(max_examples=30, deadline=None)
@given(st.lists(st.lists(st.integers(0, 39 + N_AUDIO), min_size=2, max_size=14), min_size=1, max_size=5))
def test_reuse_by_name_is_a_fresh_prefill(model: Network, prompts: list[list[int]]) -> None:
    cache = model.new_cache()
    for n, keys in enumerate(prompts):
        prompt = prompt_of(keys)
        n_last = 1 + n % 2
        reused = prefill(model, cache, prompt, n_last)
        fresh = prefill(model, model.new_cache(), prompt, n_last)
        assert farthest(reused, np.array(fresh)) < 1e-5
        assert tuple(cache.keys) == prompt.keys
        assert [layer.offset for layer in cache.layers] == [len(keys)] * 2


@settings(max_examples=20, deadline=None)
@given(
    st.lists(st.integers(0, 39), min_size=2, max_size=10),
    st.integers(0, 8),
    st.integers(1, 10),
    st.booleans(),
)
def test_text_after_reuse_is_text_after_a_fresh_start(
    model: Network, keys: list[int], n_generated: int, n_kept: int, extend: bool
) -> None:
    cache = model.new_cache()
    tokens = greedy(model, cache, prompt_of(keys), n_generated)
    said = [token.id for token in tokens if token.id not in model.config.eos_token_ids]
    second = prompt_of([*keys[:n_kept], *said] if extend else [*keys, *said])
    again = [token.id for token in greedy(model, cache, second, 5)]
    fresh_cache = model.new_cache()
    fresh = [token.id for token in greedy(model, fresh_cache, second, 5)]
    assert again == fresh
    assert cache.keys == fresh_cache.keys


def test_a_longer_tail_is_another_name() -> None:
    cache = PromptCache([KVCache()])
    cache.keys = [1, (0, 16_000, 0), (0, 16_000, 1), 2]
    assert cache.common_prefix([1, (0, 32_000, 0), (0, 32_000, 1), 2]) == 1

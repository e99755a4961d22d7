"""A network says where its decoder looks: the very weights with which each layer computes."""

import numpy as np
import pytest

from livecap.model.backend import mx
from tests.model.parity import farthest
from tests.model.small_models import in_tested_arithmetic, small_mlx_model, small_model

pytestmark = pytest.mark.usefixtures("arithmetic")
IDS = mx.array([3, 1, 4, 1, 5, 9, 2, 6])


def test_weights_are_those_of_causal_attention() -> None:
    model = small_model()
    first, second = model.attention(model.embed(IDS)[None], model.new_cache(), [0, 1])
    for weights in map(np.array, (first, second)):
        assert weights.shape == (4, 8, 8)
        assert np.allclose(weights.sum(axis=2), 1, atol=1e-6)
        assert (weights[:, np.triu(np.ones((8, 8), bool), k=1)] == 0).all() and (weights >= 0).all()


def test_the_values_that_these_weights_mix_are_the_layers_output() -> None:
    plain = small_mlx_model()
    layer, x = plain.model.layers[0], plain.model.embed_tokens(IDS)[None]
    (weights,) = small_model().attention(x, small_model().new_cache(), [0])
    normed, attention = layer.input_layernorm(x), layer.self_attn
    values = attention.v_proj(normed)[0].reshape(8, 2, 8).transpose(1, 0, 2)  # [H_kv, L, D]
    seen = np.array(weights) @ np.repeat(np.array(values), 2, axis=0)
    ours = attention.o_proj(mx.array(seen.transpose(1, 0, 2).reshape(1, 8, 32)))
    cache = plain.new_cache()
    assert farthest(ours, np.array(attention(normed, cache.layers[0], 8))) < 1e-5


def test_positions_in_the_cache_are_looked_at_too_and_later_layers_are_not_computed() -> None:
    model = small_model()
    whole = np.array(model.attention(model.embed(IDS)[None], model.new_cache(), [1])[0])
    cache = model.new_cache()
    model(model.embed(IDS[:5])[None], cache)
    cache.keys.extend(range(5))
    (rest,) = model.attention(model.embed(IDS[5:])[None], cache, [1])
    assert farthest(rest, whole[:, 5:]) < 1e-6
    cache.trim_layers()
    model.attention(model.embed(IDS[5:])[None], cache, [0])
    assert [layer.offset for layer in cache.layers] == [8, 5]
    cache.trim_layers()
    assert [layer.offset for layer in cache.layers] == [5, 5]


def test_both_arithmetics_look_at_the_same_places() -> None:
    by_mlx, other = small_mlx_model(seed=3), in_tested_arithmetic(small_mlx_model(seed=3))
    x = by_mlx.embed(IDS)[None]
    for ours, theirs in zip(
        other.attention(x, other.new_cache(), [0, 1]), by_mlx.attention(x, by_mlx.new_cache(), [0, 1]), strict=True
    ):
        assert farthest(ours, np.array(theirs)) < 1e-5

"""GELU, SiLU and attention by NumPy are the exact functions, to float32."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from livecap.model import functions
from livecap.model.backend import mx
from livecap.model.functions import attention_by_numpy, gelu, gelu_block, in_blocks, silu, silu_block
from tests.model.parity import farthest

X = np.linspace(-12, 12, 60_001).astype(np.float32)
NORMAL = np.array([0.5 * math.erfc(-x / math.sqrt(2)) for x in X.astype(np.float64)])


def test_gelu_is_the_exact_form() -> None:
    near = np.abs(X) < 4
    error = np.abs(np.array(in_blocks(gelu_block, mx.array(X))) - X * NORMAL)
    assert error[near].max() < 1e-6
    assert (error / np.maximum(np.abs(X), 1)).max() < 4e-7
    assert np.abs(np.array(gelu(mx.array(X))) - X * NORMAL).max() < 2e-6


def test_silu_is_x_times_the_logistic_function() -> None:
    exact = X / (1 + np.exp(-X.astype(np.float64)))
    assert np.abs(np.array(in_blocks(silu_block, mx.array(X))) - exact).max() < 3e-6
    assert np.abs(np.array(silu(mx.array(X))) - exact).max() < 3e-6


def test_what_is_far_out_stays_finite() -> None:
    far = mx.array([-1e30, -200.0, 200.0, 1e30])
    assert np.array(in_blocks(silu_block, far)).tolist() == np.array([0, 0, 200, 1e30], np.float32).tolist()
    assert np.array(in_blocks(gelu_block, far)).tolist()[2:] == np.array([200, 1e30], np.float32).tolist()


def test_blocks_keep_shape_and_order() -> None:
    x = np.random.default_rng(0).standard_normal((3, 7, 2999)).astype(np.float32)
    moved = mx.array(x).transpose(2, 0, 1)
    got = np.array(in_blocks(silu_block, moved))
    np.testing.assert_allclose(got, np.transpose(x / (1 + np.exp(-x)), (2, 0, 1)), atol=1e-5)


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 9), st.integers(0, 12), st.sampled_from([1, 2, 4]), st.booleans(), st.integers(0, 99))
def test_attention_is_mlxs(L: int, n_past: int, group: int, causal: bool, seed: int) -> None:
    rng = np.random.default_rng(seed)
    n_kv_heads, D = 2, 8

    def random(heads: int, length: int) -> mx.array:
        return mx.array(3 * rng.standard_normal((1, heads, length, D)).astype(np.float32))

    q = random(n_kv_heads * group, L)
    k, v = random(n_kv_heads, L + n_past), random(n_kv_heads, L + n_past)
    ours = attention_by_numpy(q, k, v, D**-0.5, causal)
    theirs = mx.fast.scaled_dot_product_attention(q, k, v, scale=D**-0.5, mask="causal" if causal else None)
    assert farthest(ours, np.array(theirs)) < 1e-5


def test_other_types_than_float32_go_to_mlx(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(functions, "FEWEST_NUMBERS", 0)
    assert gelu(mx.ones((4,), dtype=mx.bfloat16)).dtype == mx.bfloat16
    assert silu(mx.ones((4,), dtype=mx.float16)).dtype == mx.float16

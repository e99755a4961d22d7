"""The functions between the products are exact to float32, however the work is divided."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from livecap.model.backend import mx
from livecap.model.numpy import cores, functions
from livecap.model.numpy.functions import attend, gelu, layer_norm, rms_norm, swiglu
from livecap.model.numpy.products import Numbers, Scratch

X = np.linspace(-12, 12, 60_001).astype(np.float32)
NORMAL = np.array([0.5 * math.erfc(-x / math.sqrt(2)) for x in X.astype(np.float64)])


def random(seed: int, *shape: int) -> Numbers:
    return 3 * np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)


@pytest.fixture(params=[1, 3], ids=["one core", "three cores"])
def n_cores(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(functions, "FEWEST_SHARED", 1)
    monkeypatch.setattr(cores, "n_cores", lambda: request.param)


def gelu_of(x: Numbers) -> Numbers:
    out = x.reshape(-1, 1).copy()
    gelu(out, np.zeros_like(out))
    return out.reshape(x.shape)


def silu_of(x: Numbers) -> Numbers:
    return swiglu(np.concatenate([x, np.ones_like(x)])[:, None])[:, 0]


def test_gelu_is_the_exact_form() -> None:
    near = np.abs(X) < 4
    error = np.abs(gelu_of(X) - X * NORMAL)
    assert error[near].max() < 1e-6
    assert (error / np.maximum(np.abs(X), 1)).max() < 4e-7


def test_silu_is_x_times_the_logistic_function() -> None:
    exact = X / (1 + np.exp(-X.astype(np.float64)))
    assert np.abs(silu_of(X) - exact).max() < 3e-6


def test_extreme_values_stay_finite() -> None:
    far = np.array([-1e30, -200.0, 200.0, 1e30], np.float32)
    assert silu_of(far).tolist() == np.array([0, 0, 200, 1e30], np.float32).tolist()
    assert gelu_of(far).tolist()[2:] == np.array([200, 1e30], np.float32).tolist()


@pytest.mark.usefixtures("n_cores")
@pytest.mark.parametrize("shape", [(1, 1), (7, 2999), (300, 70), (20_000, 1)])
def test_every_row_has_its_own_bias_and_its_own_gate(shape: tuple[int, int]) -> None:
    x, bias = random(0, *shape), random(1, shape[0], 1)
    biased = x.copy()
    gelu(biased, bias)
    np.testing.assert_allclose(biased, gelu_of(x + bias), atol=1e-6)
    gated = swiglu(np.concatenate([x, x + 1]))
    np.testing.assert_allclose(gated, silu_of(x.ravel()).reshape(shape) * (x + 1), rtol=1e-5, atol=1e-6)


@given(st.integers(1, 40), st.integers(1, 9), st.integers(0, 99))
def test_norms_are_those_of_mlx(n_features: int, n: int, seed: int) -> None:
    x, weight, bias = random(seed, n_features, n), random(seed + 1, n_features, 1), random(seed + 2, n_features, 1)
    rows, w, b = mx.array(x.T.copy()), mx.array(weight[:, 0].copy()), mx.array(bias[:, 0].copy())
    root = rms_norm(x, 1e-6, np.empty_like(x))
    np.testing.assert_allclose((root * weight).T, np.array(mx.fast.rms_norm(rows, w, 1e-6)), rtol=1e-4, atol=1e-4)
    centred = layer_norm(x, weight, bias, 1e-5, np.empty_like(x))
    np.testing.assert_allclose(centred.T, np.array(mx.fast.layer_norm(rows, w, b, 1e-5)), rtol=1e-3, atol=2e-3)


@pytest.mark.usefixtures("n_cores")
@settings(max_examples=25, deadline=None)
@given(st.integers(1, 9), st.integers(0, 12), st.sampled_from([1, 2, 4]), st.booleans(), st.integers(0, 99))
def test_attention_is_that_of_mlx(n: int, n_past: int, n_group: int, causal: bool, seed: int) -> None:
    n_kv_heads, D = 2, 8
    q = random(seed, n_kv_heads, n_group, D, n)
    k, v = random(seed + 1, n_kv_heads, D, n + n_past), random(seed + 2, n_kv_heads, D, n + n_past)
    ours = attend(q * np.float32(D**-0.5), k, v, Scratch(), causal)

    def heads(x: Numbers) -> mx.array:
        return mx.array(x.reshape(1, -1, *x.shape[-2:]).swapaxes(2, 3).copy())

    mask = "causal" if causal else None
    theirs = mx.fast.scaled_dot_product_attention(heads(q), heads(k), heads(v), scale=D**-0.5, mask=mask)
    # Scores reach 100, whose rounding alone makes 1e-5 of difference; 25,000 cases had 2e-5 at most.
    np.testing.assert_allclose(heads(ours), theirs, atol=1e-4)

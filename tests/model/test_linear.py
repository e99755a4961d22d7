"""Products by NumPy are MLX's products, whatever the shapes."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from livecap.model import cores, nn
from livecap.model import linear as linear_module
from livecap.model.backend import mx
from livecap.model.linear import MOST_MULTIPLICATIONS, block_rows, linear, product
from tests.model.parity import farthest


@pytest.fixture
def everything_by_numpy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linear_module, "FEWEST_WEIGHTS", 0)
    monkeypatch.setattr(linear_module, "FEWEST_SHARED", 1)
    monkeypatch.setattr(cores, "n_cores", lambda: 3)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 60), st.integers(1, 300), st.integers(1, 400), st.integers(0, 99))
@example(n_rows=9, n_columns=16 * 3 + 1, n_inner=64, seed=0)
@example(n_rows=48, n_columns=200, n_inner=1302, seed=0)
def test_a_product_has_every_row_and_column(n_rows: int, n_columns: int, n_inner: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n_rows, n_inner), dtype=np.float32)
    weight = rng.standard_normal((n_columns, n_inner), dtype=np.float32)
    exact = x.astype(np.float64) @ weight.astype(np.float64).T
    np.testing.assert_allclose(product(x, weight), exact, atol=1e-4 * n_inner**0.5)


@pytest.mark.usefixtures("everything_by_numpy")
@pytest.mark.parametrize("n_rows", [1, 2, 17, 48, 49, 130])
@pytest.mark.parametrize("n_columns", [1, 15, 16, 100, 300])
def test_work_shared_out_among_cores_is_the_same(n_rows: int, n_columns: int) -> None:
    rng = np.random.default_rng(n_rows)
    x = rng.standard_normal((n_rows, 70), dtype=np.float32)
    weight = rng.standard_normal((n_columns, 70), dtype=np.float32)
    np.testing.assert_allclose(product(x, weight), x @ weight.T, atol=1e-4)


@given(st.integers(1, 500), st.integers(1, 20_000))
def test_blocks_count_as_small(n_rows: int, n_inner: int) -> None:
    assert block_rows(n_rows, n_inner) * n_rows * n_inner <= MOST_MULTIPLICATIONS


@pytest.mark.usefixtures("everything_by_numpy")
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(5,), (1, 1, 5), (2, 3, 5), (0, 5)])
def test_a_layer_keeps_the_shape_of_what_it_is_given(shape: tuple[int, ...], bias: bool) -> None:
    rng = np.random.default_rng(1)
    layer = nn.Linear(5, 7, bias=bias)
    x = mx.array(rng.standard_normal(shape, dtype=np.float32))
    expected = x @ layer.weight.T + (layer.bias if bias else 0)
    assert layer(x).shape == (*shape[:-1], 7)
    assert x.size == 0 or farthest(layer(x), np.array(expected)) < 1e-5


@pytest.mark.usefixtures("everything_by_numpy")
@pytest.mark.parametrize("frames", [1, 2, 8, 25, 100])
def test_a_convolution_by_patches_is_mlxs(frames: int) -> None:
    rng = np.random.default_rng(frames)
    layer = nn.Conv2d(3, 6, kernel_size=3, stride=2, padding=1)
    moved = mx.array(rng.standard_normal((2, 3, frames, 16), dtype=np.float32)).transpose(0, 3, 2, 1)
    theirs = mx.conv2d(moved, layer.weight, stride=2, padding=1) + layer.bias
    assert farthest(layer(moved), np.array(theirs)) < 1e-5


@pytest.mark.usefixtures("everything_by_numpy")
def test_half_precision_stays_with_mlx() -> None:
    x, weight = mx.ones((2, 4), dtype=mx.bfloat16), mx.ones((3, 4), dtype=mx.bfloat16)
    assert linear(x, weight).dtype == mx.bfloat16

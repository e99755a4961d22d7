"""NumPy's products are exact for all shapes, however the work is divided."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from livecap.model.backend import mx
from livecap.model.numpy import cores, products
from livecap.model.numpy.products import (
    COLUMNS,
    DEPTH,
    MOST_MULTIPLICATIONS,
    MOST_ON_ONE_THREAD,
    SINGLE_COLUMNS,
    Numbers,
    Scratch,
    block_rows,
    has_small_kernels,
    most_columns,
    own,
    product,
)


def random(seed: int, *shape: int) -> Numbers:
    return np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)


@pytest.fixture(autouse=True, params=[False, True])
def small_kernels(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether the processor has kernels for small matrices."""
    monkeypatch.setattr(products, "has_small_kernels", lambda: request.param)
    monkeypatch.setattr(products, "FEWEST_NUMBERS", 0)
    found: bool = request.param
    return found


def multiplied(weight: Numbers, x: Numbers) -> Numbers:
    return product(weight, x, np.full((len(weight), x.shape[1]), np.nan, np.float32))


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 170), st.integers(1, 300), st.integers(1, 400), st.integers(0, 99))
@example(n_columns=9, n_rows=16 * 3 + 1, n_inner=64, seed=0)
@example(n_columns=48, n_rows=200, n_inner=1302, seed=0)
@example(n_columns=130, n_rows=1100, n_inner=2049, seed=0)
@example(n_columns=3, n_rows=513, n_inner=3072, seed=0)
def test_a_product_has_every_row_and_column(n_columns: int, n_rows: int, n_inner: int, seed: int) -> None:
    weight, x = random(seed, n_rows, n_inner), random(seed + 1, n_inner, n_columns)
    exact = weight.astype(np.float64) @ x.astype(np.float64)
    np.testing.assert_allclose(multiplied(weight, x), exact, atol=1e-4 * n_inner**0.5)


@pytest.mark.parametrize("n_columns", [1, 2, 17, 48, 49, 130])
@pytest.mark.parametrize("n_rows", [1, 15, 16, 100, 300])
def test_work_divided_among_cores_is_the_same(n_columns: int, n_rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(products, "FEWEST_SHARED", 1)
    monkeypatch.setattr(cores, "n_cores", lambda: 3)
    weight, x = random(n_rows, n_rows, 70), random(n_columns, 70, n_columns)
    np.testing.assert_allclose(multiplied(weight, x), weight @ x, atol=1e-4)


@given(st.integers(1, COLUMNS), st.integers(1, DEPTH))
def test_blocks_count_as_small(n_columns: int, n_inner: int) -> None:
    n_columns = min(n_columns, most_columns())
    most = MOST_MULTIPLICATIONS if products.has_small_kernels() else MOST_ON_ONE_THREAD
    assert 8 <= block_rows(n_columns, n_inner) <= most // (n_columns * n_inner)


@pytest.mark.parametrize("n_columns", [1, 5, 6, 7])
@pytest.mark.parametrize(("n_rows", "n_inner"), [(64, 1024), (513, 768), (300, 2049), (7, 1024)])
def test_a_few_columns_have_no_product_that_blas_divides(
    small_kernels: bool, n_columns: int, n_rows: int, n_inner: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[tuple[int, ...], tuple[int, ...]]] = []
    matmul = np.matmul

    def watched(a: Numbers, b: Numbers, **named: Numbers) -> Numbers:
        asked.append((a.shape[-2:], b.shape[-2:]))
        return matmul(a, b, **named)

    monkeypatch.setattr(products.np, "matmul", watched)
    weight, x = random(0, n_rows, n_inner), random(1, n_inner, n_columns)
    np.testing.assert_allclose(multiplied(weight, x), weight @ x, atol=2e-3)
    if not small_kernels and n_columns > 1:
        assert all(m * k * n <= MOST_ON_ONE_THREAD for (m, k), (_, n) in asked)
        alone = [m * k for (m, k), (_, n) in asked if n == 1]
        assert bool(alone) == (n_columns <= SINGLE_COLUMNS and n_rows > 8) and max(alone, default=0) < 9216


@pytest.mark.parametrize(
    ("config", "most"),
    [
        ({"SIMD Extensions": {"found": ["X86_V3", "X86_V4"]}}, products.MOST_COLUMNS),
        ({"SIMD Extensions": {"found": ["AVX512F", "AVX512_SKX"]}}, products.MOST_COLUMNS),
        ({"SIMD Extensions": {"found": ["X86_V3"]}}, products.FEW_COLUMNS),
        ({"SIMD Extensions": {"baseline": ["NEON"]}}, products.FEW_COLUMNS),
        ({}, products.FEW_COLUMNS),
    ],
)
def test_small_products_of_many_columns_need_kernels_for_them(
    config: dict[str, dict[str, list[str]]], most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(np, "show_config", lambda mode: config)
    monkeypatch.setattr(products, "has_small_kernels", has_small_kernels.__wrapped__)
    assert most_columns() == most


def test_weights_are_stacked() -> None:
    first, second = random(0, 3, 5), random(1, 2, 5)
    theirs = mx.array(first)
    ours = own(theirs, mx.array(second))
    assert np.array_equal(ours, np.concatenate([first, second])) and ours.flags.c_contiguous
    ours[0] = 0
    assert np.array_equal(np.array(theirs), first)


def test_a_reused_buffer_has_the_wanted_shape() -> None:
    scratch = Scratch()
    for shape in [(3, 4), (50, 7), (2, 2, 2), (60, 7)]:
        taken = scratch.take("name", *shape)
        assert taken.shape == shape and taken.flags.c_contiguous
    assert np.shares_memory(scratch.take("name", 4), taken)
    assert not np.shares_memory(scratch.take("another", 4), taken)

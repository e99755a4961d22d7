"""x Wᵀ + b: MLX's product, or on the CPU and for large matrices NumPy's.

A decoder that says one token, or verifies a few, multiplies a few rows by every weight there is: reading the weights
once is all that it should cost. The BLAS under MLX's CPU build first copies a matrix into an order of its own, which
pays for many rows and costs several times the reading for few. NumPy's multiplies small matrices in place; so for few
rows the weights go there in blocks of rows that count as small, shared out among the processor's cores. For many rows
NumPy's is the newer of the two, and shares its work out without losing a turn whenever another program runs.
"""

import numpy as np
from numpy.typing import NDArray

from livecap.model.backend import mx, on_cpu
from livecap.model.cores import share_out

MOST_MULTIPLICATIONS = 1_000_000
"""Of one block: OpenBLAS takes matrices up to this as small (its `SMALL_MATRIX_OPT`)."""
MOST_ROWS = 48
"""Of x: with more, copying pays."""
MOST_BLOCK_ROWS = 64
FEWEST_BLOCK_ROWS = 16
FEWEST_WEIGHTS = 1 << 19
"""Smaller matrices are done before the way to NumPy and back is."""
FEWEST_SHARED = 1 << 20
"""Multiplications that are worth waking another core for."""

Numbers = NDArray[np.float32]


def linear(x: mx.array, weight: mx.array, bias: mx.array | None = None) -> mx.array:
    """x [..., K] times the transpose of weight [N, K], plus bias [N]: [..., N]."""
    if not (by_numpy(weight) and x.dtype == mx.float32 and x.size):
        return x @ weight.T if bias is None else mx.addmm(bias, x, weight.T)
    rows = np.array(x, copy=False).reshape(-1, weight.shape[1])  # a door: waits for x
    out = mx.array(product(rows, np.array(weight, copy=False))).reshape(*x.shape[:-1], -1)
    return out if bias is None else out + bias


def by_numpy(weight: mx.array) -> bool:
    """Whether a matrix of weights is one for NumPy."""
    return on_cpu and weight.dtype == mx.float32 and weight.size >= FEWEST_WEIGHTS


def product(x: Numbers, weight: Numbers) -> Numbers:
    """x [n_rows, K] times the transpose of weight [N, K], both in C order: [n_rows, N]."""
    out = np.empty((len(weight), len(x)), np.float32)
    block = block_rows(*x.shape)
    if len(x) == 1 or block == 0:
        np.matmul(weight, x.T, out=out)  # its BLAS shares it out by itself
        return out.T

    def multiply(start: int, stop: int) -> None:
        _multiply(weight[start:stop], x, out[start:stop], block)

    share_out(multiply, len(weight), block, FEWEST_SHARED // x.size + 1)
    return out.T


def block_rows(n_rows: int, n_inner: int) -> int:
    """Rows of the weights for a small product with `n_rows` rows of `n_inner` numbers; 0: another way is faster."""
    if n_rows > MOST_ROWS:
        return 0
    most = min(MOST_MULTIPLICATIONS // (n_rows * n_inner), MOST_BLOCK_ROWS)
    return 1 << most.bit_length() - 1 if most >= FEWEST_BLOCK_ROWS else 0


def _multiply(weight: Numbers, x: Numbers, out: Numbers, block: int) -> None:
    """Writes weight [N, K] times the transpose of x [n_rows, K] into out [N, n_rows]."""
    n_columns, n_inner = weight.shape
    whole = n_columns // block * block
    np.matmul(weight[:whole].reshape(-1, block, n_inner), x.T, out=out[:whole].reshape(-1, block, len(x)))
    if whole < n_columns:
        np.matmul(weight[whole:], x.T, out=out[whole:])

"""Weights [N, K] times activations [K, n]: NumPy's product, in the shape in which its BLAS is fastest.

A decoder that says one token, or verifies a few, multiplies a few columns by every weight there is: reading the weights
once is all that it should cost. One column is a matrix-vector product, which does that. For a few, BLAS would first
copy the weights into an order of its own, which costs several times the reading; but small matrices it multiplies in
place. So there the weights go in blocks of rows that count as small, shared out among the processor's cores.
"""

import numpy as np
from numpy.typing import NDArray

from livecap.model.backend import mx
from livecap.model.cpu.cores import share_out

MOST_MULTIPLICATIONS = 1_000_000
"""Of one block: OpenBLAS takes matrices up to this as small (its `SMALL_MATRIX_OPT`)."""
MOST_COLUMNS = 48
"""Of activations: with more, copying pays."""
MOST_BLOCK_ROWS = 64
FEWEST_BLOCK_ROWS = 16
FEWEST_SHARED = 1 << 20
"""Multiplications that are worth waking another core for."""

Numbers = NDArray[np.float32]


def product(weight: Numbers, x: Numbers, out: Numbers) -> Numbers:
    """Writes weight [N, K] times x [K, n] into out [N, n], all in C order; returns it."""
    n_inner, n_columns = x.shape
    block = 0 if n_columns == 1 else block_rows(n_columns, n_inner)
    if block == 0:
        return np.matmul(weight, x, out=out)  # its BLAS shares it out by itself

    def multiply(start: int, stop: int) -> None:
        whole = start + (stop - start) // block * block
        blocks, results = (
            weight[start:whole].reshape(-1, block, n_inner),
            out[start:whole].reshape(-1, block, n_columns),
        )
        np.matmul(blocks, x, out=results)
        if whole < stop:
            np.matmul(weight[whole:stop], x, out=out[whole:stop])

    share_out(multiply, len(weight), block, FEWEST_SHARED // x.size + 1)
    return out


def block_rows(n_columns: int, n_inner: int) -> int:
    """Rows of the weights in a small product with `n_columns` columns of `n_inner` numbers; 0: there is none."""
    if n_columns > MOST_COLUMNS:
        return 0
    most = min(MOST_MULTIPLICATIONS // (n_columns * n_inner), MOST_BLOCK_ROWS)
    return 1 << most.bit_length() - 1 if most >= FEWEST_BLOCK_ROWS else 0


def own(*arrays: mx.array) -> Numbers:
    """A copy of MLX's arrays, one below another, in NumPy's memory: that asks for large pages, in which a matrix-vector
    product reads two fifths faster."""
    first, *others = arrays
    assert all(array.dtype == mx.float32 for array in arrays), "packed or half precision is MLX's"
    out = np.empty((sum(len(array) for array in arrays), *first.shape[1:]), np.float32)
    start = 0
    for array in (first, *others):
        out[start : start + len(array)] = np.array(array, copy=False)  # a door: waits for it
        start += len(array)
    return out


def column(array: mx.array) -> Numbers:
    """A copy of a vector [K] as [K, 1]."""
    return own(array)[:, None]


class Scratch:
    """Buffers that are kept: fresh memory costs more than the sum that is written into it. Of one thread at a time."""

    def __init__(self) -> None:
        self._buffers: dict[str, Numbers] = {}

    def take(self, name: str, *shape: int) -> Numbers:
        """Memory of that shape, in C order, with anything in it. The next of the same name is the same memory."""
        size = int(np.prod(shape))
        buffer = self._buffers.get(name)
        if buffer is None or buffer.size < size:
            buffer = self._buffers[name] = np.empty(size + size // 4, np.float32)
        return buffer[:size].reshape(shape)

"""Weights [N, K] times activations [K, n]: NumPy's products, in the shapes in which its BLAS is fastest.

One column, a token, is a matrix-vector product: reading the weights once is all that it costs. For more, BLAS copies
the weights into an order of its own first, which for a few columns costs several times the reading, and for a prompt of
a hundred still a tenth. But what it counts as small it multiplies in place. So the weights go in blocks that count as
small, pieces that stay in the cache, and the work is shared out among the processor's cores.
"""

from functools import cache

import numpy as np
from numpy.typing import NDArray

from livecap.model.backend import mx
from livecap.model.numpy.cores import share_out

FEWEST_NUMBERS = 1 << 19
"""Of the weights: fewer stay in the cache anyway, and copying them costs little."""
MOST_MULTIPLICATIONS = 1_000_000
"""Of one block: OpenBLAS takes matrices up to this as small (its `SMALL_MATRIX_OPT`)."""
COLUMNS = 64
"""Of one block: four registers of 16 numbers."""
DEPTH = 1024
"""The most inner numbers of one block: with the columns they fill a quarter of the second-level cache."""
MOST_BLOCK_ROWS = 64
PIECE_ROWS = 512
"""Rows of the weights that all columns are multiplied by before the next come."""
MOST_COLUMNS = 160
"""Of activations: for more, copying the weights is nothing."""
FEW_COLUMNS = 16
"""The same for a processor without AVX-512, for which OpenBLAS has no kernels for small matrices."""
FEWEST_SHARED = 1 << 20
"""Multiplications that are worth waking another core for."""

Numbers = NDArray[np.float32]


def product(weight: Numbers, x: Numbers, out: Numbers) -> Numbers:
    """Writes weight [N, K] times x [K, n] into out [N, n], all in C order; returns it."""
    n_inner, n_columns = x.shape
    if n_columns == 1 or n_columns > most_columns() or weight.size < FEWEST_NUMBERS:
        return np.matmul(weight, x, out=out)  # its BLAS shares it out by itself
    depth = -(-n_inner // -(-n_inner // DEPTH))

    def multiply(first: int, last: int) -> None:
        added = np.empty((min(PIECE_ROWS, last - first), n_columns), np.float32)
        for start in range(first, last, PIECE_ROWS):
            rows = slice(start, min(start + PIECE_ROWS, last))
            for at in range(0, n_inner, depth):
                inner = slice(at, at + depth)
                result = added[: rows.stop - start] if at else out[rows]
                for left in range(0, n_columns, COLUMNS):
                    columns = slice(left, left + COLUMNS)
                    _multiply_in_blocks(weight[rows, inner], x[inner, columns], result[:, columns])
                if at:
                    out[rows] += result

    share_out(multiply, len(weight), MOST_BLOCK_ROWS, FEWEST_SHARED // x.size + 1)
    return out


@cache
def most_columns() -> int:
    """Of activations that are multiplied by blocks of weights here."""
    found = np.show_config(mode="dicts").get("SIMD Extensions", {}).get("found", [])  # NumPy leaves out what is empty
    return MOST_COLUMNS if {"AVX512_SKX", "X86_V4"} & set(found) else FEW_COLUMNS


def _multiply_in_blocks(weight: Numbers, x: Numbers, out: Numbers) -> None:
    """The product of parts of matrices; neither is copied."""
    (n_rows, n_inner), n_columns = weight.shape, x.shape[1]
    block = block_rows(n_columns, n_inner)
    whole = n_rows - n_rows % block
    if whole:
        np.matmul(weight[:whole].reshape(-1, block, n_inner), x, out=out[:whole].reshape(-1, block, n_columns))
    if whole < n_rows:
        np.matmul(weight[whole:], x, out=out[whole:])


def block_rows(n_columns: int, n_inner: int) -> int:
    """Rows of the weights in a small product with up to COLUMNS columns of up to DEPTH numbers: a power of two."""
    most = min(MOST_MULTIPLICATIONS // (n_columns * n_inner), MOST_BLOCK_ROWS)
    return 1 << most.bit_length() - 1


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

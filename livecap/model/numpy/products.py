"""Weights [N, K] times activations [K, n]: products in the shapes that NumPy's BLAS computes fastest.

One column, a single token, is a matrix-vector product and costs one reading of the weights. For several columns BLAS
first copies the weights into another order. For a few columns that takes several times as long as reading them, and for
a prompt of a hundred still a tenth of the time. But BLAS does not copy matrices that it counts as small. So the weights
are divided into blocks that count as small, in pieces that fit into the cache, and the work is divided among the cores.
Where BLAS has no such products, a few columns are multiplied one by one by a block of weights that stays in the cache.
"""

from functools import cache

import numpy as np
from numpy.typing import NDArray

from livecap.model.backend import mx
from livecap.model.numpy.cores import share_out

FEWEST_NUMBERS = 1 << 19
"""Smaller weights stay in the cache anyway, and copying them costs little."""
MOST_MULTIPLICATIONS = 1_000_000
"""Multiplications in one block: OpenBLAS counts matrices up to this as small (its `SMALL_MATRIX_OPT`)."""
COLUMNS = 64
"""Columns in one block: four registers of 16 numbers."""
DEPTH = 1024
"""The largest inner dimension of one block. With the columns, it fills a quarter of the second-level cache."""
MOST_BLOCK_ROWS = 64
PIECE_ROWS = 512
"""Rows of the weights that are multiplied by all columns before the next rows."""
MOST_COLUMNS = 160
"""For more columns than this, copying the weights costs next to nothing."""
FEW_COLUMNS = 16
"""Replaces `MOST_COLUMNS` on processors without AVX-512, for which OpenBLAS has no kernels for small matrices."""
MOST_ON_ONE_THREAD = 1 << 18
"""Replaces `MOST_MULTIPLICATIONS` there: OpenBLAS divides a larger product among its own threads, which wait for one
another where several of ours ask for products (its `SMP_THRESHOLD_MIN * GEMM_MULTITHREAD_THRESHOLD`)."""
SINGLE_COLUMNS = 6
"""Up to so many columns are multiplied one by one on those processors."""
MOST_OF_VECTOR = 8192
"""Numbers in the block of weights that is multiplied by one column: in the first-level cache, and too few for
OpenBLAS to divide the product among its own threads (at 9216)."""
FEWEST_SHARED = 1 << 20
"""Multiplications that are worth another core."""

Numbers = NDArray[np.float32]


def product(weight: Numbers, x: Numbers, out: Numbers) -> Numbers:
    """Write weight [N, K] times x [K, n] into out [N, n], all in C order, and return it."""
    n_inner, n_columns = x.shape
    if n_columns == 1 or n_columns > most_columns() or weight.size < FEWEST_NUMBERS:
        return np.matmul(weight, x, out=out)  # BLAS divides it among the cores itself
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


def most_columns() -> int:
    """The most columns that are multiplied by blocks of weights on this processor."""
    return MOST_COLUMNS if has_small_kernels() else FEW_COLUMNS


@cache
def has_small_kernels() -> bool:
    """Whether OpenBLAS has kernels for small matrices for this processor."""
    found = np.show_config(mode="dicts").get("SIMD Extensions", {}).get("found", [])  # NumPy omits empty entries
    return bool({"AVX512_SKX", "X86_V4"} & set(found))


def _multiply_in_blocks(weight: Numbers, x: Numbers, out: Numbers) -> None:
    """Multiply parts of matrices without copying them."""
    (n_rows, n_inner), n_columns = weight.shape, x.shape[1]
    is_single = n_columns <= SINGLE_COLUMNS and not has_small_kernels()
    block = 1 << (MOST_OF_VECTOR // n_inner).bit_length() - 1 if is_single else block_rows(n_columns, n_inner)
    whole = n_rows - n_rows % block
    if whole and is_single:
        vectors = np.ascontiguousarray(x.T)[:, :, None]
        found = np.matmul(weight[:whole].reshape(-1, 1, block, n_inner), vectors)  # block by block, then by column
        out[:whole].reshape(-1, block, n_columns)[:] = found[..., 0].swapaxes(1, 2)
    elif whole:
        np.matmul(weight[:whole].reshape(-1, block, n_inner), x, out=out[:whole].reshape(-1, block, n_columns))
    if whole < n_rows:
        np.matmul(weight[whole:], x, out=out[whole:])


def block_rows(n_columns: int, n_inner: int) -> int:
    """Rows of the weights in one block, a power of two. At most COLUMNS columns and an inner dimension of DEPTH."""
    multiplications = MOST_MULTIPLICATIONS if has_small_kernels() else MOST_ON_ONE_THREAD
    most = min(multiplications // (n_columns * n_inner), MOST_BLOCK_ROWS)
    return 1 << most.bit_length() - 1


def own(*arrays: mx.array) -> Numbers:
    """A stacked copy of MLX's arrays in NumPy's memory.

    NumPy asks for large pages, from which a matrix-vector product reads two fifths faster.
    """
    first, *others = arrays
    assert all(array.dtype == mx.float32 for array in arrays), "packed or half precision is MLX's"
    out = np.empty((sum(len(array) for array in arrays), *first.shape[1:]), np.float32)
    start = 0
    for array in (first, *others):
        out[start : start + len(array)] = np.array(array, copy=False)  # waits for the array
        start += len(array)
    return out


def column(array: mx.array) -> Numbers:
    """A copy of a vector [K] as [K, 1]."""
    return own(array)[:, None]


class Scratch:
    """Reused buffers, because new memory costs more than writing a sum into it. Used by one thread at a time."""

    def __init__(self) -> None:
        self._buffers: dict[str, Numbers] = {}

    def take(self, name: str, *shape: int) -> Numbers:
        """Memory of that shape, in C order, uninitialised. The same name returns the same memory again."""
        size = int(np.prod(shape))
        buffer = self._buffers.get(name)
        if buffer is None or buffer.size < size:
            buffer = self._buffers[name] = np.empty(size + size // 4, np.float32)
        return buffer[:size].reshape(shape)

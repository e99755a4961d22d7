"""The speed of matrix products on this machine, to judge the cost of a model against."""

import time
from collections.abc import Callable

import numpy as np

from livecap.model.backend import mx, on_cpu
from livecap.model.numpy.products import Numbers, product

SHAPE = (3072, 1024)
"""The shape of the matrices: the 0.6B model's feed-forward layers."""
N_MATRICES = 16
"""Together they exceed a processor's caches."""
MANY = 160
REPEATS = 7


def matmul_speed() -> dict[str, float]:
    """Float32 products as in the network: GFLOP/s for 160 positions, gigabytes of weights per second for one."""
    rng = np.random.default_rng(0)
    matrices = [rng.standard_normal(SHAPE, dtype=np.float32) for _ in range(N_MATRICES)]
    n_weights = N_MATRICES * SHAPE[0] * SHAPE[1]
    multiplied = _by_numpy(matrices) if on_cpu else _by_mlx(matrices)
    return {
        "gigaflops": round(2 * MANY * n_weights / multiplied(MANY) / 1e9, 1),
        "weights_gb_per_second": round(4 * n_weights / multiplied(1) / 1e9, 1),
    }


def _by_numpy(matrices: list[Numbers]) -> Callable[[int], float]:
    def seconds(n: int) -> float:
        x, out = np.ones((SHAPE[1], n), np.float32), np.empty((SHAPE[0], n), np.float32)
        return _least_seconds(lambda: [product(matrix, x, out) for matrix in matrices])

    return seconds


def _by_mlx(matrices: list[Numbers]) -> Callable[[int], float]:
    arrays = [mx.array(matrix) for matrix in matrices]
    mx.eval(arrays)

    def seconds(n: int) -> float:
        x = mx.ones((n, SHAPE[1]))
        mx.eval(x)
        return _least_seconds(lambda: mx.eval([x @ array.T for array in arrays]))

    return seconds


def _least_seconds(work: Callable[[], object]) -> float:
    def once() -> float:
        start = time.perf_counter()
        work()
        return time.perf_counter() - start

    return min(once() for _ in range(REPEATS))

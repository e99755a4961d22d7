"""How fast this machine multiplies: what a cost at true size is to be held against."""

import time
from collections.abc import Callable

import numpy as np

from livecap.model.backend import mx
from livecap.model.linear import linear

SHAPE = (3072, 1024)
"""Of the matrices: the 0.6B's feed-forward layers."""
N_MATRICES = 16
"""Together more than a processor's caches hold."""
MANY_ROWS = 160
REPEATS = 7


def arithmetic() -> dict[str, float]:
    """Float32 products as the network makes them: GFLOP/s for 160 rows, and gigabytes of weights a second for one."""
    rng = np.random.default_rng(0)
    matrices = [mx.array(rng.standard_normal(SHAPE, dtype=np.float32)) for _ in range(N_MATRICES)]
    mx.eval(matrices)
    n_weights = N_MATRICES * SHAPE[0] * SHAPE[1]

    def seconds(n_rows: int) -> float:
        x = mx.array(rng.standard_normal((n_rows, SHAPE[1]), dtype=np.float32))
        mx.eval(x)
        return min(_seconds(lambda: mx.eval([linear(x, matrix) for matrix in matrices])) for _ in range(REPEATS))

    return {
        "gigaflops": round(2 * MANY_ROWS * n_weights / seconds(MANY_ROWS) / 1e9, 1),
        "weights_gb_per_second": round(4 * n_weights / seconds(1) / 1e9, 1),
    }


def _seconds(work: Callable[[], None]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start

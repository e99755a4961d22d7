"""Work on NumPy arrays, divided among the cores of the processor."""

import os
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from functools import cache


def share_out(work: Callable[[int, int], None], n: int, piece: int, fewest: int = 1) -> None:
    """Call `work(start, stop)` for ranges that cover range(n), on several cores at once, and wait for all of them.

    Args:
        work: spends most of its time without Python's lock, as NumPy's loops do.
        piece: the size of every range but the last is a multiple of this.
        fewest: the smallest range that is worth another core.
    """
    n_shares = max(1, min(n_cores(), n // fewest))
    share = max(1, -(-n // (n_shares * piece))) * piece
    others = [_others().submit(work, start, min(start + share, n)) for start in range(share, n, share)]
    try:
        work(0, min(share, n))
    finally:
        wait(others)  # even after an error here, no thread may still be writing when this returns
    for other in others:
        other.result()


@cache
def n_cores() -> int:
    """Cores that this process may use, or the number set by OPENBLAS_NUM_THREADS."""
    told = os.environ.get("OPENBLAS_NUM_THREADS", "")
    if told.isdecimal() and int(told) > 0:
        return int(told)
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


@cache
def _others() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max(1, n_cores() - 1), thread_name_prefix="livecap-core")

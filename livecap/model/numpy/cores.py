"""Work on NumPy arrays, shared out among the processor's cores."""

import os
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from functools import cache


def share_out(work: Callable[[int, int], None], n: int, piece: int, fewest: int = 1) -> None:
    """Calls `work(start, stop)` for stretches that cover range(n), on several cores at once; waits for all.

    Args:
        work: something that spends its time where Python's lock is free, as NumPy's loops do.
        piece: every stretch but the last is a multiple of it.
        fewest: no core is woken for less.
    """
    n_shares = max(1, min(n_cores(), n // fewest))
    share = max(1, -(-n // (n_shares * piece))) * piece
    others = [_others().submit(work, start, min(start + share, n)) for start in range(share, n, share)]
    try:
        work(0, min(share, n))
    finally:
        wait(others)  # whatever happens here, nobody writes on once this has ended
    for other in others:
        other.result()


@cache
def n_cores() -> int:
    """Cores that this process may use, or as many as OpenBLAS was told to use."""
    told = os.environ.get("OPENBLAS_NUM_THREADS", "")
    if told.isdecimal() and int(told) > 0:
        return int(told)
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


@cache
def _others() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max(1, n_cores() - 1), thread_name_prefix="livecap-core")

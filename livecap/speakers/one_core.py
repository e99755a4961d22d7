"""one_core: products of NumPy on the calling thread alone.

The matrices of these networks are so small that a product takes less time than waking the threads of OpenBLAS. On a
busy machine the wait for them was thirty times as long as the product.
"""

import ctypes
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from threading import Lock

_NAMES = ("scipy_openblas_{}64_", "scipy_openblas_{}", "openblas_{}64_", "openblas_{}")
_lock = Lock()
_inside = 0
_before = 1


@contextmanager
def one_core() -> Iterator[None]:
    """Within this, NumPy's OpenBLAS uses one thread for each product, whichever thread of the program asks for it.
    Other BLAS libraries are not changed."""
    global _inside, _before
    get, put = _functions()
    with _lock:
        if _inside == 0:
            _before = get()
            put(1)
        _inside += 1
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if _inside == 0:
                put(_before)


@cache
def _functions() -> tuple[Callable[[], int], Callable[[int], object]]:
    """What reads and what sets the number of threads. They do nothing where NumPy has no OpenBLAS, as on Macs."""
    library = ctypes.CDLL(import_module("numpy._core._multiarray_umath").__file__)
    for name in _NAMES:
        try:
            get = getattr(library, name.format("get_num_threads"))
            put = getattr(library, name.format("set_num_threads"))
        except AttributeError:
            continue
        return get, put
    return lambda: 1, lambda n: None

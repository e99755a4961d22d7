"""The one door to MLX: loads a fast BLAS first, then MLX, and says what was found.

MLX's Linux CPU build is linked against the reference BLAS, which is some fifty times slower than OpenBLAS.
The linker takes the first definition it meets, so a fast library that is loaded globally before MLX replaces
it. Every file of this project imports `mx` from here and never from `mlx`; that order is the whole trick.
"""

import ctypes
import logging
import os
import platform
import sys
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import cast

logger = logging.getLogger(__name__)

BLAS_PACKAGE = "libopenblas0"
BLAS_VARIABLE = "LIVECAP_BLAS"
"""Environment variable: a path or a library name to try before all others, `none` to try nothing."""
BLAS_LIBRARIES = ("libopenblas.so.0", "libopenblas.so", "libmkl_rt.so.2", "libmkl_rt.so")
THREAD_SETTERS = ("openblas_set_num_threads", "MKL_Set_Num_Threads")


@dataclass(frozen=True)
class BackendReport:
    """What MLX runs on here, for `livecap doctor`."""

    mlx_version: str
    device: str
    """`cpu` or `gpu`, MLX's default device."""
    blas: str | None
    """The BLAS library loaded before MLX; None where there is none, or where none is needed."""
    notice: str | None
    """One line for a person, where this machine will be slower than it could be."""


def _blas_candidates() -> list[str]:
    chosen = os.environ.get(BLAS_VARIABLE)
    if chosen == "none":
        return []
    beside_python = [str(Path(sys.prefix) / "lib" / name) for name in BLAS_LIBRARIES]
    return ([chosen] if chosen else []) + [*BLAS_LIBRARIES, *beside_python]


def _load_fast_blas() -> str | None:
    """The library that was loaded, or None. Must run before the first import of MLX."""
    for name in _blas_candidates():
        try:
            library = ctypes.CDLL(name, mode=ctypes.RTLD_GLOBAL)
        except OSError:
            continue  # not on this machine: the next candidate
        _keep_to_one_core(library)
        return name
    return None


def _keep_to_one_core(library: ctypes.CDLL) -> None:
    """Small products gain little from a second core, and lose a turn of the scheduler each where it is taken.

    On two cores with one other program on each, OpenBLAS's threads made products of 5 rows and 256 columns fifty
    times slower. Large products go to NumPy (`livecap.model.cpu`), which uses all cores.
    """
    for name in THREAD_SETTERS:
        if (setter := getattr(library, name, None)) is not None:
            setter(ctypes.c_int(1))


_needs_blas = platform.system() == "Linux"
_too_late = "mlx.core" in sys.modules
_blas = _load_fast_blas() if _needs_blas and not _too_late else None

import mlx.core as mx  # noqa: E402 - the BLAS has to be there first

on_cpu = mx.default_device().type == mx.cpu
"""True where MLX computes on the CPU. Float32 is the dtype there."""


def number(x: mx.array) -> float:
    """The value of an array of one element. Waits for it."""
    return float(cast(float, x.item()))


def start(*arrays: mx.array) -> None:
    """Begins to evaluate arrays without waiting for them."""
    mx.async_eval(*arrays)  # type: ignore[no-untyped-call]


def _notice() -> str | None:
    if not (_needs_blas and on_cpu) or _blas is not None:
        return None
    if _too_late:
        return "MLX was imported before livecap.model.backend, so it runs on its slow built-in BLAS."
    return (
        "No fast BLAS found, so MLX runs on its slow built-in one. "
        f"Install OpenBLAS: sudo apt install {BLAS_PACKAGE} (Debian, Ubuntu)."
    )


def backend_report() -> BackendReport:
    """What MLX runs on here: version, device, BLAS, and a notice where it could be faster."""
    return BackendReport(
        mlx_version=version("mlx"),
        device="cpu" if on_cpu else "gpu",
        blas=_blas,
        notice=_notice(),
    )


if (_line := _notice()) is not None:
    logger.warning(_line)

__all__ = ["BLAS_PACKAGE", "BackendReport", "backend_report", "mx", "number", "on_cpu", "start"]

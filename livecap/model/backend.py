"""The only import of MLX: loads a fast BLAS first, then MLX, and reports what it found.

MLX's Linux CPU build is linked against the reference BLAS, which is about fifty times slower than OpenBLAS. The linker
uses the first definition it finds, so a fast library that is loaded globally before MLX replaces the slow one. This
depends on the order: every file of this project imports `mx` from here, never from `mlx`.
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

from livecap.errors import ModelError
from livecap.model.without_mlx import without_mlx
from livecap.text.safety import printable

logger = logging.getLogger(__name__)

# After a product, OpenBLAS's threads spin while they wait for the next one: by default for 20 ms, on a core that other
# work needs; with this for 2**20 cycles, a third of a millisecond. It is read when NumPy is loaded, so the program
# itself sets it too, in `livecap.__main__`.
os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "20")

BLAS_PACKAGE = "libopenblas0"
BLAS_VARIABLE = "LIVECAP_BLAS"
"""Environment variable: a path or library name to try before all others, or `none` to try nothing."""
BLAS_LIBRARIES = ("libopenblas.so.0", "libopenblas.so", "libmkl_rt.so.2", "libmkl_rt.so")
THREAD_SETTERS = ("openblas_set_num_threads", "MKL_Set_Num_Threads")


@dataclass(frozen=True)
class BackendReport:
    """What MLX runs on here, for `livecap doctor`."""

    mlx_version: str
    device: str
    """`cpu` or `gpu`, MLX's default device."""
    blas: str | None
    """The BLAS library loaded before MLX; None if there is none, or none is needed."""
    notice: str | None
    """One line for the user if this machine could be faster."""


def _blas_candidates() -> list[str]:
    chosen = os.environ.get(BLAS_VARIABLE)
    if chosen == "none":
        return []
    beside_python = [str(Path(sys.prefix) / "lib" / name) for name in BLAS_LIBRARIES]
    return ([chosen] if chosen else []) + [*BLAS_LIBRARIES, *beside_python]


def _load_fast_blas() -> str | None:
    """Load the first BLAS that is found, before MLX is imported; returns its name, or None."""
    for name in _blas_candidates():
        try:
            library = ctypes.CDLL(name, mode=ctypes.RTLD_GLOBAL)
        except OSError:
            continue  # not on this machine: the next candidate
        _keep_to_one_core(library)
        return name
    return None


def _keep_to_one_core(library: ctypes.CDLL) -> None:
    """Limit MLX's BLAS to one thread: small products gain little from a second core, and wait for it when it is busy.

    On two cores with one other program on each, OpenBLAS's threads made products of 5 rows and 256 columns fifty
    times slower. Large products go to NumPy (`livecap.model.numpy`), which uses all cores.
    """
    for name in THREAD_SETTERS:
        if (setter := getattr(library, name, None)) is not None:
            setter(ctypes.c_int(1))


_needs_blas = platform.system() == "Linux"
_too_late = "mlx.core" in sys.modules
_blas = _load_fast_blas() if _needs_blas and not _too_late else None

try:
    import mlx.core as mx  # after the BLAS
except ImportError as error:
    is_missing = isinstance(error, ModuleNotFoundError)
    raise ModelError(without_mlx("is not installed" if is_missing else f"cannot be loaded ({error})")) from error

on_cpu = mx.default_device().type == mx.cpu
"""True where MLX computes on the CPU. Float32 is the dtype there."""


def number(x: mx.array) -> float:
    """The value of an array of one element; waits until it is computed."""
    return float(cast(float, x.item()))


def start(*arrays: mx.array) -> None:
    """Start evaluating arrays without waiting for the result."""
    mx.async_eval(*arrays)  # type: ignore[no-untyped-call]


def _notice() -> str | None:
    if not (_needs_blas and on_cpu) or _blas is not None:
        return None
    if _too_late:
        return "MLX was imported before livecap.model.backend, so it uses its slow built-in BLAS."
    return (
        "No fast BLAS was found, so MLX uses its slow built-in one. "
        f"Install OpenBLAS: sudo apt install {BLAS_PACKAGE} (Debian, Ubuntu)."
    )


def backend_report() -> BackendReport:
    """What MLX runs on here: version, device, BLAS, and a notice if it could be faster."""
    return BackendReport(
        mlx_version=version("mlx"),
        device="cpu" if on_cpu else "gpu",
        blas=_blas,
        notice=_notice(),
    )


if (_line := _notice()) is not None:
    logger.warning("%s", printable(_line))

__all__ = ["BLAS_PACKAGE", "BackendReport", "backend_report", "mx", "number", "on_cpu", "start"]

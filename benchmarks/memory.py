"""Memory of this process and of MLX."""

import resource
import subprocess
import sys
from pathlib import Path

from livecap.model.backend import mx


def memory_mb() -> dict[str, float]:
    """Megabytes now: resident, and what MLX holds in use (`active`) and of freed buffers (`cache`)."""
    return {
        "resident": round(resident_mb()),
        "mlx_active": round(mx.get_active_memory() / 1e6),
        "mlx_cache": round(mx.get_cache_memory() / 1e6),
    }


def peak_mb() -> dict[str, float]:
    """The most so far: of the process, and of MLX."""
    unit = 1e6 if sys.platform == "darwin" else 1e3
    noted = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
    resident = max(noted, resident_mb())  # Linux notes a peak a little late
    return {"resident_peak": round(resident), "mlx_peak": round(mx.get_peak_memory() / 1e6)}


def resident_mb(pid: int | None = None) -> float:
    """Of a process, by default this one: Linux through /proc, else `ps`."""
    status = Path(f"/proc/{pid or 'self'}/status")
    if status.exists():
        for line in status.read_text().splitlines():
            if line.startswith("VmRSS"):
                return int(line.split()[1]) / 1000
        return 0.0
    if pid is None:
        import os

        pid = os.getpid()
    out = subprocess.run(["ps", "-o", "rss=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return int(out.stdout.strip() or 0) / 1000

"""Where a figure was measured."""

import os
import platform
import subprocess
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Any

from livecap.model.backend import backend_report
from livecap.version import VERSION


def machine() -> dict[str, Any]:
    """Processor, system, versions and commit, as plain values."""
    return {
        "date": date.today().isoformat(),
        "livecap": VERSION,
        "commit": _commit(),
        "system": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "mlx": asdict(backend_report()),
    }


def _commit() -> str | None:
    """Of the checkout; None for an installed package."""
    try:
        out = subprocess.run(
            ["git", "describe", "--always", "--dirty"],
            capture_output=True,
            text=True,
            cwd=Path(__file__).parent,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return out.stdout.strip()


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor()

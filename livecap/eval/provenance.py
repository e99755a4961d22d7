"""Where a figure was measured."""

import os
import platform
import subprocess
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Any

from livecap.model.backend import backend_report
from livecap.this_machine import memory_bytes, processor
from livecap.version import VERSION


def machine() -> dict[str, Any]:
    """Processor, memory, system, versions and commit, as plain values."""
    return {
        "date": date.today().isoformat(),
        "livecap": VERSION,
        "commit": _commit(),
        "system": f"{platform.system()} {platform.machine()}",
        "processor": processor(),
        "cores": os.cpu_count(),
        "memory_gb": round(memory_bytes() / 1e9),
        "python": platform.python_version(),
        "mlx": asdict(backend_report()),
    }


def _commit() -> str | None:
    """Of the checkout, "-dirty" where the program differs from it; None for an installed package."""
    program = Path(__file__).parents[1]
    try:
        commit = _git("describe", "--always", cwd=program)
        changes = _git("status", "--porcelain", "--", ".", cwd=program)
    except (OSError, subprocess.CalledProcessError):
        return None
    return commit + ("-dirty" if changes else "")


def _git(*arguments: str, cwd: Path) -> str:
    return subprocess.run(["git", *arguments], capture_output=True, text=True, cwd=cwd, check=True).stdout.strip()

"""The machine, versions and commit that stand beside every stored figure."""

import os
import platform
import subprocess
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Any

import livecap
from livecap.model.backend import backend_report
from livecap.this_machine import memory_bytes, processor
from livecap.version import VERSION

CHANGED = "-dirty"
"""Follows the name of a commit from which the package differs."""


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
    """The commit of the checkout, with "-dirty" where the package differs from it; None for an installed package."""
    package = Path(livecap.__file__).parent
    try:
        _git("ls-files", "--error-unmatch", "--", "__init__.py", cwd=package)  # an .venv may be in another repository
        commit = _git("describe", "--always", cwd=package)
        changes = _git("status", "--porcelain", "--", ".", cwd=package)
    except (OSError, subprocess.CalledProcessError):
        return None
    return commit + (CHANGED if changes else "")


def is_changed(commit: str | None) -> bool:
    """True if the package had changes that are not in this commit."""
    return commit is not None and commit.endswith(CHANGED)


def _git(*arguments: str, cwd: Path) -> str:
    return subprocess.run(["git", *arguments], capture_output=True, text=True, cwd=cwd, check=True).stdout.strip()

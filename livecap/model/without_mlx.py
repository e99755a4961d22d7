"""What to tell a user whose Python has no MLX: an Intel Mac, a Python for Intel in Rosetta, a broken installation.

Loads nothing heavy: it is asked before a device is opened.
"""

import importlib.util
import sys
from functools import cache

AGAIN = "install livecap again, for instance with `uv tool install --force .`"


def missing_mlx() -> str | None:
    """What this Python is and what to install, as a sentence; None where MLX is installed."""
    if "mlx" in sys.modules or importlib.util.find_spec("mlx") is not None:
        return None
    return without_mlx("is not installed")


def without_mlx(reason: str) -> str:
    """The sentence for this machine, where MLX cannot be used for this reason."""
    import platform  # slow to load, and not needed to open a device

    return sentence(platform.system(), platform.machine(), _is_translated(), reason)


def sentence(system: str, machine: str, translated: bool, reason: str) -> str:
    """What a Python is, why it has no MLX, and what to install.

    Args:
        translated: Rosetta runs it on Apple silicon.
        reason: in words that follow "MLX".
    """
    python = f"This Python ({'.'.join(map(str, sys.version_info[:3]))}, {machine}, {sys.executable})"
    if system == "Darwin" and machine != "arm64":
        if translated:
            return (
                f"{python} is made for Intel and runs in Rosetta, where there is no MLX. Install livecap with a Python "
                "for Apple silicon: `arch -arm64 brew install uv`, then `uv tool install --force .`"
            )
        return (
            f"{python} runs on a Mac with an Intel processor, for which there is no MLX. livecap needs a Mac with "
            "Apple silicon and macOS 14 or newer, or Linux."
        )
    if system == "Darwin":
        return f"{python} cannot use MLX, which {reason}. Update macOS to 14 or newer, and {AGAIN}."
    if system == "Linux":
        return f"{python} cannot use MLX, which {reason}. On Linux with glibc 2.35 or newer, {AGAIN}."
    return f"{python} runs on {system}, for which there is no MLX. livecap needs a Mac with Apple silicon, or Linux."


@cache
def _is_translated() -> bool:
    """Whether Rosetta runs this process."""
    if sys.platform != "darwin":
        return False
    import subprocess  # slow to load, and not needed to open a device

    command = ["/usr/sbin/sysctl", "-n", "sysctl.proc_translated"]  # unknown on an Intel Mac
    return subprocess.run(command, capture_output=True, text=True).stdout.strip() == "1"

"""What a session ran on, for the header of its log."""

import platform
from importlib import metadata

LIBRARIES = ("mlx", "numpy", "tokenizers", "soxr", "webrtcvad-wheels")
"""Those that decide what is heard."""


def versions() -> dict[str, str]:
    """Name to version: the system, Python, and the libraries that are installed."""
    found = {
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": platform.python_version(),
    }
    for name in LIBRARIES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found

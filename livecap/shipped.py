"""The recordings that travel with livecap: for the demo and the self-test."""

from pathlib import Path

import livecap
from livecap.errors import AudioError

DEMO = "dictation"
"""What `livecap demo` and `livecap doctor --selftest` play."""


def demo_recording() -> Path:
    """The shipped recording, from the installed package or from a checkout.

    Raises:
        AudioError: the installation is incomplete.
    """
    package = Path(livecap.__file__).parent
    for folder in (package / "recordings", package.parent / "recordings"):
        path = folder / f"{DEMO}.flac"
        if path.is_file():
            return path
    raise AudioError(f"The demo's recording {DEMO}.flac is not in {package}: this installation is incomplete.")


def reference_text(recording: Path) -> str:
    """What is said in a recording: the text file of the same name beside it."""
    return recording.with_suffix(".txt").read_text(encoding="utf-8")

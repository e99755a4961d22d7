"""The recording that is installed with livecap, for the demo and the self-test."""

from pathlib import Path

import livecap
from livecap.errors import AudioError

DEMO = "dictation"
"""Name of the recording that `livecap demo` and `livecap doctor --selftest` play."""


def demo_recording() -> Path:
    """The path of the shipped recording, in the installed package or in a checkout.

    Raises:
        AudioError: the installation is incomplete.
    """
    package = Path(livecap.__file__).parent
    for folder in (package / "recordings", package.parent / "recordings"):
        path = folder / f"{DEMO}.flac"
        if path.is_file():
            return path
    raise AudioError(f"The demo recording {DEMO}.flac is missing from {package}. Install livecap again.")


def reference_text(recording: Path) -> str:
    """What is said in a recording, from the text file of the same name beside it."""
    return recording.with_suffix(".txt").read_text(encoding="utf-8")

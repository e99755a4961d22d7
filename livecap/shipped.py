"""The recording that is installed with livecap, for the demo and the self-test."""

import json
from pathlib import Path

import livecap
from livecap.errors import AudioError
from livecap.transcript import SAMPLE_RATE

DEMO = "letter"
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


def demo_words() -> list[tuple[str, int, int]]:
    """The words of the shipped recording, each with its first sample and the one after its last.

    Raises:
        AudioError: the installation is incomplete.
    """
    path = demo_recording().with_suffix(".words.json")
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise AudioError(f"{path} cannot be read: {error.strerror}. Install livecap again.") from None
    edges = [[round(entry[edge] * SAMPLE_RATE) for edge in ("start", "end")] for entry in entries]
    return [(entry["word"], start, end) for entry, (start, end) in zip(entries, edges, strict=True)]


def reference_text(recording: Path) -> str:
    """What is said in a recording, from the text file of the same name beside it."""
    return recording.with_suffix(".txt").read_text(encoding="utf-8")

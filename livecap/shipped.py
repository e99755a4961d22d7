"""The recordings that are installed with livecap: one for the demo and the self-test, and one with exact word times."""

import json
from pathlib import Path

import livecap
from livecap.errors import AudioError
from livecap.transcript import SAMPLE_RATE

DEMO = "letter"
"""Name of the recording that `livecap demo` and `livecap doctor --selftest` play."""
TIMED = "dictation"
"""Name of the recording by whose words a model's word times are calibrated."""


def demo_recording() -> Path:
    """The path of the recording that the demo plays, in the installed package or in a checkout.

    Raises:
        AudioError: the installation is incomplete.
    """
    return _path(DEMO)


def timed_recording() -> Path:
    """The path of the recording whose word times are exact.

    Raises:
        AudioError: the installation is incomplete.
    """
    return _path(TIMED)


def timed_words() -> list[tuple[str, int, int]]:
    """The words of that recording, each with its first sample and the one after its last.

    Raises:
        AudioError: the installation is incomplete.
    """
    path = timed_recording().with_suffix(".words.json")
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise AudioError(f"{path} cannot be read: {error.strerror}. Install livecap again.") from None
    edges = [[round(entry[edge] * SAMPLE_RATE) for edge in ("start", "end")] for entry in entries]
    return [(entry["word"], start, end) for entry, (start, end) in zip(entries, edges, strict=True)]


def reference_text(recording: Path) -> str:
    """What is said in a recording, from the text file of the same name beside it."""
    return recording.with_suffix(".txt").read_text(encoding="utf-8")


def _path(name: str) -> Path:
    package = Path(livecap.__file__).parent
    for folder in (package / "recordings", package.parent / "recordings"):
        path = folder / f"{name}.flac"
        if path.is_file():
            return path
    raise AudioError(f"The recording {name}.flac is missing from {package}. Install livecap again.")

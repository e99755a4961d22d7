"""Settings: what a person asked for, as typed values."""

from dataclasses import dataclass
from pathlib import Path

DEFAULT_MODEL = "Qwen/Qwen3-ASR-0.6B"
"""Downloaded on first use."""


@dataclass(frozen=True, slots=True)
class Settings:
    """One run of livecap."""

    replay: Path | None = None
    """A recording to hear as if live; None listens to a device."""
    pace: float | None = 1.0
    """Of a replay, times real time; None is as fast as it can be read."""
    device: str | None = None
    """An input's index, name or part of one; None is the default microphone."""
    model: str = DEFAULT_MODEL
    """A name, a folder or a Hugging Face repository."""
    language: str | None = None
    """Force this language, by name or ISO code; None lets the model say which."""
    context: str = ""
    """Names and words to expect."""
    chunk_seconds: float = 2.0
    """New sound that makes a decoding step."""
    log_dir: Path | None = None
    """The session's folder goes into this one; None is the platform's user data directory."""
    output: str = "screen"
    """"screen", "plain" or "json"."""

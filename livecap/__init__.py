"""Live captions and notes from a microphone, from the system's sound or from a recording.

`livecap.load(model)` is the library (docs/api.md); nothing slow is imported before it is used.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from livecap.api import (
        Engine,
        EngineInfo,
        Model,
        Progress,
        Segment,
        Stream,
        Timings,
        Transcription,
        TranscriptUpdate,
        Word,
        load,
        load_async,
    )
    from livecap.errors import AudioError, LivecapError, ModelError, SettingsError

__all__ = [
    "AudioError",
    "Engine",
    "EngineInfo",
    "LivecapError",
    "Model",
    "ModelError",
    "Progress",
    "Segment",
    "SettingsError",
    "Stream",
    "Timings",
    "TranscriptUpdate",
    "Transcription",
    "Word",
    "load",
    "load_async",
]


def __getattr__(name: str) -> Any:
    """Import what `__all__` names when it is first used: `import livecap` loads neither NumPy nor MLX."""
    if name not in __all__:
        raise AttributeError(f"module 'livecap' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module("livecap.errors" if name.endswith("Error") else "livecap.api"), name)

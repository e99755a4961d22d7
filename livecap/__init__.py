"""Live captions and notes from a microphone, from the system's sound or from a recording.

`livecap.load(model)` is the library (docs/api.md); nothing slow is imported before it is used.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from livecap.api import Model, Stream, Transcription, load
    from livecap.errors import LivecapError

__all__ = ["LivecapError", "Model", "Stream", "Transcription", "load"]


def __getattr__(name: str) -> Any:
    """Import what `__all__` names when it is first used: `import livecap` loads neither NumPy nor MLX."""
    if name not in __all__:
        raise AttributeError(f"module 'livecap' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module("livecap.errors" if name == "LivecapError" else "livecap.api"), name)

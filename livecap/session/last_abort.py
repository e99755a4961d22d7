"""How the last session ended, where MLX aborted the process: Metal's errors cannot be caught. Light to import."""

import os
import re
from pathlib import Path

from livecap.archive.folder import EVENTS, has_end, is_being_written
from livecap.files import open_regular

NATIVE_LOG = "native.log"
"""What native libraries printed, in a session's folder."""
END_BYTES = 16 << 10
"""Bytes at the end of that file in which an error of Metal is looked for."""
_METAL = re.compile(rb"\[METAL\] ([ -~]{1,300})")
_CODE = re.compile(r"\s*\([0-9a-fA-F]{8}:.*")
NO_MEMORY = ("insufficient memory", "out of memory", "outofmemory")


def metal_abort(parent: Path) -> str | None:
    """A sentence about the newest session, if Metal ended it; None for any other end.

    Args:
        parent: the folder that contains the sessions.
    """
    try:
        name = max(name for name in os.listdir(parent) if (parent / name / EVENTS).is_file())
        folder = parent / name
        if has_end(folder / EVENTS) or is_being_written(folder):
            return None
        with open_regular(folder / NATIVE_LOG, follow=False) as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - END_BYTES))
            found = _METAL.findall(file.read(END_BYTES))
    except (OSError, ValueError):  # no sessions, or no such file
        return None
    if not found:
        return None
    said = found[-1].decode("ascii")
    is_full = any(words in said.lower() for words in NO_MEMORY)
    advice = "Choose a smaller model (`livecap models`), or close other programs." if is_full else "Update macOS."
    short = _CODE.sub("", said).rstrip(". ")
    return f"The last session ({name}) was ended by the GPU: {short}. Its text is kept. {advice}"

"""What native libraries print goes to a file beside the log while sound is captured.

PortAudio and ALSA write to file descriptors 1 and 2 without asking Python, which would end up in the middle of the
screen or of JSON output.
"""

import ctypes
import os
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import TextIOWrapper
from pathlib import Path

STDOUT, STDERR = 1, 2


@contextmanager
def native_prints_to(path: Path, for_screen: bool = True) -> Iterator[None]:
    """Redirect descriptors 1 and 2 to a file. Python's own streams, and so Textual, still write to where they did.

    Args:
        path: a file, which is removed again if nothing was printed; or a device such as /dev/null, which is kept.
        for_screen: the screen is drawn on standard error, or on standard output if only that is a terminal.
    """
    _flush()
    saved = [os.dup(STDOUT), os.dup(STDERR)]
    screen = saved[0] if for_screen and not os.isatty(saved[1]) else saved[1]
    before = (sys.stdout, sys.__stdout__, sys.stderr, sys.__stderr__)
    log = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
    out, err = _stream(saved[0]), TerminalStream(os.fdopen(os.dup(screen), "wb"), encoding="utf-8", errors="replace")
    try:
        os.dup2(log, STDOUT)
        os.dup2(log, STDERR)
        sys.stdout = sys.__stdout__ = out  # type: ignore[misc]
        sys.stderr = sys.__stderr__ = err  # type: ignore[misc]
        yield
    finally:
        _flush()
        os.dup2(saved[0], STDOUT)
        os.dup2(saved[1], STDERR)
        sys.stdout, sys.__stdout__, sys.stderr, sys.__stderr__ = before  # type: ignore[misc]
        for stream in (out, err):
            with suppress(OSError):
                stream.close()
        left = os.fstat(log)
        for descriptor in (*saved, log):
            os.close(descriptor)
        if stat.S_ISREG(left.st_mode) and left.st_size == 0:
            with suppress(OSError):  # the folder may have been replaced
                path.unlink()


class TerminalStream(TextIOWrapper):
    """A terminal that ignores errors of writing, since its window may be closed at any time.

    SIGHUP then ends the session properly. Without this, Textual's output thread would die of the error first, and the
    screen would wait for it for ever.
    """

    def write(self, text: str) -> int:
        """Returns the number of characters, written or not."""
        with suppress(OSError):
            super().write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(OSError):
            super().flush()


def _stream(descriptor: int) -> TextIOWrapper:
    return os.fdopen(os.dup(descriptor), "w", encoding="utf-8", errors="replace")


def _flush() -> None:
    """Write what Python and C have buffered, before a descriptor is redirected."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    ctypes.CDLL(None).fflush(None)

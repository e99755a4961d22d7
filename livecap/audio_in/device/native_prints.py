"""Native libraries print what they like: PortAudio and ALSA write to file descriptors 1 and 2 behind Python's back,
between the lines of a screen or into somebody's JSON. While sound is captured that goes to a file beside the log.
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
    """Lead descriptors 1 and 2 to a file; Python's own streams, and so Textual, keep what they lead to.

    Args:
        path: of the file, which is removed where nothing was printed; or of a device such as /dev/null, which is not.
        for_screen: the screen is drawn on the error output, or on the standard output where only that is a terminal.
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
            path.unlink(missing_ok=True)


class TerminalStream(TextIOWrapper):
    """A terminal that may be closed while it is written to: from then on nothing is written, and nobody is told.

    The signal of a closed window ends the session in order. Textual's output thread would die of the error before,
    and the screen would wait for it for ever.
    """

    def write(self, text: str) -> int:
        """The number of characters, whether they reached somebody or not."""
        with suppress(OSError):
            super().write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(OSError):
            super().flush()


def _stream(descriptor: int) -> TextIOWrapper:
    return os.fdopen(os.dup(descriptor), "w", encoding="utf-8", errors="replace")


def _flush() -> None:
    """What Python and C hold back is written before a descriptor changes hands."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    ctypes.CDLL(None).fflush(None)

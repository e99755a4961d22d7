"""Keeps off standard error what libmpg123 prints about a damaged MP3: `Recording` says it in one line."""

import os
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

STDERR = 2
MOST_BYTES = 65_536
"""What a pipe holds; more is dropped."""
PRINTED = re.compile(rb"\[\S*libmpg123\S*\] |Note: |Warning: |\s*$")
_lock = threading.Lock()


@contextmanager
def without_mpeg_prints() -> Iterator[None]:
    """What other threads print meanwhile is printed at the end. Keep it short: a crash loses what was printed."""
    with _lock:
        kept, writing = os.pipe()
        os.set_blocking(kept, False)
        os.set_blocking(writing, False)
        real = os.dup(STDERR)
        os.dup2(writing, STDERR)
        os.close(writing)
        try:
            yield
        finally:
            os.dup2(real, STDERR)
            os.close(real)
            with suppress(BlockingIOError):  # a program that was started meanwhile holds the pipe
                for line in os.read(kept, MOST_BYTES).splitlines(keepends=True):
                    if not PRINTED.match(line):
                        os.write(STDERR, line)
            os.close(kept)

"""Keeps the computer awake during a live session, with caffeinate on macOS or systemd-inhibit on Linux.

Both end with livecap, however it ends: caffeinate watches this process, and systemd-inhibit runs `cat` on a pipe from
it.
"""

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress


@contextmanager
def kept_awake() -> Iterator[None]:
    """Prevent idle sleep, and App Nap on a Mac, within this block. Does nothing if neither program exists."""
    command = _command()
    process = None
    if command is not None:
        with suppress(OSError):
            process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                start_new_session=True,  # so that Ctrl-C does not end it
            )  # fmt: skip
    if process is not None:  # where no systemd runs it ends at once, and must not stay a zombie
        threading.Thread(target=process.wait, name="awake", daemon=True).start()
    try:
        yield
    finally:
        if process is not None:
            with suppress(OSError):
                if process.stdin is not None:
                    process.stdin.close()
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(2)


def _command() -> list[str] | None:
    if sys.platform == "darwin" and (caffeinate := shutil.which("caffeinate")):
        return [caffeinate, "-i", "-w", str(os.getpid())]
    if sys.platform == "linux" and (inhibit := shutil.which("systemd-inhibit")):
        return [inhibit, "--what=idle:sleep", "--who=livecap", "--why=A live transcription runs", "cat"]
    return None

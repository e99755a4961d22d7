"""While people speak the machine does not fall asleep by itself: caffeinate on macOS, or systemd-inhibit.

Both end with livecap, however it ends: caffeinate watches our process, and systemd-inhibit runs `cat` on a pipe of
ours.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress


@contextmanager
def kept_awake() -> Iterator[None]:
    """Holds off idle sleep, and on a Mac App Nap, in here. Where nothing can do that, nothing happens."""
    command = _command()
    process = None
    if command is not None:
        with suppress(OSError):
            process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C is not for it
            )  # fmt: skip
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

"""The clipboard of this machine, through an installed program. Without one, the app uses the terminal's (OSC 52)."""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence

WAIT_SECONDS = 2.0


def clipboard_command(platform: str = sys.platform, environ: Mapping[str, str] = os.environ) -> Sequence[str] | None:
    """The program that copies its standard input to the clipboard, with its arguments; None if there is none.

    Over ssh it is None: the clipboard of this machine is not the user's.
    """
    if environ.get("SSH_CONNECTION"):
        return None
    candidates: list[Sequence[str]] = []
    if platform == "darwin":
        candidates.append(("pbcopy",))
    if environ.get("WAYLAND_DISPLAY"):
        candidates.append(("wl-copy",))
    if environ.get("DISPLAY"):
        candidates += [("xclip", "-selection", "clipboard"), ("xsel", "--clipboard", "--input")]
    return next((command for command in candidates if shutil.which(command[0])), None)


def copy(text: str) -> bool:
    """Copy text with a program of this machine. False if there is none, or it failed."""
    command = clipboard_command()
    if command is None:
        return False
    try:
        done = subprocess.run(
            command,
            input=text.encode(errors="replace"),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=WAIT_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0

"""The clipboard of this machine, where a program for it is; a terminal's own (OSC 52) is the app's other way."""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence

WAIT_SECONDS = 2.0


def clipboard_command(platform: str = sys.platform, environ: Mapping[str, str] = os.environ) -> Sequence[str] | None:
    """What takes text for the clipboard on its standard input; None where nothing does.

    Over ssh the clipboard of this machine is not the one in front of the person.
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
    """True where a program of this machine has taken the text."""
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

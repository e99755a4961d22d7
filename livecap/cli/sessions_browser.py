"""`livecap sessions` on a terminal: past sessions to look through, search, read, hear, export, name and delete."""

import time

from livecap.cli.folders import sessions_folder
from livecap.settings.fields import Settings, settings_path
from livecap.settings.file import store


def browse(settings: Settings) -> int:
    """Until a person leaves; returns the exit status."""
    from livecap.cli.machine import ThisMachine
    from livecap.tui.screens.sessions_screen import SessionsScreen
    from livecap.tui.terminal import run_screen

    screen = SessionsScreen(sessions_folder(settings), time.monotonic, ThisMachine())
    left = run_screen(screen, settings, lambda name, value: store(settings_path(), {name: value}))
    return 0 if left == "finished" else 1

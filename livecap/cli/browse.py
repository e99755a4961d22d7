"""Past sessions on the screen."""

import time

from livecap.cli.arguments import sessions_folder
from livecap.cli.this_computer import ThisComputer
from livecap.settings.fields import Settings
from livecap.settings.file import store
from livecap.settings.sources import settings_path
from livecap.tui.screens.sessions_screen import SessionsScreen
from livecap.tui.terminal import run_screen


def browse(settings: Settings) -> int:
    """Show past sessions until the user leaves; returns the exit status."""
    screen = SessionsScreen(sessions_folder(settings), time.monotonic, ThisComputer())
    left = run_screen(screen, settings, lambda name, value: store(settings_path(), {name: value}))
    return 0 if left == "finished" else 1

"""The first start on a terminal: asks for input, model and language, and stores the answers."""

import time

from livecap.cli.this_computer import ThisComputer
from livecap.settings.file import store
from livecap.settings.sources import settings_path
from livecap.text.printing import say
from livecap.tui.screens.first_screen import FirstScreen
from livecap.tui.terminal import run_screen


def run_first() -> bool:
    """Ask, and store the answers; False if the user left without answering."""
    chosen = run_screen(FirstScreen(ThisComputer(), time.monotonic))
    if not isinstance(chosen, dict):
        say("Nothing was chosen, so nothing is stored. `livecap --help` shows how to start without questions.")
        return False
    path = settings_path()
    store(path, chosen)
    say(f"Stored in {path}. `livecap config` shows and changes it.")
    return True

"""The first start on a terminal: which input, which model, which language; stored, and never asked again."""

import sys
import time

from livecap.settings.fields import Settings, settings_path
from livecap.settings.file import store
from livecap.text.safety import printable


def is_first_run(settings: Settings) -> bool:
    """Nobody has chosen anything yet, and somebody is there to be asked."""
    usual = Settings()
    chosen = (settings.device, settings.model, settings.language) != (usual.device, usual.model, usual.language)
    return settings.output == "screen" and sys.stdin.isatty() and not chosen and not settings_path().exists()


def run_first() -> bool:
    """Ask, and store the answers; False where a person went away."""
    from livecap.cli.this_computer import ThisComputer
    from livecap.tui.screens.first_screen import FirstScreen
    from livecap.tui.terminal import run_screen

    chosen = run_screen(FirstScreen(ThisComputer(), time.monotonic))
    if not isinstance(chosen, dict):
        print("Nothing was chosen, and nothing is stored. livecap --help tells how to start without questions.")
        return False
    path = settings_path()
    store(path, chosen)
    print(f"Stored in {printable(str(path))}. livecap config shows and changes it.")
    return True

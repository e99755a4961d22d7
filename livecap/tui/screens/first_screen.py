"""FirstScreen: the first start asks for an input, a model and a language."""

from collections.abc import Callable
from typing import Any

from textual.app import ComposeResult
from textual.screen import Screen
from textual.widgets import Static

from livecap.tui.choices import Machine
from livecap.tui.screens.device_screen import DeviceScreen
from livecap.tui.screens.model_screen import ModelScreen
from livecap.tui.screens.pick_screen import language_screen


class FirstScreen(Screen[None]):
    """The app exits with a dict of settings, or with None if the user went back from the first question."""

    def __init__(self, machine: Machine, now: Callable[[], float]) -> None:
        super().__init__()
        self._machine, self._now = machine, now
        self._chosen: dict[str, Any] = {}

    def compose(self) -> ComposeResult:
        yield Static(" livecap", markup=False)

    def on_mount(self) -> None:
        self._ask_device()

    def _ask_device(self) -> None:
        title = "1 of 3   What should livecap listen to? Speak, and watch the level of each input."
        screen = DeviceScreen(self._machine, self._now, title, current=self._chosen.get("device"), is_first=True)
        self.app.push_screen(screen, self._device_chosen)

    def _device_chosen(self, name: str | None) -> None:
        if name is None:
            self.app.exit(None)
            return
        self._chosen["device"] = name or None
        self._ask_model()

    def _ask_model(self) -> None:
        title = "2 of 3   Which model should transcribe? It runs on this machine."
        screen = ModelScreen(self._machine, self._now, title, self._chosen.get("model"))
        self.app.push_screen(screen, self._model_chosen)

    def _model_chosen(self, name: str | None) -> None:
        if name is None:
            self._ask_device()
            return
        self._chosen["model"] = name
        title = "3 of 3   Which language is spoken?"
        self.app.push_screen(language_screen(self._machine.languages(), None, title), self._language_chosen)

    def _language_chosen(self, name: str | None) -> None:
        if name is None:
            self._ask_model()
            return
        self._chosen["language"] = name or None
        self.app.exit(self._chosen)

"""LivecapApp: what all screens share: colours, keys, the palette, help, the clipboard, the way out."""

import gc
import traceback
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, ClassVar

from textual.app import App, SystemCommand
from textual.binding import Binding, BindingType
from textual.screen import Screen

from livecap.errors import LivecapError
from livecap.settings.fields import Settings
from livecap.tui import clipboard
from livecap.tui.keys import checked_keymap
from livecap.tui.screens.help_screen import HelpScreen

Remember = Callable[[str, Any], None]
"""Stores a setting for the next time; raises a LivecapError where it cannot."""


def forget(name: str, value: Any) -> None:
    """A `Remember` that stores nothing."""


class LivecapApp(App[Any]):
    """One terminal, given to one first screen; the screen decides when to leave."""

    TITLE = "livecap"
    CSS_PATH = Path(__file__).with_name("app.tcss")
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "question_mark,f1", "help", "Help", tooltip="Show every key of this screen", key_display="?", id="help"
        ),
        Binding("T", "change_theme", "Theme", show=False, tooltip="Choose other colours", id="theme"),
        Binding("ctrl+p", "command_palette", "palette", show=False, tooltip="Find a command by name", id="palette"),
        Binding("ctrl+q,ctrl+c", "quit", "Quit", show=False, priority=True, tooltip="Leave; twice at once", id="leave"),
    ]

    def __init__(self, first: Screen[Any], settings: Settings | None = None, remember: Remember = forget) -> None:
        """
        Args:
            first: what is seen first.
            remember: told what a person chose here and wants to find again.

        Raises:
            SettingsError: the settings name a command or a key that does not exist.
        """
        super().__init__()
        self.animation_level = "none"
        self.settings = settings or Settings()
        self.remember = remember
        self.on_quit: Callable[[], None] | None = None
        """What ends the first screen in order; None where leaving needs no order."""
        self.fault = ""
        """The traceback of what made the screen fail."""
        self._first = first
        self._is_up = False
        self.set_keymap(checked_keymap(self.settings.keys, "[keys]"))
        if self.settings.screen.theme in self.available_themes:
            self.theme = self.settings.screen.theme

    def get_default_screen(self) -> Screen[Any]:
        return self._first

    def on_mount(self) -> None:
        self._is_up = True
        self.set_interval(TIDY_SECONDS, Tidying())

    def _watch_theme(self, theme_name: str) -> None:
        super()._watch_theme(theme_name)
        if self._is_up and theme_name != self.settings.screen.theme:
            self.keep("screen.theme", theme_name)

    def keep(self, name: str, value: Any) -> None:
        """Store what a person chose; where that fails, say so and go on."""
        try:
            self.remember(name, value)
        except LivecapError as error:
            self.notify(str(error), severity="warning", markup=False)

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        """Everything a key does here is in the palette too."""
        for active in screen.active_bindings.values():
            binding = active.binding
            if active.enabled and binding.description and binding.id not in (None, "palette"):
                action, node = binding.action, active.node
                yield SystemCommand(
                    binding.description,
                    f"{binding.tooltip or binding.description} ({self.get_key_display(binding)})",
                    lambda action=action, node=node: self.call_later(self.run_action, action, node),
                )

    def copy(self, text: str) -> str:
        """Put text on the clipboard; returns where it went, for a sentence."""
        if clipboard.copy(text):
            return "to the clipboard"
        self.copy_to_clipboard(text)
        return "through the terminal"

    def action_help(self) -> None:
        if not isinstance(self.screen, HelpScreen):
            self.push_screen(HelpScreen(self.screen))

    def _fatal_error(self) -> None:
        """A mistake of ours is no picture for a person: it is kept for whoever mends it."""
        self.fault = traceback.format_exc()
        self._close_messages_no_wait()

    async def action_quit(self) -> None:
        if self.on_quit is not None:
            self.on_quit()
        else:
            self.exit("finished")


TIDY_SECONDS = 20.0
THOROUGH_EVERY = 45
"""Calls: a quarter of an hour."""


class Tidying:
    """What lives at a call, above all the transcript, is looked at by no later collection but the thorough ones.

    A collection of everything takes 70 ms and more once 50,000 paragraphs are there, and comes when a key is pressed.
    After each of these calls the next one has only the last seconds to look at. What was dropped since then, such as a
    screen that was closed, is freed by a thorough one.
    """

    def __init__(self) -> None:
        self._n_calls = 0

    def __call__(self) -> None:
        self._n_calls += 1
        if self._n_calls % THOROUGH_EVERY == 0:
            gc.unfreeze()
        gc.collect()
        gc.freeze()

"""LivecapApp: what all screens share: theme, keys, command palette, help, clipboard, and leaving."""

import asyncio
import gc
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from textual.app import App, SystemCommand
from textual.binding import Binding, BindingType
from textual.command import CommandList, CommandPalette, DiscoveryHit, Hits
from textual.filter import ANSIToTruecolor, DimFilter, LineFilter
from textual.geometry import Offset
from textual.screen import Screen
from textual.system_commands import SystemCommandsProvider

from livecap.errors import LivecapError, SettingsError
from livecap.settings.fields import Settings
from livecap.tui import clipboard
from livecap.tui.keys import EVERYWHERE, PLACES, TRANSCRIPT, checked_keymap, has_key
from livecap.tui.screens.help_screen import HelpScreen
from livecap.tui.themes import checked_theme

Remember = Callable[[str, Any], None]
"""Stores a setting for the next start; raises LivecapError if it cannot."""


def forget(name: str, value: Any) -> None:
    """A `Remember` that stores nothing."""


class Commands(SystemCommandsProvider):
    """The commands of the palette; before anything is typed, in the order of `get_system_commands`."""

    async def discover(self) -> Hits:
        for title, about, run, _ in self.app.get_system_commands(self.screen):
            yield DiscoveryHit(title, run, help=about)


class Palette(CommandPalette):
    """The command palette."""

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Textual cannot move in a list of which no row is visible."""
        return action != "command_list" or bool(self.query_one(CommandList).scrollable_content_region)


class LivecapApp(App[Any]):
    """The terminal application around one first screen; the screen decides when to leave."""

    TITLE = "livecap"
    INLINE_PADDING = 0
    CSS_PATH = Path(__file__).with_name("app.tcss")
    BINDINGS: ClassVar[list[BindingType]] = [*EVERYWHERE]
    COMMANDS: ClassVar[set[Any]] = {Commands}

    def __init__(self, first: Screen[Any], settings: Settings | None = None, remember: Remember = forget) -> None:
        """
        Args:
            first: the first screen.
            remember: called with the name and the value of a setting that the user changed on the screen.

        Raises:
            SettingsError: the settings name a command or a key that does not exist.
        """
        super().__init__()
        self.animation_level = "none"
        self.settings = settings or Settings()
        self.remember = remember
        self.on_quit: Callable[[], None] | None = None
        """Ends the session of the first screen; None if there is no session to end."""
        self.fault = ""
        """The traceback of the exception that ended the app."""
        self._first = first
        self._is_up = False
        self._is_asked_to_leave = False
        self._event_loop: asyncio.AbstractEventLoop | None = None
        self.set_keymap(checked_keymap(self.settings.keys, "[keys]"))
        self._theme_error = ""
        try:
            self.theme = checked_theme(self.settings.screen.theme, "screen.theme")
        except SettingsError as error:
            self._theme_error = str(error)

    def get_line_filters(self) -> Sequence[LineFilter]:
        """Leave dim text to a terminal that chooses the colours: blended colours of Textual would be rounded to the
        same 16 colours, or not exist in an ANSI theme, and partial text would be as bright as stable text."""
        filters = super().get_line_filters()
        if not self.native_ansi_color and self.console.color_system != "standard":
            return filters
        return [line_filter for line_filter in filters if not isinstance(line_filter, ANSIToTruecolor | DimFilter)]

    def get_default_screen(self) -> Screen[Any]:
        return self._first

    def on_mount(self) -> None:
        self._is_up = True
        self._event_loop = asyncio.get_running_loop()
        if self._is_asked_to_leave:
            self.exit("finished")
        if self._theme_error:
            self.notify(self._theme_error, severity="warning", markup=False)
        self.set_interval(TIDY_SECONDS, Tidying())
        if sys.__stdin__ is not None and sys.__stdin__.isatty():
            self._terminal_watch = self.set_interval(
                WATCH_SECONDS, partial(self._notice_closed_terminal, sys.__stdin__.fileno())
            )

    def request_leave(self) -> None:
        """Leave without asking. For any thread or signal handler, also before the screen is up."""
        self._is_asked_to_leave = True
        if self._event_loop is not None:
            self._event_loop.call_soon_threadsafe(self.exit, "finished")

    def _notice_closed_terminal(self, descriptor: int) -> None:
        """Do what SIGHUP does once the terminal is closed. The kernel sends it to the leader of the terminal's session
        alone, which may be another program, such as `make`; then Textual would try to read keys for ever."""
        if not os.isatty(descriptor):
            self._terminal_watch.stop()
            signal.raise_signal(signal.SIGHUP)

    def _watch_theme(self, theme_name: str) -> None:
        super()._watch_theme(theme_name)
        if self._is_up and theme_name != self.settings.screen.theme:
            self.settings = replace(self.settings, screen=replace(self.settings.screen, theme=theme_name))
            self.keep("screen.theme", theme_name)

    def keep(self, name: str, value: Any) -> None:
        """Store a setting that the user changed; if that fails, show why and go on."""
        try:
            self.remember(name, value)
        except LivecapError as error:
            self.notify(str(error), severity="warning", markup=False)

    def get_key_display(self, binding: Binding) -> str:
        """A key as it is shown; "" for a command without a key."""
        return super().get_key_display(binding) if has_key(binding.key) else ""

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        """Everything that a key does on this screen, for the command palette: what is special to the screen first."""
        found = {active.binding.id: active for active in reversed(screen.active_bindings.values()) if active.enabled}
        places = [
            *(place for place in PLACES.values() if place not in (TRANSCRIPT, EVERYWHERE)),
            TRANSCRIPT,
            EVERYWHERE,
        ]
        names = [binding.id for place in places for binding in place]
        order = {name: number for number, name in enumerate(names)}
        for name, active in sorted(found.items(), key=lambda item: order.get(item[0], -1)):
            binding = active.binding
            if binding.description and name not in (None, "palette"):
                action, node = binding.action, active.node
                key = self.get_key_display(binding)
                yield SystemCommand(
                    binding.description,
                    f"{binding.tooltip or binding.description}{f' ({key})' if key else ''}",
                    lambda action=action, node=node: self.call_later(self.run_action, action, node),
                )

    def print_above(self, line: str) -> None:
        """Inline, write a line above the app, where it becomes history of the terminal. `line` must be printable."""
        driver = self._driver
        if driver is None or not driver.is_inline:
            return
        y = self._previous_cursor_position.y
        driver.write("\r" + (f"\x1b[{y}A" if y else "") + f"\x1b[J{line}\n")
        driver.flush()
        self._previous_cursor_position = Offset(0, 0)
        self.screen.refresh(layout=True)

    def copy(self, text: str) -> str:
        """Put text on the clipboard. Returns how, to end a sentence with."""
        if clipboard.copy(text):
            return "to the clipboard"
        self.copy_to_clipboard(text)
        return "through the terminal"

    def action_command_palette(self) -> None:
        if not Palette.is_open(self):
            self.push_screen(Palette())

    def action_change_theme(self) -> None:
        from livecap.tui.screens.pick_screen import PickScreen

        names = [(name, name) for name in sorted(self.available_themes)]
        self.push_screen(PickScreen("Choose a theme", names, self.theme), self._choose_theme)

    def _choose_theme(self, name: str | None) -> None:
        if name is not None:
            self.theme = name

    def action_suspend(self) -> None:
        if self.on_quit is None:
            self.action_suspend_process()
        else:
            tell = getattr(self.screen, "tell", self.notify)
            tell("livecap is not suspended: what is said meanwhile would be lost. Pause it instead, or quit.")

    def action_help(self) -> None:
        if not isinstance(self.screen, HelpScreen):
            self.push_screen(HelpScreen(self.screen))

    def _fatal_error(self) -> None:
        """Keep the traceback of our own bug for the report; Textual would print it over the terminal."""
        self.fault = traceback.format_exc()
        self._close_messages_no_wait()

    async def action_quit(self) -> None:
        if self.on_quit is not None:
            self.on_quit()
        else:
            self.exit("finished")


WATCH_SECONDS = 0.5
TIDY_SECONDS = 20.0
THOROUGH_EVERY = 45
"""Calls of `Tidying` per full collection: one in a quarter of an hour."""


class Tidying:
    """Freezes live objects every 20 s, so that garbage collection during a key press does not scan the transcript.

    With 50,000 paragraphs a full collection takes 70 ms or more. After a freeze, the next collection sees only objects
    made since. Frozen objects that were dropped, such as a closed screen, are freed by a full collection every 15
    minutes.
    """

    def __init__(self) -> None:
        self._n_calls = 0

    def __call__(self) -> None:
        self._n_calls += 1
        if self._n_calls % THOROUGH_EVERY == 0:
            gc.unfreeze()
        gc.collect()
        gc.freeze()

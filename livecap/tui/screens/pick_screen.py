"""PickScreen: choose one of many names by typing a part of it: a language or a theme."""

from collections.abc import Sequence
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import Screen
from textual.widgets import Input, OptionList, Static

from livecap.tui.keys import BACK
from livecap.tui.widgets.ask_line import CleanInput
from livecap.tui.widgets.choose_list import NOW, ChooseList
from livecap.tui.widgets.key_hints import KeyHints


class PickScreen(Screen[str | None]):
    """Returns the identifier of a choice, or None if the user went back."""

    DEFAULT_CSS = """
    PickScreen {
        padding: 1 2 0 2;
        & #title { text-style: bold; padding: 0 0 1 0; }
        & Input { margin: 0 0 1 0; }
        & #none { display: none; padding: 0 2; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "choose", "Choose", tooltip="Choose the highlighted row", id="pick.choose"),
        Binding("escape", "leave", "Back", tooltip=BACK, id="pick.back"),
        Binding("down", "into_list", "List", show=False, tooltip="Go to the list", id="pick.list"),
    ]

    def __init__(self, title: str, choices: Sequence[tuple[str, str]], current: str | None = None) -> None:
        """
        Args:
            choices: (identifier, name) of each.
            current: the identifier of the one in use; the list opens on it.
        """
        super().__init__()
        self._question, self._choices, self._current = title, choices, current

    def compose(self) -> ComposeResult:
        yield Static(self._question, id="title", markup=False)
        yield CleanInput(placeholder="type to search", compact=True)
        yield Static(id="none", markup=False)
        yield ChooseList(id="choices")
        yield KeyHints()

    def on_mount(self) -> None:
        self._fill("")
        self.query_one(Input).focus()

    def _fill(self, typed: str) -> None:
        wanted = typed.strip().casefold()
        found = [choice for choice in self._choices if wanted in choice[1].casefold()]
        if wanted:
            found.sort(key=lambda choice: not choice[1].casefold().startswith(wanted))
        rows = [(name, Text(f"{text:<24}{NOW if name == self._current else ''}".rstrip())) for name, text in found]
        start = found[0][0] if wanted and found else self._current
        self.query_one(ChooseList).fill(rows, start or "")
        none = self.query_one("#none", Static)
        none.update(f"Nothing matches {typed.strip()!r}.")
        none.display = not found

    def on_input_changed(self, event: Input.Changed) -> None:
        self._fill(event.value)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        self.action_choose()

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        self.action_choose()

    def action_choose(self) -> None:
        chosen = self.query_one(ChooseList).chosen
        if chosen is not None:
            self.dismiss(chosen)

    def action_into_list(self) -> None:
        self.query_one(ChooseList).focus()

    def action_leave(self) -> None:
        self.dismiss(None)


def language_screen(
    languages: Sequence[str], current: str | None = None, title: str = "Which language is spoken?"
) -> PickScreen:
    """A screen for the language; its result "" is automatic detection.

    Args:
        current: the language that is set, "" if it is detected; None if nothing is set yet.
    """
    return PickScreen(title, [("", "Detect automatically"), *((name, name) for name in languages)], current)

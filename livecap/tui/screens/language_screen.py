"""LanguageScreen: choose the language of the session, or automatic detection."""

from collections.abc import Sequence
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import Screen
from textual.widgets import Input, OptionList, Static

from livecap.tui.widgets.ask_line import CleanInput
from livecap.tui.widgets.choose_list import ChooseList

ANY = "Detect automatically"


class LanguageScreen(Screen[str | None]):
    """Returns a language, "" for automatic detection, or None if the user went back."""

    DEFAULT_CSS = """
    LanguageScreen {
        padding: 1 2 0 2;
        & #title { text-style: bold; padding: 0 0 1 0; }
        & Input { margin: 0 0 1 0; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", "Back", tooltip="Go back without changing anything", id="language.back"),
        Binding("down", "into_list", "List", show=False, tooltip="Go to the list", id="language.list"),
    ]

    def __init__(self, languages: Sequence[str], title: str = "Which language is spoken?") -> None:
        super().__init__()
        self._languages, self._question = languages, title

    def compose(self) -> ComposeResult:
        yield Static(self._question, id="title", markup=False)
        yield CleanInput(placeholder="type to search", compact=True)
        yield ChooseList(id="languages")

    def on_mount(self) -> None:
        self._fill("")
        self.query_one(Input).focus()

    def _fill(self, typed: str) -> None:
        wanted = typed.strip().casefold()
        found = [name for name in self._languages if wanted in name.casefold()]
        found.sort(key=lambda name: not name.casefold().startswith(wanted))
        rows = [] if wanted else [("", Text(ANY))]
        self.query_one(ChooseList).fill([*rows, *((name, Text(name)) for name in found)])

    def on_input_changed(self, event: Input.Changed) -> None:
        self._fill(event.value)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        self._leave_with_chosen()

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        self._leave_with_chosen()

    def _leave_with_chosen(self) -> None:
        chosen = self.query_one(ChooseList).chosen
        if chosen is not None:
            self.dismiss(chosen)

    def action_into_list(self) -> None:
        self.query_one(ChooseList).focus()

    def action_leave(self) -> None:
        self.dismiss(None)

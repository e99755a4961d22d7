"""ChooseList: a list of rows to choose one from."""

from collections.abc import Sequence
from typing import ClassVar

from rich.text import Text
from textual.binding import Binding, BindingType
from textual.widgets import OptionList
from textual.widgets.option_list import Option

MARK = "▸ "
"""Before the highlighted row: colour is never the only sign."""
NOW = "● now"
"""Beside the row that is in use."""


class ChooseList(OptionList, inherit_bindings=False):
    """Rows are plain text without markup, never wrapped. The screen binds Enter, so that its footer can name it."""

    DEFAULT_CSS = """
    ChooseList {
        height: 1fr;
        border: none;
        padding: 0;
        text-wrap: nowrap;
        text-overflow: ellipsis;
        &:focus { border: none; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down,j", "cursor_down", "Down", show=False),
        Binding("up,k", "cursor_up", "Up", show=False),
        Binding("home", "first", "First", show=False),
        Binding("end", "last", "Last", show=False),
        Binding("pagedown", "page_down", "Page down", show=False),
        Binding("pageup", "page_up", "Page up", show=False),
    ]

    def __init__(self, id: str | None = None) -> None:
        super().__init__(id=id)
        self._rows: list[tuple[str, Text]] = []
        self._marked: int | None = None

    def fill(self, rows: Sequence[tuple[str, Text]], start: str | None = None) -> None:
        """Replace all rows.

        Args:
            rows: (identifier, text) of each.
            start: the row to highlight, or the first one if it is not there; None keeps the highlighted one.
        """
        wanted = self.chosen if start is None else start
        self.clear_options()
        self._rows, self._marked = list(rows), None
        self.add_options([Option(_row(text, False)) for _, text in rows])
        names = [name for name, _ in rows]
        if rows:
            self.highlighted = names.index(wanted) if wanted in names else 0

    @property
    def chosen(self) -> str | None:
        """The identifier of the highlighted row; None without rows."""
        at = self.highlighted
        return self._rows[at][0] if at is not None and at < len(self._rows) else None

    def action_cursor_up(self) -> None:
        """Go up, but not from the first row to the last."""
        if self.highlighted != 0:
            super().action_cursor_up()

    def action_cursor_down(self) -> None:
        """Go down, but not from the last row to the first."""
        if self.highlighted != self.option_count - 1:
            super().action_cursor_down()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Textual cannot go to another page in a list of which no row is visible."""
        return action not in ("page_up", "page_down") or bool(self.scrollable_content_region)

    def watch_highlighted(self, highlighted: int | None) -> None:
        super().watch_highlighted(highlighted)
        for number, marked in ((self._marked, False), (highlighted, True)):
            if number is not None and number < min(len(self._rows), self.option_count):
                self.replace_option_prompt_at_index(number, _row(self._rows[number][1], marked))
        self._marked = highlighted


def _row(text: Text, marked: bool) -> Text:
    row = Text(MARK if marked else "  ", no_wrap=True, overflow="ellipsis")
    return row.append_text(text)

"""ChooseList: a list to choose one of, with what it needs on every row."""

from collections.abc import Sequence

from rich.text import Text
from textual.widgets import OptionList
from textual.widgets.option_list import Option


class ChooseList(OptionList):
    """Rows are text, never markup. j and k move, too."""

    DEFAULT_CSS = """
    ChooseList { height: 1fr; border: none; padding: 0; }
    ChooseList:focus { border: none; }
    """
    BINDINGS = [("j", "cursor_down"), ("k", "cursor_up")]

    def fill(self, rows: Sequence[tuple[str, Text]]) -> None:
        """(identifier, what is shown); keeps the row that was chosen."""
        before = self.chosen
        self.clear_options()
        self.add_options([Option(text, id=f"id-{number}") for number, (_, text) in enumerate(rows)])
        self._names = [name for name, _ in rows]
        if rows:
            self.highlighted = self._names.index(before) if before in self._names else 0

    _names: list[str] = []

    @property
    def chosen(self) -> str | None:
        """The identifier of the row that is highlighted; None where there is none."""
        at = self.highlighted
        return self._names[at] if at is not None and at < len(self._names) else None

"""NewLines: how much was said below what a person is reading."""

from textual.reactive import reactive
from textual.widget import Widget


class NewLines(Widget):
    """`↓ 3 new lines`; not there while the end is in sight."""

    DEFAULT_CSS = """
    NewLines {
        display: none;
        height: 1;
        width: auto;
        padding: 0 1;
        text-style: bold;
    }
    """

    n_rows: reactive[int] = reactive(0, layout=True)

    def render(self) -> str:
        return f"↓ {self.n_rows} new {'line' if self.n_rows == 1 else 'lines'}"

    def watch_n_rows(self, n_rows: int) -> None:
        self.display = n_rows > 0

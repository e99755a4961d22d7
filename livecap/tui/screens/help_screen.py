"""HelpScreen: all keys of the screen below it, in groups."""

from collections.abc import Sequence
from typing import Any, ClassVar

from rich.console import Group
from rich.table import Table
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.screen import ModalScreen, Screen
from textual.widgets import Static

from livecap.tui.keys import GROUPS
from livecap.tui.widgets.key_hints import KeyHints

KEYS_WIDTH = 12
MIN_WIDTH_FOR_COLUMNS = 110
MOST_AT_LEFT = 0.6
"""The share of the rows that the left column may take."""
MOUSE = (
    ("wheel", "Scroll"),
    ("drag", "Select text; y copies it"),
    ("double click", "Select an utterance"),
    ("click", "On a time: mark, or play from there"),
)


class HelpScreen(ModalScreen[None]):
    """Lists the keys as they are, with the user's changes."""

    DEFAULT_CSS = """
    HelpScreen {
        align: center middle;
        & VerticalScroll { width: 76; max-width: 100%; height: auto; max-height: 100%; padding: 1 2 2 2; }
        & Horizontal { height: auto; }
        & #title { text-style: bold; }
        & Static { width: 1fr; height: auto; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,question_mark,f1", "leave", "Close", id="help.back"),
        Binding("down,j", "scroll(1)", "Down", key_display="↓", id="help.down"),
        Binding("up,k", "scroll(-1)", "Up", key_display="↑", id="help.up"),
        Binding("pagedown,space", "scroll(10)", "Page down", show=False),
        Binding("pageup", "scroll(-10)", "Page up", show=False),
    ]

    def __init__(self, screen_below: Screen[Any]) -> None:
        super().__init__()
        self._screen_below = screen_below

    def compose(self) -> ComposeResult:
        with VerticalScroll(can_focus=False):
            yield Static("Keys of this screen", id="title")
            with Horizontal():
                yield Static(id="left")
                yield Static(id="right")
            yield Static("\nTo change a key: livecap config set keys.pause f5", classes="quiet")
        yield KeyHints()

    def on_resize(self) -> None:
        """Lay out the groups: in two columns of about the same height where the terminal is wide enough."""
        wide = self.app.size.width >= MIN_WIDTH_FOR_COLUMNS
        left: list[Block] = []
        right = self._blocks()
        most = sum(map(_n_rows, right)) * (MOST_AT_LEFT if wide else 1)
        while right and sum(map(_n_rows, [*left, right[0]])) <= most:
            left.append(right.pop(0))
        self.query_one(VerticalScroll).styles.width = 116 if wide else 76
        self.query_one("#left", Static).update(Group(*map(_drawn, left)))
        self.query_one("#right", Static).update(Group(*map(_drawn, right)))
        self.query_one("#right").display = wide

    def _blocks(self) -> "list[Block]":
        """The groups that have any keys."""
        keys: dict[str, list[str]] = {}
        about: dict[str, str] = {}
        for active in self._screen_below.active_bindings.values():
            binding = active.binding
            shown = self.app.get_key_display(binding.with_key(binding.key, None))
            if binding.id and binding.description and shown:
                keys.setdefault(binding.id, []).append(shown)
                about[binding.id] = str(binding.tooltip or binding.description)
        grouped = {name for names in GROUPS.values() for name in names}
        groups = {"This screen": [name for name in about if name not in grouped], **GROUPS}
        blocks: list[Block] = []
        for title, names in groups.items():
            rows = [(" ".join(dict.fromkeys(keys[name])), about[name]) for name in names if name in about]
            blocks += [(title, rows)] if rows else []
        return [*blocks, ("Mouse", MOUSE)]

    def action_scroll(self, step: int) -> None:
        self.query_one(VerticalScroll).scroll_relative(y=step, animate=False)

    def action_leave(self) -> None:
        self.dismiss(None)


Block = tuple[str, Sequence[tuple[str, str]]]
"""A heading, and (keys, what they do) of each command."""


def _n_rows(block: Block) -> int:
    return len(block[1]) + 2


def _drawn(block: Block) -> Group:
    title, rows = block
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(justify="right", width=KEYS_WIDTH, style="bold", no_wrap=True)
    table.add_column()
    for keys, sentence in rows:
        table.add_row(keys, sentence)
    return Group(Text(f"\n{title}", style="bold"), table)

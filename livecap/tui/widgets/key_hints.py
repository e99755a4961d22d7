"""KeyHints: the last row, with the most important keys of the moment."""

from dataclasses import dataclass, replace

from rich.cells import cell_len
from rich.segment import Segment
from textual.events import Click
from textual.keys import format_key
from textual.reactive import reactive
from textual.screen import Screen
from textual.strip import Strip
from textual.widget import Widget

from livecap.tui.keys import is_typed
from livecap.tui.widgets.ask_line import CleanInput

BETWEEN = "  "


@dataclass(frozen=True, slots=True)
class Hint:
    """One key and what it does."""

    key: str
    shown: str
    """The key as it is written on the screen."""
    label: str

    @property
    def width(self) -> int:
        return cell_len(self.shown) + 1 + cell_len(self.label)


class KeyHints(Widget):
    """`space Pause  m Mark  / Search`, as many as fit; a click on one presses its key. While a text is typed, only keys
    that write nothing.

    One widget, redrawn only when its text changes: Textual's Footer makes a new widget for each key whenever the focus
    moves, which takes longer than everything else that a key press causes.
    """

    ALLOW_SELECT = False
    COMPONENT_CLASSES = {"key-hints--key", "key-hints--label"}
    DEFAULT_CSS = """
    KeyHints { dock: bottom; height: 1; width: 1fr; }
    """

    hints: reactive[tuple[Hint, ...]] = reactive(())
    palette: reactive[Hint | None] = reactive(None)
    """Shown at the right end if it fits."""

    def on_mount(self) -> None:
        self.screen.bindings_updated_signal.subscribe(self, self._look)
        self._look(self.screen)

    def _look(self, screen: Screen[object]) -> None:
        if screen is not self.screen:
            return
        hints: dict[str, Hint] = {}
        box = screen.focused if isinstance(screen.focused, CleanInput) else None
        if box is not None and box.answers:
            hints = {label: Hint(key, format_key(key), label) for key, label in box.answers.items()}
        for active in screen.active_bindings.values():
            binding = active.binding
            if box is not None and (is_typed(binding.key) or box.answers):
                binding = replace(binding, show=binding.id == "help" and not is_typed(binding.key), key_display=None)
            shown = self.app.get_key_display(binding)
            if binding.show and active.enabled and shown:
                hints.setdefault(binding.action, Hint(binding.key, shown, binding.description))
            elif binding.id == "palette" and shown:
                self.palette = Hint(binding.key, shown, binding.description)
        self.hints = tuple(hints.values())

    def _placed(self) -> list[tuple[int, Hint]]:
        """(column, hint) of the hints that fit."""
        column, placed = 1, []
        for hint in self.hints:
            if column + hint.width > self.size.width:
                break
            placed.append((column, hint))
            column += hint.width + len(BETWEEN)
        if self.palette is not None and column + self.palette.width + 1 <= self.size.width:
            placed.append((self.size.width - 1 - self.palette.width, self.palette))
        return placed

    def render_line(self, y: int) -> Strip:
        style = self.get_component_rich_style
        segments, column = [], 0
        for start, hint in self._placed():
            segments.append(Segment(" " * (start - column)))
            segments.append(Segment(hint.shown, style("key-hints--key")))
            segments.append(Segment(f" {hint.label}", style("key-hints--label")))
            column = start + hint.width
        base = self.rich_style
        return Strip(segments).adjust_cell_length(self.size.width, base).apply_style(base)

    def on_click(self, event: Click) -> None:
        for column, hint in self._placed():
            if column <= event.x < column + hint.width:
                self.app.simulate_key(hint.key)

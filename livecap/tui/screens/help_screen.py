"""HelpScreen: all keys of the screen below it."""

from typing import Any, ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen, Screen
from textual.widgets import Static


class HelpScreen(ModalScreen[None]):
    """Lists the keys as they are, with the user's changes."""

    DEFAULT_CSS = """
    HelpScreen {
        align: center middle;
        & VerticalScroll { width: 84; max-width: 100%; height: auto; max-height: 100%; padding: 1 2; }
        & Static { width: 1fr; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,question_mark,f1", "leave", "Back", show=False, id="help.back")
    ]

    def __init__(self, screen_below: Screen[Any]) -> None:
        super().__init__()
        self._screen_below = screen_below

    def compose(self) -> ComposeResult:
        with VerticalScroll():
            yield Static(self._keys(), id="keys")

    def _keys(self) -> Text:
        keys: dict[str, list[str]] = {}
        about: dict[str, str] = {}
        for active in self._screen_below.active_bindings.values():
            binding = active.binding
            if not binding.id or not binding.description:
                continue
            keys.setdefault(binding.id, []).append(self.app.get_key_display(binding.with_key(binding.key, None)))
            about[binding.id] = str(binding.tooltip or binding.description)
        text = Text()
        for name, sentence in about.items():
            shown = list(dict.fromkeys(keys[name]))
            text.append(f"{' '.join(shown):>16}", style="bold")
            text.append(f"  {sentence}\n")
        text.append("\n Esc closes this. To change a key: livecap config set keys.pause f5", style="dim")
        return text

    def action_leave(self) -> None:
        self.dismiss(None)

"""AskLine: one line in which the user types: a search text, a note, names to expect, a title."""

from collections.abc import Mapping
from typing import ClassVar, Literal

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.message import Message
from textual.widgets import Input, Static

from livecap.text.safety import printable

Purpose = Literal["search", "note", "context", "name", "speaker"]
SEARCH_KEYS = {"enter": "Go to results", "escape": "Close"}
SAVE_KEYS = {"enter": "Save", "escape": "Cancel"}
SAVE_HINT = "enter save   esc cancel"


class CleanInput(Input):
    """An input whose value is printable, also after a paste: control sequences never get in."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("enter", "submit", "Choose", id="submit")]

    answers: Mapping[str, str] = {}
    """Key to what it does, for the footer; empty if the keys are those of the screen."""

    def validate_value(self, value: str) -> str:
        """Called by Textual before a new value is set."""
        return printable(value)


class AskLine(Horizontal):
    """Hidden until something is asked. The transcript beside it keeps its place and goes on."""

    DEFAULT_CSS = """
    AskLine {
        display: none;
        height: 1;
        & #ask-label { width: auto; text-style: bold; padding: 0 1; }
        & Input { width: 1fr; }
        & #ask-hint { width: auto; text-style: dim; padding: 0 1; }
    }
    """

    class Typed(Message):
        """The text changed."""

        def __init__(self, purpose: Purpose, text: str) -> None:
            super().__init__()
            self.purpose, self.text = purpose, text

    class Answered(Message):
        """The user pressed Enter."""

        def __init__(self, purpose: Purpose, text: str) -> None:
            super().__init__()
            self.purpose, self.text = purpose, text

    def __init__(self, id: str | None = None) -> None:
        super().__init__(id=id)
        self.purpose: Purpose | None = None
        """What is being asked; None while hidden."""

    def compose(self) -> ComposeResult:
        yield Static(id="ask-label", markup=False)
        yield CleanInput(compact=True, id="ask-input", select_on_focus=False)
        yield Static(id="ask-hint", markup=False)

    def ask(self, purpose: Purpose, label: str, text: str = "", hint: str = "") -> None:
        """Show the line with `text` in it, and focus it. Without a footer, a `hint` has to name the keys."""
        self.purpose = purpose
        self.query_one("#ask-label", Static).update(label)
        self.hint(hint)
        box = self.query_one(CleanInput)
        box.answers = SEARCH_KEYS if purpose == "search" else SAVE_KEYS
        with self.prevent(Input.Changed):
            box.value = text
        box.cursor_position = len(text)
        self.display = True
        box.focus()

    def hint(self, sentence: str) -> None:
        """Show a hint at the right end."""
        self.query_one("#ask-hint", Static).update(sentence)

    @property
    def text(self) -> str:
        return self.query_one(Input).value

    def leave(self) -> None:
        """Hide the line."""
        self.purpose = None
        self.display = False

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        if self.purpose is not None:
            self.post_message(self.Typed(self.purpose, event.value))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        if self.purpose is not None:
            self.post_message(self.Answered(self.purpose, event.value))

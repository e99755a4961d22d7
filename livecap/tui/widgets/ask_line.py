"""AskLine: one line at the bottom where a person types: what to search, a note, words to expect."""

from typing import Literal

from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.message import Message
from textual.widgets import Input, Static

from livecap.tui.widgets.clean_input import CleanInput

Purpose = Literal["search", "note", "context", "name", "path"]


class AskLine(Horizontal):
    """Not there until something is asked. The text below it stays where it is and goes on."""

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
        """Somebody pressed enter."""

        def __init__(self, purpose: Purpose, text: str) -> None:
            super().__init__()
            self.purpose, self.text = purpose, text

    def __init__(self, id: str | None = None) -> None:
        super().__init__(id=id)
        self.purpose: Purpose | None = None
        """What is asked now."""

    def compose(self) -> ComposeResult:
        yield Static(id="ask-label", markup=False)
        yield CleanInput(compact=True, id="ask-input", select_on_focus=False)
        yield Static(id="ask-hint", markup=False)

    def ask(self, purpose: Purpose, label: str, text: str = "", hint: str = "") -> None:
        """Show the line with `text` in it, and give it the keyboard."""
        self.purpose = purpose
        self.query_one("#ask-label", Static).update(label)
        self.hint(hint)
        box = self.query_one(Input)
        with self.prevent(Input.Changed):
            box.value = text
        box.cursor_position = len(text)
        self.display = True
        box.focus()

    def hint(self, sentence: str) -> None:
        """Say something at the right end."""
        self.query_one("#ask-hint", Static).update(sentence)

    @property
    def text(self) -> str:
        return self.query_one(Input).value

    def leave(self) -> None:
        """Take the line away."""
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

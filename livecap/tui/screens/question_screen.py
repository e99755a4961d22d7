"""QuestionScreen: a yes-or-no question before something is lost."""

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Static

from livecap.tui.widgets.key_hints import KeyHints


class QuestionScreen(ModalScreen[bool]):
    """Returns True for yes; every other way to close it is a no."""

    DEFAULT_CSS = """
    QuestionScreen {
        align: center middle;
        & Vertical { width: 60; max-width: 100%; height: auto; padding: 1 2; }
        & #answers { text-style: bold; padding: 1 0 0 0; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "answer(True)", "Yes", id="yes"),
        Binding("n,escape,q,enter", "answer(False)", "No", id="no"),
        Binding("ctrl+c,ctrl+q", "answer(False)", "No", show=False, id="no-too"),
    ]

    def __init__(self, question: str) -> None:
        super().__init__()
        self._question = question

    def compose(self) -> ComposeResult:
        with Vertical():
            yield Static(self._question, markup=False)
            yield Static("y yes    n no", id="answers", markup=False)
        yield KeyHints()

    def action_answer(self, yes: bool) -> None:
        self.dismiss(yes)


class LeaveScreen(QuestionScreen):
    """Asks whether to leave: the keys that end any program are a yes, too."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+c,ctrl+q", "answer(True)", "Yes", show=False, priority=True, id="yes-now"),
    ]

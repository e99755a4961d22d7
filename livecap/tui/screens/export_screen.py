"""ExportScreen: write a session to a file in another format."""

import os
from pathlib import Path
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, OptionList, Static

from livecap.archive.recorded import RecordedSession
from livecap.errors import LivecapError
from livecap.export.formats import FileExists, export_file
from livecap.text.safety import printable
from livecap.tui.screens.question_screen import QuestionScreen
from livecap.tui.widgets.ask_line import CleanInput
from livecap.tui.widgets.choose_list import ChooseList
from livecap.tui.widgets.key_hints import KeyHints

FORMATS = {
    "md": "Markdown, one line per utterance with its time",
    "txt": "plain text",
    "srt": "subtitles",
    "vtt": "subtitles for the web",
    "tsv": "a table: start, end, label, text",
    "json": "everything, for programs",
    "html": "a page with search, and with the sound if it was saved",
}


class ExportScreen(ModalScreen[str | None]):
    """A box over the session. Returns a sentence about the file that was written, or None if the user went back."""

    AUTO_FOCUS = "ChooseList"
    DEFAULT_CSS = """
    ExportScreen {
        align: center middle;
        & Vertical { width: 72; max-width: 100%; height: auto; max-height: 100%; padding: 1 2; }
        & #title { text-style: bold; padding: 0 0 1 0; }
        & ChooseList { height: auto; max-height: 1fr; }
        & #where { padding: 1 0 0 0; }
        & #trouble { height: auto; max-height: 5; padding: 1 0 0 0; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "write", "Export", tooltip="Write the file", id="export.write"),
        Binding("escape,q", "leave", "Back", tooltip="Go back without writing anything", id="export.back"),
        Binding("tab", "app.focus_next", "Folder", tooltip="Choose another folder", id="export.folder"),
    ]

    def __init__(self, folder: Path) -> None:
        """
        Args:
            folder: the folder of the session.
        """
        super().__init__()
        self._folder = folder

    def compose(self) -> ComposeResult:
        with Vertical():
            yield Static("Export the session as", id="title", markup=False)
            yield ChooseList(id="formats")
            yield Static("to the folder", id="where", markup=False)
            box = CleanInput(_usual_folder(), compact=True, id="folder")
            box.answers = {"enter": "Export", "tab": "Formats", "escape": "Back"}
            yield box
            yield Static(id="trouble", markup=False)
        yield KeyHints()

    def on_mount(self) -> None:
        self.query_one(ChooseList).fill([(name, Text(f"{name:<6}{about}")) for name, about in FORMATS.items()])

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        self.action_write()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        self.action_write()

    def action_write(self) -> None:
        self._write(overwrite=False)

    def _write(self, overwrite: bool) -> None:
        file_format = self.query_one(ChooseList).chosen
        if file_format is None:
            return
        folder = Path(os.path.expanduser(self.query_one("#folder", Input).value))
        try:
            session = RecordedSession(self._folder)
            path = export_file(session, file_format, folder, overwrite)
        except FileExists:
            question = f"Replace the {file_format} file of this session in {printable(str(folder))}?"
            self.app.push_screen(QuestionScreen(question), lambda yes: self._write(True) if yes else None)
        except LivecapError as error:
            self.query_one("#trouble", Static).update(printable(str(error)))
        else:
            self.dismiss(f"Exported to {path}")

    def action_leave(self) -> None:
        self.dismiss(None)


def _usual_folder() -> str:
    """The current folder, or that of the user where the current one was removed."""
    try:
        return str(Path.cwd())
    except OSError:
        return os.path.expanduser("~")

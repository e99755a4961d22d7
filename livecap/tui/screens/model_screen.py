"""ModelScreen: choose a model, and download it if needed."""

from collections.abc import Callable, Sequence
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import Screen
from textual.widgets import OptionList, ProgressBar, Static

from livecap.errors import LivecapError, for_user
from livecap.text.safety import printable
from livecap.text.units import length_of_time, size
from livecap.tui.choices import Machine, ModelChoice
from livecap.tui.screens.question_screen import QuestionScreen
from livecap.tui.widgets.choose_list import NOW, ChooseList
from livecap.tui.widgets.key_hints import KeyHints

STOP_HINT = "Press Esc to stop; you can continue later."


class Cancelled(Exception):
    """The user stopped the download; the part so far is kept for the next time."""


class ModelScreen(Screen[str | None]):
    """Returns the name of a downloaded model, or None if the user went back."""

    DEFAULT_CSS = """
    ModelScreen {
        padding: 1 2 0 2;
        & #title { text-style: bold; padding: 0 0 1 0; }
        & ChooseList { height: auto; max-height: 1fr; }
        & #said { height: auto; max-height: 4; padding: 1 0 0 0; }
        & ProgressBar { display: none; width: 1fr; height: 1; margin: 1 0 0 0; }
        & Bar { width: 1fr; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "choose", "Choose", tooltip="Choose the highlighted model", id="model.choose"),
        Binding(
            "escape,q",
            "leave",
            "Back",
            tooltip="Go back, or stop a download; it can be continued later",
            id="model.back",
        ),
    ]

    def __init__(
        self, machine: Machine, now: Callable[[], float], title: str = "Choose a model", current: str | None = None
    ) -> None:
        """
        Args:
            current: the model in use, by the name that `--model` takes or by the end of it; the list opens on it.
        """
        super().__init__()
        self._machine, self._now, self._title, self._current = machine, now, title, current
        self._models: Sequence[ModelChoice] = ()
        self._downloading: str | None = None
        self._agreed: str | None = None
        """The model whose download the user agreed to."""
        self._stopped = False
        self._began = self._drawn = 0.0
        self._first_bytes: int | None = None

    def compose(self) -> ComposeResult:
        yield Static(
            f"{self._title}   (this machine has {size(self._machine.memory_bytes)} of memory)", id="title", markup=False
        )
        yield ChooseList(id="models")
        yield ProgressBar(show_eta=False)
        yield Static(id="said", markup=False)
        yield KeyHints()

    def on_mount(self) -> None:
        self.run_worker(self._list, thread=True, group="list", exclusive=True)

    def _list(self) -> None:
        """Runs on a worker thread."""
        try:
            models = self._machine.models()
        except (LivecapError, OSError) as error:
            self.app.call_from_thread(self._say, for_user(error))
        else:
            self.app.call_from_thread(self.show_models, models)

    def show_models(self, models: Sequence[ModelChoice]) -> None:
        self._models = models
        choices = self.query_one(ChooseList)
        now = next((model.name for model in models if is_same_model(model.name, self._current)), None)
        best = next((model.name for model in models if model.recommended), "")
        width = max((len(model.name) for model in models), default=0) + 2
        choices.fill([(model.name, _row(model, model.name == now, width)) for model in models], now or best)

    @property
    def _chosen(self) -> ModelChoice | None:
        name = self.query_one(ChooseList).chosen
        return next((model for model in self._models if model.name == name), None)

    def on_option_list_option_highlighted(self, event: OptionList.OptionHighlighted) -> None:
        if not self._downloading and (model := self._chosen):
            self._say(f"{model.name}: {model.about}.")

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        self.action_choose()

    def action_choose(self) -> None:
        model = self._chosen
        if model is None or self._downloading:
            return
        if model.is_here:
            self.dismiss(model.name)
            return
        if model.name == self._agreed:
            self._download(model)
            return
        much = f", {size(model.disk_bytes)}" if model.disk_bytes else ""
        small = "" if model.fits else " It needs more memory than this machine has."
        terms = f"{model.licence} " if model.licence else ""
        question = QuestionScreen(f"{terms}Download {model.name}{much}?{small} It can be stopped and continued later.")
        self.app.push_screen(question, lambda yes: self._download(model) if yes else None)

    # ---- the download

    def _download(self, model: ModelChoice) -> None:
        self._downloading = self._agreed = model.name
        self._stopped, self._first_bytes = False, None
        self._began = self._drawn = self._now()
        bar = self.query_one(ProgressBar)
        bar.display = True
        bar.update(total=model.disk_bytes or None, progress=0)
        self._say(f"Downloading {model.name}. {STOP_HINT}")
        self.run_worker(lambda: self._work(model.name), thread=True, group="download", exclusive=True)

    def _work(self, name: str) -> None:
        """Runs on a worker thread."""
        sentence = None
        try:
            self._machine.download(name, self._progress)
        except Cancelled:
            sentence = "Stopped. Press Enter to continue the download."
        except (LivecapError, OSError) as error:
            sentence = for_user(error)
        self.app.call_from_thread(self._downloaded, name, sentence)

    def _progress(self, done: int, total: int) -> None:
        """Called on a thread of the download."""
        if self._stopped:
            raise Cancelled
        now = self._now()
        if self._first_bytes is None:
            self._first_bytes = done
        if now - self._drawn >= 0.1 or done >= total > 0:
            self._drawn = now
            self.app.call_from_thread(self._show_progress, done, total, now)

    def _show_progress(self, done: int, total: int, now: float) -> None:
        self.query_one(ProgressBar).update(total=total or None, progress=done)
        speed = (done - (self._first_bytes or 0)) / max(now - self._began, 1e-3)
        left = f", {length_of_time((total - done) / speed)} left" if speed > 0 and total > done else ""
        of = f" of {size(total)}" if total else ""
        self._say(f"{size(done)}{of}, {size(speed)}/s{left}. {STOP_HINT}")

    def _downloaded(self, name: str, sentence: str | None) -> None:
        self._downloading = None
        if not self.is_attached:
            return  # livecap ends
        if sentence is None:
            self.dismiss(name)
            return
        self.query_one(ProgressBar).display = False
        self._say(sentence)

    def _say(self, sentence: str) -> None:
        self.query_one("#said", Static).update(printable(sentence))

    def on_unmount(self) -> None:
        self._stopped = True  # livecap ends during a download

    def action_leave(self) -> None:
        if self._downloading:
            self._stopped = True
            self._say("Stopping…")
        else:
            self.dismiss(None)


def is_same_model(name: str, current: str | None) -> bool:
    """True if `current` is this model's name, the end of it after a `/` or, as in `0.6b`, after the last `-`."""
    last = name.rpartition("/")[2]
    ends = (name, last, last.removeprefix("Qwen3-ASR-") if name.startswith("Qwen/") else last)
    return current is not None and current.lower() in {end.lower() for end in ends}


def _row(model: ModelChoice, is_now: bool, width: int) -> Text:
    said = NOW if is_now else "recommended" if model.recommended else "" if model.fits else "too large"
    text = Text(no_wrap=True)
    text.append(printable(model.name).ljust(width))
    text.append(f"{said:<12}", style="bold")
    text.append(f"{size(model.disk_bytes) if model.disk_bytes else '':>6}")
    text.append(f"{'' if model.memory_bytes is None else 'memory ' + size(model.memory_bytes):>14}  ")
    text.append("downloaded" if model.is_here else "")
    return text

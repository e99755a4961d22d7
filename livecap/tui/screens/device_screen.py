"""DeviceScreen: choose an input, with a live meter of the highlighted one."""

import threading
from collections.abc import Callable, Sequence
from typing import ClassVar

from rich.cells import cell_len, set_cell_size
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.screen import Screen
from textual.widgets import OptionList, Static

from livecap.errors import LivecapError, for_user
from livecap.text.safety import printable
from livecap.tui.choices import InputChoice, Machine, Meter
from livecap.tui.keys import DEVICES, key_of
from livecap.tui.widgets.choose_list import ChooseList
from livecap.tui.widgets.key_hints import KeyHints
from livecap.tui.widgets.level_meter import LevelMeter

SILENT_SECONDS = 3.0
SILENT = "This input is silent. Is it muted, or is microphone permission missing?"
TROUBLES = {
    "silent": SILENT,
    "away": "This input is not there any more. Connect it again, or choose another one.",
}
"""What to do about the trouble of a meter."""


class DeviceScreen(Screen[str | None]):
    """Returns the `query` of an input, or None if the user went back.

    Only one input is open at a time: opening the microphone of a headset makes its music sound bad.
    """

    DEFAULT_CSS = """
    DeviceScreen {
        padding: 1 2 0 2;
        & #title { text-style: bold; padding: 0 0 1 0; }
        & #trouble { height: auto; max-height: 6; margin: 1 0; }
        & ChooseList { height: auto; max-height: 1fr; }
        & LevelMeter { margin: 1 0 0 0; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [*DEVICES]

    def __init__(
        self,
        machine: Machine,
        now: Callable[[], float],
        title: str = "Choose what to listen to",
        tracks: Sequence[tuple[str, str]] = (),
        current: str | None = None,
        is_first: bool = False,
    ) -> None:
        """
        Args:
            current: the name or `query` of the input to open on; None for that of the first track, or the default one.
            tracks: (label, name of its input) of each track of a running session; the user chooses one.
            is_first: there is no screen to go back to.
        """
        super().__init__()
        self._machine, self._now, self._title, self._tracks = machine, now, title, tracks
        self._track, self._current, self._is_first = 0, current, is_first
        self._meter_lock = threading.Lock()
        self._meter: Meter | None = None
        """Worker threads set it, under the lock."""
        self._metered: str | None = None
        self._left = False
        self._silent_since: float | None = None
        self._told_silence, self._told_unlisted, self._has_trouble = False, False, False

    def compose(self) -> ComposeResult:
        yield Static(self._heading(), id="title", markup=False)
        yield ChooseList(id="inputs")
        yield LevelMeter(id="level")
        yield Static(id="trouble", markup=False)
        yield KeyHints()

    @property
    def track(self) -> str:
        """The label of the track whose input is being chosen; "" without tracks."""
        return self._tracks[self._track][0] if self._tracks else ""

    def _heading(self) -> str:
        if len(self._tracks) < 2:
            return self._title
        labels = (f"▸{label}" if label == self.track else f" {label}" for label, _ in self._tracks)
        return f"{self._title}   for {'  '.join(map(printable, labels))}   (tab to switch)"

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        match action:
            case "other_track":
                return len(self._tracks) > 1
            case "leave":
                return not self._is_first
            case "leave_livecap":
                return self._is_first
        return True

    def action_other_track(self) -> None:
        self._track = (self._track + 1) % len(self._tracks)
        self.query_one("#title", Static).update(self._heading())

    def on_mount(self) -> None:
        self._list(again=False)
        self.set_interval(1 / 15, self.poll)

    def action_refresh(self) -> None:
        self._list(again=True)

    def _list(self, again: bool) -> None:
        self.run_worker(lambda: self._ask_inputs(again), thread=True, group="list", exclusive=True)

    def _ask_inputs(self, again: bool) -> None:
        """Runs on a worker thread."""
        try:
            inputs = self._machine.inputs(again)
        except (LivecapError, OSError) as error:
            self.app.call_from_thread(self._show_unlisted, for_user(error))
        else:
            self.app.call_from_thread(self.show_inputs, inputs)

    def _show_unlisted(self, sentence: str) -> None:
        self.show_trouble(sentence)
        self._told_unlisted = True

    def show_inputs(self, inputs: Sequence[InputChoice]) -> None:
        used = {source: label or "now" for label, source in self._tracks}
        rows = [(choice.query, _row(choice, used.get(choice.query, ""))) for choice in inputs]
        choices = self.query_one(ChooseList)
        if choices.chosen is None:  # the first time
            set_now = self._tracks[self._track][1] if self._tracks else self._current
            start = [choice.query for choice in inputs if set_now in (choice.query, choice.name)]
            choices.fill(rows, next(iter(start or [choice.query for choice in inputs if choice.is_default]), ""))
        else:
            choices.fill(rows)
        if self._told_unlisted:
            self.show_trouble("")
        if not rows:
            refresh = key_of(self, "device.refresh")
            self.show_trouble(f"No input found. Connect a microphone and press {refresh}. Recordings work without one.")

    def show_trouble(self, sentence: str) -> None:
        """Show a sentence in place of the last one ("" for none). A notice of silence replaces no other sentence."""
        self._told_silence, self._told_unlisted, self._has_trouble = False, False, bool(sentence)
        self.query_one("#trouble", Static).update(printable(sentence))

    def on_option_list_option_highlighted(self, event: OptionList.OptionHighlighted) -> None:
        name = self.query_one(ChooseList).chosen
        if name is not None and name != self._metered and not self._left:
            self._metered = name
            self.run_worker(lambda: self._listen(name), thread=True, group="meter", exclusive=True)

    def _listen(self, name: str) -> None:
        """Runs on a worker thread, since opening and closing a device can take seconds."""
        self._close_meter()
        try:
            meter = self._machine.meter(name)
        except (LivecapError, OSError) as error:
            self.app.call_from_thread(self._tell, name, for_user(error))
            return
        with self._meter_lock:
            is_wanted = name == self._metered
            if is_wanted:
                self._meter = meter
        if is_wanted:
            self.app.call_from_thread(self._tell, name, "")
        else:
            meter.close()

    def _tell(self, name: str, sentence: str) -> None:
        """As `show_trouble`, for an input that may not be the highlighted one any more."""
        if name == self._metered:
            self.show_trouble(sentence)

    def _close_meter(self) -> None:
        with self._meter_lock:
            meter, self._meter = self._meter, None
        self._silent_since = None
        if meter is not None:
            meter.close()

    def on_unmount(self) -> None:
        self._stop_listening()  # also when livecap ends while the inputs are shown

    def _stop_listening(self) -> None:
        """For good: a highlight that comes later, or a device that is being opened, is not listened to."""
        self._left, self._metered = True, None
        self._close_meter()

    def poll(self) -> None:
        """Show the current level."""
        meter, now = self._meter, self._now()
        level = meter.level if meter else None
        self.query_one(LevelMeter).show(level, now)
        if meter is None or level:
            self._silent_since = None
            if self._told_silence and level:
                self.show_trouble("")
        elif self._silent_since is None:
            self._silent_since = now
        elif now - self._silent_since >= SILENT_SECONDS and not self._has_trouble:
            self.show_trouble(TROUBLES.get(meter.trouble or "silent", meter.trouble or ""))
            self._told_silence = True

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        self.action_choose()

    def action_choose(self) -> None:
        name = self.query_one(ChooseList).chosen
        others = {source: label for label, source in self._tracks if label != self.track}
        if name is None:
            return
        if name in others:
            self.show_trouble(
                f"{name} is already the input of {others[name]}. Choose a different input for each track."
            )
        else:
            self._leave(name)

    def action_leave(self) -> None:
        self._leave(None)

    def action_leave_livecap(self) -> None:
        self._leave(None)

    def _leave(self, name: str | None) -> None:
        self._stop_listening()
        self.dismiss(name)


def _row(choice: InputChoice, track: str) -> Text:
    """The row of an input; `track` is the label of the track that uses it, or ""."""
    name = printable(f"{choice.index} {choice.name}".lstrip())
    if cell_len(name) > 36:
        name = set_cell_size(name, 35) + "…"
    notes = [printable(choice.note), f"● {printable(track)}" if track else ""]
    row = f"{name}{' ' * (38 - cell_len(name))}{printable(choice.form):<18}{'  '.join(filter(None, notes))}"
    return Text(row, no_wrap=True)

"""SoundLine: what is heard: the last half minute, a meter for each track, and how much was said below the screen."""

from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.reactive import reactive

from livecap.session.status import SessionStatus, State
from livecap.tui.widgets.level_meter import LevelMeter
from livecap.tui.widgets.level_strip import LevelStrip
from livecap.tui.widgets.new_lines import NewLines

MIN_WIDTH_FOR_STRIP = 80
LISTENING = (State.LOADING, State.LISTENING)


class SoundLine(Horizontal):
    """One row."""

    DEFAULT_CSS = """
    SoundLine { height: 1; }
    """

    n_missed: reactive[int] = reactive(0)

    def __init__(self, id: str | None = None) -> None:
        super().__init__(id=id)
        self._strip = LevelStrip(id="strip")
        self._meters = (LevelMeter(id="meter-0"), LevelMeter(id="meter-1"))
        self._meters[1].display = False
        self._new_lines = NewLines(id="new-lines")

    def compose(self) -> ComposeResult:
        yield self._strip
        yield from self._meters
        yield self._new_lines

    def on_resize(self) -> None:
        self._strip.display = self.size.width >= MIN_WIDTH_FOR_STRIP

    def show(self, status: SessionStatus, now: float) -> None:
        """Show the levels now; `now` in seconds of a monotonic clock."""
        heard = status.state in LISTENING and not status.muted
        self._strip.show(status.level if heard else None, now)
        tracks = status.tracks
        two = len(tracks) > 1
        for number, meter in enumerate(self._meters):
            meter.display = number == 0 or two
            if two and number < len(tracks):
                meter.label = tracks[number].label
                meter.show(tracks[number].level if heard else None, now, status.live)
            elif number == 0:
                meter.label = ""
                meter.show(status.level if heard else None, now, status.live)

    def watch_n_missed(self, n_missed: int) -> None:
        self._new_lines.n_rows = n_missed

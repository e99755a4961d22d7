"""SoundLine: one row with the level of the last half minute, a meter per track, and the number of unseen lines."""

from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.reactive import reactive
from textual.widget import Widget

from livecap.session.status import SessionStatus
from livecap.tui.widgets.level_meter import LevelMeter, LevelStrip
from livecap.tui.widgets.status_bar import LISTENING

MIN_WIDTH_FOR_STRIP = 80


class NewLines(Widget):
    """`↓ 3 new lines`; hidden while the end of the transcript is visible."""

    DEFAULT_CSS = """
    NewLines {
        display: none;
        height: 1;
        width: auto;
        padding: 0 1;
        text-style: bold;
    }
    """

    n_rows: reactive[int] = reactive(0, layout=True)

    def render(self) -> str:
        return f"↓ {self.n_rows} new {'line' if self.n_rows == 1 else 'lines'}"

    def watch_n_rows(self, n_rows: int) -> None:
        self.display = n_rows > 0


class SoundLine(Horizontal):
    """The strip, one or two meters, and the number of unseen lines."""

    DEFAULT_CSS = """
    SoundLine { height: 1; }
    """

    def __init__(self, id: str | None = None) -> None:
        super().__init__(id=id)
        self._strip = LevelStrip(id="strip")
        self._meters = (LevelMeter(id="meter-0"), LevelMeter(id="meter-1"))
        self._meters[1].display = False
        self.new_lines = NewLines(id="new-lines")

    def compose(self) -> ComposeResult:
        yield self._strip
        yield from self._meters
        yield self.new_lines

    def on_resize(self) -> None:
        self._strip.display = self.size.width >= MIN_WIDTH_FOR_STRIP

    def show(self, status: SessionStatus, now: float) -> None:
        """Show the current levels; `now` in seconds of a monotonic clock."""
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

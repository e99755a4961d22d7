"""StatusBar: the state of the session, its source, model and language, and what is wrong."""

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from textual.reactive import reactive
from textual.strip import Strip
from textual.widget import Widget

from livecap.session.status import SessionStatus, State
from livecap.text.safety import printable
from livecap.transcript import SAMPLE_RATE

LISTENING = (State.LOADING, State.LISTENING)
"""States in which sound arrives."""
OVER = (State.ENDED, State.FAILED)
SHOWN_LAG_SECONDS = 1.0
"""A smaller lag is not shown."""
BLINK_SECONDS = 1.0
MIN_NAME_WIDTH = 12
"""Columns of a source's name; with less space, the name is left out."""
BETWEEN = "   "
RECORDING = "●"


class StatusBar(Widget):
    """`● 00:14:32   Microphone   Qwen3-ASR-0.6B   English   lag 1.4 s`; fewer fields in a narrow terminal.

    With a remote recogniser, the server that gets the sound follows the time and is never left out.
    """

    COMPONENT_CLASSES = {"status--state", "status--live", "status--quiet", "status--field", "status--trouble"}
    DEFAULT_CSS = """
    StatusBar {
        height: 1;
        width: 1fr;
        & .status--state { text-style: bold; }
        & .status--quiet { text-style: dim; }
        & .status--field { text-style: dim; }
        & .status--trouble { text-style: bold; }
    }
    """

    status: reactive[SessionStatus | None] = reactive(None, repaint=False)
    stopping: reactive[bool] = reactive(False)
    """The user ended the session; the remaining sound is still being decoded."""
    has_meters: reactive[bool] = reactive(False)
    blink: reactive[bool] = reactive(False)
    """True in the dark half of a blink; `●` blinks during speech."""

    def watch_status(self, old: SessionStatus | None, new: SessionStatus | None) -> None:
        """Redraw only if the fields changed; most statuses look like the last one."""
        if self._fields(old) != self._fields(new):
            self.refresh()

    def show(self, status: SessionStatus, stopping: bool, now: float, has_meters: bool = False) -> None:
        """Show a status.

        Args:
            stopping: the user ended the session.
            now: seconds of a monotonic clock.
            has_meters: meters are visible, which say themselves that there is no signal.
        """
        self.has_meters = has_meters
        self.blink = status.speaking and status.state is State.LISTENING and now % BLINK_SECONDS >= BLINK_SECONDS / 2
        self.stopping = stopping
        self.status = status

    @property
    def text(self) -> str:
        """The text of the bar."""
        return BETWEEN.join(text for text, _ in self._fields(self.status))

    def render_line(self, y: int) -> Strip:
        width, base = self.size.width, self.rich_style
        segments = [Segment(" ")]
        for number, (text, name) in enumerate(self._fields(self.status)):
            segments.append(Segment(BETWEEN if number else ""))
            style = self.get_component_rich_style(name)
            if text.startswith(RECORDING):
                mark = self.get_component_rich_style("status--quiet" if self.blink else "status--live")
                segments.append(Segment(RECORDING, mark))
                text = text.removeprefix(RECORDING)
            segments.append(Segment(text, style))
        return Strip(segments).adjust_cell_length(width, base).apply_style(base)

    def _fields(self, status: SessionStatus | None) -> list[tuple[str, str]]:
        """(text, style) of the fields that fit. Language, model and source are left out first, in this order."""
        if status is None:
            return []
        width = self.size.width - 2
        heads = [(_state_text(status, self.stopping), "status--state")]
        if status.remote and status.state not in OVER:
            heads.append((f"sound → {printable(status.remote)}", "status--trouble"))
        middle = {
            "source": printable(status.source),
            "model": _model_text(status.model),
            "language": _language_text(status),
        }
        tail = [(text, "status--trouble") for text in _trouble(status, self.has_meters)]
        for leaves in ("", "language", "model", "source"):
            middle.pop(leaves, None)
            shown = [(text, "status--field") for text in middle.values() if text]
            fields = [*heads, *shown, *tail]
            too_wide = _width(fields) - width
            if too_wide <= 0:
                return fields
            name_width = cell_len(middle.get("source", "")) - too_wide
            if name_width >= MIN_NAME_WIDTH:
                return [*heads, (_shorten(shown[0][0], name_width), "status--field"), *shown[1:], *tail]
        if too_wide > 0:
            tail.clear()
        free = width - _width(heads[:1]) - len(BETWEEN)
        return [(_shorten(text, width if n == 0 else free), name) for n, (text, name) in enumerate([*heads, *tail])]


def _state_text(status: SessionStatus, stopping: bool) -> str:
    time = _hms(status.arrived_samples)
    if status.state is State.LOADING:
        return f"… loading  {time}"
    if status.state is State.ENDED:
        return f"■ ended  {time}"
    if status.state is State.FAILED:
        return f"⨯ failed  {time}"
    if status.state is State.FINISHING or stopping:
        return f"… finishing  {time}"
    if status.state is State.PAUSED:
        return f"‖ paused  {time}"
    if status.muted:
        return f"⨯ muted  {time}"
    return f"{RECORDING} {time}"


def _model_text(model: str) -> str:
    return "tiny (demo model)" if model == "tiny" else printable(model)


def _language_text(status: SessionStatus) -> str:
    if not status.language:
        return ""
    return printable(status.language) + (" (set)" if status.forced_language else "")


def _trouble(status: SessionStatus, has_meters: bool) -> list[str]:
    trouble = []
    over = status.state in OVER
    if status.lag_seconds >= SHOWN_LAG_SECONDS and not over:
        trouble.append(f"lag {status.lag_seconds:.1f} s")
    if status.n_gaps:
        gaps = "1 gap" if status.n_gaps == 1 else f"{status.n_gaps} gaps"
        trouble.append(f"{gaps}, {status.gap_samples / SAMPLE_RATE:.1f} s lost")
    for track in status.tracks if status.live and not over else ():
        if track.trouble and not (track.trouble == "silent" and has_meters):
            trouble.append(f"▲ {track.label} {track.trouble}" if track.label else f"▲ {track.trouble}")
    if status.log_trouble:
        trouble.append("▲ log")
    return trouble


def _hms(n_samples: int) -> str:
    minutes, seconds = divmod(n_samples // SAMPLE_RATE, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{seconds:02}"


def _width(fields: list[tuple[str, str]]) -> int:
    return sum(cell_len(text) for text, _ in fields) + cell_len(BETWEEN) * (len(fields) - 1)


def _shorten(text: str, width: int) -> str:
    """`text` cut to `width` columns between characters, with an ellipsis if it was cut."""
    if cell_len(text) <= width:
        return text
    return set_cell_size(text, max(0, width - 1)).rstrip() + "…" if width > 0 else ""

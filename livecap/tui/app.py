"""LivecapApp: keys, the screen, and the one place that knows the session."""

import time
from collections import deque
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, ClassVar, Literal

from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.events import Resize
from textual.reactive import reactive
from textual.widgets import Footer

from livecap.errors import LivecapError
from livecap.session.clock import SessionClock
from livecap.session.status import SessionStatus, State
from livecap.transcript import (
    SAMPLE_RATE,
    AudioGap,
    Notice,
    Paused,
    Resumed,
    SessionEvent,
    SessionStarted,
    TranscriptUpdate,
)
from livecap.tui.level_meter import LevelMeter
from livecap.tui.messages import SessionReported, TranscriptChanged
from livecap.tui.new_lines import NewLines
from livecap.tui.notice_line import NoticeLine
from livecap.tui.status_bar import StatusBar
from livecap.tui.times import Times
from livecap.tui.transcript_view import TranscriptView

if TYPE_CHECKING:
    from livecap.session.live import LiveSession  # it loads MLX, which the screen can do without

Leaving = Literal["finished", "abandoned"]
"""How a person left: after the session ended in order, or at once, with sound still to decode."""

FRAMES_PER_SECOND = 15
MIN_HEIGHT = 15
"""Fewer rows have no meter and no key hints."""
TINY_NOTICE = "The demo model tiny understands clear synthetic English voices. Real use takes Qwen3-ASR."
PLACEHOLDERS = {
    State.LOADING: "Loading the model…",
    State.LISTENING: "Listening…",
    State.PAUSED: "Paused. Space goes on.",
    State.FINISHING: "Finishing…",
    State.ENDED: "Nothing was said.",
    State.FAILED: "",
}
_OVER = (State.ENDED, State.FAILED)


class LivecapApp(App[Leaving]):
    """The screen of one session: starts it, shows it, and leaves when it has ended and a person wants to."""

    TITLE = "livecap"
    CSS_PATH = "app.tcss"
    AUTO_FOCUS = "TranscriptView"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space", "pause", "Pause"),
        Binding("space", "resume", "Resume"),
        Binding("end,G", "follow", "Follow", key_display="end"),
        Binding("t", "times", "Times"),
        Binding("q", "quit", "Quit"),
        Binding("ctrl+q,ctrl+c", "quit", "Quit", show=False, priority=True),
        Binding("escape", "dismiss", "Dismiss", show=False),
    ]

    state: reactive[State] = reactive(State.LOADING, init=False)
    stopping: reactive[bool] = reactive(False, init=False)
    """A person asked for the end."""

    def __init__(self, session: "LiveSession", clock: Callable[[], float] = time.monotonic) -> None:
        """
        Args:
            session: not started; the app starts it when the screen is there.
            clock: seconds that only grow.
        """
        super().__init__()
        self.animation_level = "none"
        self._session = session
        self._clock = clock
        self._fresh: dict[tuple[str, int], TranscriptUpdate] = {}
        """(track, utterance) to its newest update that is not drawn yet."""
        self._quit_requests: deque[None] = deque()
        self._paused_at: dict[str, datetime] = {}
        status = session.status
        self._times = SessionClock(status.live, datetime.fromtimestamp(status.started_wall).astimezone())
        session.add_listener(self._hear)

    def request_quit(self) -> None:
        """The same as `q`, from any thread or signal handler: finish in order; asked twice, leave at once."""
        self._quit_requests.append(None)

    # ---- the screen

    def compose(self) -> ComposeResult:
        yield TranscriptView(self._times, id="transcript")
        yield NoticeLine(id="notice")
        with Horizontal(id="sound"):
            yield LevelMeter(id="level")
            yield NewLines(id="new-lines")
        yield StatusBar(id="status")
        yield Footer()

    def on_mount(self) -> None:
        self._view = self.query_one(TranscriptView)
        self._meter = self.query_one(LevelMeter)
        self._bar = self.query_one(StatusBar)
        self._notice = self.query_one(NoticeLine)
        self._new_lines = self.query_one(NewLines)
        self._view.placeholder = PLACEHOLDERS[self.state]
        if self._session.status.model == "tiny":
            self._notice.show(TINY_NOTICE, "info", self._clock())
        self._session.start()
        self.poll()
        self.set_interval(1 / FRAMES_PER_SECOND, self.poll)

    def on_resize(self, event: Resize) -> None:
        self.set_class(event.size.height < MIN_HEIGHT, "-short")

    def poll(self) -> None:
        """Draw what is new. Called 15 times a second, so that fast text costs no more than slow text."""
        while self._quit_requests:
            self._quit_requests.popleft()
            self._leave()
        now, status = self._clock(), self._session.status
        updates, self._fresh = list(self._fresh.values()), {}
        self._view.show(updates)
        self.state = status.state
        self._meter.show(_level(status), now, status.live)
        self._bar.show(status, self.stopping, now)
        self._notice.tick(now)
        if self.stopping and self._session.wait(0):
            self.exit("finished")

    # ---- what the session says

    def _hear(self, item: SessionEvent | TranscriptUpdate) -> None:
        """On the session's thread."""
        if isinstance(item, TranscriptUpdate):
            self.post_message(TranscriptChanged(item))
        else:
            self.post_message(SessionReported(item))

    def on_transcript_changed(self, message: TranscriptChanged) -> None:
        key = (message.update.track, message.update.utterance)
        self._fresh[key] = message.update

    def on_session_reported(self, message: SessionReported) -> None:
        match message.event:
            case SessionStarted(wall_time=wall_time, live=live):
                self._times = SessionClock(live, datetime.fromisoformat(wall_time))
                self._view.set_clock(self._times)
            case Paused(track=track, wall_time=wall_time):
                self._paused_at[track] = datetime.fromisoformat(wall_time)
            case Resumed(track=track, sample=sample, wall_time=wall_time):
                self._resumed(track, sample, datetime.fromisoformat(wall_time))
            case AudioGap(track=track, start_sample=start, end_sample=end):
                self._remark(track, end, f"— {(end - start) / SAMPLE_RATE:.1f} s of sound lost —")
            case Notice(message=sentence, severity=severity):
                self._notice.show(sentence, severity, self._clock())

    def _resumed(self, track: str, sample: int, now: datetime) -> None:
        before = self._paused_at.pop(track, now)
        if self._times.live:
            self._times.anchor(track, sample, now)
            self._remark(track, sample, f"— paused for {_spoken((now - before).total_seconds())} —")

    def _remark(self, track: str, sample: int, sentence: str) -> None:
        """Below what was said before it: that is drawn first."""
        updates, self._fresh = list(self._fresh.values()), {}
        self._view.show(updates)
        self._view.remark(track, sample, sentence)

    def on_transcript_view_missed(self, message: TranscriptView.Missed) -> None:
        self._new_lines.n_rows = message.n_rows

    def watch_state(self, state: State) -> None:
        self._view.placeholder = PLACEHOLDERS[state]
        error = self._session.status.error
        if state is State.FAILED and error:
            self._notice.show(error, "error", self._clock())
        self.refresh_bindings()

    # ---- keys

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action == "pause":
            return self.state in (State.LOADING, State.LISTENING) and not self.stopping
        if action == "resume":
            return self.state is State.PAUSED and not self.stopping
        return True

    def action_pause(self) -> None:
        self._ask(self._session.pause)

    def action_resume(self) -> None:
        self._ask(self._session.resume)

    def action_times(self) -> None:
        modes = [Times.QUIET, Times.FULL, Times.HIDDEN] if self._times.live else [Times.QUIET, Times.HIDDEN]
        self._view.times = modes[(modes.index(self._view.times) + 1) % len(modes)]

    def action_follow(self) -> None:
        self._view.follow()

    def action_dismiss(self) -> None:
        self._notice.dismiss()

    async def action_quit(self) -> None:
        self._leave()

    def _leave(self) -> None:
        if self._session.wait(0):
            self.exit("finished")
        elif self.stopping:
            self.exit("abandoned")
        else:
            self.stopping = True
            self.refresh_bindings()
            self._ask(self._session.stop)

    def _ask(self, request: Callable[[], None]) -> None:
        """A fault of the world stays a sentence on the screen."""
        try:
            request()
        except LivecapError as error:
            self._notice.show(str(error), "error", self._clock())
        self.poll()


def _level(status: SessionStatus) -> float | None:
    """None where no sound is listened to."""
    return status.level if status.state in (State.LOADING, State.LISTENING) else None


def _spoken(seconds: float) -> str:
    """A length of time for a sentence: `40 s`, `12 min`, `1 h 5 min`."""
    minutes = round(seconds / 60)
    if seconds < 60:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"

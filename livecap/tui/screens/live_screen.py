"""LiveScreen: a session while it runs; the one place of the screen that knows it."""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, ClassVar, Literal

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.reactive import reactive

from livecap.archive.clock import SessionClock
from livecap.errors import LivecapError
from livecap.session.status import State
from livecap.transcript import ClockAnchored, Notice, Resumed, SessionEvent, SessionStarted, TranscriptUpdate
from livecap.tui.bindings import RUNNING
from livecap.tui.choices import Change, Machine
from livecap.tui.messages import Changed, SessionReported, TranscriptChanged
from livecap.tui.screens.live_changes import LiveChanges
from livecap.tui.screens.reading_screen import ReadingScreen
from livecap.tui.session_history import SessionHistory
from livecap.tui.transcript.remarks import Remarks
from livecap.tui.transcript.transcript_view import TranscriptView
from livecap.tui.widgets.ask_line import AskLine
from livecap.tui.widgets.caption_lines import MOST_LINES, Captions
from livecap.tui.widgets.key_hints import KeyHints
from livecap.tui.widgets.live_words import LISTENING, OVER, PLACEHOLDERS, TINY_NOTICE
from livecap.tui.widgets.sound_line import SoundLine
from livecap.tui.widgets.status_bar import StatusBar

if TYPE_CHECKING:
    from livecap.session.requests import SteeredSession  # it loads MLX, which the screen can do without

Leaving = Literal["finished", "abandoned"]
"""How a person left: after the session ended in order, or at once, with sound still to decode."""

FRAMES_PER_SECOND = 15


class LiveScreen(ReadingScreen, inherit_bindings=False):
    """Starts the session, shows it, and leaves when it has ended and a person wants to."""

    BINDINGS: ClassVar[list[BindingType]] = [*RUNNING]

    state: reactive[State] = reactive(State.LOADING, init=False)
    stopping: reactive[bool] = reactive(False, init=False)
    """A person asked for the end."""
    captioned: reactive[bool] = reactive(False, init=False)
    """A few large lines instead of the transcript."""

    def __init__(
        self,
        session: "SteeredSession",
        clock: Callable[[], float] = time.monotonic,
        machine: Machine | None = None,
        change: Change | None = None,
        inline: bool = False,
    ) -> None:
        """
        Args:
            session: not started; the screen starts it when it is there.
            clock: seconds that only grow.
            machine: what can be chosen from; None where nothing can be changed while the session runs.
            change: changes the session that runs.
            inline: captions in a few lines of the normal screen.
        """
        status = session.status
        super().__init__(SessionClock(status.live, datetime.fromtimestamp(status.started_wall).astimezone()), clock)
        self._session = session
        self._changes = LiveChanges(self, machine, change, clock)
        self._inline = inline
        self._fresh: dict[tuple[str, int], TranscriptUpdate] = {}
        """(track, utterance) to its newest update that is not drawn yet."""
        self._quit_requests: deque[None] = deque()
        self._remarks = Remarks(status.live)
        self._mark_sample = 0
        self.history = SessionHistory()
        session.add_listener(self._hear)

    def request_quit(self) -> None:
        """The same as `q`, from any thread or signal handler: finish in order; asked twice, leave at once."""
        self._quit_requests.append(None)

    # ---- the screen

    def compose(self) -> ComposeResult:
        look = self.app.settings.screen  # type: ignore[attr-defined]
        yield Captions(look.caption_lines, look.caption_partial, id="captions")
        yield from self.compose_reading()
        yield SoundLine(id="sound")
        yield StatusBar(id="status")
        yield KeyHints()

    def on_mount(self) -> None:
        self._sound = self.query_one(SoundLine)
        self._bar = self.query_one(StatusBar)
        self._captions = self.query_one(Captions)
        super().on_mount()
        self.app.on_quit = self.quit_now  # type: ignore[attr-defined]
        self._view.placeholder = self._captions.placeholder = PLACEHOLDERS[self.state]
        self.captioned = self._inline
        if self._session.status.model == "tiny" and not self._inline:
            self.tell(TINY_NOTICE)
        self._session.start()
        self.poll()
        self.set_interval(1 / FRAMES_PER_SECOND, self.poll)

    def poll(self) -> None:
        """Draw what is new. Called 15 times a second, so that fast text costs no more than slow text."""
        while self._quit_requests:
            self._quit_requests.popleft()
            self._leave(asking=False)
        now, status = self._now(), self._session.status
        self._show_fresh()
        self.state = status.state
        self.history.note(status, now)
        self._sound.show(status, now)
        self._bar.show(status, self.stopping, now)
        self._notice.tick(now)
        if self.stopping and self._session.wait(0):
            self.app.exit("finished")

    def _show_fresh(self) -> None:
        updates, self._fresh = list(self._fresh.values()), {}
        if updates:
            self._view.show(updates)
            self._captions.show(updates)

    # ---- what the session says

    def _hear(self, item: SessionEvent | TranscriptUpdate) -> None:
        """On the session's threads."""
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
                self._remarks.live = live
                self._view.set_clock(self._times)
            case Notice(message=sentence, severity=severity):
                self.tell(sentence, severity)
        if remark := self._remarks.of(message.event):
            self._show_fresh()  # it stands below what was said before it
            self._view.remark(remark)
        if isinstance(message.event, Resumed | ClockAnchored):
            self._times.note(message.event)

    def on_transcript_view_missed(self, message: TranscriptView.Missed) -> None:
        self._sound.n_missed = message.n_rows

    def on_transcript_view_time_clicked(self, message: TranscriptView.TimeClicked) -> None:
        self._ask_for_note(message.sample, message.track)

    def watch_state(self, state: State) -> None:
        self._view.placeholder = self._captions.placeholder = PLACEHOLDERS[state]
        error = self._session.status.error
        if state is State.FAILED and error:
            self.tell(error, "error")
        self.refresh_bindings()

    def watch_captioned(self, captioned: bool) -> None:
        self.show_parts()
        if not captioned:
            self._view.focus()  # what is hidden has lost it

    def show_parts(self) -> None:
        """Captions take the place of everything but the status."""
        super().show_parts()
        plain = not self.captioned
        self._captions.display = self.captioned
        self._view.display = plain
        self._sound.display = plain and self.has_room
        self.query_one(KeyHints).display = plain and self.has_room

    # ---- keys

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        state, stopping = self.state, self.stopping
        match action:
            case "pause":
                return state in LISTENING and not stopping
            case "resume":
                return state is State.PAUSED and not stopping
            case "mute":
                return state in LISTENING and not stopping and not self._session.status.muted
            case "unmute":
                return self._session.status.muted and state not in OVER
            case "mark" | "paragraph":
                return state not in OVER
            case "device" | "model" | "language" | "context":
                return self._changes.are_possible and state in (*LISTENING, State.PAUSED) and not stopping
            case "seek":
                return not self._session.status.live and state in (*LISTENING, State.PAUSED) and not stopping
            case "caption_lines":
                return self.captioned
            case "captions" | "sessions" | "export":
                return not self._inline
        return True

    def action_pause(self) -> None:
        self._ask(self._session.pause)

    def action_resume(self) -> None:
        self._ask(self._session.resume)

    def action_mute(self) -> None:
        self._ask(self._session.mute)
        self.refresh_bindings()

    def action_unmute(self) -> None:
        self._ask(self._session.unmute)
        self.refresh_bindings()

    def action_paragraph(self) -> None:
        self._ask(self._session.end_utterance)

    def action_seek(self, seconds: int) -> None:
        self._ask(lambda: self._session.seek(seconds))

    def action_mark(self) -> None:
        self._ask_for_note(self._session.status.arrived_samples, "")

    def _ask_for_note(self, sample: int, track: str) -> None:
        self._mark_sample, self._mark_track = sample, track
        at = self._times.at(sample, track)
        self._ask_line.ask("note", f"Mark at {at}. Note:", hint="enter mark   esc not")

    def answered(self, message: AskLine.Answered) -> None:
        if message.purpose == "note":
            sample, track, note = self._mark_sample, self._mark_track, message.text.strip()
            self._ask(lambda: self._session.mark(note, sample, track))
        elif message.purpose == "context":
            self._changes.make({"context": message.text.strip()})

    def action_captions(self) -> None:
        self.captioned = not self.captioned

    def action_caption_lines(self, step: int) -> None:
        self._captions.n_lines = max(1, min(MOST_LINES, self._captions.n_lines + step))

    def action_dismiss_one(self) -> None:
        if self.captioned and not self._inline and not self._ask_line.display:
            self.captioned = False
        else:
            super().action_dismiss_one()

    def action_diagnostics(self) -> None:
        from livecap.tui.screens.diagnostics_screen import DiagnosticsScreen

        self.app.push_screen(DiagnosticsScreen(self._session, self.history))

    # ---- other sound, another model

    def action_device(self) -> None:
        self._changes.ask_device(self._session.status.tracks)

    def action_model(self) -> None:
        self._changes.ask_model()

    def action_language(self) -> None:
        self._changes.ask_language()

    def action_context(self) -> None:
        now: str = self.app.settings.context  # type: ignore[attr-defined]
        self._ask_line.ask("context", "Words to expect:", now, hint="enter use   esc not")

    def on_changed(self, message: Changed) -> None:
        """What was asked for is done, or cannot be."""
        if message.trouble:
            self.tell(message.trouble, "error")
            return
        if "context" in message.changes:
            app = self.app
            app.settings = replace(app.settings, context=message.changes["context"] or "")  # type: ignore[attr-defined]
        self._notice.dismiss()

    # ---- what is kept

    def action_export(self) -> None:
        from livecap.tui.screens.export_screen import ExportScreen

        screen = ExportScreen(self._session.log_folder)
        self.app.push_screen(screen, lambda said: self.tell(said) if said else None)

    def action_sessions(self) -> None:
        from livecap.tui.screens.sessions_screen import SessionsScreen

        self.app.push_screen(SessionsScreen(self._session.log_folder.parent, self._now, self._changes.machine))

    # ---- the way out

    def action_quit(self) -> None:
        self._leave(asking=True)

    def quit_now(self) -> None:
        """The same as `q`; twice leaves at once, without a question."""
        self._leave(asking=False)

    def _leave(self, asking: bool) -> None:
        if self._session.wait(0):
            self.app.exit("finished")
        elif not self.stopping:
            self.stopping = True
            self.refresh_bindings()
            self._ask(self._session.stop)
        elif asking and self._session.status.lag_seconds > 0:
            self._ask_to_abandon()
        else:
            self.app.exit("abandoned")

    def _ask_to_abandon(self) -> None:
        from livecap.tui.screens.question_screen import QuestionScreen

        seconds = self._session.status.lag_seconds
        question = f"{seconds:.0f} s of sound are still to be decoded; leaving now loses their text. Leave?"
        self.app.push_screen(QuestionScreen(question), lambda yes: self.app.exit("abandoned") if yes else None)

    def _ask(self, request: Callable[[], None]) -> None:
        """A fault of the world stays a sentence on the screen."""
        try:
            request()
        except LivecapError as error:
            self.tell(str(error), "error")
        self.poll()

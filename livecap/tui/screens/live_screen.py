"""LiveScreen: a running session; the only screen that controls one.

Other screens are imported when they are opened: together they take 0.2 s, and the first screen must appear at once.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.reactive import reactive
from textual.timer import Timer

from livecap.archive.clock import SessionClock
from livecap.errors import LivecapError, for_user
from livecap.session.status import State
from livecap.text.safety import printable
from livecap.transcript import (
    ClockAnchored,
    Jumped,
    Notice,
    Resumed,
    SessionEvent,
    SessionStarted,
    SpeakerNamed,
    SpeakersHeard,
    SpeakersMerged,
    TranscriptUpdate,
)
from livecap.tui.choices import Change, Machine
from livecap.tui.keys import RUNNING
from livecap.tui.screens.reading_screen import ReadingScreen
from livecap.tui.session_history import SessionHistory
from livecap.tui.transcript.remarks import Remarks
from livecap.tui.transcript.transcript_view import TranscriptView
from livecap.tui.widgets.ask_line import AskLine
from livecap.tui.widgets.caption_lines import MOST_LINES, Captions
from livecap.tui.widgets.sound_line import SoundLine
from livecap.tui.widgets.status_bar import LISTENING, OVER, StatusBar

if TYPE_CHECKING:
    from livecap.session.live import LiveSession  # imports MLX, which the screen does not need

FRAMES_PER_SECOND = 15
IDLE_FRAMES_PER_SECOND = 4
"""While there is neither sound nor text."""
IDLE_LEVEL = 0.001
"""A lower level, −60 dB, does not move the meter."""
PLACEHOLDERS = {
    State.LOADING: "Loading the model…",
    State.LISTENING: "Listening…",
    State.PAUSED: "Paused. Press {resume} to resume.",
    State.FINISHING: "Finishing…",
    State.ENDED: "Nothing was said.",
    State.FAILED: "",
}
"""Shown until there is text."""
TINY_NOTICE = "tiny is only a demo: it understands clear synthetic English. For real use press {} and choose Qwen3-ASR."


class LiveScreen(ReadingScreen, inherit_bindings=False):
    """Starts the session, shows it, and leaves after it ended and the user quit."""

    BINDINGS: ClassVar[list[BindingType]] = [*RUNNING]
    why_no_speakers = "No speaker is labelled yet. livecap --speakers labels who speaks."

    state: reactive[State] = reactive(State.LOADING, init=False)
    stopping: reactive[bool] = reactive(False, init=False)
    """The session was asked to end; the screen leaves once it has ended."""
    captioned: reactive[bool] = reactive(False, init=False)
    """Captions are shown instead of the transcript."""

    def __init__(
        self,
        session: "LiveSession",
        now: Callable[[], float] = time.monotonic,
        machine: Machine | None = None,
        change: Change | None = None,
        inline: bool = False,
    ) -> None:
        """
        Args:
            session: not started; the screen starts it once it is shown.
            now: seconds of a monotonic clock.
            machine: the choices for changes while the session runs; None allows no changes.
            change: changes the running session; None allows no changes.
            inline: show captions in a few lines of the normal screen.
        """
        status = session.status
        super().__init__(SessionClock(status.live, datetime.fromtimestamp(status.started_wall).astimezone()), now)
        self._session = session
        self._machine = machine
        self._change = change
        self._changing = asyncio.Lock()
        """Held while a change is at work; later ones wait, in order."""
        self._asked: dict[tuple[str, str], str] = {}
        """(setting, track) to the value that was asked for last, which may not be in force yet."""
        self._inline = inline
        self._sound = SoundLine(id="sound")
        self._bar = StatusBar(id="status")
        self._inbox: deque[Callable[[], None]] = deque()
        """Calls from other threads and signal handlers, which `poll` makes on the screen's thread."""
        self._fresh: dict[tuple[str, int], TranscriptUpdate] = {}
        """(track, utterance) to its newest update that is not shown yet."""
        self._remarks = Remarks(status.live)
        self._idle = False
        """There is neither sound nor text, so the screen is drawn less often."""
        self._frames: Timer | None = None
        self._finished: deque[TranscriptUpdate] = deque()
        """Inline: finished utterances, until the terminal's history has them."""
        self._captions_hint = ""
        self._marked = (0, "")
        """The sample and the track of the mark whose note is being asked for."""
        self.history = SessionHistory()

    def request_quit(self) -> None:
        """End the session as `q` does, or leave at once if called twice. For any thread or signal handler."""
        self._inbox.append(self.quit_now)

    # ---- the screen

    def compose(self) -> ComposeResult:
        look = self.app.settings.screen
        self._captions = Captions(look.caption_lines, look.caption_partial, id="captions")
        yield self._captions
        yield from self.compose_reading()
        yield self._sound
        yield self._bar
        yield self.key_hints

    def on_mount(self) -> None:
        self.app.on_quit = self.quit_now
        self.view.placeholder = self._captions.placeholder = PLACEHOLDERS[self.state]
        self.captioned = self._inline
        if self._session.status.model == "tiny" and not self._inline:
            self.tell(TINY_NOTICE.format(self.key_of("model") or "M"))
        self._session.start(self._hear)
        self.set_interval(1 / IDLE_FRAMES_PER_SECOND, self.poll)
        self._frames = self.set_interval(1 / FRAMES_PER_SECOND, self.poll)
        self.poll()

    def poll(self) -> None:
        """Show what is new. Called 15 times a second, so that the cost does not depend on how often text changes, but
        less often while there is neither sound nor text."""
        heard = bool(self._inbox)
        while self._inbox:
            self._inbox.popleft()()
        now, status = self.now(), self._session.status
        self._show_fresh()
        self.state = status.state
        self.history.note(status, now)
        self._sound.show(status, now)
        self._bar.show(status, self.stopping, now, has_meters=self._sound.display)
        self.notice_line.tick(now)
        self._leave_lines()
        listens = status.state in LISTENING and not status.muted
        self._set_idle(not (heard or self.stopping or (listens and status.level >= IDLE_LEVEL)))
        if status.stopping and not self.stopping:
            self.stopping = True
            self.refresh_bindings()
        if self.stopping and self._session.wait(0):
            self.app.exit("finished")

    @property
    def frames_per_second(self) -> int:
        """How often the screen is drawn now."""
        return IDLE_FRAMES_PER_SECOND if self._idle else FRAMES_PER_SECOND

    def _set_idle(self, idle: bool) -> None:
        if idle != self._idle:
            self._idle = idle
            if self._frames is not None:
                (self._frames.pause if idle else self._frames.resume)()

    def _leave_lines(self) -> None:
        """Inline, move finished lines that the captions no longer show into the history of the terminal."""
        while self._inline and self._finished and not self._captions.shows(_key(self._finished[0])):
            self.app.print_above(self._line(self._finished.popleft()))

    def _line(self, said: TranscriptUpdate) -> str:
        """An utterance as a line with time and label."""
        label = self.speakers.label_of(*_key(said))
        at = self.view.clock.at(said.start_sample, said.track)
        return printable(f"[{at}] {label}: {said.text.strip()}" if label else f"[{at}] {said.text.strip()}")

    @property
    def unprinted_lines(self) -> list[str]:
        """Finished lines of an inline session that are not in the history of the terminal yet."""
        return list(map(self._line, self._finished)) if self._inline else []

    def show_parts(self) -> None:
        """In caption view, hide everything but captions, notices and status."""
        super().show_parts()
        plain = not self.captioned
        self._captions.display = self.captioned
        self.view.display = plain
        self._sound.display = self.key_hints.display = plain and self.shows_bars

    def watch_state(self, state: State) -> None:
        self.view.placeholder = self._captions.placeholder = PLACEHOLDERS[state].format(resume=self.key_of("resume"))
        error = self._session.status.error
        if state is State.FAILED and error:
            self.tell(error, "error")
        self.refresh_bindings()

    def watch_captioned(self, captioned: bool) -> None:
        self.show_parts()
        if not captioned:
            self.view.focus()  # a hidden widget loses the focus

    # ---- facts of the session

    def _hear(self, item: SessionEvent | TranscriptUpdate) -> None:
        """Called on the session's threads."""
        self._inbox.append(lambda: self._take(item))
        if self._idle and self.is_running:
            self.call_later(self.poll)

    def _take(self, item: SessionEvent | TranscriptUpdate) -> None:
        if isinstance(item, TranscriptUpdate):
            self._fresh[item.track, item.utterance] = item
            if self._inline and item.final and item.text.strip():
                self._finished.append(item)
            return
        match item:
            case SessionStarted(wall_time=wall_time, live=live, tracks=labels):
                self._remarks.live = live
                self.view.set_labels(labels)
                self._captions.labels = list(labels)
                self.view.set_clock(SessionClock(live, datetime.fromisoformat(wall_time)))
            case Notice(message=sentence, severity=severity):
                self.tell(sentence, severity)
            case SpeakersHeard() | SpeakerNamed() | SpeakersMerged():
                self._show_fresh()  # the text comes before its label
                self.view.label(item)
                self._captions.label(self.speakers)
        if remark := self._remarks.of(item):
            self._show_fresh()  # text that came before the remark is shown above it
            self.view.remark(remark, at_end=isinstance(item, Jumped))
        if isinstance(item, Resumed | ClockAnchored):
            self.view.clock.note(item)

    def _show_fresh(self) -> None:
        updates, self._fresh = list(self._fresh.values()), {}
        if updates:
            self.view.show(updates)
            self._captions.show(updates)

    def on_transcript_view_missed(self, message: TranscriptView.Missed) -> None:
        self._sound.new_lines.n_rows = message.n_rows

    def on_transcript_view_time_clicked(self, message: TranscriptView.TimeClicked) -> None:
        if self._session.status.state in OVER:
            self.tell("The session has ended, so no moment of it can be marked.")
        else:
            self._ask_for_note(message.sample, message.track)

    def ask_for_name(self, number: int) -> None:
        """Ask for the name of a speaker, unless the session has ended."""
        if self._session.status.state in OVER:
            self.tell(f"The session has ended. {self._name_it_later}")
        else:
            super().ask_for_name(number)

    @property
    def _name_it_later(self) -> str:
        return f"Press {self.key_of('sessions')} to name the speaker in it."

    # ---- keys

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        state, status = self.state, self._session.status
        listens = state in LISTENING and not self.stopping
        pauses = state is State.PAUSED and not self.stopping
        match action:
            case "pause":
                return listens
            case "resume":
                return pauses
            case "mute":
                return listens and not status.muted
            case "unmute":
                return status.muted and state not in OVER
            case "mark" | "paragraph" | "rename":
                return state not in OVER
            case "device" | "model" | "language" | "context":
                return self._change is not None and (listens or pauses)
            case "seek":
                return not status.live and (listens or pauses)
            case "caption_lines":
                return self.captioned
            case "captions" | "sessions" | "export":
                return not self._inline
            case "quit":
                return not self.stopping or state in OVER
            case "quit_early":
                return self.stopping and state not in OVER
        return True

    def _request(self, request: Callable[[], None]) -> None:
        """Make a request to the session; if it fails, show why."""
        try:
            request()
        except LivecapError as error:
            self.tell(str(error), "error")
        self.poll()

    def action_pause(self) -> None:
        self._request(self._session.pause)

    def action_resume(self) -> None:
        self._request(self._session.resume)

    def action_mute(self) -> None:
        self._request(self._session.requests.mute)
        self.refresh_bindings()

    def action_unmute(self) -> None:
        self._request(self._session.requests.unmute)
        self.refresh_bindings()

    def action_paragraph(self) -> None:
        self._request(self._session.requests.end_utterance)

    def action_seek(self, seconds: int) -> None:
        self._request(lambda: self._session.requests.seek(seconds))

    def action_mark(self) -> None:
        self._ask_for_note(self._session.status.arrived_samples, "")

    def _ask_for_note(self, sample: int, track: str) -> None:
        self._marked = sample, track
        at = self.view.clock.at(sample, track)
        self.ask_line.ask("note", f"Mark at {at}. Note:", hint=self.save_hint)

    def answered(self, message: AskLine.Answered) -> None:
        text = message.text.strip()
        if message.purpose == "note" and self._session.status.state in OVER:
            self.tell(f"The session ended before this mark was saved, so it is not in the log. {text}".strip(), "error")
        elif message.purpose == "note":
            self._request(lambda: self._session.requests.mark(text, *self._marked))
        elif message.purpose == "speaker" and self._session.status.state in OVER:
            self.tell(f"The session ended before this name was saved. {self._name_it_later}", "error")
        elif message.purpose == "speaker":
            self._request(lambda: self._session.requests.name_speaker(*self.named(message.text)))
        elif message.purpose == "context":
            self._make_change("context", text)

    def action_captions(self) -> None:
        self.captioned = not self.captioned
        if self.captioned:
            self._captions_hint = f"Captions. Press {self.key_of('captions')} or {self.key_of('dismiss')} to go back."
            self.tell(self._captions_hint)
        else:
            self.notice_line.dismiss(self._captions_hint)

    def action_caption_lines(self, step: int) -> None:
        self._captions.n_lines = max(1, min(MOST_LINES, self._captions.n_lines + step))

    def action_dismiss_one(self) -> None:
        if self.captioned and not self._inline and not self.ask_line.display:
            self.action_captions()
        else:
            super().action_dismiss_one()

    # ---- changes of the running session

    def action_device(self) -> None:
        from livecap.tui.screens.device_screen import DeviceScreen

        assert self._machine is not None
        tracks = [(track.label, track.source) for track in self._session.status.tracks]
        screen = DeviceScreen(self._machine, self.now, tracks=tracks)

        def choose(name: str | None) -> None:
            self._choose("device", name, dict(tracks).get(screen.track, tracks[0][1]), screen.track)

        self.app.push_screen(screen, choose)

    def action_model(self) -> None:
        from livecap.tui.screens.model_screen import ModelScreen, is_same_model

        assert self._machine is not None
        model = self._session.status.model
        screen = ModelScreen(self._machine, self.now, current=model)
        self.app.push_screen(
            screen, lambda name: self._choose("model", name, name if is_same_model(name or "", model) else None)
        )

    def action_language(self) -> None:
        from livecap.tui.screens.pick_screen import language_screen

        assert self._machine is not None
        language = self._session.status.forced_language or ""
        screen = language_screen(self._machine.languages(), language)
        self.app.push_screen(screen, lambda name: self._choose("language", name, language))

    def action_context(self) -> None:
        context = self.app.settings.context
        self.ask_line.ask("context", "Names and terms to expect:", context, hint=self.save_hint)

    def _choose(self, name: str, value: str | None, current: str | None, track: str = "") -> None:
        """Change a setting to what the user chose: None is "not chosen", "" the default. The current value changes
        nothing, unless another one was asked for before."""
        asked = self._asked.get((name, track), current)
        if value is not None and (value != current or value != asked):
            self._make_change(name, value or None, track)

    def _make_change(self, name: str, value: str | None, track: str = "") -> None:
        """Change a setting of the running session on a thread, since that may take seconds. A change waits for those
        that were made before it."""
        change = self._change
        assert change is not None
        what = "names and terms to expect" if name == "context" else name
        hint = f"Changing the {what}{f' of {track}' if track else ''}…"
        key, asked = (name, track), value or ""
        self._asked[key] = asked

        async def work() -> None:
            async with self._changing:
                self.tell(hint)
                try:
                    await asyncio.to_thread(change, {name: value}, track)
                except (LivecapError, OSError) as error:
                    self.tell(for_user(error), "error")
                    if self._asked.get(key) == asked:
                        del self._asked[key]
                    return
                if name == "context":
                    self.app.settings = replace(self.app.settings, context=value or "")
                self.notice_line.dismiss(hint)

        self.run_worker(work())

    # ---- other screens

    def action_diagnostics(self) -> None:
        from livecap.tui.screens.diagnostics_screen import DiagnosticsScreen

        self.app.push_screen(DiagnosticsScreen(self._session, self.history))

    def action_export(self) -> None:
        from livecap.tui.screens.export_screen import ExportScreen

        screen = ExportScreen(self._session.log_folder)
        self.app.push_screen(screen, lambda said: self.tell(said) if said else None)

    def action_sessions(self) -> None:
        from livecap.tui.screens.sessions_screen import SessionsScreen

        self.app.push_screen(SessionsScreen(self._session.log_folder.parent, self.now, self._machine))

    # ---- leaving

    def action_quit(self) -> None:
        self._leave(asking=True)

    def action_quit_early(self) -> None:
        self._leave(asking=True)

    def quit_now(self) -> None:
        """End the session; if called twice, leave at once without asking."""
        self._leave(asking=False)

    def _leave(self, asking: bool) -> None:
        if self._session.wait(0):
            self.app.exit("finished")
        elif not self.stopping:
            self.stopping = True
            self.refresh_bindings()
            self._request(self._session.stop)
        elif asking:
            self._ask_to_abandon()
        else:
            self.app.exit("abandoned")

    def _ask_to_abandon(self) -> None:
        from livecap.tui.screens.question_screen import LeaveScreen

        seconds = self._session.status.lag_seconds
        later = " livecap recover transcribes it later." if self._session.status.live else ""
        waits = f"{seconds:.0f} s of sound is not transcribed yet.{later}"
        question = f"{waits if seconds >= 1 else 'The session is still being finished.'} Leave anyway?"
        self.app.push_screen(LeaveScreen(question), lambda yes: self.app.exit("abandoned") if yes else None)


def _key(update: TranscriptUpdate) -> tuple[str, int]:
    return update.track, update.utterance

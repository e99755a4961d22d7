"""LiveSession: one recording from its first sample to its last event, on a decode thread of its own.

source ─▶ transcriber ─▶ log ─▶ listeners
"""

import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from livecap.audio_in.source import AudioSource
from livecap.errors import LivecapError, LogError
from livecap.session.clock import WallClock
from livecap.session.disk import replace_file
from livecap.session.log import SessionLog
from livecap.session.status import SessionStatus, State
from livecap.session.versions import versions
from livecap.stream.transcriber import StreamingTranscriber
from livecap.transcript import (
    SAMPLE_RATE,
    AudioGap,
    Notice,
    Paused,
    Resumed,
    SessionEnded,
    SessionEvent,
    SessionStarted,
    TextCommitted,
    TranscriptUpdate,
    UtteranceEnded,
)
from livecap.version import VERSION

Listener = Callable[[SessionEvent | TranscriptUpdate], None]
"""Called after the log has what it is told, one call at a time, on the decode thread or the one that pauses. Must
return soon and not raise."""

MakeTranscriber = Callable[[Callable[[str], None]], StreamingTranscriber]
"""Loads the model on the thread that calls it; gets what to call with a notice."""

RTF_STEPS = 10
"""Steps that the shown RTF is averaged over."""


class LiveSession:
    """Used from two threads: its own decodes and publishes; any other may call what stands here."""

    def __init__(
        self,
        source: AudioSource,
        make_transcriber: MakeTranscriber,
        log: SessionLog,
        model: str,
        language: str | None,
    ) -> None:
        """
        Args:
            model: the model's name as people read it.
            language: the forced language, or None.
        """
        self._source = source
        self._make_transcriber = make_transcriber
        self._log = log
        self._model = model
        self._language = language
        self._listeners: list[Listener] = []
        self._publishing = threading.RLock()
        self._thread = threading.Thread(target=self._run, name="decode", daemon=True)
        self._running = False
        """From the first fact to the last; guarded by `_publishing`."""
        self._transcriber: StreamingTranscriber | None = None
        self._state = State.LOADING
        self._stopping = False
        self._paused = False
        self._error: str | None = None
        self._wall = WallClock()
        self._committed: dict[tuple[str, int], int] = {}
        """(track, utterance) to how many characters of it are facts."""
        self._steps: deque[tuple[float, float]] = deque(maxlen=RTF_STEPS)
        """(seconds of compute, seconds of sound)."""
        self._wall_step = 0.0
        """How far the computer's clock was moved, as told so far."""
        self.early_notices: list[str] = []
        """Told once the session has started; set before `start`."""
        self.settings: Mapping[str, Any] = {}
        """What the person chose, for the log; set before `start`."""
        log.on_trouble = self._on_log_trouble
        self.load_seconds = 0.0
        """Until the model could run."""
        self.decode_seconds = 0.0
        """Compute time of all steps so far."""
        self._n_gaps = 0
        self._gap_samples = 0

    # ---- what other threads call

    def add_listener(self, listener: Listener) -> None:
        """Before `start`."""
        self._listeners.append(listener)

    def start(self) -> None:
        """Returns at once; loading and decoding happen on the decode thread."""
        self._thread.start()

    def pause(self) -> None:
        """Stop listening; what was heard is still decoded. Twice is harmless."""
        with self._publishing:
            if self._paused or self._stopping or not self._running:
                return
            self._paused = True
        self._source.pause()
        self._publish_while_running(Paused("", self._source.arrived_samples, self._wall.now()))

    def resume(self) -> None:
        """Go on listening. Twice is harmless."""
        with self._publishing:
            if not self._paused:
                return
            self._paused = False
        self._publish_while_running(Resumed("", self._source.arrived_samples, self._wall.now()))
        self._source.resume()

    def stop(self) -> None:
        """Hear no more, decode the rest, finish the log. Returns at once; `wait` for the end."""
        self._stopping = True
        self._source.close()

    def notice(self, message: str, severity: str = "warning") -> None:
        """Log and show something a person should know, such as a device that left."""
        self._publish_while_running(Notice(message, self._source.arrived_samples, severity))

    def wait(self, timeout: float | None = None) -> bool:
        """True when the session has ended (or failed) within `timeout` seconds, and its thread with it."""
        self._thread.join(timeout)
        return not self._thread.is_alive()

    @property
    def wall_seconds(self) -> float:
        """Since the session was made."""
        return self._wall.elapsed_seconds

    @property
    def log_folder(self) -> Path:
        return self._log.folder

    @property
    def status(self) -> SessionStatus:
        """A snapshot; cheap enough to poll at 15 Hz."""
        transcriber = self._transcriber
        compute = sum(seconds for seconds, _ in self._steps)
        sound = sum(seconds for _, seconds in self._steps)
        state = self._state
        if state is State.LISTENING and self._paused:
            state = State.PAUSED
        if state is State.LISTENING and self._stopping:
            state = State.FINISHING
        return SessionStatus(
            state=state,
            source=self._source.name,
            model=self._model,
            live=self._source.live,
            started_wall=self._wall.started,
            arrived_samples=self._source.arrived_samples,
            decoded_samples=transcriber.due_until if transcriber else 0,
            level=self._source.level,
            speaking=transcriber.speaking if transcriber else False,
            language=transcriber.language if transcriber else self._language,
            language_forced=self._language is not None,
            rtf=compute / sound if sound else None,
            n_gaps=self._n_gaps,
            gap_samples=self._gap_samples,
            log_path=str(self._log.folder),
            error=self._error,
            log_trouble=self._log.trouble,
        )

    # ---- the decode thread

    def _run(self) -> None:
        reason = "end of source"
        try:
            with self._publishing:
                self._publish(self._session_started())
                self._running = True
            for message in self.early_notices:
                self.notice(message)
            start = time.perf_counter()
            self._transcriber = self._make_transcriber(self.notice)
            self.load_seconds = time.perf_counter() - start
            self._state = State.LISTENING
            self._listen(self._transcriber)
            if self._stopping:
                reason = "stopped"
        except LivecapError as error:
            reason = self._fail(str(error))
        except Exception as error:  # the last door of this thread: what was said so far must be kept and the fault told
            reason = self._fail(f"The decoder failed: {type(error).__name__}: {error}. See fault.txt beside the log.")
            with suppress(OSError):  # the disk may be the fault
                replace_file(self._log.folder / "fault.txt", traceback.format_exc().encode())
        finally:
            try:
                if self._transcriber is not None:
                    self._transcriber.close()
            finally:
                self._end(reason)

    def _listen(self, transcriber: StreamingTranscriber) -> None:
        end_sample = 0
        for chunk in self._source:
            if chunk.start_sample > end_sample:
                self._lost(end_sample, chunk.start_sample)
            end_sample = chunk.end_sample
            self._anchor(end_sample)
            transcriber.accept(chunk)
            if not len(chunk.samples):  # listening pauses: see AudioSource
                self._decode(transcriber, transcriber.flush())
            elif transcriber.ready:
                self._decode(transcriber, transcriber.step())
        self._state = State.FINISHING
        self._decode(transcriber, transcriber.finish())

    def _decode(self, transcriber: StreamingTranscriber, updates: Iterable[TranscriptUpdate]) -> None:
        before, start = transcriber.decoded_samples, time.perf_counter()
        for update in updates:
            self._publish_update(update)
        sound = (transcriber.decoded_samples - before) / SAMPLE_RATE
        compute = time.perf_counter() - start
        self.decode_seconds += compute
        if sound > 0:
            self._steps.append((compute, sound))

    def _publish_update(self, update: TranscriptUpdate) -> None:
        """The facts in an update go to the log first; then the update itself goes to whoever watches."""
        key = (update.track, update.utterance)
        known = self._committed.get(key, 0)
        if len(update.stable) > known:
            self._committed[key] = len(update.stable)
            text = update.stable[known:]
            self._publish(TextCommitted(update.track, update.utterance, text, update.start_sample, update.end_sample))
        self._tell(update)
        if update.final:
            self._committed.pop(key, None)
            if update.stable:
                self._publish(
                    UtteranceEnded(
                        update.track,
                        update.utterance,
                        update.stable,
                        update.start_sample,
                        update.end_sample,
                        update.language,
                    )
                )

    def _lost(self, start_sample: int, end_sample: int) -> None:
        self._n_gaps += 1
        self._gap_samples += end_sample - start_sample
        self._publish(AudioGap("", start_sample, end_sample))

    def _anchor(self, sample: int) -> None:
        """Tell where the sample clock stands by the wall, where that is due."""
        if not self._source.live:
            return
        step_before = self._wall_step
        if anchor := self._wall.anchor("", sample):
            self._wall_step = anchor.step_seconds
            self._publish(anchor)
        if abs(self._wall_step - step_before) >= 1:
            self.notice(
                f"The computer's clock was moved by {self._wall_step - step_before:+.0f} s. This session keeps its times; "
                "the finished transcript will have the corrected ones."
            )

    def _on_log_trouble(self, trouble: str | None) -> None:
        """On a thread of the log."""
        if trouble:
            self.notice(f"{trouble} What is said is kept in memory until then.", "error")
        else:
            self.notice("The session log is written again, and nothing is missing in it.")

    def _fail(self, message: str) -> str:
        self._error = message
        return f"failed: {message}"

    def _end(self, reason: str) -> None:
        self._source.close()
        try:
            if self._error is not None:
                self.notice(self._error, "error")
            with self._publishing:
                self._running = False
                self._publish(SessionEnded(self._source.arrived_samples, reason))
            self._log.close()
        except LogError as error:
            self._error = self._error or str(error)
        finally:
            self._state = State.FAILED if self._error else State.ENDED

    def _session_started(self) -> SessionStarted:
        return SessionStarted(
            session=self._log.session,
            source=self._source.name,
            model=self._model,
            wall_time=datetime.fromtimestamp(self._wall.started).astimezone().isoformat(timespec="milliseconds"),
            live=self._source.live,
            language=self._language,
            version=VERSION,
            settings=self.settings,
            versions=versions(),
        )

    def _publish(self, event: SessionEvent) -> None:
        """Log first, then listeners."""
        with self._publishing:
            self._log.append(event, self.wall_seconds)
            self._tell(event)

    def _publish_while_running(self, event: SessionEvent) -> None:
        """What other threads say before the first fact or after the last is not heard."""
        with self._publishing:
            if self._running:
                self._publish(event)

    def _tell(self, item: SessionEvent | TranscriptUpdate) -> None:
        with self._publishing:
            for listener in self._listeners:
                listener(item)

"""LiveSession: one session from its first sample to its last fact, on a decode thread of its own.

sources ─▶ tracks ─▶ publisher ─▶ log, then listeners
"""

import threading
import time
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from livecap.archive.clock import iso_time
from livecap.archive.delete import delete, to_delete
from livecap.archive.folder import FAILED, FAULT
from livecap.archive.log import SessionLog
from livecap.audio_in.source import WAKE_SECONDS
from livecap.engine import Engine, EngineSettings, Load, Recognises
from livecap.errors import AudioError, LivecapError, one_line
from livecap.files import replace_file
from livecap.session.echo import without_echo
from livecap.session.live_speakers import LiveSpeakers
from livecap.session.measures import CommitLatency, StepCosts
from livecap.session.notices import Notices
from livecap.session.publish import Listener, Publisher, versions
from livecap.session.requests import Requests, recognition_summary
from livecap.session.sound_folder import SoundFolder
from livecap.session.status import SessionStatus, State
from livecap.session.tracks import Track, TrackSource, arrived_samples
from livecap.session.wall_clock import WallClock
from livecap.speakers.diariser import VoiceDiariser, load_diariser
from livecap.speakers.remembered import RememberedVoices
from livecap.transcript import (
    Notice,
    Paused,
    Resumed,
    SessionEnded,
    SessionEvent,
    SessionStarted,
    TranscriptUpdate,
)
from livecap.version import VERSION


class LiveSession:
    """Any thread may call the public methods. What stands below them belongs to the decode thread."""

    def __init__(
        self,
        tracks: Sequence[TrackSource],
        recognition: EngineSettings,
        log: SessionLog,
        *,
        settings: Mapping[str, Any] | None = None,
        notices: Notices | None = None,
        wall: WallClock | None = None,
        sound_folder: SoundFolder | None = None,
        removes_echo: bool = False,
        labels_speakers: bool = False,
        voices_file: Path | None = None,
        load_engine: Load = Engine.load,
        load_voices: Callable[[], VoiceDiariser] = load_diariser,
    ) -> None:
        """
        Args:
            tracks: at least one; their labels differ.
            recognition: what to load, and how to recognise with it.
            settings: what the user chose, for the log.
            notices: passes messages on to this session; may hold some already.
            wall: began before the first sample was heard.
            sound_folder: keeps the sound of the sources.
            removes_echo: of two tracks, the first is heard without what the second plays.
            labels_speakers: find out who speaks.
            voices_file: remembered voices, whose speakers get their names.
            load_engine: called on the decode thread.
            load_voices: called on the thread that labels speakers.
        """
        assert tracks and len({track.label for track in tracks}) == len(tracks)
        self._recognition = recognition
        self._model_name = recognition.model_name
        self._log = log
        self._settings = settings or {}
        self._wall = wall or WallClock()
        self._sound_folder = sound_folder
        self._load_engine = load_engine
        self._engine: Recognises | None = None
        self.costs = StepCosts()
        note_step = sound_folder.note_step if sound_folder else lambda label, step: None
        self.notice = notices or Notices()
        """Logs and shows a message for the user: `notice(message, severity)`. Kept until the session has begun."""
        if removes_echo:
            tracks = without_echo(tracks, self.notice)
        known = RememberedVoices(voices_file).vectors() if labels_speakers and voices_file else None
        speakers = self._speakers = LiveSpeakers(load_voices, known) if labels_speakers else None
        on_sound = speakers.hear if speakers else lambda label, block: None
        self._tracks = [Track(track, self._wall, self.costs, note_step, on_sound) for track in tracks]
        self._listening = list(self._tracks)
        """Tracks whose sound has not ended."""
        self.latency = CommitLatency(lambda label: self._track(label).source.arrived_samples)
        self._publisher = Publisher(log, lambda: self.wall_seconds, self.latency, *([speakers] if speakers else []))
        self.requests = Requests(self._tracks, self._publisher, self.notice, self._wall, sound_folder)
        """What the user asks for while the session runs."""
        self._thread = threading.Thread(target=self._run, name="decode", daemon=True)
        self._state = State.LOADING
        self._paused = False
        self._pausing = threading.RLock()
        """Held by `pause` and `resume`, and taken before the publisher's lock. A pause may wait for devices; a `resume`
        meanwhile would resume some tracks and leave those paused that come later."""
        self._error: str | None = None
        self.on_engine: Callable[[Recognises], None] = lambda engine: None
        """Called on the decode thread when the model is loaded, before sound is decoded. Set before `start`."""
        self.load_seconds = 0.0
        """How long loading the model took."""

    # ---- any thread

    def listen(self, *listeners: Listener) -> None:
        """Give every fact and update of the session to these, too. Before `start`."""
        self._publisher.add_listeners(listeners)

    def start(self, *listeners: Listener) -> None:
        """Load the model and decode, on the decode thread. Returns at once.

        Args:
            listeners: as for `listen`.
        """
        self.listen(*listeners)
        self._thread.start()

    def discard(self) -> None:
        """Close the sources and delete the session, if it was not started: it holds no fact yet."""
        if self._thread.ident is not None:
            return
        for track in self._tracks:
            track.source.close()
        if self._sound_folder is not None:
            self._sound_folder.close(clean=True)
        self._log.close()
        delete(self.log_folder, to_delete(self.log_folder))

    def pause(self) -> None:
        """Stop listening; what was heard is still decoded. Twice is harmless."""
        with self._pausing:
            with self._publisher.lock:
                if self._paused or self.requests.is_stopping or not self._publisher.running:
                    return
                self._paused = True
            for track in self._tracks:
                track.pause()
            for track in self._tracks:
                paused = Paused(track.label, track.source.arrived_samples, self._wall.now())
                self._publisher.publish_while_running(paused)

    def resume(self) -> None:
        """Go on listening. Twice is harmless."""
        with self._pausing:
            with self._publisher.lock:
                if not self._paused:
                    return
                self._paused = False
            now = self._wall.now()
            for track in self._tracks:
                self._publisher.publish_while_running(Resumed(track.label, track.source.arrived_samples, now))
            for track in self._tracks:  # after the log was written: the tracks stay in step
                track.resume()

    def stop(self) -> None:
        """Stop listening, decode the rest, finish the log. Returns at once; `wait` for the end."""
        self.requests.stop()

    def wait(self, timeout: float | None = None) -> bool:
        """True when the session has ended or failed within `timeout` seconds, and its thread with it."""
        self._thread.join(timeout)
        return not self._thread.is_alive()

    @property
    def has_begun(self) -> bool:
        """The first fact is written. Before that nothing can be paused or marked."""
        return self._publisher.has_begun

    @property
    def is_over(self) -> bool:
        """The session has ended or failed. A signal handler may ask."""
        return self._state in (State.ENDED, State.FAILED)

    @property
    def first_sample(self) -> int:
        """Where the sound begins: 0, or where a replay starts."""
        return min(track.source.first_sample for track in self._tracks)

    @property
    def wall_seconds(self) -> float:
        """Seconds since the session was made."""
        return self._wall.elapsed_seconds

    @property
    def log_folder(self) -> Path:
        return self._log.folder

    @property
    def status(self) -> SessionStatus:
        """A snapshot; cheap enough to poll at 15 Hz."""
        state = self._state
        if state is State.LISTENING and self.requests.is_stopping:
            state = State.FINISHING
        elif state in (State.LOADING, State.LISTENING) and self._paused and not self.requests.is_stopping:
            state = State.PAUSED
        return SessionStatus(
            state=state,
            model=self._model_name,
            live=self._is_live,
            started_wall=self._wall.started,
            forced_language=self._recognition.language,
            rtf=self.costs.rtf,
            log_path=str(self._log.folder),
            error=self._error,
            tracks=tuple(track.status for track in self._tracks),
            log_trouble=self._log.trouble,
            muted=self.requests.muted,
            stopping=self.requests.is_stopping,
            remote=self._recognition.remote,
        )

    @property
    def diagnostics(self) -> dict[str, str]:
        """What helps to find a fault, name to value, in the order to be shown."""
        facts: dict[str, str] = {}
        if last := self.costs.last:
            facts["last step"] = f"{last.compute_seconds * 1e3:.0f} ms for {last.sound_seconds:.1f} s of sound"
        for track in self._tracks:
            facts |= track.diagnostics
        for name, n_bytes in (self._engine.memory if self._engine else {}).items():
            facts[name] = f"{n_bytes / 1e6:.0f} MB"
        return facts

    @property
    def _is_live(self) -> bool:
        return any(track.source.live for track in self._tracks)

    def _track(self, label: str) -> Track:
        return next(track for track in self._tracks if track.label == label)

    def _publish_notice(self, message: str, severity: str = "warning") -> None:
        self._publisher.publish_while_running(Notice(message, arrived_samples(self._tracks), severity))

    # ---- the decode thread

    def _run(self) -> None:
        reason = "end of source"
        try:
            try:
                self._begin()
                self._load()
                self._state = State.LISTENING
                self._listen()
                if self.requests.is_stopping:
                    reason = "stopped"
            finally:
                self._close()
        except BaseException as error:  # a panic of a Rust library is no Exception
            self._fail(error)
        try:
            self._end(reason)
        except BaseException as error:
            self._fail(error)
        finally:
            if self._sound_folder is not None:
                self._sound_folder.close(clean=self._error is None)
            self._state = State.FAILED if self._error else State.ENDED

    def _close(self) -> None:
        try:
            for track in self._tracks:
                track.close()
        finally:
            if self._engine is not None:
                self._engine.close()

    def _begin(self) -> None:
        with self._publisher.lock:
            self._publisher.publish(self._session_started())
            self._publish(filter(None, (track.first_anchor() for track in self._tracks)))
            self._publisher.running = self._publisher.has_begun = True
            self.notice.deliver_to(self._publish_notice)
        if self._speakers is not None:
            self._speakers.start(self._publisher.publish_while_running, self.notice, self._is_live)

    def _session_started(self) -> SessionStarted:
        return SessionStarted(
            session=self._log.session,
            source=" + ".join(track.source.name for track in self._tracks),
            model=self._model_name,
            wall_time=iso_time(self._wall.started),
            live=self._is_live,
            language=self._recognition.language,
            version=VERSION,
            settings=self._settings,
            versions=versions(),
            tracks=tuple(track.label for track in self._tracks),
        )

    def _load(self) -> None:
        start = time.perf_counter()
        self._engine = self._load_engine(self._recognition, self.notice)
        self._engine.warm_up()
        for track in self._tracks:
            track.start(partial(self._engine.transcriber, track.label, self.notice))
        self.load_seconds = time.perf_counter() - start
        self.on_engine(self._engine)

    def _listen(self) -> None:
        """Serve all tracks in turn until their sources have ended."""
        for track in self._tracks:
            track.source.wake(self.requests.arrival)
        while self._listening:
            self.requests.arrival.clear()
            self._carry_out_requests()
            busy = False
            for track in self._listening:
                try:
                    block = track.take()
                except AudioError:  # what came before is decoded all the same
                    for each in self._listening:
                        self._publish(each.end_utterance())
                    self._settle_all()
                    raise
                if block is not None:
                    busy = True
                    self._publish(track.hear(block))
            for track in [track for track in self._listening if track.ended]:
                self._listening.remove(track)
                self._state = self._state if self._listening else State.FINISHING
                self._publish(track.finish())
            idle = not busy or not self._is_live  # nobody waits for the steps of a recording
            if not (idle and self._settle()) and not busy and self._listening:
                self.requests.arrival.wait(WAKE_SECONDS)
        self._settle_all()

    def _carry_out_requests(self) -> None:
        if self.requests.sought is not None:
            self._seek()
        while changes := self.requests.take_recognition():
            self._change_recognition(changes)
        for track in self._listening:
            self._publish(track.end_requested_utterances())

    def _seek(self) -> None:
        self._close_utterances()
        with self._publisher.lock:  # whoever seeks meanwhile counts from the new place
            sample = self.requests.take_seek()
            for track in self._tracks:
                try:
                    self._publisher.publish(track.seek(sample))
                except AudioError as error:
                    self.notice(str(error), "error")
                    continue
                if track not in self._listening and not track.ended:
                    self._listening.append(track)

    def _change_recognition(self, changes: Mapping[str, Any]) -> None:
        engine = self._engine
        assert engine is not None, "requests are carried out once the model is loaded"
        recognition = replace(engine.settings, **changes)
        try:
            engine.change(recognition, self.notice)
        except LivecapError as error:
            self.notice(f"{error} The session goes on as before.", "error")
            return
        self._close_utterances()
        for track in self._tracks:
            track.renew_transcriber()
        self._recognition, self._model_name = recognition, recognition.model_name
        now = {name: getattr(recognition, name) for name in ("model", "language", "context")}
        self.notice(f"From here on: {recognition_summary(now)}.", "info")

    def _close_utterances(self) -> None:
        """Decode and settle everything that was heard."""
        for track in self._listening:  # also where the source has ended just now: its track is not finished yet
            self._publish(track.end_utterance())
        self._settle_all()

    def _settle(self) -> bool:
        """Hear one closed utterance a second time; False if none waits."""
        settled = next(filter(None, (track.settle() for track in self._tracks)), None)
        if settled is not None:
            self._publisher.publish(settled)
        return settled is not None

    def _settle_all(self) -> None:
        while self._settle():
            pass

    def _publish(self, items: Iterable[SessionEvent | TranscriptUpdate]) -> None:
        for item in items:
            self._publisher.publish(item)

    def _fail(self, error: BaseException) -> None:
        """Keep what was transcribed, and report the first error."""
        message = str(error)
        if not isinstance(error, LivecapError):
            message = f"The decoder failed: {one_line(error)}. See {FAULT} beside the log."
            with suppress(OSError):  # the disk may be the fault
                replace_file(self._log.folder / FAULT, traceback.format_exception(error))
        self._error = self._error or message

    def _end(self, reason: str) -> None:
        for track in self._tracks:
            track.source.close()
        if self._speakers is not None:
            self._speakers.close()
        if self._error is not None:
            self.notice(self._error, "error")
            reason = f"{FAILED}{self._error}"
        with self._publisher.lock:
            self._publisher.running = False
            self._publish(filter(None, (track.report() for track in self._tracks)))
            n_samples = max(track.heard_samples for track in self._tracks)
            self._publisher.publish(SessionEnded(n_samples, reason))
        self._log.close()

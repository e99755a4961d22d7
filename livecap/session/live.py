"""LiveSession: one session from its first sample to its last event, on a decode thread of its own.

sources ─▶ transcribers, one a track ─▶ log ─▶ listeners
"""

import threading
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from livecap.archive.clock import WallClock, iso_time
from livecap.archive.log import SessionLog
from livecap.archive.steps import Step
from livecap.audio_in.source import WAKE_SECONDS, AudioBlock
from livecap.engine import Engine, EngineSettings
from livecap.errors import LivecapError, LogError
from livecap.files import replace_file
from livecap.session.capture_report import capture_report
from livecap.session.commit_latency import CommitLatency
from livecap.session.publish import Listener, Publisher
from livecap.session.sound_folder import SoundFolder
from livecap.session.status import SessionStatus, State
from livecap.session.step_costs import StepCost, StepCosts
from livecap.session.tracks import Track, TrackSource
from livecap.session.versions import versions
from livecap.transcript import (
    SAMPLE_RATE,
    ClockAnchored,
    Notice,
    Paused,
    Resumed,
    SessionEnded,
    SessionStarted,
)
from livecap.version import VERSION


class LiveSession:
    """Used from two threads: its own decodes and publishes; any other may call what stands here."""

    def __init__(
        self,
        tracks: Sequence[TrackSource],
        recognition: EngineSettings,
        log: SessionLog,
        *,
        load_engine: Callable[[EngineSettings, Callable[[str], None]], Engine] = Engine.load,
        wall: WallClock | None = None,
        sound_folder: SoundFolder | None = None,
    ) -> None:
        """
        Args:
            tracks: at least one; their labels differ.
            recognition: what to load, and how to recognise with it.
            load_engine: called on the decode thread.
            wall: began before the first sample was heard.
            sound_folder: keeps the sound of the sources.
        """
        assert tracks and len({track.label for track in tracks}) == len(tracks)
        self._tracks = [Track(track) for track in tracks]
        self._listening = list(self._tracks)
        """Tracks whose sound has not ended; the decode thread's."""
        self._load_engine = load_engine
        self._engine: Engine | None = None
        self._log = log
        self._model = recognition.model_name
        self._recognition = recognition
        self._wall = wall or WallClock()
        self._sound_folder = sound_folder
        self._publisher = Publisher(log, lambda: self.wall_seconds)
        self._thread = threading.Thread(target=self._run, name="decode", daemon=True)
        self._arrival = threading.Event()
        self._state = State.LOADING
        self._stopping = False
        self._paused = False
        self._error: str | None = None
        self.costs = StepCosts()
        self.latency = CommitLatency(lambda label: self._track(label).source.arrived_samples)
        self._publisher.listeners.append(self.latency)
        self._wall_step = 0.0
        """How far the computer's clock was moved, as told so far."""
        self._unbalanced: set[str] = set()
        """Tracks whose samples do not add up, as told so far."""
        self.early_notices: list[tuple[str, str]] = []
        """(message, severity), told once the session has started."""
        self.settings: Mapping[str, Any] = {}
        """What the person chose, for the log; set before `start`."""
        log.on_trouble = self._on_log_trouble
        self.load_seconds = 0.0
        """Until the model could run."""

    # ---- what other threads call

    def add_listener(self, listener: Listener) -> None:
        """Before `start`."""
        self._publisher.listeners.append(listener)

    def start(self) -> None:
        """Returns at once; loading and decoding happen on the decode thread."""
        self._thread.start()

    def pause(self) -> None:
        """Stop listening; what was heard is still decoded. Twice is harmless."""
        with self._publisher.lock:
            if self._paused or self._stopping or not self._publisher.running:
                return
            self._paused = True
        for track in self._tracks:
            track.source.pause()
        for track in self._tracks:
            self._publisher.publish_while_running(
                Paused(track.label, track.source.arrived_samples, self._wall.now()),
            )

    def resume(self) -> None:
        """Go on listening. Twice is harmless."""
        with self._publisher.lock:
            if not self._paused:
                return
            self._paused = False
        for track in self._tracks:
            self._publisher.publish_while_running(
                Resumed(track.label, track.source.arrived_samples, self._wall.now()),
            )
            track.source.resume()

    def stop(self) -> None:
        """Hear no more, decode the rest, finish the log. Returns at once; `wait` for the end."""
        self._stopping = True
        for track in self._tracks:
            track.source.close()

    def notice(self, message: str, severity: str = "warning") -> None:
        """Log and show something a person should know, such as a device that left."""
        with self._publisher.lock:
            if self._publisher.running:
                self._publisher.publish(Notice(message, self._arrived_samples, severity))
            elif self._state is State.LOADING:
                self.early_notices.append((message, severity))

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
        tracks = tuple(track.status for track in self._tracks)
        latest = max(tracks, key=lambda track: track.lag_seconds)
        state = self._state
        if state is State.LISTENING and self._paused:
            state = State.PAUSED
        if state is State.LISTENING and self._stopping:
            state = State.FINISHING
        arrived_samples = max(track.arrived_samples for track in tracks)
        speaking = [track for track in tracks if track.speaking and track.language]
        languages = [track.language for track in (*speaking, *tracks) if track.language]
        return SessionStatus(
            state=state,
            source=self._source_name,
            model=self._model,
            live=self._is_live,
            started_wall=self._wall.started,
            arrived_samples=arrived_samples,
            decoded_samples=arrived_samples - max(0, latest.arrived_samples - latest.decoded_samples),
            level=max(track.level for track in tracks),
            speaking=any(track.speaking for track in tracks),
            language=languages[0] if languages else self._recognition.language,
            language_forced=self._recognition.language is not None,
            rtf=self.costs.rtf,
            n_gaps=sum(track.n_gaps for track in self._tracks),
            gap_samples=sum(track.gap_samples for track in self._tracks),
            log_path=str(self._log.folder),
            error=self._error,
            log_trouble=self._log.trouble,
            tracks=tracks,
        )

    def _track(self, label: str) -> Track:
        return next(track for track in self._tracks if track.label == label)

    @property
    def _arrived_samples(self) -> int:
        return max(track.source.arrived_samples for track in self._tracks)

    @property
    def _is_live(self) -> bool:
        return any(track.source.live for track in self._tracks)

    @property
    def _source_name(self) -> str:
        return " + ".join(track.source.name for track in self._tracks)

    # ---- the decode thread

    def _run(self) -> None:
        reason = "end of source"
        try:
            self._begin()
            start = time.perf_counter()
            self._engine = self._load_engine(self._recognition, self.notice)
            for track in self._tracks:
                track.transcriber = self._engine.transcriber(track.label, self.notice)
            self.load_seconds = time.perf_counter() - start
            self._state = State.LISTENING
            self._listen()
            if self._stopping:
                reason = "stopped"
        except LivecapError as error:
            reason = self._fail(str(error))
        except Exception as error:  # the last door of this thread: what was said so far must be kept and the fault told
            reason = self._fail(f"The decoder failed: {type(error).__name__}: {error}. See fault.txt beside the log.")
            with suppress(OSError):  # the disk may be the fault
                replace_file(self._log.folder / "fault.txt", [traceback.format_exc()])
        finally:
            try:
                self._close_transcribers()
            finally:
                self._end(reason)

    def _close_transcribers(self) -> None:
        for track in self._tracks:
            if track.transcriber is not None:
                track.transcriber.close()
        if self._engine is not None:
            self._engine.close()

    def _begin(self) -> None:
        with self._publisher.lock:
            self._publisher.publish(self._session_started())
            for track in self._tracks:
                if track.source.live and track.source.started_wall is not None:
                    wall = max(track.source.started_wall, self._wall.started)
                    self._publisher.publish(ClockAnchored(track.label, 0, iso_time(wall)))
            self._publisher.running = True
            for message, severity in self.early_notices:
                self.notice(message, severity)

    def _listen(self) -> None:
        """Serve all tracks in turn until their sources have ended."""
        for track in self._tracks:
            track.source.wake(self._arrival)
        while self._listening:
            self._arrival.clear()
            self._between_rounds()
            busy = False
            for track in self._listening:
                chunk = track.source.take()
                if chunk is not None:
                    busy = True
                    self._hear(track, chunk)
            for track in [track for track in self._listening if track.source.ended]:
                self._listening.remove(track)
                self._state = self._state if self._listening else State.FINISHING
                self._finish(track)
            idle = not busy or not self._is_live  # nobody waits for the steps of a recording
            if not (idle and self._settle(self._tracks)) and not busy and self._listening:
                self._arrival.wait(WAKE_SECONDS)
        while self._settle(self._tracks):
            pass

    def _between_rounds(self) -> None:
        """For who wants something of the transcribers."""

    def _settle(self, tracks: Sequence[Track]) -> bool:
        """Hear one closed utterance again, since nothing else is due; False where all were."""
        for track in tracks:
            if track.transcriber is not None and track.transcriber.n_unsettled:
                self._publisher.publish(track.transcriber.settle())
                return True
        return False

    def _hear(self, track: Track, chunk: AudioBlock) -> None:
        for piece in track.pieces(chunk):
            if gap := track.accept(piece):
                self._publisher.publish(gap)
            self._anchor(track)
            for step in track.due(piece):
                self._decode(track, step)

    def _finish(self, track: Track) -> None:
        self._decode(track, track.step(closes=True))
        account = track.account()
        if account.waiting:
            self._tell_unbalanced(track, f"{account.waiting} were never decoded")
        if track.source.arrived_samples > track.end_sample:  # a gap at the very end
            if gap := track.close_gap(track.source.arrived_samples):
                self._publisher.publish(gap)

    def _decode(self, track: Track, step: Step) -> None:
        transcriber = track.transcriber
        assert transcriber is not None
        waited_samples = max(0, track.source.arrived_samples - transcriber.due_until)
        before, stages, start = transcriber.decoded_samples, transcriber.statistics.seconds, time.perf_counter()
        if self._sound_folder is not None:
            self._sound_folder.note_step(track.label, step)
        for update in transcriber.flush(step.step_samples) if step.closes else transcriber.step(step.step_samples):
            track.note(update)
            self._publisher.publish_update(update)
        self.costs.note(
            StepCost(
                at_seconds=track.source.arrived_samples / SAMPLE_RATE,
                track=track.label,
                sound_seconds=(transcriber.decoded_samples - before) / SAMPLE_RATE,
                compute_seconds=time.perf_counter() - start,
                waited_seconds=waited_samples / SAMPLE_RATE,
                stages=transcriber.statistics.seconds - stages,
            )
        )
        account = track.account()
        if not account.balanced:
            self._tell_unbalanced(track, str(account))

    def _tell_unbalanced(self, track: Track, what: str) -> None:
        if track.label not in self._unbalanced:
            self._unbalanced.add(track.label)
            self.notice(f"Samples of {track.source.name} do not add up: {what}. This is a fault of livecap.", "error")

    def _anchor(self, track: Track) -> None:
        """Tell where the sample clock stands by the wall, where that is due."""
        if not track.source.live or track.source.trouble == "away" or self._paused:
            return
        step_before = self._wall_step
        if anchor := self._wall.anchor(track.label, track.source.arrived_samples):
            self._wall_step = anchor.step_seconds
            self._publisher.publish(anchor)
        if abs(self._wall_step - step_before) >= 1:
            moved = f"{self._wall_step - step_before:+.0f} s"
            self.notice(
                f"The computer's clock was moved by {moved}. This session keeps its times; its finished transcript "
                "will have the corrected ones."
            )

    def _on_log_trouble(self, trouble: str | None) -> None:
        """On a thread of the log."""
        if trouble:
            self.notice(f"{trouble} What is said is kept in memory until then.")
        else:
            self.notice("The session log is written again, and nothing is missing in it.")

    def _fail(self, message: str) -> str:
        self._error = message
        return f"failed: {message}"

    def _end(self, reason: str) -> None:
        for track in self._tracks:
            track.source.close()
        try:
            if self._error is not None:
                self.notice(self._error, "error")
            with self._publisher.lock:
                self._publisher.running = False
                for track in self._tracks:
                    if track.transcriber is not None:
                        self._publisher.publish(capture_report(track))
                n_samples = max(track.heard_samples for track in self._tracks)
                self._publisher.publish(SessionEnded(n_samples, reason))
            self._log.close()
        except LogError as error:
            self._error = self._error or str(error)
        finally:
            if self._sound_folder is not None:
                self._sound_folder.close(clean=self._error is None)
            self._state = State.FAILED if self._error else State.ENDED

    def _session_started(self) -> SessionStarted:
        return SessionStarted(
            session=self._log.session,
            source=self._source_name,
            model=self._model,
            wall_time=iso_time(self._wall.started),
            live=self._is_live,
            language=self._recognition.language,
            version=VERSION,
            settings=self.settings,
            versions=versions(),
            tracks=tuple(track.label for track in self._tracks),
        )

"""After a crash: what was heard and not transcribed yet is decoded from the kept sound, and the session ends in order.

The facts of a log do not change, so the text that was committed stays. The utterance that was open is closed with it
and heard again from its beginning; what that gives is its settled text.
"""

import shutil
import time
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

from livecap.archive.folder import AUDIO, EVENTS, UNSAVED
from livecap.archive.log import SessionLog
from livecap.archive.reader import LogReader
from livecap.archive.recorded import RecordedSession, joined
from livecap.audio_in.replay import Replay
from livecap.engine import Engine, EngineSettings
from livecap.errors import LivecapError, LogError
from livecap.session.publish import Listener, Publisher
from livecap.stream.transcriber import StreamingTranscriber
from livecap.transcript import (
    SAMPLE_RATE,
    AudioGap,
    Notice,
    SessionEnded,
    TextCommitted,
    TranscriptUpdate,
    UtteranceEnded,
    UtteranceSettled,
)

RECOVERED = "recovered"
CUT_OFF = "cut off"
"""Reasons of `session_ended`: decoded to its end afterwards, and kept as it was."""


@dataclass(frozen=True, slots=True)
class Recovery:
    """What became of a session that was cut off."""

    seconds: float
    """Sound that was decoded now."""
    n_utterances: int
    """With text that is new."""


@dataclass(slots=True)
class TrackEnd:
    """How far a track had come when its session was cut off."""

    next_utterance: int = 0
    heard_until: int = 0
    """Sound up to here is in closed utterances."""
    open_pieces: list[TextCommitted] = field(default_factory=list)
    """Of the utterance that was not closed."""
    gaps: list[tuple[int, int]] = field(default_factory=list)
    """[start, end) of sound that was lost."""

    @property
    def decode_from(self) -> int:
        """Sound from this sample on was not transcribed, or not to the end."""
        return self.open_pieces[0].start_sample if self.open_pieces else self.heard_until


def track_ends(session: RecordedSession) -> dict[str, TrackEnd]:
    """Label to how far the track had come, of all tracks with text or sound."""
    ends = {label: TrackEnd() for label in (*session.tracks, *session.sounds)}
    for _, event in LogReader(session.folder / EVENTS).events():
        if isinstance(event, TextCommitted):
            end = ends.setdefault(event.track, TrackEnd())
            if end.open_pieces and end.open_pieces[0].utterance != event.utterance:
                end.open_pieces = []
            end.open_pieces.append(event)
            end.next_utterance = event.utterance + 1
        elif isinstance(event, UtteranceEnded):
            end = ends.setdefault(event.track, TrackEnd())
            end.next_utterance = event.utterance + 1
            end.heard_until = event.end_sample
            end.open_pieces = []
        elif isinstance(event, AudioGap):
            ends.setdefault(event.track, TrackEnd()).gaps.append((event.start_sample, event.end_sample))
    return ends


def seconds_to_decode(session: RecordedSession) -> float:
    """Sound of a session that is kept and not transcribed."""
    ends, seconds = track_ends(session), 0.0
    for label, path in session.sounds.items():
        if sound := _open_sound(path, ends[label]):
            seconds += max(0.0, (sound.duration_seconds or 0.0) - ends[label].decode_from / SAMPLE_RATE)
            sound.close()
    return seconds


def keep(folder: Path) -> None:
    """End a session that was cut off as it is: the committed text is all there will be. Unsaved sound is deleted.

    Raises:
        LogError: it has an end, a livecap writes it, or it cannot be read or written.
    """
    session = cut_off(folder)
    ends = track_ends(session)
    log = SessionLog.reopen(folder, session.n_facts, session.clock)
    publisher = _publisher(log, session)
    _close_open(publisher, ends)
    publisher.publish(SessionEnded(session.n_samples, CUT_OFF))
    log.close()
    _delete_unsaved_sound(folder)


def recover(folder: Path, recognition: EngineSettings, listener: Listener = lambda item: None) -> Recovery:
    """Decode what the kept sound of a session has and its log has not, and end it in order.

    Args:
        listener: told what is found, as by a live session.

    Raises:
        LivecapError: the session is not cut off, or the model cannot be loaded; then it can be recovered later.
    """
    session = cut_off(folder)
    ends = track_ends(session)
    log = SessionLog.reopen(folder, session.n_facts, session.clock)
    tracks: list[_Track] = []
    engine: Engine | None = None
    try:
        publisher = _publisher(log, session, listener)
        sounds = {label: _open_sound(path, ends[label]) for label, path in session.sounds.items()}
        if any(sounds.values()):

            def notice(message: str) -> None:
                publisher.publish(Notice(message, session.n_samples))

            engine = Engine.load(recognition, notice)
            tracks = [
                _Track(label, ends[label], sound, engine.transcriber(label, notice))
                for label, sound in sounds.items()
                if sound
            ]
        _close_open(publisher, ends)
        while active := [track for track in tracks if not track.is_done]:
            min(active, key=lambda track: track.end_sample).advance(publisher)
        recovery = Recovery(sum(track.seconds for track in tracks), sum(track.n_utterances for track in tracks))
        n_samples = max([session.n_samples, *(track.end_sample for track in tracks)])
        sentence = f"Cut off, and recovered afterwards: {recovery.seconds:.0f} s of sound were transcribed later."
        publisher.publish(Notice(sentence, n_samples, "info"))
        publisher.publish(SessionEnded(n_samples, RECOVERED))
    finally:
        for track in tracks:
            track.close()
        if engine is not None:
            engine.close()
        log.close()
    _delete_unsaved_sound(folder)
    return recovery


class _Track:
    """The kept sound of one track on its way to text."""

    def __init__(self, label: str, end: TrackEnd, sound: Replay, transcriber: StreamingTranscriber) -> None:
        self._label = label
        self._first = end.next_utterance
        self._reopened = end.open_pieces[0].utterance if end.open_pieces else None
        """The utterance that is heard again; its new text is its settled one."""
        self._sound = sound
        self._transcriber = transcriber
        self.end_sample = sound.first_sample
        self.n_utterances = 0
        self.is_done = False

    @property
    def seconds(self) -> float:
        return (self.end_sample - self._sound.first_sample) / SAMPLE_RATE

    def advance(self, publisher: Publisher) -> None:
        """Decode the next piece of sound, or what is left at its end."""
        chunk = self._sound.take()
        if chunk is not None:
            self.end_sample = chunk.end_sample
            self._transcriber.accept(chunk)
            if self._transcriber.ready:
                self._publish(publisher, self._transcriber.step())
        elif self._sound.ended:
            self._publish(publisher, self._transcriber.flush())
            while self._transcriber.n_unsettled:
                settled = self._transcriber.settle()
                publisher.publish(replace(settled, utterance=self._number(settled.utterance)))
            self.is_done = True

    def close(self) -> None:
        self._transcriber.close()
        self._sound.close()

    def _number(self, utterance: int) -> int:
        """The utterance's number in the whole session."""
        if self._reopened is not None:
            return self._reopened + utterance
        return self._first + utterance

    def _publish(self, publisher: Publisher, updates: Iterable[TranscriptUpdate]) -> None:
        for update in updates:
            update = replace(update, utterance=self._number(update.utterance))
            if update.final and update.stable:
                self.n_utterances += 1
            if update.utterance != self._reopened:
                publisher.publish_update(update)
            elif update.final and update.stable:
                publisher.publish(
                    UtteranceSettled(
                        update.track, update.utterance, update.stable, update.start_sample, update.end_sample,
                        update.language, update.words,
                    )
                )  # fmt: skip


def cut_off(folder: Path) -> RecordedSession:
    """The session in a folder, which a crash cut off.

    Raises:
        LogError: it has an end, or is still written.
    """
    session = RecordedSession(folder)
    if session.ended is not None:
        raise LogError(f"The session {folder.name} has an end; there is nothing to recover.")
    if session.is_running:
        raise LogError(f"The session {folder.name} is being recorded by another livecap. End it there first.")
    return session


def _publisher(log: SessionLog, session: RecordedSession, listener: Listener | None = None) -> Publisher:
    started = time.monotonic()
    publisher = Publisher(log, lambda: session.wall_seconds + time.monotonic() - started)
    publisher.listeners += [listener] if listener else []
    publisher.running = True
    return publisher


def _close_open(publisher: Publisher, ends: dict[str, TrackEnd]) -> None:
    """What was committed of open utterances is all that they hold."""
    for end in ends.values():
        if end.open_pieces:
            publisher.publish(joined(end.open_pieces))


def _open_sound(path: Path, end: TrackEnd) -> Replay | None:
    """The sound behind what was transcribed; None where there is none that can be read."""
    try:
        return Replay(path, pace=None, start_seconds=end.decode_from / SAMPLE_RATE, gaps=end.gaps)
    except LivecapError:  # nothing behind it, or not one whole second was written
        return None


def _delete_unsaved_sound(folder: Path) -> None:
    if (folder / AUDIO / UNSAVED).exists():
        shutil.rmtree(folder / AUDIO, ignore_errors=True)

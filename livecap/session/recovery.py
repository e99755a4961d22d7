"""Recovery after a crash: decode the kept sound that was not transcribed yet, and end the session properly.

The facts in a log do not change, so committed text stays. The utterance that was open is closed with its committed text
and heard again from its beginning; the new text becomes its settled text.
"""

import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TypeVar

from livecap.archive.archive import Archive
from livecap.archive.delete import delete, to_delete
from livecap.archive.folder import EVENTS, has_end, is_being_written
from livecap.archive.log import SessionLog
from livecap.archive.reader import LogReader
from livecap.archive.recorded import RecordedSession, joined
from livecap.archive.rescued import bring_back, rescued
from livecap.archive.transcript_file import finish_transcript
from livecap.audio_in.replay import Replay
from livecap.audio_in.wav_header import HEADER_BYTES
from livecap.engine import Engine, EngineSettings, Load
from livecap.errors import AudioError, LivecapError, LogError, SettingsError
from livecap.session.echo import without_echo
from livecap.session.measures import StepCosts
from livecap.session.publish import Listener, Publisher
from livecap.session.sound_folder import delete_unsaved_sound
from livecap.session.tracks import Track, TrackSource
from livecap.session.wall_clock import WallClock
from livecap.transcript import (
    SAMPLE_RATE,
    AudioGap,
    Marked,
    Notice,
    SessionEnded,
    SessionEvent,
    TextCommitted,
    TranscriptUpdate,
    UtteranceEnded,
    UtteranceSettled,
)

RECOVERED = "recovered"
"""Reason of `session_ended`: the rest was decoded later."""
CUT_OFF = "cut off"
"""Reason of `session_ended`: the session was kept as it was."""


@dataclass(frozen=True, slots=True)
class Recovery:
    """What the recovery of a session found."""

    seconds: float
    """Sound that was decoded."""
    n_utterances: int
    """Number of utterances with new text."""


@dataclass(slots=True)
class TrackEnd:
    """How far the transcription of a track was when its session was cut off."""

    next_utterance: int = 0
    """Number of the next new utterance."""
    heard_until: int = 0
    """End of the last closed utterance, or of its settled text, in samples."""
    open_pieces: list[TextCommitted] = field(default_factory=list)
    """Committed text of the utterance that was not closed."""
    gaps: list[tuple[int, int]] = field(default_factory=list)
    """[start, end) of lost sound."""

    @property
    def decode_from(self) -> int:
        """First sample that was not transcribed, or not completely."""
        start = self.open_pieces[0].start_sample if self.open_pieces else self.heard_until
        return max(start, self.heard_until)


def track_ends(session: RecordedSession) -> dict[str, TrackEnd]:
    """The end of each track that has text or sound, by label."""
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
        elif isinstance(event, UtteranceSettled):  # an earlier recovery heard more than the committed text
            end = ends.setdefault(event.track, TrackEnd())
            end.heard_until = max(end.heard_until, event.end_sample)
        elif isinstance(event, AudioGap):
            ends.setdefault(event.track, TrackEnd()).gaps.append((event.start_sample, event.end_sample))
    return ends


def seconds_to_decode(session: RecordedSession) -> float:
    """Length of the kept sound that is not transcribed."""
    ends, seconds = track_ends(session), 0.0
    for label, path in session.sounds.items():
        if sound := _open_sound(path, ends[label]):
            seconds += max(0.0, (sound.duration_seconds or 0.0) - ends[label].decode_from / SAMPLE_RATE)
            sound.close()
    return seconds


def is_empty(folder: Path) -> bool:
    """True if a session has no text, no mark, and less than a second of sound that could be transcribed.

    Raises:
        LogError: the session cannot be read.
    """
    session = RecordedSession(folder)
    kinds = (UtteranceEnded, UtteranceSettled, Marked)
    return not any(isinstance(fact, kinds) for fact in session.facts()) and seconds_to_decode(session) < 1


def delete_if_empty(folder: Path) -> bool:
    """Delete a session in which nothing was heard; True if it is gone. One that cannot be read stays."""
    try:
        return is_empty(folder) and not delete(folder, to_delete(folder)).stays
    except (OSError, LivecapError):
        return False


def keep(folder: Path) -> None:
    """End a session that was cut off with the text that it has. Sound that was not to be kept is deleted.

    Raises:
        LogError: the session has an end, is still being recorded, or cannot be read or written.
    """
    session = cut_off(folder)
    ends = track_ends(session)
    log = SessionLog.reopen(folder, session.n_facts, session.clock)
    publisher = _publisher(log, session)
    _close_open(publisher, ends)
    publisher.publish(SessionEnded(session.n_samples, CUT_OFF))
    log.close()
    _after_the_end(folder)


def take_back(folder: Path) -> Path | None:
    """Bring back the rest of a session whose disk failed; returns where it was, or None if there is nothing.

    Raises:
        LogError: the folder still cannot be written.
    """
    source = rescued(folder)
    if source is None or is_being_written(folder):
        return None
    bring_back(folder, source)
    Archive(folder.parent).expire(folder)  # facts that were added after its end are here now
    if RecordedSession(folder).ended is not None:
        finish_transcript(folder)
        delete_unsaved_sound(folder)
    return source


def recover(
    folder: Path,
    recognition: EngineSettings,
    listener: Listener = lambda item: None,
    load_engine: Load = Engine.load,
) -> Recovery:
    """Decode the kept sound of a session that is not in its log yet, and end the session.

    Args:
        listener: gets every fact and update, as from a live session.

    Raises:
        LivecapError: the session was not cut off, or the model cannot be loaded; then it can be recovered later.
    """
    session = cut_off(folder)
    ends = track_ends(session)
    with ExitStack() as stack:
        log = SessionLog.reopen(folder, session.n_facts, session.clock)
        stack.callback(log.close)
        publisher = _publisher(log, session, listener)
        tracks = []
        sources = []
        for label, path in sorted(session.sounds.items(), key=lambda item: _place(session, item[0])):
            if sound := _open_sound(path, ends[label]):
                stack.callback(sound.close)
                sources.append(TrackSource(label, sound))
        if session.started.settings.get("echo") == "auto":
            sources = without_echo(sources, lambda message, severity="": None)  # the session has said so
        tracks = [_RecoveredTrack(source, ends[source.label]) for source in sources]
        if tracks:

            def notice(message: str) -> None:
                publisher.publish(Notice(message, session.n_samples))

            engine = load_engine(recognition, notice)
            stack.callback(engine.close)
            for each in tracks:
                each.track.start(partial(engine.transcriber, each.track.label, notice))
                stack.callback(each.track.close)
        heard_again = {each.track.label for each in tracks}
        _close_open(publisher, {label: end for label, end in ends.items() if label not in heard_again})
        while active := [each for each in tracks if not each.is_done]:
            for item in min(active, key=lambda each: each.track.end_sample).advance():
                publisher.publish(item)
        recovery = Recovery(sum(each.seconds for each in tracks), sum(each.n_utterances for each in tracks))
        n_samples = max([session.n_samples, *(each.track.end_sample for each in tracks)])
        sentence = f"Cut off, and recovered afterwards: {recovery.seconds:.0f} s of sound were transcribed later."
        publisher.publish(Notice(sentence, n_samples, "info"))
        publisher.publish(SessionEnded(n_samples, RECOVERED))
    _after_the_end(folder)
    return recovery


class _RecoveredTrack:
    """The kept sound of one track on its way to text."""

    def __init__(self, source: TrackSource, end: TrackEnd) -> None:
        self.track = Track(source, WallClock(), StepCosts())
        self._reopened = end.open_pieces[0].utterance if end.open_pieces else None
        """The utterance that is heard again; its new text is its settled text."""
        self._open_pieces = end.open_pieces
        """Its committed text, until it is closed."""
        self._first = end.next_utterance if self._reopened is None else self._reopened
        self._last_end = end.heard_until
        """End of the last utterance."""
        self._starts: dict[int, int] = {}
        """Number of an utterance to its first sample, which is not before the end of the one before."""
        self.n_utterances = 0
        self.is_done = False

    @property
    def seconds(self) -> float:
        return (self.track.end_sample - self.track.source.first_sample) / SAMPLE_RATE

    def advance(self) -> Iterator[SessionEvent | TranscriptUpdate]:
        """Decode the next block of sound, or what is left at the end."""
        block = self.track.take()
        if block is not None:
            yield from self._in_session(self.track.hear(block))
        elif self.track.ended:
            yield from self._in_session(self.track.finish())
            yield from self._close_reopened(self.track.end_sample)
            yield from self._in_session(iter(self.track.settle, None))
            self.is_done = True

    def _in_session(
        self, items: Iterable[SessionEvent | TranscriptUpdate]
    ) -> Iterator[SessionEvent | TranscriptUpdate]:
        """The items with utterances numbered as in the whole session, without what the log has already."""
        for item in items:
            match item:
                case UtteranceSettled():
                    start = max(item.start_sample, self._starts.get(item.utterance, 0))
                    yield _starting_at(start, replace(item, utterance=self._first + item.utterance))
                case TranscriptUpdate():
                    start = self._starts.setdefault(item.utterance, max(item.start_sample, self._last_end))
                    update = _starting_at(start, replace(item, utterance=self._first + item.utterance))
                    self._last_end = max(self._last_end, item.end_sample) if item.final else self._last_end
                    has_text = update.final and bool(update.stable)
                    self.n_utterances += has_text
                    if update.utterance != self._reopened:
                        yield from self._close_reopened(start)
                        yield update
                    elif has_text:
                        yield from self._close_reopened(update.end_sample)
                        span = update.start_sample, update.end_sample
                        yield UtteranceSettled(
                            update.track, update.utterance, update.stable, *span, update.language, update.words
                        )
                case Notice():
                    yield item

    def _close_reopened(self, before_sample: int) -> Iterator[UtteranceEnded]:
        """Close the utterance that is heard again with its committed text. Not before its new text is known: a recovery
        that fails before that leaves it open, and the next one hears it again.

        Args:
            before_sample: its sound ends here at the latest; what follows is not transcribed yet.
        """
        pieces, self._open_pieces = self._open_pieces, []
        if pieces:
            ended = joined(pieces)
            yield replace(ended, end_sample=max(ended.start_sample, min(ended.end_sample, before_sample)))


Spanned = TypeVar("Spanned", TranscriptUpdate, UtteranceSettled)


def _starting_at(start: int, item: Spanned) -> Spanned:
    """The item without the sound before `start`."""
    words = (
        replace(w, start_sample=max(w.start_sample, start), end_sample=max(w.end_sample, start)) for w in item.words
    )
    return replace(item, start_sample=start, end_sample=max(item.end_sample, start), words=tuple(words))


def cut_off(folder: Path) -> RecordedSession:
    """The session in a folder that a crash cut off, or that failed before all of its sound was transcribed.

    Raises:
        LogError: it has an end, or is still being recorded.
    """
    session = RecordedSession(folder)
    if session.ended is not None and has_end(folder / EVENTS):
        raise LogError(f"The session {folder.name} has an end; there is nothing to recover.")
    if session.is_running:
        raise LogError(f"The session {folder.name} is being recorded by another livecap. End it there first.")
    return session


def _publisher(log: SessionLog, session: RecordedSession, *listeners: Listener) -> Publisher:
    started = time.monotonic()
    return Publisher(log, lambda: session.wall_seconds + time.monotonic() - started, *listeners)


def _close_open(publisher: Publisher, ends: dict[str, TrackEnd]) -> None:
    """Close each open utterance with its committed text."""
    for end in ends.values():
        if end.open_pieces:
            publisher.publish(joined(end.open_pieces))


def _place(session: RecordedSession, label: str) -> int:
    """Where a track stands in its session: the microphone is the first."""
    labels = session.started.tracks
    return labels.index(label) if label in labels else len(labels)


def _open_sound(path: Path, end: TrackEnd) -> Replay | None:
    """The sound that is not transcribed yet; None if there is none that can be read."""
    try:
        return Replay(path, pace=None, start_seconds=end.decode_from / SAMPLE_RATE, gaps=end.gaps)
    except SettingsError:  # no more sound
        return None
    except AudioError:
        if path.exists() and path.stat().st_size > HEADER_BYTES:
            raise  # it may be read later, so it must not be deleted
        return None


def _after_the_end(folder: Path) -> None:
    """Delete sound that was not to be kept, and let the index read the session again: one that failed had an end."""
    delete_unsaved_sound(folder)
    Archive(folder.parent).expire(folder)

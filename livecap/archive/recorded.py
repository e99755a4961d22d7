"""RecordedSession: what was said in a session, read from its log: the settled text where there is some.

session = RecordedSession(folder)                        # all of it
session = RecordedSession(folder, last_seconds=3600)     # the last hour; quick, however long the log
for fact in session.facts(): ...                         # utterances, marks, gaps, pauses, notices, by time
"""

import heapq
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from livecap.archive.clock import SessionClock
from livecap.archive.folder import EVENTS, is_being_written, read_title, saved_sounds
from livecap.archive.reader import Damage, LogReader, position
from livecap.errors import LogError
from livecap.transcript import (
    SAMPLE_RATE,
    AudioGap,
    Jumped,
    Marked,
    Notice,
    Paused,
    Resumed,
    SessionEnded,
    SessionEvent,
    TextCommitted,
    UtteranceEnded,
    UtteranceSettled,
)

Utterance = UtteranceEnded | UtteranceSettled
"""Both have track, utterance, text, start_sample, end_sample, language and words."""
Fact = Utterance | Marked | AudioGap | Paused | Resumed | Notice
"""What people may want to read."""

ORDER_SECONDS = 120
"""Facts are put in order of their beginnings within so much sound: longer than any utterance."""
FIRST_WORDS = 100
"""Characters of a session that stand for it in a list."""


class RecordedSession:
    """Reads the log once to learn what there is, and again for each `facts`. Memory does not grow with the text."""

    def __init__(self, folder: Path, last_seconds: float | None = None) -> None:
        """
        Args:
            folder: of the session.
            last_seconds: leave out what was heard earlier than so much before the end.

        Raises:
            LogError: there is no session log of livecap in it.
        """
        self.folder = folder
        self.name = folder.name
        self._reader = LogReader(folder / EVENTS)
        self.started = self._reader.started
        self._settled: dict[tuple[str, int], int] = {}
        """(track, utterance) to where in the file its settled text is."""
        self._since_sample = 0
        self._offset = 0
        if last_seconds is not None:
            tail = (position(event) for event in self._reader.last_events())
            end_sample = max((at for at in tail if at is not None), default=0)
            self._since_sample = max(0, end_sample - round(last_seconds * SAMPLE_RATE))
            self._offset = self._reader.offset_of(self._since_sample)
        self._tail: list[tuple[int, SessionEvent]] | None = None if last_seconds is None else []
        """The facts that were read, where they are few."""
        self.ended: SessionEnded | None = None
        """None: it runs, or it was cut off."""
        self.n_samples = 0
        self.n_utterances = 0
        self.tracks: list[str] = []
        self.languages: list[str] = []
        self.first_words = ""
        self._open_words = ""
        self._stretches: dict[str, list[_Stretch]] = {}
        """Of each track that jumped: what was heard after each jump."""
        clock = SessionClock.from_started(self.started)
        self._survey(clock)
        self.clock = clock.corrected()
        """Tells the times of this session, with what is known at its end."""

    def _survey(self, clock: SessionClock) -> None:
        for offset, event in self._reader.events(self._offset):
            if self._tail is not None:
                self._tail.append((offset, event))
            clock.note(event)
            self.n_samples = max(self.n_samples, position(event) or 0)
            if isinstance(event, UtteranceSettled):
                self._settled[event.track, event.utterance] = offset
            elif isinstance(event, UtteranceEnded):
                self.n_utterances += 1
                self._learn(event)
            elif isinstance(event, TextCommitted):
                self._learn(event)
            elif isinstance(event, Jumped):
                self._jump(offset, event)
            elif isinstance(event, SessionEnded):
                self.ended = event
            else:
                self.ended = None  # it went on
        self.first_words = self.first_words or self._open_words[:FIRST_WORDS]
        self.damages: list[Damage] = list(self._reader.damages)
        """What is missing or wrong in the log."""
        self.n_facts = self._reader.n_facts
        """The number of the next fact of this log."""
        self.wall_seconds = self._reader.wall_seconds
        """From its start to its last fact, by the clock."""

    def _jump(self, offset: int, event: Jumped) -> None:
        stretches = self._stretches.setdefault(event.track, [])
        for before in stretches[-1:]:
            before.end_sample = event.from_sample
        stretches.append(_Stretch(offset, event.to_sample, event.to_sample))

    def _was_heard_again(self, offset: int, utterance: Utterance) -> bool:
        """Somebody went back after its line was written, and all of its sound was heard once more."""
        return any(
            stretch.offset > offset
            and stretch.start_sample <= utterance.start_sample
            and utterance.end_sample <= stretch.end_sample
            for stretch in self._stretches.get(utterance.track, ())
        )

    def _learn(self, event: UtteranceEnded | TextCommitted) -> None:
        if event.track not in self.tracks:
            self.tracks.append(event.track)
        for stretch in self._stretches.get(event.track, [])[-1:]:
            stretch.end_sample = max(stretch.end_sample, event.end_sample)
        if isinstance(event, UtteranceEnded):
            self._open_words = ""
            self.first_words = f"{self.first_words} {event.text}".strip()[:FIRST_WORDS]
            if event.language and event.language not in self.languages:
                self.languages.append(event.language)
        elif len(self._open_words) < FIRST_WORDS:
            self._open_words += event.text

    @property
    def title(self) -> str:
        """What a person called it, or ""."""
        return read_title(self.folder)

    @property
    def seconds(self) -> float:
        """Length of its sound."""
        return self.n_samples / SAMPLE_RATE

    @property
    def is_running(self) -> bool:
        """A livecap writes it now."""
        try:
            return is_being_written(self.folder)
        except OSError as error:
            raise LogError(f"Cannot read {self.folder / EVENTS}: {error.strerror or error}.") from None

    @property
    def was_cut_off(self) -> bool:
        """It has no end, and nobody writes it."""
        return self.ended is None and not self.is_running

    @property
    def sounds(self) -> dict[str, Path]:
        """Track to the file of its sound, where it was kept; from sample 0 on."""
        return saved_sounds(self.folder)

    def utterances(self) -> Iterator[Utterance]:
        """What was said, in order: settled where it is, and at the end what was committed and never closed."""
        return (fact for fact in self.facts() if isinstance(fact, UtteranceEnded | UtteranceSettled))

    def facts(self) -> Iterator[Fact]:
        """Everything that people read, ordered by where it begins. Sound that was heard again counts as it was heard
        last."""
        waiting: list[tuple[int, int, Fact]] = []
        for number, fact in enumerate(self._unordered()):
            begin = fact.sample if isinstance(fact, Marked | Paused | Resumed | Notice) else fact.start_sample
            heapq.heappush(waiting, (begin, number, fact))
            while not self._stretches and waiting[0][0] < begin - ORDER_SECONDS * SAMPLE_RATE:
                yield heapq.heappop(waiting)[2]
        while waiting:
            yield heapq.heappop(waiting)[2]

    def _unordered(self) -> Iterator[Fact]:
        open_utterances: dict[tuple[str, int], list[TextCommitted]] = {}
        for offset, event in self._tail if self._tail is not None else self._reader.events(self._offset):
            if (position(event) or 0) < self._since_sample:
                continue
            if isinstance(event, TextCommitted):
                open_utterances.setdefault((event.track, event.utterance), []).append(event)
            elif isinstance(event, UtteranceEnded):
                open_utterances.pop((event.track, event.utterance), None)
                for key in [key for key in open_utterances if key[0] == event.track and key[1] < event.utterance]:
                    yield joined(open_utterances.pop(key))  # the line that closed it is damaged
                if not self._was_heard_again(offset, event):
                    yield self._best(event)
            elif isinstance(event, UtteranceSettled):
                if open_utterances.pop((event.track, event.utterance), None):
                    yield event
            elif isinstance(event, Marked | AudioGap | Paused | Resumed | Notice):
                yield event
        for pieces in open_utterances.values():
            yield joined(pieces)

    def _best(self, event: UtteranceEnded) -> Utterance:
        offset = self._settled.get((event.track, event.utterance))
        if offset is None:
            return event
        settled = self._reader.event_at(offset)
        assert isinstance(settled, UtteranceSettled)
        return settled


@dataclass(slots=True)
class _Stretch:
    """Sound between two jumps."""

    offset: int
    """In the log, of the jump before it."""
    start_sample: int
    end_sample: int
    """As far as text tells."""


def joined(pieces: list[TextCommitted]) -> UtteranceEnded:
    """What is known of an utterance that was never closed."""
    first, last = pieces[0], pieces[-1]
    text = "".join(piece.text for piece in pieces)
    return UtteranceEnded(first.track, first.utterance, text, first.start_sample, last.end_sample, None)

"""RecordedSession: what was said in a session, read from its log, with settled text where it exists, and with the names
of speakers where they were labelled.

session = RecordedSession(folder)                        # all of it
session = RecordedSession(folder, last_seconds=3600)     # the last hour; quick for a log of any length
for fact in session.facts(): ...                         # utterances, marks, gaps, pauses, notices, by time
"""

import heapq
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from livecap.archive.clock import SessionClock
from livecap.archive.folder import AUDIO, EVENTS, UNSAVED, is_being_written, read_title, saved_sounds
from livecap.archive.reader import Damage, LogReader, position
from livecap.archive.speakers import Speakers
from livecap.errors import LogError, SettingsError, brief
from livecap.text.safety import printable
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
    SessionStarted,
    SpeakerNamed,
    SpeakersHeard,
    SpeakersMerged,
    SpeakerSplit,
    TextCommitted,
    UtteranceEnded,
    UtteranceSettled,
    speaker_letter,
)

Utterance = UtteranceEnded | UtteranceSettled
"""Both types have the same fields."""
Fact = Utterance | Marked | AudioGap | Paused | Resumed | Notice
"""The facts that are shown to people."""

ORDER_SECONDS = 3600
"""Sound within which facts are sorted by their start: a slow decoder leaves one track far behind another, or behind the
user's marks."""
FIRST_WORDS = 100
"""Characters of a session's text that a list shows."""


class Document(Protocol):
    """What an export needs: a recorded session, or the text of a recording."""

    @property
    def name(self) -> str:
        """Unique name, from which file names are made if there is no title."""

    @property
    def title(self) -> str:
        """The title, or ""."""

    @property
    def started(self) -> SessionStarted:
        """Source, model and time."""

    @property
    def clock(self) -> SessionClock:
        """Turns samples into the times that people read."""

    @property
    def seconds(self) -> float:
        """Length of the sound."""

    @property
    def tracks(self) -> Sequence[str]:
        """Labels of the tracks that have text."""

    @property
    def speakers(self) -> Sequence[str]:
        """Names and letters of the speakers, where the text has them."""

    @property
    def languages(self) -> Sequence[str]:
        """All languages that were spoken, in order."""

    @property
    def damages(self) -> Sequence[object]:
        """Damaged and missing parts."""

    @property
    def kept_sounds(self) -> Mapping[str, Path]:
        """Track to its sound file, for a page that plays it."""

    @property
    def details(self) -> Mapping[str, Any]:
        """More about the text, for JSON."""

    def utterances(self) -> Iterator[Utterance]:
        """All utterances in order, in parts where several people speak in one."""

    def facts(self) -> Iterator[Fact]:
        """All facts for people, by their start."""


class RecordedSession:
    """Reads the log once when it is made, and again for each call of `facts`. Memory does not grow with the text."""

    def __init__(self, folder: Path, last_seconds: float | None = None) -> None:
        """
        Args:
            folder: the folder of the session.
            last_seconds: seconds before the end of the sound; earlier facts are left out, except who spoke and what
                the speakers are called. None for all.

        Raises:
            LogError: the folder has no readable session log of livecap.
        """
        self.folder = folder
        self.name = folder.name
        self._reader = LogReader(folder / EVENTS)
        self.started = self._reader.started
        self._settled: dict[tuple[str, int], int] = {}
        """(track, utterance) to the byte offset of its settled text."""
        self._since_sample = 0
        self._offset = 0
        if last_seconds is not None:
            tail = (position(event) for event in self._reader.last_events())
            end_sample = max((at for at in tail if at is not None), default=0)
            self._since_sample = max(0, end_sample - round(last_seconds * SAMPLE_RATE))
            self._offset = self._reader.offset_of(self._since_sample)
        self._tail: list[tuple[int, SessionEvent]] | None = None if last_seconds is None else []
        """(byte offset, fact) of the end of the log, with `last_seconds`."""
        self.ended: SessionEnded | None = None
        """The last fact; None if the session is running or was interrupted."""
        self.n_samples = 0
        self.text_samples = 0
        """End of the newest text; sound behind it is silent, or waits to be decoded."""
        self.n_utterances = 0
        self.tracks: list[str] = []
        self.languages: list[str] = []
        self.first_words = ""
        self._open_words = ""
        self.open: set[tuple[str, int]] = set()
        """(track, utterance) with stable text but no end: it goes on, or its end is damaged."""
        self.voices = Speakers()
        """Who speaks, as far as it was heard or said."""
        self._stretches: dict[str, list[_Stretch]] = {}
        """Track to what was heard after each of its jumps."""
        clock = SessionClock.from_started(self.started)
        self._survey(clock)
        self._labelled = {track for track in self.tracks if self.voices.has_labels(track)}
        """Tracks whose text has the names of speakers."""
        self.clock = clock.corrected()
        """The times of this session, corrected by what is known at its end."""

    def _survey(self, clock: SessionClock) -> None:
        for offset, event in self._reader.about_speakers(self._offset):
            self.voices.note(event, offset)
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
            elif isinstance(event, SpeakersHeard | SpeakerNamed | SpeakersMerged | SpeakerSplit):
                self.voices.note(event, offset)  # also after the end
            elif isinstance(event, SessionEnded):
                self.ended = event
            else:
                self.ended = None  # the session went on
        self.first_words = self.first_words or self._open_words[:FIRST_WORDS]
        self.damages: list[Damage] = list(self._reader.damages)
        """Damaged and missing parts of the log."""
        self.n_facts = self._reader.n_facts
        """Number of the next fact of this log."""
        self.wall_seconds = self._reader.wall_seconds
        """Seconds from the session's start to its last fact."""

    def _jump(self, offset: int, event: Jumped) -> None:
        stretches = self._stretches.setdefault(event.track, [])
        for before in stretches[-1:]:
            before.end_sample = event.from_sample
        stretches.append(_Stretch(offset, event.to_sample, event.to_sample))

    def _was_heard_again(self, offset: int, utterance: Utterance) -> bool:
        """True if the user jumped back after this line was written, and all of its sound was heard again."""
        return any(
            stretch.offset > offset
            and stretch.start_sample <= utterance.start_sample
            and utterance.end_sample <= stretch.end_sample
            for stretch in self._stretches.get(utterance.track, ())
        )

    def _learn(self, event: UtteranceEnded | TextCommitted) -> None:
        self.text_samples = max(self.text_samples, event.end_sample)
        if event.track not in self.tracks:
            self.tracks.append(event.track)
        for stretch in self._stretches.get(event.track, [])[-1:]:
            stretch.end_sample = max(stretch.end_sample, event.end_sample)
        key = event.track, event.utterance
        if isinstance(event, UtteranceEnded):
            self.open.discard(key)
            self._open_words = ""
            self.first_words = f"{self.first_words} {event.text}".strip()[:FIRST_WORDS]
            if event.language and event.language not in self.languages:
                self.languages.append(event.language)
            return
        self.open.add(key)
        if len(self._open_words) < FIRST_WORDS:
            self._open_words += event.text

    @property
    def title(self) -> str:
        """The title that the user gave the session, or ""."""
        return read_title(self.folder)

    @property
    def speakers(self) -> list[str]:
        """Names and letters of the speakers, where the text has them; empty where nothing was labelled."""
        return self.voices.labels()

    @property
    def seconds(self) -> float:
        """Length of the session's sound."""
        return self.n_samples / SAMPLE_RATE

    @property
    def details(self) -> dict[str, Any]:
        """Nothing: the log has it all."""
        return {}

    @property
    def is_running(self) -> bool:
        """True if a livecap is writing the session now."""
        try:
            return is_being_written(self.folder)
        except OSError as error:
            raise LogError(f"Cannot read {self.folder / EVENTS}: {error.strerror or error}.") from None

    @property
    def was_cut_off(self) -> bool:
        """True if the session has no end and is not running."""
        return self.ended is None and not self.is_running

    @property
    def sounds(self) -> dict[str, Path]:
        """Track to its sound file, which starts at sample 0; also sound that is deleted once it is transcribed."""
        return saved_sounds(self.folder)

    @property
    def kept_sounds(self) -> dict[str, Path]:
        """The same, but empty if the sound is to be deleted: a copy for others may hold only what the user keeps."""
        return {} if (self.folder / AUDIO / UNSAVED).exists() else self.sounds

    def speaker_number(self, wanted: str) -> int:
        """The speaker with this letter or name, as it was heard: before merges.

        Raises:
            SettingsError: there is none.
        """
        number = self.voices.find(wanted)
        if number is None:
            known = ", ".join(map(self._speaker_shown, self.voices.numbers())) or "none"
            raise SettingsError(f"There is no speaker {brief(wanted)} in {self.name}. Speakers: {known}.")
        return number

    def _speaker_shown(self, number: int) -> str:
        """A speaker as a list names it: "B (Priya)"."""
        letter, label = speaker_letter(number), self.voices.label(number)
        return letter if label == letter else f"{letter} ({printable(label)})"

    def utterances(self) -> Iterator[Utterance]:
        """All utterances in order, with settled text where it exists, including those that were never closed; in parts
        where several people speak in one."""
        return (fact for fact in self.facts() if isinstance(fact, Utterance))

    def whole_utterances(self) -> Iterator[Utterance]:
        """All utterances in the order of the log, without speakers."""
        return (fact for fact in self._unordered() if isinstance(fact, Utterance))

    def heard_in(self, utterance: Utterance) -> SpeakersHeard | None:
        """The last fact about the voices in an utterance; None if there is none."""
        offset = self.voices.offset_of(utterance.track, utterance.utterance)
        heard = None if offset is None else self._reader.event_at(offset)
        assert heard is None or isinstance(heard, SpeakersHeard)
        return heard

    def facts(self) -> Iterator[Fact]:
        """All facts for people, by their start. If a jump made sound be heard twice, only the last text counts."""
        waiting: list[tuple[int, int, Fact]] = []
        parts = (part for fact in self._unordered() for part in self._parts(fact))
        for number, fact in enumerate(parts):
            begin = fact.sample if isinstance(fact, Marked | Paused | Resumed | Notice) else fact.start_sample
            heapq.heappush(waiting, (begin, number, fact))
            is_text = isinstance(fact, UtteranceEnded | UtteranceSettled)  # the rest is written without waiting for it
            while is_text and not self._stretches and waiting[0][0] < begin - ORDER_SECONDS * SAMPLE_RATE:
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
                    yield joined(open_utterances.pop(key))  # its `utterance_ended` is damaged
                if not self._was_heard_again(offset, event):
                    yield self._best(event)
            elif isinstance(event, UtteranceSettled):
                if open_utterances.pop((event.track, event.utterance), None):
                    yield event
            elif isinstance(event, Marked | AudioGap | Paused | Resumed | Notice):
                yield event
        for pieces in open_utterances.values():
            yield joined(pieces)

    def _parts(self, fact: Fact) -> Iterator[Fact]:
        """A fact, or the parts of an utterance with their speakers."""
        if not isinstance(fact, UtteranceEnded | UtteranceSettled) or fact.track not in self._labelled:
            yield fact
            return
        heard = self.heard_in(fact)
        yield from self.voices.parts(fact, heard.voices) if heard is not None and heard.voices else [fact]

    def _best(self, event: UtteranceEnded) -> Utterance:
        offset = self._settled.get((event.track, event.utterance))
        if offset is None:
            return event
        settled = self._reader.event_at(offset)
        assert isinstance(settled, UtteranceSettled)
        return settled


@dataclass(slots=True)
class _Stretch:
    """What was heard of a track between two jumps."""

    offset: int
    """Byte offset in the log of the jump before it."""
    start_sample: int
    end_sample: int
    """End of the newest text in it."""


def joined(pieces: list[TextCommitted]) -> UtteranceEnded:
    """An utterance that was never closed, made from its committed text."""
    first, last = pieces[0], pieces[-1]
    text = "".join(piece.text for piece in pieces)
    return UtteranceEnded(first.track, first.utterance, text, first.start_sample, last.end_sample, None)

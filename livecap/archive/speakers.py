"""Speakers: who said what in a session, by what was heard and by what a person said of it.

Two kinds of facts are kept apart in the log: `SpeakersHeard` (voices, by number) and what a person said of them
(`SpeakerNamed`, `SpeakersMerged`, `SpeakerSplit`). Only tracks with more than one voice, or with a named one, have
labels: the only voice of "me" stays "me".
"""

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate

from livecap.errors import SettingsError
from livecap.text.safety import printable
from livecap.text.scripts import folded_name
from livecap.transcript import (
    SessionEvent,
    SpeakerNamed,
    SpeakersHeard,
    SpeakersMerged,
    UtteranceEnded,
    UtteranceSettled,
    Voice,
    Word,
    speaker_letter,
)

Key = tuple[str, int]
"""(track, utterance)."""


MOST_NAME = 60
"""Characters of a name; what is longer is refused."""


@dataclass(frozen=True, slots=True)
class _Heard:
    """The last `SpeakersHeard` of an utterance."""

    offset: int
    """Its position in the log."""
    numbers: frozenset[int]
    most: int | None
    """Who speaks most in it; None if no voice was heard."""
    settled: bool


class Speakers:
    """Learns from the facts of a session in order. Used from one thread."""

    def __init__(self) -> None:
        self._names: dict[int, str] = {}
        self._given: set[int] = set()
        """The speakers that a person has named."""
        self._unnamed: set[int] = set()
        """Those whose name a person took away, so that the names of others who were merged into them do not count."""
        self._into: dict[int, int] = {}
        """A speaker that a person merged to the one that it was merged into."""
        self._heard: dict[Key, _Heard] = {}
        self._uses: dict[str, Counter[int]] = {}
        """Track to the number of utterances in which each speaker was heard."""

    def note(self, event: SessionEvent, offset: int = 0) -> None:
        """Take a fact that begins at this byte of the log. Facts about other things change nothing."""
        match event:
            case SpeakersHeard():
                numbers = frozenset(voice.speaker for voice in event.voices)
                before = self._heard.get((event.track, event.utterance))
                lengths: Counter[int] = Counter()
                for voice in event.voices:
                    lengths[voice.speaker] += voice.end_sample - voice.start_sample
                most = max(lengths, key=lambda number: lengths[number], default=None)
                self._heard[event.track, event.utterance] = _Heard(offset, numbers, most, event.settled)
                uses = self._uses.setdefault(event.track, Counter())
                uses.subtract(before.numbers if before else ())
                uses.update(numbers)
            case SpeakerNamed() if not (event.remembered and event.speaker in self._given):
                self._names[event.speaker] = event.name
                if not event.remembered:
                    self._given.add(event.speaker)
                    self._unnamed.discard(event.speaker)
                    self._unnamed.update([] if event.name else [event.speaker])
            case SpeakersMerged():
                into_before = self.one(event.into)
                self._unnamed.discard(event.into)
                self._into.pop(event.into, None)  # so no speaker is ever merged into itself by way of others
                if event.speaker != event.into:
                    for number in {event.speaker, into_before} - {event.into}:  # earlier merges of `into` still hold
                        self._into[number] = event.into

    def offset_of(self, track: str, utterance: int) -> int | None:
        """Where the fact about the voices of an utterance is in the log; None if there is none."""
        heard = self._heard.get((track, utterance))
        return None if heard is None else heard.offset

    def is_settled(self, track: str, utterance: int) -> bool:
        """True if the voices of an utterance were found with the whole sound."""
        heard = self._heard.get((track, utterance))
        return heard is not None and heard.settled

    def one(self, speaker: int) -> int:
        """The speaker that counts for this one after all merges."""
        while speaker in self._into:
            speaker = self._into[speaker]
        return speaker

    def is_merged(self, speaker: int) -> bool:
        """True if a person merged this speaker with another."""
        return speaker in self._into or speaker in self._into.values()

    @property
    def merged(self) -> list[int]:
        """The speakers that a person merged into others."""
        return list(self._into)

    def label(self, speaker: int) -> str:
        """The name or, without one, the letter of a speaker."""
        one = self.one(speaker)
        if name := self._names.get(one):
            return name
        others = (name for other, name in sorted(self._names.items()) if name and self.one(other) == one)
        return speaker_letter(one) if one in self._unnamed else next(others, speaker_letter(one))

    def remembered_name(self, speaker: int) -> str:
        """The name that a speaker has because the voice was remembered; "" if a person named the speaker or nobody."""
        return "" if speaker in self._given else self._names.get(speaker, "")

    def numbers(self, track: str | None = None) -> list[int]:
        """The speakers of a track, or of all tracks, after all merges."""
        found = (uses for label, uses in self._uses.items() if track in (None, label))
        return sorted({self.one(number) for uses in found for number, n in uses.items() if n > 0})

    @property
    def next_number(self) -> int:
        """The number for a speaker that was not heard before."""
        known = {number for uses in self._uses.values() for number in uses}
        return max(known | self._names.keys() | self._into.keys() | set(self._into.values()), default=-1) + 1

    def has_labels(self, track: str) -> bool:
        """True if the text of a track is labelled: it has several voices, or a named one."""
        numbers = self.numbers(track)
        return len(numbers) > 1 or any(self.label(number) != speaker_letter(number) for number in numbers)

    def labels(self) -> list[str]:
        """The names and letters that the text has, by number."""
        tracks = filter(self.has_labels, self._uses)
        numbers = sorted({number for track in tracks for number in self.numbers(track)})
        return list(dict.fromkeys(map(self.label, numbers)))

    def label_of(self, track: str, utterance: int) -> str:
        """What stands before an utterance that is shown undivided: who speaks most in it, else the track."""
        speaker = self.speaker_of(track, utterance)
        return track if speaker is None or not self.has_labels(track) else self.label(speaker)

    def speaker_of(self, track: str, utterance: int) -> int | None:
        """Who speaks most in an utterance, after all merges; None if no voice was heard in it."""
        heard = self._heard.get((track, utterance))
        return None if heard is None or heard.most is None else self.one(heard.most)

    def find(self, wanted: str) -> int | None:
        """The speaker with this letter, or else with this name, in any case; None if there is none."""
        known = {number for uses in self._uses.values() for number, n in uses.items() if n > 0}
        plain = folded_name(wanted.strip())
        for number in sorted(known):
            if speaker_letter(number).casefold() == plain:
                return number
        return next((number for number in self.numbers() if folded_name(self.label(number)) == plain), None)

    def parts(
        self, utterance: UtteranceEnded | UtteranceSettled, voices: Sequence[Voice]
    ) -> Iterator[UtteranceEnded | UtteranceSettled]:
        """The utterance with its speaker, in parts where several speak in it. Words are not cut."""
        return (replace(part, speaker=self.label(number)) for part, number in self.numbered_parts(utterance, voices))

    def numbered_parts(
        self, utterance: UtteranceEnded | UtteranceSettled, voices: Sequence[Voice]
    ) -> Iterator[tuple[UtteranceEnded | UtteranceSettled, int]]:
        """The same with the numbers of the speakers, after all merges."""
        for text, words, number in split(utterance.text, utterance.words, self._numbered(utterance, voices)):
            first = utterance.start_sample if words[:1] == utterance.words[:1] else words[0].start_sample
            last = utterance.end_sample if words[-1:] == utterance.words[-1:] else words[-1].end_sample
            part = replace(utterance, text=text, words=words, start_sample=first, end_sample=max(first, last))
            yield part, number

    def _numbered(self, utterance: UtteranceEnded | UtteranceSettled, voices: Sequence[Voice]) -> list[int]:
        """The speaker of each word; one for the whole utterance if no times of words are known."""
        voices = [replace(voice, speaker=self.one(voice.speaker)) for voice in voices]
        return speakers_of([(word.start_sample, word.end_sample) for word in utterance.words], voices) or speakers_of(
            [(utterance.start_sample, utterance.end_sample)], voices
        )


def name_of(text: str) -> str:
    """A name as the user typed it, without what cannot be printed.

    Raises:
        SettingsError: it is too long.
    """
    name = printable(text).strip()
    if len(name) > MOST_NAME:
        raise SettingsError(f"A name has at most {MOST_NAME} characters, not {len(name)}.")
    return name


def speakers_of(spans: Sequence[tuple[int, int]], voices: Sequence[Voice]) -> list[int]:
    """The speaker of each span [start, end) of samples: the one who speaks for most of it. Where two speak equally
    long, the one before goes on; where no voice was heard, the nearest one counts. Empty without voices.

    Args:
        voices: in any order, many or few.
    """
    found: list[int] = []
    if not voices:
        return found
    ordered = sorted(voices, key=lambda voice: voice.start_sample)
    ends = list(accumulate((voice.end_sample for voice in ordered), max))
    for start, end in spans:
        first = bisect_right(ends, start)
        last = bisect_left(ordered, end, key=lambda voice: voice.start_sample)
        shares: dict[int, int] = {}
        until: dict[int, int] = {}
        for voice in ordered[first:last]:
            begin = max(start, voice.start_sample, until.get(voice.speaker, 0))
            until[voice.speaker] = max(begin, min(end, voice.end_sample))
            shares[voice.speaker] = shares.get(voice.speaker, 0) + until[voice.speaker] - begin
        most = max(shares.values(), default=0)
        best = [speaker for speaker, share in shares.items() if share == most]
        if most == 0:
            before = [ordered[bisect_left(ends, ends[first - 1])]] if first else []
            near = [*before, *ordered[first : max(first, last) + 1]]
            gaps = [(max(0, voice.start_sample - end, start - voice.end_sample), voice.speaker) for voice in near]
            best = [speaker for gap, speaker in gaps if gap == min(gaps)[0]]
        found.append(found[-1] if found and found[-1] in best else best[0])
    return found


def split(text: str, words: Sequence[Word], speakers: Sequence[int]) -> Iterator[tuple[str, tuple[Word, ...], int]]:
    """(text, words, speaker) of each part of a text in which one speaker speaks.

    Args:
        speakers: of each word, or of the whole text where there are no words; nothing is yielded without one.
    """
    if not speakers:
        return
    if not words:
        yield text.strip(), (), speakers[0]
        return
    places = [place[0] for place in word_places(text, words)]
    begin = first = 0
    for number in range(1, len(words) + 1):
        if number < len(words) and (speakers[number] == speakers[first] or places[number] is None):
            continue
        place = places[number] if number < len(words) else None
        yield text[begin:place].strip(), tuple(words[first:number]), speakers[first]
        begin, first = len(text) if place is None else place, number


def word_places(text: str, words: Sequence[Word]) -> list[tuple[int | None, int]]:
    """(begin, end) of each word in the text; begin is None for a word that is not found."""
    places: list[tuple[int | None, int]] = []
    at = 0
    for word in words:
        found = text.find(word.text, at) if word.text else -1
        if found >= 0:
            at = found + len(word.text)
        places.append((found if found >= 0 else None, at))
    return places

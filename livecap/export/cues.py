"""Subtitle cues: at most two lines of 42 cells, shown for 1 to 7 seconds, one at a time, and cut where speakers pause
and sentences end. If two people speak at once, each gets a line of the same cue. Where the user bounds the words or the
silences of a cue, it may be shorter than a second, since it ends where the next one begins.

The words of all tracks are put in one row, by the time they were said, and the row is cut into cues: dynamic
programming finds the cuts of lowest cost.
"""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import accumulate

from livecap.archive.recorded import Utterance
from livecap.archive.speakers import word_places
from livecap.text.safety import printable
from livecap.text.scripts import (
    AFTER_SENTENCE,
    ATTACHED,
    CLOSING,
    LEADING,
    OPENING,
    SENTENCE_ENDS,
    SPACELESS,
    STACKED,
    cells,
)
from livecap.transcript import SAMPLE_RATE

MAX_CELLS = 42
"""Width of a line; a Chinese or Japanese character takes two cells."""
MAX_LINES = 2
"""Lines of a cue."""
MAX_UTTERANCES = 200
"""Most utterances that are cut into cues together, about a quarter of an hour."""
MIN_SAMPLES = 1 * SAMPLE_RATE
"""Shortest time that a cue is shown."""
MIN_BOUNDED_SAMPLES = SAMPLE_RATE // 10
"""The same where the user bounds what a cue holds: with a second for each word, cues would fall behind the speech."""
MAX_SAMPLES = 7 * SAMPLE_RATE
"""Longest time that a cue is shown."""
READING_CELLS_PER_SECOND = 20
"""Reading speed: a cue is shown for at least as long as reading it takes, if there is time before the next one."""
PAUSE_SAMPLES = 4 * SAMPLE_RATE // 10
"""A pause of at least this length halves the cost of a cut."""
APART_SAMPLES = 3 * SAMPLE_RATE // 2
"""A silence longer than this inside a cue is expensive."""
LABEL_SHARE = 3
"""The longest label of a speaker is a third of a line; longer ones are cut."""

_OPENING = OPENING + LEADING + "("
_CLOSING = CLOSING + ATTACHED + ",.!?;:)"
_UNIT = re.compile(
    rf"\s*(?:[{_OPENING}]*[{SPACELESS}](?:{STACKED}|[{_CLOSING}])*"
    rf"|(?:(?![{SPACELESS}{_OPENING}])\S|[{_OPENING}](?![{SPACELESS}]))+|\S)"
)
"""A unit that is never cut, with the space before it: a word and its punctuation, or one character of a script without
spaces."""
_SENTENCE_END = re.compile(rf"[{SENTENCE_ENDS}][{re.escape(AFTER_SENTENCE)}]*$")
_CLAUSE_END = re.compile(rf"[,;:、，；：—–][{re.escape(AFTER_SENTENCE)}]*$")


@dataclass(frozen=True, slots=True)
class CueLimits:
    """What a user may change about cues."""

    max_cells: int = MAX_CELLS
    """Width of a line."""
    max_words: int | None = None
    """The most words in one cue; None for as many as fit. A character of a script without spaces counts as a word."""
    max_gap_seconds: float | None = None
    """A longer silence always ends a cue; None lets the other costs decide."""

    @property
    def min_samples(self) -> int:
        """Shortest time that a cue is shown if the next one waits."""
        return MIN_SAMPLES if self.max_words is None and self.max_gap_seconds is None else MIN_BOUNDED_SAMPLES


USUAL_LIMITS = CueLimits()


@dataclass(frozen=True, slots=True)
class Unit:
    """A piece of text that is never cut, with its times."""

    text: str
    """The text with the space before it, so that joined units are the whole text."""
    start_sample: int
    end_sample: int


@dataclass(frozen=True, slots=True)
class Cue:
    """A subtitle."""

    start_sample: int
    end_sample: int
    lines: tuple[str, ...]
    """Lines with their labels or dashes."""
    labels: tuple[str, ...]
    """Label of each line: its speaker, else its track."""
    units: tuple[Unit, ...]
    """What is said in it, in the order of the lines, without labels."""


def units_of(utterance: Utterance) -> list[Unit]:
    """The text of an utterance in units with times: those of its words, or interpolated by text length."""
    text = utterance.text
    spans = _word_spans(utterance)
    units: list[Unit] = []
    for match in _UNIT.finditer(text):
        first = bisect_right(spans, match.start() + _blank(match[0]), key=lambda span: span[1])
        last = bisect_left(spans, match.end(), key=lambda span: span[0])
        if first < last:
            start, end = spans[first][2], spans[last - 1][3]
        else:
            start, end = (_between(spans, at, utterance) for at in (match.start(), match.end()))
        start = max(start, units[-1].end_sample if units else utterance.start_sample)
        units.append(Unit(match[0], start, max(start, end)))
    return units


def _blank(text: str) -> int:
    return len(text) - len(text.lstrip())


def _word_spans(utterance: Utterance) -> list[tuple[int, int, int, int]]:
    """(start, end, start_sample, end_sample) of every word that is found in the text, in order."""
    places = zip(utterance.words, word_places(utterance.text, utterance.words), strict=True)
    return [(begin, end, word.start_sample, word.end_sample) for word, (begin, end) in places if begin is not None]


def _between(spans: list[tuple[int, int, int, int]], at: int, utterance: Utterance) -> int:
    """Sample of a position in the text between words with known times, by linear interpolation."""
    n_before = bisect_right(spans, at, key=lambda span: span[1])
    before = spans[n_before - 1] if n_before else (0, 0, 0, utterance.start_sample)
    n_not_after = bisect_left(spans, at, key=lambda span: span[0])
    end_of_text = (len(utterance.text), 0, max(utterance.end_sample, before[3]), 0)
    after = spans[n_not_after] if n_not_after < len(spans) else end_of_text
    share = (at - before[1]) / max(after[0] - before[1], 1)
    return round(before[3] + share * max(0, after[2] - before[3]))


def cues(utterances: Iterable[Utterance], labels: bool, limits: CueLimits = USUAL_LIMITS) -> Iterator[Cue]:
    """The cues of a session in order, none overlapping another.

    Args:
        labels: True to put the label of the speaker or track before the text when the speaker changes or two speak in
            one cue; False to put dashes before two speakers in one cue.
    """
    yield from _timed((cue for part in _parts(utterances) for cue in _cut(part, labels, limits)), limits.min_samples)


def _cut(utterances: list[Utterance], labels: bool, limits: CueLimits) -> Iterator[Cue]:
    cuts = _Cuts(_row(utterances, labels, limits), labels, limits)
    return (cuts.cue(begin, end) for begin, end in cuts.best())


def _parts(utterances: Iterable[Utterance]) -> Iterator[list[Utterance]]:
    """Utterances by start, in parts that are cut into cues one by one, so that memory does not grow with the session.

    Each part ends before the longest silence in the second quarter of the waiting utterances. Later quarters wait,
    because utterances that are read later may have started earlier.
    """
    waiting: list[Utterance] = []
    for utterance in utterances:
        waiting.append(utterance)
        if len(waiting) == MAX_UTTERANCES:
            waiting.sort(key=lambda each: each.start_sample)
            ended = [*accumulate((each.end_sample for each in waiting), max)]
            cut = max(
                range(MAX_UTTERANCES // 4, MAX_UTTERANCES // 2), key=lambda n: waiting[n].start_sample - ended[n - 1]
            )
            yield waiting[:cut]
            waiting = waiting[cut:]
    yield sorted(waiting, key=lambda each: each.start_sample)


@dataclass(frozen=True, slots=True)
class _Piece:
    """A unit in the row of everything that was said."""

    unit: Unit
    track: str
    """Its speaker, where speakers are labelled; each is cut like a track of its own."""
    heard_on: str
    """The track itself. Speakers of one track speak in turn, and their words keep this order."""
    cut_cost: float
    """Cost of ending a cue after this unit."""
    join_cost: float
    """Cost of having the next unit of this track in the same cue, if no other track speaks in it."""


def _row(utterances: list[Utterance], labels: bool, limits: CueLimits) -> list[_Piece]:
    """The units of all tracks by time, those of one track in the order of its text, each narrow enough for a line."""
    is_labelled = labels or len({utterance.label for utterance in utterances}) > 1
    spoken: dict[str, list[tuple[Unit, bool, str]]] = {}
    """Label to its units, each with whether it is the last of its utterance, and the track."""
    for utterance in utterances:
        units = spoken.setdefault(utterance.label, [])
        widest = limits.max_cells - is_labelled * cells(_label(utterance.label, labels, limits))
        found = [part for unit in units_of(utterance) for part in _narrow(_clean(unit), widest) if part.text.strip()]
        for number, unit in enumerate(found):
            text = unit.text if number else " " + unit.text.lstrip()
            start = max(unit.start_sample, units[-1][0].start_sample if units else 0)
            units.append((Unit(text, start, max(start, unit.end_sample)), number == len(found) - 1, utterance.track))
    row = []
    for track, units in spoken.items():
        for number, (unit, is_last, heard_on) in enumerate(units):
            cost = 0.0 if is_last else _break_cost(unit.text)
            if not is_last and units[number + 1][0].start_sample - unit.end_sample >= PAUSE_SAMPLES:
                cost /= 2
            row.append(_Piece(unit, track, heard_on, cost, 2.0 * is_last))
    return sorted(row, key=lambda piece: piece.unit.start_sample)


def _label(track: str, labels: bool, limits: CueLimits) -> str:
    """The text before the words of a track that says who is speaking."""
    if not labels or not track:
        return "- "
    name = printable(track)
    while cells(name) > limits.max_cells // LABEL_SHARE:
        name = name[:-1]
    return f"{name}: "


def _clean(unit: Unit) -> Unit:
    return replace(unit, text=re.sub(r"\s+", " ", printable(unit.text)))


def _narrow(unit: Unit, widest: int) -> list[Unit]:
    """The unit, or if it is wider than `widest` cells, its text in parts that are not."""
    if cells(unit.text.strip()) <= widest:
        return [unit]
    parts, part = [], ""
    for character in unit.text:
        if cells((part + character).strip()) > widest:
            parts.append(part)
            part = ""
        part += character
    parts.append(part)
    length = unit.end_sample - unit.start_sample
    at = [unit.start_sample + length * i // len(parts) for i in range(len(parts) + 1)]
    return [Unit(text, at[i], at[i + 1]) for i, text in enumerate(parts)]


@dataclass(frozen=True, slots=True)
class _Way:
    """The cheapest way to cut the row up to some position."""

    cost: float
    begin: int
    """Index in the row of the start of its last cue."""
    shown_from: int
    """The sample at which that cue appears."""
    speaker: str | None
    """Track of that cue; None for two tracks."""


class _Cuts:
    """Cuts the row of everything that was said into cues."""

    def __init__(self, row: list[_Piece], labels: bool, limits: CueLimits) -> None:
        self._row = row
        self._labels = labels
        self._limits = limits
        self._apart_samples = round(limits.max_gap_seconds * SAMPLE_RATE) if limits.max_gap_seconds else None
        self._label_cells = {piece.track: cells(_label(piece.track, labels, limits)) for piece in row}
        self._cells = [cells(piece.unit.text) for piece in row]
        self._blank = [_blank(piece.unit.text) for piece in row]
        self._until = [0, *accumulate(self._cells)]
        """Total cells before each position."""
        self._ended = [0, *accumulate((piece.unit.end_sample for piece in row), max)]
        """Sample at which everything before each position had been said."""
        self._ways = [_Way(0.0, 0, -MIN_SAMPLES, None)]

    def best(self) -> list[tuple[int, int]]:
        """(begin, end) in the row of each cue, of the cheapest way."""
        for end in range(1, len(self._row) + 1):
            self._ways.append(min(self._ways_to(end), key=lambda way: way.cost))
        found, end = [], len(self._row)
        while end:
            found.append((self._ways[end].begin, end))
            end = self._ways[end].begin
        return found[::-1]

    def _ways_to(self, end: int) -> Iterator[_Way]:
        """All ways whose last cue ends before position `end`."""
        widths: dict[str, int] = {}
        """Track to the cells of its words, without the first space."""
        spaces: dict[str, int] = {}
        """Track to the cells of that first space."""
        cut_cost, join_cost, is_apart, n_turns = 0.0, 0.0, False, 0
        for begin in range(end - 1, -1, -1):
            piece = self._row[begin]
            track = piece.track
            if track in widths:
                join_cost += piece.join_cost
            else:
                cut_cost += piece.cut_cost
            space = self._blank[begin]
            widths[track] = widths.get(track, 0) + spaces.get(track, 0) + self._cells[begin] - space
            spaces[track] = space
            if begin < end - 1:
                following = self._row[begin + 1]
                n_turns += following.heard_on == piece.heard_on and following.track != track
                if n_turns > 1:
                    return  # two lines would not show who spoke first
                gap_samples = following.unit.start_sample - self._ended[begin + 1]
                is_apart |= gap_samples > APART_SAMPLES
                if self._apart_samples is not None and gap_samples > self._apart_samples:
                    return
                if self._limits.max_words is not None and end - begin > self._limits.max_words:
                    return
                if self._ended[end] - piece.unit.start_sample > MAX_SAMPLES or not self._fits(begin, end, widths, 0):
                    return
            before = self._ways[begin]
            label = self._label_cells[track] if self._labels and before.speaker != track else 0
            if label and not self._fits(begin, end, widths, label):
                continue
            speaker = track if len(widths) == 1 else None
            shown_from = max(piece.unit.start_sample, before.shown_from + MIN_SAMPLES)
            cost = before.cost + 2.0 + cut_cost + (join_cost if speaker is not None else 3.0) + 6.0 * is_apart
            cost += 8.0 * (shown_from - piece.unit.start_sample) / SAMPLE_RATE
            if end < len(self._row):
                shown_samples = max(MIN_SAMPLES, self._row[end].unit.start_sample - shown_from)
                cost += max(0.0, sum(widths.values()) / READING_CELLS_PER_SECOND - shown_samples / SAMPLE_RATE)
            yield _Way(cost, begin, shown_from, speaker)

    def _fits(self, begin: int, end: int, widths: dict[str, int], label: int) -> bool:
        """True if these units fit into one cue: one line for each of two tracks, or two lines for one track."""
        if len(widths) > 1:
            return len(widths) <= MAX_LINES and all(
                width + self._label_cells[track] <= self._limits.max_cells for track, width in widths.items()
            )
        upper = bisect_right(self._until, self._until[begin] + self._blank[begin] + self._limits.max_cells - label) - 1
        return upper >= end or self._until[end] - self._until[upper] - self._blank[upper] <= self._limits.max_cells

    def cue(self, begin: int, end: int) -> Cue:
        """The cue of these units, with the times at which they were said."""
        some = self._row[begin:end]
        tracks = list(dict.fromkeys(piece.track for piece in some))
        units = tuple(piece.unit for track in tracks for piece in some if piece.track == track)
        if len(tracks) > 1:
            lines = tuple(
                _label(track, self._labels, self._limits)
                + "".join(piece.unit.text for piece in some if piece.track == track).strip()
                for track in tracks
            )
            return Cue(some[0].unit.start_sample, self._ended[end], lines, tuple(tracks), units)
        is_named = self._labels and self._ways[begin].speaker != tracks[0]
        texts = [piece.unit.text for piece in some]
        if is_named:
            texts[0] = _label(tracks[0], True, self._limits) + texts[0].lstrip()
        lines = _lines(texts, self._limits.max_cells)
        return Cue(units[0].start_sample, units[-1].end_sample, lines, (tracks[0],) * len(lines), units)


def _break_cost(text: str) -> float:
    """Cost of a cut after this text."""
    if _SENTENCE_END.search(text):
        return 0.0
    return 1.0 if _CLAUSE_END.search(text) else 4.0


def _lines(texts: list[str], max_cells: int) -> tuple[str, ...]:
    """One line, or two of similar length, divided at a good position."""
    whole = "".join(texts).strip()
    if cells(whole) <= max_cells:
        return (whole,)
    choices = []
    for i in range(1, len(texts)):
        upper, lower = "".join(texts[:i]).strip(), "".join(texts[i:]).strip()
        if max(cells(upper), cells(lower)) <= max_cells:
            choices.append((abs(cells(upper) - cells(lower)) / 6 + _break_cost(upper), upper, lower))
    return min(choices)[1:]


def _timed(cues: Iterable[Cue], min_samples: int) -> Iterator[Cue]:
    """Cues with times at which they do not overlap, are shown long enough to be read, and for at most 7 s.

    Args:
        min_samples: how long each is shown if the next one waits.
    """
    held: Cue | None = None
    free_from = 0
    for cue in cues:
        if held is not None:
            held = _placed(held, free_from, cue.start_sample, min_samples)
            free_from = held.end_sample
            yield held
        held = cue
    if held is not None:
        yield _placed(held, free_from, None, min_samples)


def _placed(cue: Cue, free_from: int, next_sample: int | None, min_samples: int) -> Cue:
    start = max(cue.start_sample, free_from)
    reading = sum(cells(line) for line in cue.lines) * SAMPLE_RATE // READING_CELLS_PER_SECOND
    end = min(max(cue.end_sample, start + MIN_SAMPLES, start + reading), start + MAX_SAMPLES)
    if next_sample is not None and end > next_sample:
        end = max(next_sample, start + min_samples)
    return replace(cue, start_sample=start, end_sample=end)

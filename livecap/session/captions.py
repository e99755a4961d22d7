"""Captions: utterances as subtitle cues that people can read: two lines of 42 cells, 1 to 7 seconds, cut where speakers
pause and sentences end, never two at a time.
"""

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise

from livecap.session.recorded import Utterance
from livecap.text_safety import printable
from livecap.transcript import SAMPLE_RATE

MAX_CELLS = 42
"""Of a line; a Chinese or Japanese character takes two."""
MAX_LINES = 2
MIN_SAMPLES = 1 * SAMPLE_RATE
MAX_SAMPLES = 7 * SAMPLE_RATE
READING_CELLS_A_SECOND = 20
"""A cue stays so long where nothing follows."""
PAUSE_SAMPLES = 4 * SAMPLE_RATE // 10
"""A pause as long as this is a good place for a cut."""
APART_SAMPLES = 3 * SAMPLE_RATE // 2
"""Words further apart than this are not shown together."""

_SPACELESS = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"  # Thai, Lao, Burmese, Khmer
    "\u3005-\u3007\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff66-\uff9f"  # kana, Han
)
_OPENING = "「『（〔［｛〈《【“‘("
_CLOSING = (
    "、。，．！？：；」』）〕］｝〉》】”’…,.!?;:)ー々ぁぃぅぇぉっゃゅょァィゥェォッャュョ\u0e30-\u0e3a\u0e40-\u0e4e"
)
_UNIT = re.compile(
    rf"\s*(?:[{_OPENING}]*[{_SPACELESS}][{_CLOSING}]*|(?:(?![{_SPACELESS}{_OPENING}])\S|[{_OPENING}](?![{_SPACELESS}]))+|\S)"
)
"""What is never cut, with the space before it: a word and its punctuation, or a character of a spaceless script."""
_SENTENCE_END = re.compile(r"[.!?。！？…][\"'”’」』)）]*$")
_CLAUSE_END = re.compile(r"[,;:、，；：—–][\"'”’」』)）]*$")


@dataclass(frozen=True, slots=True)
class Unit:
    """A piece of text that is never cut, and when it was said."""

    text: str
    """With the space before it, if any: joined, units are the text."""
    start_sample: int
    end_sample: int


@dataclass(frozen=True, slots=True)
class Cue:
    """What stands on a picture for a while."""

    start_sample: int
    end_sample: int
    lines: tuple[str, ...]
    track: str


def units_of(utterance: Utterance) -> list[Unit]:
    """The text of an utterance in pieces with times: its words' where they are known, else by their length."""
    text = utterance.text
    spans = _word_spans(utterance)
    units: list[Unit] = []
    for match in _UNIT.finditer(text):
        inner = [span for span in spans if span[0] < match.end() and span[1] > match.start() + _blank(match[0])]
        if inner:
            start, end = inner[0][2], inner[-1][3]
        else:
            start, end = (_between(spans, at, utterance) for at in (match.start(), match.end()))
        start = max(start, units[-1].end_sample if units else utterance.start_sample)
        units.append(Unit(match[0], start, max(start, end)))
    return units


def _blank(text: str) -> int:
    return len(text) - len(text.lstrip())


def _word_spans(utterance: Utterance) -> list[tuple[int, int, int, int]]:
    """(start, end) in the text and (start, end) in samples of every word that is found there, in order."""
    spans, at = [], 0
    for word in utterance.words:
        found = utterance.text.find(word.text, at) if word.text else -1
        if found >= 0:
            at = found + len(word.text)
            spans.append((found, at, word.start_sample, word.end_sample))
    return spans


def _between(spans: list[tuple[int, int, int, int]], at: int, utterance: Utterance) -> int:
    """The time of a place in the text where no word is known: on a line between those around it."""
    before = max((span for span in spans if span[1] <= at), default=(0, 0, 0, utterance.start_sample))
    after = min(
        (span for span in spans if span[0] >= at),
        default=(len(utterance.text), 0, max(utterance.end_sample, before[3]), 0),
    )
    share = (at - before[1]) / max(after[0] - before[1], 1)
    return round(before[3] + share * max(0, after[2] - before[3]))


def cues(utterances: Iterable[Utterance], labels: bool) -> Iterator[Cue]:
    """The cues of a session, in order, none overlapping another.

    Args:
        labels: name the track in the text where the speaker changes; else a cue is of one track.
    """
    yield from _timed(_merged(_cut(utterances, labels), labels))


def _cut(utterances: Iterable[Utterance], labels: bool) -> Iterator[Cue]:
    previous: str | None = None
    for utterance in utterances:
        units = [part for unit in units_of(utterance) for part in _narrow(_clean(unit)) if part.text.strip()]
        if not units:
            continue
        if labels and utterance.track and utterance.track != previous:
            label = Unit(
                f"{printable(utterance.track)[: MAX_CELLS // 2]}: ", units[0].start_sample, units[0].start_sample
            )
            units[0] = replace(units[0], text=label.text + units[0].text.lstrip())
            units[:1] = _narrow(units[0])
        previous = utterance.track
        for some in _groups(units):
            lines = _lines(some)
            assert lines is not None
            yield Cue(some[0].start_sample, some[-1].end_sample, lines, utterance.track)


def _clean(unit: Unit) -> Unit:
    return replace(unit, text=re.sub(r"\s+", " ", printable(unit.text)))


def _narrow(unit: Unit) -> list[Unit]:
    """A unit that is wider than a line, in parts that are not."""
    if cells(unit.text.strip()) <= MAX_CELLS:
        return [unit]
    parts, part = [], ""
    for character in unit.text:
        if cells((part + character).strip()) > MAX_CELLS:
            parts.append(part)
            part = ""
        part += character
    parts.append(part)
    length = unit.end_sample - unit.start_sample
    at = [unit.start_sample + length * i // len(parts) for i in range(len(parts) + 1)]
    return [Unit(text, at[i], at[i + 1]) for i, text in enumerate(parts)]


def _groups(units: list[Unit]) -> list[list[Unit]]:
    """The best way to cut an utterance into cues."""
    fits = _Fitting(units)
    best: list[tuple[float, int]] = [(0.0, 0)]
    """For each number of units: the least cost to show so many, and where their last cue begins."""
    for end in range(1, len(units) + 1):
        following = units[end] if end < len(units) else None
        choices = []
        for begin in range(end - 1, -1, -1):
            if begin < end - 1 and not fits(begin, end):
                break
            choices.append((best[begin][0] + _cost(units[begin:end], following), begin))
        best.append(min(choices))
    groups, end = [], len(units)
    while end:
        begin = best[end][1]
        groups.append(units[begin:end])
        end = begin
    return groups[::-1]


class _Fitting:
    """Whether some units in a row may be one cue: `_lines` would say the same, and slowly."""

    def __init__(self, units: list[Unit]) -> None:
        self._units = units
        self._blank = [_blank(unit.text) for unit in units]
        self._until = [0, *accumulate(cells(unit.text) for unit in units)]

    def __call__(self, begin: int, end: int) -> bool:
        if self._units[end - 1].end_sample - self._units[begin].start_sample > MAX_SAMPLES:
            return False
        upper = bisect_right(self._until, self._until[begin] + self._blank[begin] + MAX_CELLS) - 1
        return upper >= end or self._until[end] - self._until[upper] - self._blank[upper] <= MAX_CELLS


def _cost(units: list[Unit], following: Unit | None) -> float:
    length = units[-1].end_sample - units[0].start_sample
    apart = max((b.start_sample - a.end_sample for a, b in pairwise(units)), default=0)
    cost = 2.0 + 4.0 * (length < MIN_SAMPLES) + 6.0 * (apart > APART_SAMPLES)
    if following is not None:
        pause = following.start_sample - units[-1].end_sample
        cost += 0.5 * _break_cost(units[-1].text) if pause >= PAUSE_SAMPLES else _break_cost(units[-1].text)
    return cost


def _break_cost(text: str) -> float:
    """Of a cut behind a piece of text."""
    if _SENTENCE_END.search(text):
        return 0.0
    return 1.0 if _CLAUSE_END.search(text) else 4.0


def _lines(units: list[Unit]) -> tuple[str, ...] | None:
    """One line, or two of about the same length cut at a good place; None where they do not fit."""
    texts = [unit.text for unit in units]
    whole = "".join(texts).strip()
    if cells(whole) <= MAX_CELLS:
        return (whole,)
    if cells(whole) > MAX_LINES * MAX_CELLS + 1:
        return None
    choices = []
    for i in range(1, len(texts)):
        upper, lower = "".join(texts[:i]).strip(), "".join(texts[i:]).strip()
        if max(cells(upper), cells(lower)) <= MAX_CELLS:
            choices.append((abs(cells(upper) - cells(lower)) / 6 + _break_cost(upper), upper, lower))
    return min(choices)[1:] if choices else None


def _merged(cues: Iterable[Cue], labels: bool) -> Iterator[Cue]:
    """Short cues that follow each other at once become one of two lines."""
    held: Cue | None = None
    for cue in cues:
        if (
            held is not None
            and (labels or cue.track == held.track)
            and cue.start_sample - held.start_sample < MIN_SAMPLES
            and len(held.lines) + len(cue.lines) <= MAX_LINES
            and cue.end_sample - held.start_sample <= MAX_SAMPLES
        ):
            held = replace(held, end_sample=max(held.end_sample, cue.end_sample), lines=held.lines + cue.lines)
            continue
        if held is not None:
            yield held
        held = cue
    if held is not None:
        yield held


def _timed(cues: Iterable[Cue]) -> Iterator[Cue]:
    """One at a time, each long enough to be read and no longer than 7 s."""
    held: Cue | None = None
    free_from = 0
    for cue in cues:
        if held is not None:
            held = _placed(held, free_from, cue.start_sample)
            free_from = held.end_sample
            yield held
        held = cue
    if held is not None:
        yield _placed(held, free_from, None)


def _placed(cue: Cue, free_from: int, next_sample: int | None) -> Cue:
    start = max(cue.start_sample, free_from)
    reading = sum(cells(line) for line in cue.lines) * SAMPLE_RATE // READING_CELLS_A_SECOND
    end = min(max(cue.end_sample, start + MIN_SAMPLES, start + reading), start + MAX_SAMPLES)
    if next_sample is not None and end > next_sample:
        end = max(next_sample, start + MIN_SAMPLES)
    return replace(cue, start_sample=start, end_sample=end)


def cells(text: str) -> int:
    """How many columns of a terminal or a caption a text takes."""
    if text.isascii():
        return len(text)
    return sum(_cells_of(character) for character in text)


def _cells_of(character: str) -> int:
    if unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in ("W", "F") else 1

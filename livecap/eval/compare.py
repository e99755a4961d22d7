"""Word-by-word differences between two sessions: the same sound, by two models, settings or versions."""

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby

from livecap.archive.recorded import RecordedSession, Utterance
from livecap.eval.alignment import align
from livecap.eval.wer import normalise
from livecap.transcript import SAMPLE_RATE

PART_SAMPLES = 120 * SAMPLE_RATE
"""About how much sound is aligned at a time, cut where both are silent: the cost of an alignment is quadratic."""
MAX_PART_SAMPLES = 5 * PART_SAMPLES
"""A part is cut at this length even inside speech; a pair of words may be lost there."""
CONTEXT_WORDS = 3
"""How many words are shown before and after a change."""


@dataclass(frozen=True, slots=True)
class Change:
    """Words in which the two sessions differ at one place."""

    sample: int
    """The first sample of the utterance that has them."""
    track: str
    before: tuple[str, ...]
    """The common words just before the change."""
    expected: tuple[str, ...]
    heard: tuple[str, ...]
    after: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Comparison:
    """The errors of one session, with another session as the reference."""

    n_words: int
    """Words of the reference."""
    n_substituted: int
    n_missing: int
    n_invented: int
    changes: tuple[Change, ...]

    @property
    def word_error_rate(self) -> float:
        """Errors over the words of the reference; 0 where both are empty, as everywhere in livecap."""
        return (self.n_substituted + self.n_missing + self.n_invented) / max(self.n_words, 1)


@dataclass(frozen=True, slots=True)
class _Said:
    word: str
    sample: int
    track: str


_Pair = tuple[_Said | None, _Said | None]
"""An expected word and the heard one."""


def compare(heard: RecordedSession, expected: RecordedSession) -> Comparison:
    """The differences of `heard` from the reference `expected`, after the normaliser that every figure uses.

    Each track is compared on its own: where two people speak at once, the order of their words is not an error.
    """
    n_words = n_substituted = n_missing = n_invented = 0
    changes: list[Change] = []
    parts = (part for tracks in _track_groups(expected, heard) for part in _parts(expected, heard, tracks))
    for expected_part, heard_part in parts:
        pairs: list[_Pair] = [
            (None if i is None else expected_part[i], None if j is None else heard_part[j])
            for i, j in align([said.word for said in expected_part], [said.word for said in heard_part])
        ]
        n_words += len(expected_part)
        n_missing += sum(right is None for _, right in pairs)
        n_invented += sum(left is None for left, _ in pairs)
        n_substituted += sum(
            left is not None and right is not None and left.word != right.word for left, right in pairs
        )
        for is_same, run in groupby(enumerate(pairs), lambda numbered: _is_same(*numbered[1])):
            if not is_same:
                changes.append(_change(pairs, [place for place, _ in run]))
    changes.sort(key=lambda change: change.sample)
    return Comparison(n_words, n_substituted, n_missing, n_invented, tuple(changes))


def _is_same(left: _Said | None, right: _Said | None) -> bool:
    return left is not None and right is not None and left.word == right.word


def _track_groups(one: RecordedSession, other: RecordedSession) -> list[set[str]]:
    """The groups of tracks to compare: each common label alone, then all other labels together."""
    common = [track for track in one.tracks if track in other.tracks]
    rest = {*one.tracks, *other.tracks} - {*common}
    return [{track} for track in common] + [rest] * bool(rest)


def _change(pairs: list[_Pair], places: list[int]) -> Change:
    """The change of the pairs at some places in a row."""
    start, end = places[0], places[-1] + 1
    run = pairs[start:end]
    first = next(said for pair in run for said in pair if said is not None)
    return Change(
        sample=first.sample,
        track=first.track,
        before=tuple(left.word for left, _ in pairs[max(0, start - CONTEXT_WORDS) : start] if left),
        expected=tuple(left.word for left, _ in run if left),
        heard=tuple(right.word for _, right in run if right),
        after=tuple(left.word for left, _ in pairs[end : end + CONTEXT_WORDS] if left),
    )


def _parts(one: RecordedSession, other: RecordedSession, tracks: set[str]) -> Iterator[tuple[list[_Said], list[_Said]]]:
    """Corresponding parts of some tracks of both sessions."""
    cuts = _common_pauses(one, other, tracks)
    return zip(_cut(one, tracks, cuts), _cut(other, tracks, cuts), strict=True)


def _common_pauses(one: RecordedSession, other: RecordedSession, tracks: set[str]) -> list[int]:
    """Samples at which both sessions are silent, at least PART_SAMPLES apart."""
    spans = sorted(
        (utterance.start_sample, utterance.end_sample)
        for session in (one, other)
        for utterance in _utterances(session, tracks)
    )
    cuts: list[int] = []
    until = last = 0
    for start, end in spans:
        if (start >= until and start - last >= PART_SAMPLES) or start - last >= MAX_PART_SAMPLES:
            cuts.append(start)
            last = start
        until = max(until, end)
    return cuts


def _utterances(session: RecordedSession, tracks: set[str]) -> Iterator[Utterance]:
    return (utterance for utterance in session.utterances() if utterance.track in tracks)


def _cut(session: RecordedSession, tracks: set[str], cuts: list[int]) -> list[list[_Said]]:
    """The words of some tracks before, between and after the cuts."""
    parts: list[list[_Said]] = [[] for _ in range(len(cuts) + 1)]
    for utterance in sorted(_utterances(session, tracks), key=lambda each: (each.start_sample, each.track)):
        said = [_Said(word, utterance.start_sample, utterance.track) for word in normalise(utterance.text)]
        parts[bisect_right(cuts, utterance.start_sample)] += said
    return parts

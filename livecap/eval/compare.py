"""Word-by-word differences between two sessions: the same sound, by two models, settings or versions."""

from collections.abc import Iterator
from dataclasses import dataclass

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


def compare(heard: RecordedSession, expected: RecordedSession) -> Comparison:
    """The differences of `heard` from the reference `expected`, after the normaliser that every figure uses.

    Each track is compared on its own: where two people speak at once, the order of their words is not an error.
    """
    n_words = n_substituted = n_missing = n_invented = 0
    changes: list[Change] = []
    parts = (part for tracks in _track_groups(expected, heard) for part in _parts(expected, heard, tracks))
    for expected_part, heard_part in parts:
        pairs = align([said.word for said in expected_part], [said.word for said in heard_part])
        n_words += len(expected_part)
        run: list[tuple[_Said | None, _Said | None]] = []
        both = [(None if i is None else expected_part[i], None if j is None else heard_part[j]) for i, j in pairs]
        for place, (left, right) in enumerate([*both, (None, None)]):
            same = left is not None and right is not None and left.word == right.word
            if same or place == len(both):
                if run:
                    changes.append(_change(run, both, place))
                run = []
                continue
            n_missing += right is None
            n_invented += left is None
            n_substituted += left is not None and right is not None
            run.append((left, right))
    changes.sort(key=lambda change: change.sample)
    return Comparison(n_words, n_substituted, n_missing, n_invented, tuple(changes))


def _track_groups(one: RecordedSession, other: RecordedSession) -> list[set[str]]:
    """The groups of tracks to compare: each common label alone, then all other labels together."""
    common = [track for track in one.tracks if track in other.tracks]
    rest = {*one.tracks, *other.tracks} - {*common}
    return [{track} for track in common] + [rest] * bool(rest)


def _change(
    run: list[tuple[_Said | None, _Said | None]], both: list[tuple[_Said | None, _Said | None]], end: int
) -> Change:
    start = end - len(run)
    first = next(said for pair in run for said in pair if said is not None)
    return Change(
        sample=first.sample,
        track=first.track,
        before=tuple(left.word for left, _ in both[max(0, start - CONTEXT_WORDS) : start] if left),
        expected=tuple(left.word for left, _ in run if left),
        heard=tuple(right.word for _, right in run if right),
        after=tuple(left.word for left, _ in both[end : end + CONTEXT_WORDS] if left),
    )


def _parts(one: RecordedSession, other: RecordedSession, tracks: set[str]) -> Iterator[tuple[list[_Said], list[_Said]]]:
    """Corresponding parts of some tracks of both sessions."""
    cuts = _common_pauses(one, other, tracks)
    parts = _cut(one, tracks, cuts), _cut(other, tracks, cuts)
    for _ in range(len(cuts) + 1):
        yield next(parts[0]), next(parts[1])


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


def _cut(session: RecordedSession, tracks: set[str], cuts: list[int]) -> Iterator[list[_Said]]:
    said: list[_Said] = []
    waiting = list(reversed(cuts))
    for utterance in sorted(_utterances(session, tracks), key=_order):
        while waiting and utterance.start_sample >= waiting[-1]:
            waiting.pop()
            yield said
            said = []
        said += [_Said(word, utterance.start_sample, utterance.track) for word in normalise(utterance.text)]
    for _ in range(len(waiting) + 1):
        yield said
        said = []


def _order(utterance: Utterance) -> tuple[int, str]:
    return utterance.start_sample, utterance.track

"""How late text is, in seconds, on two clocks. `figure_definitions.py` defines each latency."""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from livecap.eval.emission import Display, Emission, displays
from livecap.eval.reference import Reference
from livecap.eval.timeline import Moment, Timeline
from livecap.eval.wer import normalise
from livecap.stream.statistics import Counts
from livecap.transcript import SAMPLE_RATE

PREROLL_SECONDS = 1.0
"""How long before a stretch of speech its first utterance may begin."""


@dataclass(frozen=True, slots=True)
class Latencies(Counts):
    """The values of one latency in seconds, one for each word, display or stretch of speech, on both clocks."""

    unaware: list[float] = field(default_factory=list)
    aware: list[float] = field(default_factory=list)
    missed: int = 0
    """Words or stretches without a value: never shown, or in an utterance that went on over the pause."""

    @classmethod
    def between(cls, moments: Iterable[tuple[int, Moment]]) -> "Latencies":
        """The times from a sample to a moment, for many pairs of them."""
        latencies = cls()
        for since_sample, moment in moments:
            latencies.unaware.append(moment.heard_seconds - since_sample / SAMPLE_RATE)
            latencies.aware.append(moment.wall_seconds - since_sample / SAMPLE_RATE)
        return latencies


def latencies(timeline: Timeline, reference: Reference, words: Sequence[Emission]) -> dict[str, Latencies]:
    """Every latency by its name."""
    right = [(word.spoken.end_sample, word) for word in words if word.spoken is not None]
    return {
        "first_partial": _first_partial(timeline.moments, reference),
        "partial": _partial(displays(timeline), reference, words),
        "emission": Latencies.between((end, word.shown or word.committed) for end, word in right),
        "commit": Latencies.between((end, word.committed) for end, word in right),
        "final": _final(timeline.moments, reference, closed=False),
        "close": _final(timeline.moments, reference, closed=True),
    }


def _first_partial(moments: Sequence[Moment], reference: Reference) -> Latencies:
    """From the onset of a stretch of speech to the first text of its utterance."""
    found = []
    for start, end in reference.stretches:
        texts = (m for m in begun_in(moments, start, end) if normalise(m.update.text))
        if (first := next(texts, None)) is not None:
            found.append((start, first))
    return replace(Latencies.between(found), missed=len(reference.stretches) - len(found))


def _partial(screens: Sequence[Display], reference: Reference, words: Sequence[Emission]) -> Latencies:
    """How far the newest right word on screen is behind the speech: at each display, and just before the next one."""
    found = Latencies()
    shown = sorted(
        ((w.shown or w.committed).heard_seconds, w.spoken.end_sample / SAMPLE_RATE)
        for w in words
        if w.spoken is not None
    )
    newest, n = 0.0, 0
    for screen, following in zip(screens, screens[1:], strict=False):
        while n < len(shown) and shown[n][0] <= screen.moment.heard_seconds:
            newest = max(newest, shown[n][1])
            n += 1
        if n > 0:
            for moment in (screen.moment, following.moment):
                found.unaware.append(_behind(reference, moment.heard_seconds, newest))
                found.aware.append(_behind(reference, moment.wall_seconds, newest))
    return found


def _behind(reference: Reference, now: float, newest: float) -> float:
    """Seconds of speech between the end of the newest shown word and now; silence after a word does not count."""
    begun = bisect_right(reference.words, now * SAMPLE_RATE, key=lambda word: word.start_sample)
    spoken_until = reference.words[begun - 1].end_sample / SAMPLE_RATE if begun else 0.0
    return max(0.0, min(now, spoken_until) - newest)


def _final(moments: Sequence[Moment], reference: Reference, closed: bool) -> Latencies:
    """From the true end of a stretch of speech to the first update that shows its last utterance as it stays.

    Args:
        closed: count to the update that closes the utterance instead.
    """
    found = []
    stretches = reference.stretches
    for (start, end), following in zip(stretches, [*stretches[1:], None], strict=True):
        inside = begun_in(moments, start, end)
        updates = [m for m in inside if m.update.utterance == inside[-1].update.utterance]
        next_start = following[0] if following else len(reference.samples) + 1
        if not updates or not updates[-1].update.final or updates[-1].heard_seconds * SAMPLE_RATE > next_start:
            continue
        wanted = normalise(updates[-1].update.text)
        moment = updates[-1]
        for earlier in reversed(updates if not closed else []):
            if normalise(earlier.update.text) != wanted:
                break
            moment = earlier
        found.append((end, moment))
    return replace(Latencies.between(found), missed=len(stretches) - len(found))


def begun_in(moments: Sequence[Moment], start: int, end: int) -> list[Moment]:
    """The updates of utterances that began in a stretch of speech."""
    earliest = start - round(PREROLL_SECONDS * SAMPLE_RATE)
    return [m for m in moments if earliest <= m.update.start_sample < end]

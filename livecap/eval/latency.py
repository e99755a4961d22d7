"""How late text is, in seconds, computation-unaware and -aware. `figure_definitions.py` says what each latency is."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field

from livecap.eval.emission import Display, Emission, displays
from livecap.eval.reference import Reference
from livecap.eval.timeline import Moment, Timeline
from livecap.eval.wer import normalise
from livecap.transcript import SAMPLE_RATE

PREROLL_SECONDS = 1.0
"""An utterance belongs to a stretch of speech that begins up to this long after it."""


@dataclass
class Samples:
    """One latency: a value for each word, display or stretch of speech, on both clocks."""

    unaware: list[float] = field(default_factory=list)
    aware: list[float] = field(default_factory=list)
    missed: int = 0
    """Words or stretches for which there is no value: never shown, or an utterance that went on over the pause."""

    def add(self, moment: Moment, since_sample: int) -> None:
        """The time from `since_sample` to `moment`."""
        self.unaware.append(moment.heard_seconds - since_sample / SAMPLE_RATE)
        self.aware.append(moment.wall_seconds - since_sample / SAMPLE_RATE)

    def extend(self, other: "Samples") -> None:
        """Those of another recording, too."""
        self.unaware += other.unaware
        self.aware += other.aware
        self.missed += other.missed


def latencies(timeline: Timeline, reference: Reference, words: Sequence[Emission]) -> dict[str, Samples]:
    """Every latency by its name."""
    return {
        "first_partial": _first_partial(timeline.moments, reference),
        "partial": _partial(displays(timeline), reference, words),
        "emission": _emission(words),
        "commit": _commit(words),
        "final": _final(timeline.moments, reference, closed=False),
        "close": _final(timeline.moments, reference, closed=True),
    }


def _emission(words: Sequence[Emission]) -> Samples:
    """Spoken end of a word to its first display; words that come out right in the end."""
    samples = Samples()
    for word in words:
        if word.spoken is not None:
            samples.add(_shown(word), word.spoken.end_sample)
    return samples


def _commit(words: Sequence[Emission]) -> Samples:
    """Spoken end of a word to its becoming stable; words that come out right in the end."""
    samples = Samples()
    for word in words:
        if word.spoken is not None:
            samples.add(word.committed, word.spoken.end_sample)
    return samples


def _first_partial(moments: Sequence[Moment], reference: Reference) -> Samples:
    """Onset of a stretch of speech to the first text of its utterance."""
    samples = Samples()
    for start, end in reference.stretches:
        earliest = start - round(PREROLL_SECONDS * SAMPLE_RATE)
        first = next((m for m in moments if earliest <= m.update.start_sample < end and normalise(m.update.text)), None)
        if first is None:
            samples.missed += 1
        else:
            samples.add(first, start)
    return samples


def _partial(screens: Sequence[Display], reference: Reference, words: Sequence[Emission]) -> Samples:
    """How far the newest right word on screen is behind the speech: when a display comes, and just before the next."""
    samples = Samples()
    shown = sorted((_shown(w).heard_seconds, w.spoken.end_sample / SAMPLE_RATE) for w in words if w.spoken is not None)
    newest, n = 0.0, 0
    for screen, following in zip(screens, screens[1:], strict=False):
        while n < len(shown) and shown[n][0] <= screen.moment.heard_seconds:
            newest = max(newest, shown[n][1])
            n += 1
        if n > 0:
            for moment in (screen.moment, following.moment):
                samples.unaware.append(_behind(reference, moment.heard_seconds, newest))
                samples.aware.append(_behind(reference, moment.wall_seconds, newest))
    return samples


def _shown(word: Emission) -> Moment:
    return word.shown or word.committed


def _behind(reference: Reference, now: float, newest: float) -> float:
    """Seconds of speech between the end of the newest word shown and now; silence after a word does not count."""
    begun = bisect_right(reference.words, now * SAMPLE_RATE, key=lambda word: word.start_sample)
    spoken_until = reference.words[begun - 1].end_sample / SAMPLE_RATE if begun else 0.0
    return max(0.0, min(now, spoken_until) - newest)


def _final(moments: Sequence[Moment], reference: Reference, closed: bool) -> Samples:
    """True end of a stretch of speech to the update that already shows the final words of its last utterance, or
    (`closed`) to the one that closes it."""
    samples = Samples()
    stretches = reference.stretches
    for (start, end), following in zip(stretches, [*stretches[1:], None], strict=True):
        updates = _last_utterance(moments, start, end)
        next_start = following[0] if following else len(reference.samples) + 1
        if not updates or not updates[-1].update.final or updates[-1].heard_seconds * SAMPLE_RATE > next_start:
            samples.missed += 1
            continue
        wanted = normalise(updates[-1].update.text)
        moment = updates[-1]
        for earlier in reversed(updates if not closed else []):
            if normalise(earlier.update.text) != wanted:
                break
            moment = earlier
        samples.add(moment, end)
    return samples


def _last_utterance(moments: Sequence[Moment], start: int, end: int) -> list[Moment]:
    """The updates of the last utterance that began in a stretch of speech."""
    earliest = start - round(PREROLL_SECONDS * SAMPLE_RATE)
    inside = [m for m in moments if earliest <= m.update.start_sample < end]
    return [m for m in inside if m.update.utterance == inside[-1].update.utterance]

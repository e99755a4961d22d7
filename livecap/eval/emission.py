"""When each word of the text was first shown and when it became stable, and which spoken word it is."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from livecap.eval.alignment import align, matches
from livecap.eval.reference import Reference, SpokenWord
from livecap.eval.timeline import Moment, Timeline
from livecap.eval.wer import normalise
from livecap.transcript import SAMPLE_RATE

EARLY_SECONDS = 0.3
"""How long before its reference start a word may be shown: the word times of references are not exact."""
LATE_SECONDS = 60.0
"""A word that becomes stable this long after a spoken word is not that word."""
AHEAD_WORDS = 8
"""How many words a display may be ahead of the final text."""


@dataclass(frozen=True, slots=True)
class Emission:
    """A word of the committed text."""

    text: str
    utterance: int
    shown: Moment | None
    """The update that first showed the word; None where it became stable without having been partial."""
    committed: Moment
    """The update that made the word stable."""
    spoken: SpokenWord | None
    """The word of the reference; None where nothing like it was said."""


@dataclass(frozen=True, slots=True)
class Display:
    """The text on the screen after a step: the words of closed utterances, then those of the open one."""

    moment: Moment
    n_closed: int
    """The number of words in utterances that were closed before."""
    words: tuple[str, ...]
    """The words of the last utterance, after the normaliser."""


def displays(timeline: Timeline) -> list[Display]:
    """The screen after each step that produced text."""
    moments = timeline.moments
    last_of_step = [a for a, b in pairwise([*moments, None]) if a and (b is None or b.step != a.step)]
    n_words = {u: len(normalise(text)) for u, text in final_texts(moments).items()}
    before = {u: sum(n for other, n in n_words.items() if other < u) for u in n_words}
    return [Display(m, before[m.update.utterance], tuple(normalise(m.update.text))) for m in last_of_step]


def final_texts(moments: Sequence[Moment]) -> dict[int, str]:
    """The last stable text of each utterance, in the order in which the utterances began."""
    texts: dict[int, str] = {}
    for moment in moments:
        texts[moment.update.utterance] = moment.update.stable
    return texts


def emissions(timeline: Timeline, reference: Reference) -> list[Emission]:
    """Every word of the committed text, in order."""
    finals = final_texts(timeline.moments)
    words = [(word, u) for u, text in sorted(finals.items()) for word in normalise(text)]
    texts = [word for word, _ in words]
    shown = _first_shown(displays(timeline), texts)
    committed = _committed(timeline.moments, finals)
    spoken = _spoken(reference.words, texts, shown, committed)
    return [Emission(word, u, shown[k], committed[k], spoken[k]) for k, (word, u) in enumerate(words)]


def _first_shown(screens: Sequence[Display], final: Sequence[str]) -> list[Moment | None]:
    """For each word of the final text, the first display that has it at its place."""
    first: list[Moment | None] = [None] * len(final)
    for screen in screens:
        ahead = final[screen.n_closed : screen.n_closed + len(screen.words) + AHEAD_WORDS]
        for i, _ in matches(align(ahead, screen.words, open_end=True), ahead, screen.words):
            k = screen.n_closed + i
            first[k] = first[k] or screen.moment
    return first


def _committed(moments: Sequence[Moment], finals: dict[int, str]) -> list[Moment]:
    """For each word of the final text, the first update whose stable text contains the whole word."""
    first: dict[int, list[Moment]] = {u: [] for u in finals}
    final_words = {u: normalise(text) for u, text in finals.items()}
    for moment in moments:
        u = moment.update.utterance
        known = first[u]
        stable = normalise(moment.update.stable)
        while len(known) < len(stable) and stable[len(known)] == final_words[u][len(known)]:
            known.append(moment)
    return [moment for u in sorted(first) for moment in first[u]]


def _spoken(
    spoken: Sequence[SpokenWord], heard: Sequence[str], shown: list[Moment | None], committed: Sequence[Moment]
) -> list[SpokenWord | None]:
    """For each word of the text, the reference's word, where both are equal and their times allow it."""
    out: list[SpokenWord | None] = [None] * len(heard)
    if not spoken or not heard:
        return out
    latest = np.array([m.heard_seconds for m in committed])
    earliest = np.array([(m or c).heard_seconds for m, c in zip(shown, committed, strict=True)])
    starts = np.array([w.start_sample for w in spoken])[:, None] / SAMPLE_RATE
    ends = np.array([w.end_sample for w in spoken])[:, None] / SAMPLE_RATE
    possible = (starts - EARLY_SECONDS <= earliest) & (latest <= ends + LATE_SECONDS)
    expected = [w.text for w in spoken]
    for i, j in matches(align(expected, heard, possible=possible), expected, heard):
        out[j] = spoken[i]
    return out

"""When words were said, as exactly as steps and the speech detector tell. Pure functions of sample positions.

A word was said before the end of the sound of the first step that has it, and after the end of the sound of the last
step that lacks it. The detector knows where there is voice. So the new words of a step share the voiced sound between
those two positions, in proportion to their length. Times increase, do not overlap, and lie in voiced sound if any.
"""

import difflib
from collections.abc import Sequence

from livecap.transcript import SAMPLE_RATE, Word

LEAD_SAMPLES = round(0.1 * SAMPLE_RATE)
"""A word is usually first believed this long after its end, since a recogniser needs to hear what follows."""
SETTLED, STEP = "settled", "step"

Span = tuple[int, int]
"""[start, end) in samples."""


def place_words(
    texts: Sequence[str], heard_by: Sequence[int], within: Span, voiced: Sequence[Span]
) -> tuple[Word, ...]:
    """The time of each word.

    Args:
        texts: the words, in order.
        heard_by: for each word, the end of the sound when it was first believed. Never decreases.
        within: the utterance.
        voiced: spans with voice, in order.
    """
    assert len(texts) == len(heard_by)
    words: list[Word] = []
    start, first = within[0], 0
    while first < len(texts):
        last = first + 1
        while last < len(texts) and heard_by[last] == heard_by[first]:
            last += 1
        # The new words of one step. Those of the last step extend to the end of the utterance.
        stop = within[1] if last == len(texts) else min(max(heard_by[first] - LEAD_SAMPLES, start), within[1])
        spread = _spread([max(1, len(text)) for text in texts[first:last]], (start, stop), voiced)
        for text, (word_start, word_end) in zip(texts[first:last], spread, strict=True):
            words.append(Word(text, word_start, word_end, STEP))
        start, first = max(start, stop), last
    return tuple(words)


def carry_over(texts: Sequence[str], known: Sequence[Word], within: Span, voiced: Sequence[Span]) -> tuple[Word, ...]:
    """The times of words in another text of the same sound. Words in both texts keep their time; others lie between."""
    times: list[Span | None] = [None] * len(texts)
    before, now = [word.text.lower() for word in known], [text.lower() for text in texts]
    matcher = difflib.SequenceMatcher(None, before, now, autojunk=False)
    for block in matcher.get_matching_blocks():
        for i in range(block.size):
            word = known[block.a + i]
            times[block.b + i] = (word.start_sample, word.end_sample)
    words: list[Word] = []
    i = 0
    while i < len(texts):
        if (time := times[i]) is not None:
            words.append(Word(texts[i], *time, SETTLED))
            i += 1
            continue
        stop = next((j for j in range(i, len(texts)) if times[j] is not None), len(texts))
        low = words[-1].end_sample if words else within[0]
        following = times[stop] if stop < len(texts) else None
        high = max(low, following[0] if following else within[1])
        spread = _spread([max(1, len(text)) for text in texts[i:stop]], (low, high), voiced)
        words += [Word(text, *span, SETTLED) for text, span in zip(texts[i:stop], spread, strict=True)]
        i = stop
    return tuple(words)


def _spread(weights: Sequence[int], within: Span, voiced: Sequence[Span]) -> list[Span]:
    """Consecutive spans with lengths in proportion to `weights`, over the voiced sound inside `within`."""
    low, high = within
    inside = [(max(a, low), min(b, high)) for a, b in voiced if a < high and b > low] or [(low, high)]
    total, spoken = sum(weights), sum(b - a for a, b in inside)
    spans, done = [], 0
    for weight in weights:
        start = _at(inside, done * spoken // total, after=True)
        done += weight
        spans.append((start, max(start, _at(inside, done * spoken // total, after=False))))
    return spans


def _at(spans: Sequence[Span], offset: int, after: bool) -> int:
    """The sample at `offset` into the joined spans. Between two spans, `after` chooses the start of the second one."""
    for a, b in spans:
        if offset < b - a or (offset == b - a and not after):
            return a + offset
        offset -= b - a
    return spans[-1][1]

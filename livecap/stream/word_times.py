"""When words were said. Pure functions of sample positions. Times increase and do not overlap.

Live words have what steps and the speech detector tell. A word was said before the end of the sound of the first step
that has it, and after the end of the sound of the last step that lacks it. The detector knows where there is voice. So
the new words of a step share the voiced sound between those two positions, in proportion to their length.

Words of the second pass have what the recogniser's attention tells: where each word starts (`attention_times`). A word
ends where the next one starts, or earlier, where its sound becomes quiet.
"""

import difflib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from livecap.transcript import SAMPLE_RATE, Word

LEAD_SAMPLES = round(0.1 * SAMPLE_RATE)
"""A word is usually first believed this long after its end, since a recogniser needs to hear what follows."""
ATTENTION, SETTLED, STEP = "attention", "settled", "step"
"""How the time of a word was found; see `Word.quality`."""
QUIET_DB = 30.0
"""A word has ended where its sound is this far below its loudest 10 ms, ..."""
ABOVE_FLOOR_DB = 10.0
"""... or less than this above the quietest sound around it, ..."""
LEAST_FALL_DB = 10.0
"""... but at least this far below its loudest 10 ms."""
LEAST_PAUSE_SAMPLES = SAMPLE_RATE // 10
"""A shorter silence between two words belongs to the first one: it may be the closure of a stop consonant."""
FRAME_SAMPLES = SAMPLE_RATE // 100

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


def place_heard(
    texts: Sequence[str], starts: Sequence[int], limits: Sequence[int], begin: int, sound: NDArray[np.float32]
) -> tuple[Word, ...]:
    """The time of each word, from where it starts to the end of its sound.

    Args:
        texts: the words, in order.
        starts: where each word starts. Never decreases, nor do `limits`.
        limits: for each word, where what follows it starts.
        begin: where `sound` begins, which is [n] float32. No word lies outside.
    """
    levels = _levels_db(sound)
    floor = float(np.percentile(levels, 5)) if len(levels) else 0.0
    words: list[Word] = []
    done, end_of_sound = begin, begin + len(sound)
    for text, start, limit in zip(texts, starts, limits, strict=True):
        start = min(max(start, done), end_of_sound)
        limit = min(max(limit, start), end_of_sound)
        first = (start - begin) // FRAME_SAMPLES
        heard = levels[first : max(first + 1, (limit - begin) // FRAME_SAMPLES)]
        done = _end_of(heard, floor, begin + first * FRAME_SAMPLES, limit)
        words.append(Word(text, start, max(start, done), ATTENTION))
        done = words[-1].end_sample
    return tuple(words)


def _levels_db(sound: NDArray[np.float32]) -> NDArray[np.float64]:
    """The level of each 10 ms of sound, in dBFS."""
    n = len(sound) // FRAME_SAMPLES
    frames = sound[: n * FRAME_SAMPLES].reshape(n, FRAME_SAMPLES).astype(np.float64)
    return 10 * np.log10((frames**2).mean(axis=1) + 1e-10) if n else np.zeros(0)


def _end_of(levels: NDArray[np.float64], floor: float, start: int, limit: int) -> int:
    """Where a word ends: `limit`, or where its sound becomes quiet if that is a pause before it.

    Args:
        levels: of each 10 ms from `start` on.
        floor: the level of the quietest sound around it.
    """
    if not len(levels):
        return limit
    loudest = float(levels.max())
    quiet = max(loudest - QUIET_DB, min(floor + ABOVE_FLOOR_DB, loudest - LEAST_FALL_DB))
    end = start + (int(np.flatnonzero(levels > quiet)[-1]) + 1) * FRAME_SAMPLES
    return end if limit - end >= LEAST_PAUSE_SAMPLES else limit


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

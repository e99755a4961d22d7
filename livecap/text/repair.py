"""Repetition repair: what the official package does to text that a model repeated without end."""

MOST_SAME = 20
"""A run of one character that is longer becomes one character."""
MOST_PATTERN = 20
"""The longest pattern, in characters, that is looked for."""
LEAST_REPEATS = 20
"""A pattern that stands this often in a row is reduced to one."""


def repair_repetitions(text: str) -> str:
    """`text` with each run of one character reduced to it, and each repeated pattern reduced to one.

    The same text as by the official package, also where it is genuine: a number with 21 equal digits loses 20 of them.
    """
    return _reduce_patterns(_reduce_runs(text))


def _reduce_runs(text: str) -> str:
    kept, at = [], 0
    while at < len(text):
        end = at + 1
        while end < len(text) and text[end] == text[at]:
            end += 1
        kept.append(text[at] if end - at > MOST_SAME else text[at:end])
        at = end
    return "".join(kept)


def _reduce_patterns(text: str) -> str:
    """Each pattern of 1 to 20 characters that stands 20 times in a row or more, reduced to one; the first one first."""
    kept, at = [], 0
    while len(text) - at >= 2 * LEAST_REPEATS:
        found = _pattern_at(text, at)
        if found is None:
            kept.append(text[at])
            at += 1
        else:
            length, end = found
            kept.append(text[at : at + length])
            at = end
    return "".join(kept) + text[at:]


def _pattern_at(text: str, at: int) -> tuple[int, int] | None:
    """Length and end of the shortest pattern that is repeated from here on."""
    for length in range(1, MOST_PATTERN + 1):
        if at + length * LEAST_REPEATS > len(text):
            return None
        pattern, end = text[at : at + length], at + length
        while text.startswith(pattern, end):
            end += length
        if (end - at) // length >= LEAST_REPEATS:
            return length, end
    return None

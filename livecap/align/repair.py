"""Times that run backwards become times that do not. Pure functions of lists of numbers."""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence


def repaired(times: Sequence[float]) -> list[int]:
    """Times that never decrease: those outside a longest non-decreasing subsequence are replaced.

    One or two in a row take the value of the nearer neighbour that stays, the one before on a tie; three or more are
    spread evenly between both. At an end there is only one neighbour. Fractions are cut off.

    The official code does the same in quadratic time; this takes n log n.
    """
    stays = longest_rising(times)
    fixed: list[float] = list(times)
    for before, after in zip([-1, *stays], [*stays, len(times)], strict=True):
        n = after - before - 1
        low = times[before] if before >= 0 else None
        high = times[after] if after < len(times) else None
        for i in range(n):
            fixed[before + 1 + i] = _between(low, high, i, n)
    return [int(time) for time in fixed]


def longest_rising(values: Sequence[float]) -> list[int]:
    """The indices of a longest non-decreasing subsequence: of several, the one the official code takes.

    That is the first index at which the greatest length is reached, and before each index the first one that fits.
    """
    lowest_ends: list[float] = []  # of length k + 1; the lowest value that such a subsequence ends with
    levels: list[tuple[list[int], list[float]]] = []  # of length k + 1: all indices that end one, and -values[index]
    level_of: list[int] = []
    for i, value in enumerate(values):
        k = bisect_right(lowest_ends, value)
        if k == len(lowest_ends):
            lowest_ends.append(value)
            levels.append(([], []))
        lowest_ends[k] = value
        levels[k][0].append(i)
        levels[k][1].append(-value)  # values of one level fall, so these rise
        level_of.append(k)
    if not levels:
        return []
    chain = [levels[-1][0][0]]
    for indices, negated in reversed(levels[:-1]):
        chain.append(indices[bisect_left(negated, -values[chain[-1]])])
    return chain[::-1]


def _between(low: float | None, high: float | None, i: int, n: int) -> float:
    """The new value of number i of n in a row, between neighbours that stay; at least one of them is there."""
    if low is None or high is None:
        value = high if low is None else low
        assert value is not None
        return value
    if n <= 2:
        return low if i + 1 <= n - i else high
    return low + (high - low) / (n + 1) * (i + 1)

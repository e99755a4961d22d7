"""Edit distance and edit alignment of word lists, fast enough for an hour of speech."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

FORBIDDEN = 3
"""The cost of a pair that must not occur: more than a deletion and an insertion together."""

Pair = tuple[int | None, int | None]
"""(index in expected, index in heard). None on the left: an inserted word; None on the right: a missing word."""


def edit_distance(expected: Sequence[str], heard: Sequence[str]) -> int:
    """The fewest substitutions, deletions and insertions that turn one list (or string) into the other."""
    a, b = _numbered(expected, heard)
    row = np.arange(len(b) + 1)
    for i, item in enumerate(a, 1):
        row = _next_row(row, b != item, i)
    return int(row[-1])


def align(
    expected: Sequence[str],
    heard: Sequence[str],
    *,
    open_end: bool = False,
    possible: NDArray[np.bool_] | None = None,
) -> list[Pair]:
    """The pairs of a best alignment, in order. Among equally good alignments, the one with the most pairs.

    Args:
        open_end: `heard` may stop anywhere in `expected`; the rest of `expected` costs nothing and is left out.
        possible: [len(expected), len(heard)], False where two words must not be paired.
    """
    a, b = _numbered(expected, heard)
    n, m = len(a), len(b)
    costs = np.zeros((n + 1, m + 1), np.int32)
    costs[0] = np.arange(m + 1)
    differs = np.zeros((n, m), np.int8)
    for i in range(n):
        different = (b != a[i]).astype(np.int8)
        if possible is not None:
            different[~possible[i]] = FORBIDDEN
        differs[i] = different
        costs[i + 1] = _next_row(costs[i], different, i + 1)
    # The last of equally good ends: it pairs more words.
    end = n - int(np.argmin(costs[::-1, m])) if open_end else n
    return _path(costs, differs, end)


def matches(pairs: Sequence[Pair], expected: Sequence[str], heard: Sequence[str]) -> list[tuple[int, int]]:
    """The pairs whose words are equal."""
    return [(i, j) for i, j in pairs if i is not None and j is not None and expected[i] == heard[j]]


def _numbered(expected: Sequence[str], heard: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Both lists as numbers, equal items as equal numbers."""
    numbers: dict[str, int] = {}
    a = [numbers.setdefault(item, len(numbers)) for item in expected]
    b = [numbers.setdefault(item, len(numbers)) for item in heard]
    return np.array(a, np.int64), np.array(b, np.int64)


def _next_row(row: NDArray[Any], different: NDArray[np.int8] | NDArray[np.bool_], i: int) -> NDArray[Any]:
    """The costs after one more expected item. An insertion adds one to its left neighbour: a running minimum."""
    m = len(row) - 1
    best = np.empty(m + 1, row.dtype)
    best[0] = i
    best[1:] = np.minimum(row[1:] + 1, row[:-1] + different)
    steps = np.arange(m + 1)
    return (np.minimum.accumulate(best - steps) + steps).astype(row.dtype)


def _path(costs: NDArray[np.int32], differs: NDArray[np.int8], end: int) -> list[Pair]:
    i, j = end, costs.shape[1] - 1
    pairs: list[Pair] = []
    while i > 0 or j > 0:
        if i > 0 and j > 0 and costs[i, j] == costs[i - 1, j - 1] + differs[i - 1, j - 1]:
            i, j = i - 1, j - 1
            pairs.append((i, j))
        elif i > 0 and costs[i, j] == costs[i - 1, j] + 1:
            i -= 1
            pairs.append((i, None))
        else:
            j -= 1
            pairs.append((None, j))
    return pairs[::-1]

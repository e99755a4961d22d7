"""Times that run backwards are repaired as the official code repairs them, in n log n."""

import json
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from livecap.align.repair import longest_rising, repaired
from tests.model.parity import DATA

GOLDEN = json.loads((DATA / "functions.json").read_text(encoding="utf-8"))["fix_timestamp"]


def quadratic(values: Sequence[float]) -> list[int]:
    """A longest non-decreasing subsequence by comparing every pair: the first best end, and the first best before."""
    length, before = [1] * len(values), [-1] * len(values)
    for i in range(len(values)):
        for j in range(i):
            if values[j] <= values[i] and length[j] + 1 > length[i]:
                length[i], before[i] = length[j] + 1, j
    chain, i = [], length.index(max(length)) if values else -1
    while i >= 0:
        chain.append(i)
        i = before[i]
    return chain[::-1]


@pytest.mark.parametrize("case", GOLDEN, ids=lambda case: str(case["ms"])[:40])
def test_times_are_repaired_as_officially(case: dict) -> None:
    assert repaired(case["ms"]) == case["expect"]


@given(st.lists(st.integers(0, 12)) | st.lists(st.integers(0, 4999), max_size=80))
@settings(max_examples=400)
def test_the_subsequence_is_the_one_that_comparing_every_pair_finds(values: list[int]) -> None:
    assert longest_rising(values) == quadratic(values)


@given(st.lists(st.integers(0, 400).map(lambda n: 80.0 * n)))
@settings(max_examples=200)
def test_repaired_times_never_decrease_and_keep_what_was_in_order(values: list[float]) -> None:
    fixed = repaired(values)
    assert fixed == sorted(fixed) and len(fixed) == len(values)
    assert all(fixed[i] == values[i] for i in quadratic(values))


def test_an_hour_of_words_takes_no_quadratic_time() -> None:
    """Each value is compared about log n times."""
    compared = 0

    class Counted(int):
        def __lt__(self, other: int) -> bool:
            nonlocal compared
            compared += 1
            return int(self) < int(other)

    n = 20_000
    values = [Counted((i * 7919) % 5000) for i in range(n)]
    longest_rising(values)
    assert 0 < compared < 20 * n

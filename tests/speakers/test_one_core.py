"""NumPy's products have one thread only while a network computes."""

import numpy as np
import pytest

from livecap.speakers import one_core as module
from livecap.speakers.one_core import one_core
from tests.speakers.scripted import LevelDiariser


@pytest.fixture
def threads(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many threads OpenBLAS would have had, one after the other."""
    seen = [4]
    monkeypatch.setattr(module, "_functions", lambda: (lambda: seen[-1], seen.append))
    return seen


def test_the_number_of_threads_is_as_before_once_the_last_one_has_left(threads: list[int]) -> None:
    with one_core():
        with one_core():
            assert threads == [4, 1]
        assert threads == [4, 1]
    assert threads == [4, 1, 4]


def test_settling_limits_no_other_thread(threads: list[int]) -> None:
    """Neither the windows nor the clusters of a long sound are within it as a whole."""
    diariser = LevelDiariser()
    segment, grouped = diariser.networks.segment, diariser.grouped
    during: list[int] = []

    def watched(windows: np.ndarray) -> np.ndarray:
        during.append(threads[-1])
        return segment(windows)

    def watched_groups(*args):
        during.append(threads[-1])
        return grouped(*args)

    diariser.networks.segment, diariser.grouped = watched, watched_groups
    assert diariser.turns(np.full(30 * 16_000, 0.1, np.float32)) and during == [4, 4]

"""Sound that later steps may need, by its position in the session."""

import numpy as np
import pytest

from livecap.stream.recent_sound import RecentSound


@pytest.fixture
def sound() -> RecentSound:
    """1..4, three samples that were lost, 5..8."""
    recent = RecentSound()
    recent.append(0, np.array([1, 2, 3, 4], np.float32))
    recent.append(7, np.array([5, 6, 7, 8], np.float32))
    return recent


def test_lost_sound_is_silence_of_the_same_length(sound: RecentSound) -> None:
    assert sound.end_sample == 11
    assert sound.between(0, 11).tolist() == [1, 2, 3, 4, 0, 0, 0, 5, 6, 7, 8]
    assert sound.between(3, 8).tolist() == [4, 0, 0, 0, 5]
    assert sound.between(5, 5).tolist() == []


@pytest.mark.parametrize("before", range(-1, 12))
def test_what_is_not_forgotten_stays(sound: RecentSound, before: int) -> None:
    sound.forget(before)
    sound.forget(before - 3)
    low = max(before, 0)
    assert sound.between(low, 11).tolist() == [1, 2, 3, 4, 0, 0, 0, 5, 6, 7, 8][low:]
    if before > 0:
        with pytest.raises(AssertionError):
            sound.between(before - 1, 11)


def test_forgotten_sound_takes_no_memory(sound: RecentSound) -> None:
    sound.forget(4)
    assert [start for start, _ in sound._pieces] == [7]
    sound.forget(99)
    assert sound._pieces == []
    sound.append(11, np.ones(2, np.float32))
    assert sound.between(11, 13).tolist() == [1, 1]


def test_sound_is_given_once(sound: RecentSound) -> None:
    with pytest.raises(AssertionError):
        sound.append(10, np.ones(2, np.float32))

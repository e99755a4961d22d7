"""Groups of voices and the numbers of people: a person keeps the number, and memory is bounded."""

import numpy as np
import pytest

from livecap.speakers import numbers as module
from livecap.speakers.numbers import SpeakerNumbers

TOM, PRIYA, ANN = np.eye(192, dtype=np.float32)[:3]


class Numbers:
    """Numbers from 0, and the voices that were new."""

    def __init__(self) -> None:
        self.new: list[int] = []
        self.numbers = SpeakerNumbers(lambda: len(self.new), lambda number, voice: self.new.append(number))

    def of(self, *items: tuple[int, np.ndarray, float, int]) -> tuple[list[int], list[bool]]:
        """(group, voice, seconds, number before) of each."""
        groups, voices, seconds, before = zip(*items, strict=True)
        found, is_sure = self.numbers.of_groups(
            np.array(groups), np.stack(voices), np.array(seconds, np.float32), np.array(before)
        )
        return found.tolist(), is_sure.tolist()


def test_new_voices_are_numbered_in_order_of_appearance():
    numbers = Numbers()
    assert numbers.of((0, TOM, 2, -1), (1, PRIYA, 5, -1)) == ([0, 1], [True, True])
    assert numbers.new == [0, 1]


def test_a_group_keeps_the_number_that_most_of_it_had():
    numbers = Numbers()
    numbers.of((0, TOM, 2, -1), (1, PRIYA, 2, -1))
    assert numbers.of((0, PRIYA, 3, 1), (0, TOM, 2, 0), (1, ANN, 2, -1)) == ([1, 2], [True, True])


def test_two_groups_are_two_people_even_where_they_are_alike():
    numbers = Numbers()
    numbers.of((0, TOM, 2, -1))
    assert numbers.of((0, TOM, 3, 0), (1, TOM, 2, -1)) == ([0, 1], [True, True])


def test_a_voice_that_was_forgotten_is_known_again():
    numbers = Numbers()
    numbers.of((0, TOM, 2, -1), (1, PRIYA, 2, -1))
    numbers.numbers.learn(np.array([0, 1]), np.stack([TOM, PRIYA]), np.array([2, 2], np.float32))
    assert numbers.of((0, PRIYA, 2, -1)) == ([1], [True])
    assert numbers.numbers.known(PRIYA) == 1 and numbers.numbers.known(ANN) is None


def test_what_was_learned_counts_by_its_length():
    numbers = Numbers()
    numbers.of((0, TOM, 8, -1))
    numbers.numbers.learn(np.array([0, -1]), np.stack([TOM, ANN]), np.array([8, 9], np.float32))
    hoarse = (0.3 * TOM + PRIYA) / np.float32(np.sqrt(1.09))
    numbers.of((0, hoarse, 1, 0))
    assert numbers.numbers.known(TOM) == 0 and numbers.numbers.known(hoarse) is numbers.numbers.known(ANN) is None


def test_too_little_of_a_voice_is_nobody_new_and_is_not_learned():
    numbers = Numbers()
    assert numbers.of((0, TOM, 0.5, -1)) == ([0], [True])  # somebody has to be the first
    like_tom = (ANN + 0.3 * TOM) / np.float32(np.sqrt(1.09))
    assert numbers.of((0, TOM, 3, 0), (1, like_tom, 1.4, -1)) == ([0, 0], [True, False])
    assert numbers.of((0, TOM, 3, 0), (1, like_tom, 1.6, -1)) == ([0, 1], [True, True])


def test_a_day_of_voices_has_constant_memory(monkeypatch: pytest.MonkeyPatch):
    """Four people and, again and again, somebody who is heard once."""
    monkeypatch.setattr(module, "MOST_SPEAKERS", 20)
    random = np.random.default_rng(0)
    people = np.eye(192, dtype=np.float32)[:4]
    numbers = Numbers()
    before = np.full(4, -1)
    for _ in range(24 * 15):  # a day, settled every four minutes
        stranger = random.standard_normal(192).astype(np.float32)
        voices = np.concatenate([people, stranger[None] / np.linalg.norm(stranger)])
        seconds = np.array([30, 20, 10, 5, 2], np.float32)
        found, _ = numbers.numbers.of_groups(np.arange(5), voices, seconds, np.append(before, -1))
        numbers.numbers.learn(found, voices, seconds)
        assert found[:4].tolist() == [0, 1, 2, 3]
        assert len(numbers.numbers._voices) <= 20 and len(numbers.numbers._sums) <= 20  # noqa: SLF001
    assert [numbers.numbers.known(voice) for voice in people] == [0, 1, 2, 3]

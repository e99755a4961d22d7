"""How much new sound a step waits for, by the cost of the steps before."""

import pytest

from livecap.stream.chunk_length import ChunkLength
from livecap.stream.config import ChunkConfig

SECOND = 16_000


def seconds(config: ChunkConfig, *costs: float, awaits_words: bool = False) -> float:
    length = ChunkLength(config)
    for cost in costs:
        length.note_cost(cost)
    return length.samples(awaits_words) / SECOND


@pytest.mark.parametrize(
    ("cost", "expected", "first"),
    [(0.0, 0.4, 0.3), (0.1, 0.4, 0.3), (0.19, 0.4, 0.38), (0.4, 0.8, 0.8), (1.9, 3.8, 3.8), (2.1, 4.0, 4.0)],
)
def test_steps_take_half_of_the_time_at_most(cost: float, expected: float, first: float) -> None:
    config = ChunkConfig(step_cost_seconds=cost)
    assert seconds(config) == pytest.approx(expected)
    assert seconds(config, awaits_words=True) == pytest.approx(first)


def test_a_step_costs_time_of_all_streams_that_share_a_thread() -> None:
    length = ChunkLength(ChunkConfig(step_cost_seconds=0.1))
    length.n_sharing = 8
    assert length.samples() / SECOND == pytest.approx(1.6)


def test_cost_rises_quickly_and_falls_slowly() -> None:
    assert seconds(ChunkConfig(), 1.0) == pytest.approx(1.0)  # half of it is known: 0.5 s, at half load
    assert seconds(ChunkConfig(), 1.0, 1.0) == pytest.approx(1.5)
    assert seconds(ChunkConfig(), 1.0, 0.0) == pytest.approx(0.8)
    assert seconds(ChunkConfig(), 1.0, 0.5) == pytest.approx(1.0)


def test_a_given_cost_is_not_measured() -> None:
    assert seconds(ChunkConfig(step_cost_seconds=0.4), 9.0) == pytest.approx(0.8)


def test_a_fixed_length_is_kept_whatever_steps_cost() -> None:
    assert seconds(ChunkConfig(2.0), 5.0) == 2.0
    assert seconds(ChunkConfig(2.0)) == 2.0


def test_first_words_come_sooner_where_steps_are_known_to_be_cheap() -> None:
    assert seconds(ChunkConfig(2.0), awaits_words=True) == 2.0, "nothing is known yet"
    assert seconds(ChunkConfig(2.0, 0.1), awaits_words=True) == 0.3
    assert seconds(ChunkConfig(2.0, 0.5), awaits_words=True) == 1.0
    assert seconds(ChunkConfig(2.0, 0.51), awaits_words=True) == 2.0
    assert seconds(ChunkConfig(0.2, 0.01), awaits_words=True) == 0.2

"""One list, one frontier: what is stable stays."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from livecap.stream.config import StreamConfig
from livecap.stream.hypothesis import Hypothesis, loop_start

SECOND = 16_000


def words(token: int) -> bool:
    """Every third token begins a word."""
    return token % 3 == 0


def whole(ids: Sequence[int]) -> bool:
    """Token 7 is the first half of a character."""
    return not ids or ids[-1] != 7


def make(config: StreamConfig | None = None) -> Hypothesis:
    return Hypothesis(config or StreamConfig(), 0, words, whole)


steps = st.lists(st.lists(st.integers(0, 30), max_size=20), max_size=30)


@given(steps)
def test_stable_ids_only_grow(revisions: list[list[int]]) -> None:
    belief = make()
    stable: list[int] = []
    for i, ids in enumerate(revisions):
        belief.revise(ids, (i + 1) * 2 * SECOND)
        now = belief.ids[: belief.frontier]
        assert now[: len(stable)] == stable
        stable = now
    belief.settle()
    assert belief.ids[: len(stable)] == stable and belief.frontier == len(belief.ids)


@given(steps)
def test_the_last_tokens_are_decided_anew(revisions: list[list[int]]) -> None:
    config = StreamConfig()
    belief = make(config)
    said: list[int] = []
    for i, ids in enumerate(revisions):
        before = belief.frontier
        belief.revise(ids, (i + 1) * 2 * SECOND)
        old = i >= 4 and belief.ids[: belief.frontier] == said[: belief.frontier]
        assert belief.frontier == before or old or len(belief.ids) - belief.frontier >= config.rollback
        said = list(belief.ids)


@given(steps)
def test_nothing_is_stable_in_the_cold_steps(revisions: list[list[int]]) -> None:
    belief = make()
    for i, ids in enumerate(revisions[:2]):
        belief.revise(ids, (i + 1) * 2 * SECOND)
        assert belief.frontier == 0


@given(steps)
def test_the_frontier_never_splits_a_character(revisions: list[list[int]]) -> None:
    belief = make()
    for i, ids in enumerate(revisions):
        before = belief.frontier
        belief.revise(ids, (i + 1) * SECOND)
        if belief.frontier > before:
            assert whole(belief.ids[: belief.frontier]) or words(belief.ids[belief.frontier])


@given(steps, st.data())
def test_text_leaves_with_its_sound_and_stable_text_is_not_touched(
    revisions: list[list[int]], data: st.DataObject
) -> None:
    belief = make()
    said: list[int] = []
    for i, ids in enumerate(revisions):
        belief.revise(ids, (i + 1) * 2 * SECOND)
        stable = belief.stable_ids
        partial = belief.partial_ids
        belief.forget(data.draw(st.integers(0, (i + 1) * 2 * SECOND)))
        assert belief.stable_ids == stable and belief.partial_ids == partial
        assert 0 <= belief.prompt_start <= belief.frontier <= len(belief.ids)
        if data.draw(st.booleans()):
            said += belief.stable_ids
            belief.close_utterance()
            assert belief.stable_ids == []
        assert 0 <= belief.sample_at_frontier() <= (i + 1) * 2 * SECOND


def test_old_text_leaves_where_its_sound_was() -> None:
    belief = make()
    for i in range(10):
        belief.revise([*belief.partial_ids, *range(i * 6, i * 6 + 6)], (i + 1) * 2 * SECOND)
    belief.forget(8 * SECOND)
    assert belief.prefix[0] == 24, "six tokens in two seconds: 24 in the eight seconds that left"


def test_an_hour_of_unbroken_speech_stays_small() -> None:
    belief = make()
    for i in range(1800):
        belief.revise([*belief.partial_ids, *range(9)], (i + 1) * 2 * SECOND)
        if i % 15 == 14:
            belief.close_utterance()
            belief.forget((i - 6) * 2 * SECOND)
    assert len(belief.ids) < 300


@given(st.lists(st.integers(0, 5), max_size=40), st.integers(1, 32), st.integers(5, 9))
def test_a_loop_is_found_and_one_repetition_stays(head: list[int], period: int, repeats: int) -> None:
    config = StreamConfig()
    piece = list(range(100, 100 + period))
    n = max(repeats, -(-config.min_loop_tokens // period))
    start = loop_start(head + piece * n, config)
    assert start is not None and start <= len(head) + period


def test_people_may_repeat_themselves() -> None:
    config = StreamConfig()
    assert loop_start([1, 2, 3, 8, 8, 8, 8, 8, 8], config) is None
    assert loop_start([1, 2, 1, 2, 1, 2, 3], config) is None
    assert loop_start([], config) is None


def test_a_loop_is_not_committed() -> None:
    belief = make()
    belief.revise([0, 3, 6], 2 * SECOND)
    belief.revise([0, 3, 6, 9], 4 * SECOND)
    assert belief.revise([0, 3, 6, 9] + [12, 15] * 20, 6 * SECOND)
    assert belief.frontier == 0
    assert belief.ids == [0, 3, 6, 9, 12, 15]

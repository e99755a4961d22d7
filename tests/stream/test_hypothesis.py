"""One list of tokens and one frontier: what is stable stays."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from livecap.model.generate import GeneratedToken
from livecap.stream.config import LoopConfig, StreamConfig
from livecap.stream.hypothesis import Hypothesis, loop_start
from livecap.stream.policy import CommitPolicy, Rule

SECOND = 16_000


def words(token: int) -> bool:
    """Every third token begins a word."""
    return token % 3 == 0


def whole(ids: Sequence[int]) -> bool:
    """Token 7 is the first half of a character."""
    return not ids or ids[-1] != 7


def tokens(ids: Sequence[int], margin: float) -> list[GeneratedToken]:
    """These ids, all with the same margin."""
    return [GeneratedToken(id, margin) for id in ids]


def make(rule: Rule = Rule.CONFIDENCE) -> Hypothesis:
    return Hypothesis(StreamConfig(commit=CommitPolicy(rule)), 0, words, whole)


def revise(belief: Hypothesis, ids: Sequence[int], end_sample: int, margin: float = 9.0) -> bool:
    """A step in which the model is equally sure of all tokens."""
    return belief.revise(tokens(ids, margin), end_sample)


def say(belief: Hypothesis, ids: Sequence[int], end_sample: int, margin: float = 9.0) -> bool:
    """A step that returns all of `ids` since the prompt began, without the stable ones."""
    assert belief.ids[: belief.frontier] == list(ids)[: belief.frontier]
    return revise(belief, ids[belief.frontier :], end_sample, margin)


rules = st.sampled_from(Rule)


steps = st.lists(st.lists(st.integers(0, 30), max_size=20), max_size=30)


@given(steps, rules)
def test_stable_ids_only_grow(revisions: list[list[int]], rule: Rule) -> None:
    belief = make(rule)
    stable: list[int] = []
    for i, ids in enumerate(revisions):
        revise(belief, ids, (i + 1) * 2 * SECOND)
        now = belief.ids[: belief.frontier]
        assert now[: len(stable)] == stable
        stable = now
    belief.believe_all(2 * SECOND)
    assert belief.ids[: len(stable)] == stable and belief.frontier == len(belief.ids)


@given(steps)
def test_rollback_never_commits_the_last_tokens(revisions: list[list[int]]) -> None:
    belief = make(Rule.ROLLBACK)
    said: list[int] = []
    for i, ids in enumerate(revisions):
        before = belief.frontier
        revise(belief, ids, (i + 1) * 2 * SECOND)
        old = i >= 4 and belief.ids[: belief.frontier] == said[: belief.frontier]
        assert i >= 2 or belief.frontier == 0, "nothing is stable in the first two chunks"
        assert belief.frontier == before or old or len(belief.ids) - belief.frontier >= 5
        said = list(belief.ids)


@given(steps, st.sampled_from([Rule.AGREEMENT, Rule.CONFIDENCE]))
def test_only_what_more_sound_confirmed_becomes_stable(revisions: list[list[int]], rule: Rule) -> None:
    belief = make(rule)
    said: list[int] = []
    for i, ids in enumerate(revisions):
        before = belief.frontier
        revise(belief, ids, (i + 1) * SECOND)
        assert belief.frontier == before or belief.ids[: belief.frontier] == said[: belief.frontier]
        said = list(belief.ids)


def test_the_last_word_waits_for_what_follows() -> None:
    belief = make()
    for second in (1, 2, 3):
        say(belief, [0, 1, 3, 4], second * SECOND)
    assert belief.partial_ids == [3, 4]
    say(belief, [0, 1, 3, 4, 6], 4 * SECOND)
    assert belief.partial_ids == [6]


def test_a_word_becomes_stable_as_a_whole_though_its_beginning_was_agreed_upon() -> None:
    """Also the first word, with nothing stable before it."""
    belief = make()
    say(belief, [3, 4, 5, 6, 7, 9], SECOND)
    say(belief, [3, 4, 8, 6, 7, 9], 2 * SECOND)
    assert belief.frontier == 0
    say(belief, [3, 4, 8, 6, 7, 9], 3 * SECOND)
    assert belief.ids[: belief.frontier] == [3, 4, 8, 6, 7]


def test_an_uncertain_word_waits_longer() -> None:
    sure, doubtful = make(), make()
    for belief, margin in ((sure, 9.0), (doubtful, 0.2)):
        belief.begin_utterance(-10 * SECOND)
        for half in (1, 2):
            say(belief, [0, 3, 6], half * SECOND // 2, margin)
    assert sure.stable_ids == [0, 3] and doubtful.stable_ids == []
    say(doubtful, [0, 3, 6], 3 * SECOND // 2)
    assert doubtful.stable_ids == [0, 3], "once sure is not enough, old enough is"


def test_a_word_that_was_uncertain_once_waits_longer_too() -> None:
    belief = make()
    belief.begin_utterance(-10 * SECOND)
    say(belief, [0, 3, 6], SECOND // 2, margin=0.2)
    say(belief, [0, 3, 6], SECOND)
    assert belief.stable_ids == []
    say(belief, [0, 3, 6], 3 * SECOND // 2)
    assert belief.stable_ids == [0, 3]


def test_uncertain_text_at_the_start_of_speech_does_not_become_stable() -> None:
    belief = make()
    for half in range(1, 6):
        say(belief, [0, 3, 6], half * SECOND // 2, 0.2)
    assert belief.stable_ids == []
    belief.believe_all(SECOND)
    assert belief.stable_ids == [], "a cough, and what was invented for it"


def test_a_word_that_is_never_followed_becomes_stable_at_last() -> None:
    belief = make()
    for second in range(1, 12):
        say(belief, [0, 3], second * SECOND)
    assert belief.stable_ids == [0, 3]


@given(steps)
def test_the_frontier_never_splits_a_character(revisions: list[list[int]]) -> None:
    belief = make()
    for i, ids in enumerate(revisions):
        before = belief.frontier
        revise(belief, ids, (i + 1) * SECOND)
        if belief.frontier > before:
            assert whole(belief.ids[: belief.frontier]) or words(belief.ids[belief.frontier])


@given(steps, st.data())
def test_text_leaves_the_prompt_with_its_sound_and_stable_text_stays(
    revisions: list[list[int]], data: st.DataObject
) -> None:
    belief = make()
    said: list[int] = []
    for i, ids in enumerate(revisions):
        revise(belief, ids, (i + 1) * 2 * SECOND)
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


def test_as_much_text_leaves_as_was_spoken_in_the_sound() -> None:
    belief = make()
    for i in range(10):
        revise(belief, [*belief.partial_ids, *range(i * 6, i * 6 + 6)], (i + 1) * 2 * SECOND)
    belief.forget(8 * SECOND)
    assert belief.prefix[0] == 24, "six tokens in two seconds: 24 in the eight seconds that left"


def test_an_hour_of_unbroken_speech_keeps_few_tokens() -> None:
    belief = make()
    for i in range(1800):
        revise(belief, [*belief.partial_ids, *range(9)], (i + 1) * 2 * SECOND)
        if i % 15 == 14:
            belief.close_utterance()
            belief.forget((i - 6) * 2 * SECOND)
    assert len(belief.ids) < 300


@given(st.lists(st.integers(0, 5), max_size=40), st.integers(1, 32), st.integers(5, 9))
def test_a_loop_is_found_and_one_repetition_stays(head: list[int], period: int, repeats: int) -> None:
    config = LoopConfig()
    piece = list(range(100, 100 + period))
    n = max(repeats, -(-config.min_loop_tokens // period))
    start = loop_start(head + piece * n, config)
    assert start is not None and start <= len(head) + period


def test_people_may_repeat_themselves() -> None:
    config = LoopConfig()
    assert loop_start([1, 2, 3, 8, 8, 8, 8, 8, 8], config) is None
    assert loop_start([1, 2, 1, 2, 1, 2, 3], config) is None
    assert loop_start([], config) is None


def test_a_loop_is_not_committed() -> None:
    belief = make()
    say(belief, [0, 3, 6], 2 * SECOND)
    say(belief, [0, 3, 6, 9], 4 * SECOND)
    assert belief.stable_ids == [0, 3, 6]
    assert say(belief, [0, 3, 6, 9] + [12, 15] * 20, 6 * SECOND)
    assert belief.stable_ids == [0, 3, 6]
    assert belief.ids == [0, 3, 6, 9, 12, 15]


def test_the_last_word_and_uncertain_text_are_shown_when_repeated() -> None:
    belief = make()
    belief.revise(tokens([0], 9), SECOND)
    assert belief.shown_ids == [0], "people wait for the first word"
    belief.revise(tokens([0, 1, 3, 4, 6], 9), SECOND + SECOND // 8)
    assert belief.shown_ids == [0, 1, 3, 4]
    belief = make()
    belief.revise(tokens([0], 9), SECOND)
    belief.revise([*tokens([0, 1], 9), GeneratedToken(3, 0.1), *tokens([4, 6], 9)], SECOND + SECOND // 8)
    assert belief.shown_ids == [0, 1]
    belief.revise([*tokens([0, 1], 9), GeneratedToken(3, 0.1), *tokens([4, 6], 9)], SECOND + SECOND // 4)
    assert belief.shown_ids == [0, 1, 3, 4, 6]


def test_a_near_tie_is_not_shown_at_a_pause_either() -> None:
    belief = make()
    belief.revise(tokens([0], 9), SECOND)
    belief.revise(
        [*tokens([0, 1], 9), GeneratedToken(3, 0.01), *tokens([4, 6], 9)], SECOND + SECOND // 8, at_pause=True
    )
    assert belief.shown_ids == [0, 1]


def test_all_else_is_shown_at_a_pause() -> None:
    belief = make()
    belief.revise(tokens([0], 9), SECOND)
    belief.revise(tokens([0, 1, 3, 4, 6], 0.1), SECOND + SECOND // 8, at_pause=True)
    assert belief.shown_ids == [0, 1, 3, 4, 6]


def test_a_prompt_that_begins_without_text_makes_a_joint() -> None:
    belief = make()
    say(belief, [0, 3, 6], SECOND)
    say(belief, [0, 3, 6], 2 * SECOND)
    belief.believe_all(2 * SECOND)
    belief.forget_tokens(2)
    assert belief.prefix == [6] and belief.joints == []
    belief.forget_tokens(belief.frontier)
    assert belief.prefix == [] and belief.joints == [3]
    revise(belief, [9, 12], 3 * SECOND)
    assert belief.stable_ids == [0, 3, 6] and belief.joints == [3]
    belief.believe_all(SECOND)
    belief.close_utterance()
    assert belief.joints == []

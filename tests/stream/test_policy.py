"""When a token becomes stable, and when it is shown: each number of the rules at its limit."""

from collections.abc import Sequence

import pytest

from livecap.stream.policy import BelievedToken, CommitPolicy, Rule

SECOND = 16_000
END = 20 * SECOND
POLICY = CommitPolicy()
Spec = tuple[int, float, float]
"""Token id, seconds since it is believed, margin."""


def believed(*specs: Spec) -> list[BelievedToken]:
    return [BelievedToken(id, END - round(seconds * SECOND), margin) for id, seconds, margin in specs]


def word(token: int) -> bool:
    """Multiples of ten begin a word."""
    return token % 10 == 0


def stable(tokens: Sequence[BelievedToken], frontier: int = 0, policy: CommitPolicy = POLICY, begin: int = 0) -> int:
    return policy.stable(tokens, frontier, begin, END, word)


def shown(
    tokens: Sequence[BelievedToken], frontier: int = 0, at_pause: bool = False, first: bool = False, **policy: bool
) -> int:
    return CommitPolicy(**policy).shown(tokens, frontier, END, word, at_pause, first)  # type: ignore[arg-type]


NEXT: Spec = (90, 0.0, 9.0)
"""A word that is new in this step, after the words that may become stable."""


@pytest.mark.parametrize(
    ("seconds", "margin", "expected"), [(0.3, 0.5, 1), (0.29, 0.5, 0), (0.8, 0.49, 1), (0.79, 0.49, 0), (0.79, 0.5, 1)]
)
def test_a_sure_word_waits_for_a_third_of_a_second_and_a_doubtful_one_for_longer(
    seconds: float, margin: float, expected: int
) -> None:
    assert stable(believed((10, seconds, margin), NEXT)) == expected


def test_agreement_asks_for_no_margin() -> None:
    policy = CommitPolicy(Rule.AGREEMENT)
    assert stable(believed((10, 0.3, 0.0), NEXT), policy=policy) == 1
    assert stable(believed((10, 0.29, 0.0), NEXT), policy=policy) == 0


def test_a_step_never_confirms_itself() -> None:
    assert stable(believed((10, 0.0, 9.0), NEXT), policy=CommitPolicy(agree_seconds=0)) == 0


def test_words_after_one_that_waits_wait_too() -> None:
    assert stable(believed((10, 1, 9), (20, 0, 9), (30, 1, 9), NEXT)) == 1


def test_the_last_word_waits_for_the_next_one_whole() -> None:
    assert stable(believed((10, 1, 9), (20, 1, 9), (21, 1, 9))) == 1
    assert stable(believed((10, 1, 9), (20, 1, 9), (21, 1, 9)), policy=CommitPolicy(held_words=2)) == 0
    assert stable(believed((10, 1, 9), (20, 1, 9), (21, 1, 9)), policy=CommitPolicy(held_words=0)) == 3


def test_the_last_word_waits_for_eight_seconds_at_most() -> None:
    assert stable(believed((10, 8.0, 9), (20, 8.0, 9))) == 2
    assert stable(believed((10, 8.0, 9), (20, 7.9, 9))) == 1


def test_what_is_stable_stays() -> None:
    assert stable(believed((10, 0, 0), (20, 0, 0)), frontier=1) == 1
    assert stable(believed((10, 0, 0)), frontier=1) == 1


def test_text_of_short_sound_needs_one_sure_token() -> None:
    """Otherwise it may be invented for a cough."""
    short, long = END - 3 * SECOND + 1, END - 3 * SECOND
    assert stable(believed((10, 2, 0.99), NEXT[:2] + (0.99,)), begin=short) == 0
    assert stable(believed((10, 2, 0.99), NEXT[:2] + (1.0,)), begin=short) == 1
    assert stable(believed((10, 2, 0.99), NEXT[:2] + (0.99,)), begin=long) == 1
    assert stable(believed((10, 2, 9.0), (20, 2, 0.9), NEXT[:2] + (0.9,)), frontier=1, begin=short) == 1


def test_rollback_is_the_official_recipe() -> None:
    policy = CommitPolicy(Rule.ROLLBACK)
    seven = believed(*((10 * n, 1.0, 0.0) for n in range(7)))
    assert stable(seven, policy=policy) == 2
    assert stable(seven, frontier=4, policy=policy) == 4
    assert stable(seven, policy=policy, begin=END - 4 * SECOND) == 0
    assert stable(seven, policy=policy, begin=END - 4 * SECOND - 1) == 2
    old = believed((10, 8.0, 0), (20, 8.0, 0), (30, 7.9, 0))
    assert stable(old, policy=policy) == 2


def test_a_new_word_is_shown_once_the_model_is_sure_of_it() -> None:
    later = (20, 0.0, 9.0)
    assert shown(believed((10, 0, 1.0), later, NEXT)) == 2
    assert shown(believed((10, 0, 0.99), later, NEXT)) == 0
    assert shown(believed((10, 0.1, 0.0), later, NEXT)) == 2, "it was there in the step before"


def test_the_last_word_is_shown_when_a_second_step_repeats_it() -> None:
    assert shown(believed((10, 1, 9), (20, 0, 9), (21, 0, 9))) == 1
    assert shown(believed((10, 1, 9), (20, 0.1, 9), (21, 0.1, 9))) == 3
    assert shown(believed((10, 1, 9), (20, 0, 9)), frontier=2) == 2


def test_at_a_pause_and_for_the_first_words_the_last_word_does_not_wait() -> None:
    assert shown(believed((10, 1, 9), (20, 0, 1.0)), at_pause=True) == 2
    assert shown(believed((10, 1, 9), (20, 0, 1.0)), first=True) == 2
    assert shown(believed((10, 1, 9), (20, 0, 0.03)), at_pause=True) == 2
    assert shown(believed((10, 1, 9), (20, 0, 0.02)), at_pause=True) == 1
    assert shown(believed((10, 1, 9), (20, 0, 0.99)), first=True) == 1


def test_no_part_of_a_word_is_shown() -> None:
    assert shown(believed((10, 1, 9), (20, 1, 9), (21, 0, 0.0))) == 1
    assert shown(believed((10, 1, 9), (20, 1, 9), (21, 0, 0.0)), frontier=2) == 2


def test_everything_can_be_shown_at_once() -> None:
    assert shown(believed((10, 0, 0), (21, 0, 0)), hold_display=False) == 2


def test_text_of_hardly_any_voice_is_believed_if_a_token_is_sure() -> None:
    few = round(1.5 * SECOND) - 1
    assert not POLICY.is_believable(believed((10, 1, 0.99)), few)
    assert POLICY.is_believable(believed((10, 1, 0.99), (20, 1, 1.0)), few)
    assert POLICY.is_believable(believed((10, 1, 0.0)), few + 1)

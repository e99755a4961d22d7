"""Times of words: in the voiced sound of the step that first had them, in proportion to their length."""

from livecap.stream.word_times import LEAD_SAMPLES, carry_over, place_words
from livecap.transcript import Word

SECOND = 16_000


def times(words: tuple[Word, ...]) -> list[tuple[str, int, int]]:
    return [(word.text, word.start_sample, word.end_sample) for word in words]


def test_the_words_of_a_step_share_its_voiced_sound_in_proportion_to_their_length() -> None:
    words = place_words(["a", "bbb"], [1000, 1000], (0, 5000), [(1000, 5000)])
    assert times(words) == [("a", 1000, 2000), ("bbb", 2000, 5000)]
    assert {word.quality for word in words} == {"step"}


def test_a_word_lies_before_the_end_of_the_sound_in_which_it_was_heard_and_after_the_step_before() -> None:
    heard_by = [SECOND, 3 * SECOND, 4 * SECOND]
    words = place_words(["one", "two", "six"], heard_by, (0, 5 * SECOND), [(0, 5 * SECOND)])
    first, second = SECOND - LEAD_SAMPLES, 3 * SECOND - LEAD_SAMPLES
    assert times(words) == [("one", 0, first), ("two", first, second), ("six", second, 5 * SECOND)]


def test_no_word_ends_before_it_starts_or_after_its_utterance() -> None:
    words = place_words(["one", "two", "six"], [100, 200, 90_000], (50_000, 60_000), [])
    assert times(words) == [("one", 50_000, 50_000), ("two", 50_000, 50_000), ("six", 50_000, 60_000)]
    words = place_words(["one", "two"], [90_000, 95_000], (50_000, 60_000), [])
    assert times(words) == [("one", 50_000, 60_000), ("two", 60_000, 60_000)]


def test_a_word_ends_before_a_pause_and_the_next_one_starts_after_it() -> None:
    words = place_words(["aa", "bb"], [9000, 9000], (0, 9000), [(1000, 3000), (6000, 8000)])
    assert times(words) == [("aa", 1000, 3000), ("bb", 6000, 8000)]


def test_a_word_may_reach_across_a_pause() -> None:
    words = place_words(["a", "bbb"], [9000, 9000], (0, 9000), [(1000, 3000), (6000, 8000)])
    assert times(words) == [("a", 1000, 2000), ("bbb", 2000, 8000)]


def test_voice_outside_the_utterance_does_not_count() -> None:
    words = place_words(["aa", "bb"], [9000, 9000], (2000, 6000), [(0, 2000), (1000, 3000), (5000, 9000), (6000, 9000)])
    assert times(words) == [("aa", 2000, 3000), ("bb", 5000, 6000)]


def test_without_voice_words_share_all_of_the_sound() -> None:
    assert times(place_words(["aa", "bb"], [9, 9], (0, 400), [])) == [("aa", 0, 200), ("bb", 200, 400)]


def test_a_word_without_letters_has_a_place_too() -> None:
    assert times(place_words(["", "b"], [9, 9], (0, 400), [])) == [("", 0, 200), ("b", 200, 400)]


def test_words_in_both_texts_keep_their_time_and_others_lie_between() -> None:
    known = place_words(["we", "meat", "today"], [9, 9, 9], (0, 1100), [])
    carried = carry_over(["We", "meet", "again", "today"], known, (0, 1100), [(0, 1100)])
    assert times(carried) == [("We", 0, 200), ("meet", 200, 377), ("again", 377, 600), ("today", 600, 1100)]
    assert {word.quality for word in carried} == {"settled"}


def test_words_before_and_after_all_known_ones_reach_to_the_ends_of_the_utterance() -> None:
    known = (Word("meet", 400, 600, "step"),)
    carried = carry_over(["so", "meet", "then"], known, (100, 1000), [(0, 2000)])
    assert times(carried) == [("so", 100, 400), ("meet", 400, 600), ("then", 600, 1000)]


def test_a_known_word_that_overlaps_its_neighbour_leaves_no_time_below_zero() -> None:
    known = (Word("a", 400, 700, "step"), Word("b", 600, 900, "step"))
    assert times(carry_over(["a", "x", "b"], known, (0, 1000), [])) == [
        ("a", 400, 700),
        ("x", 700, 700),
        ("b", 600, 900),
    ]

"""The normaliser and the error rate that every figure uses."""

import jiwer
import pytest
from hypothesis import given
from hypothesis import strategies as st

from livecap.eval.alignment import edit_distance
from livecap.eval.wer import normalise, word_error_rate

words = st.lists(st.sampled_from("a b c d".split()), max_size=12)


@given(words.filter(bool), words)
def test_the_word_error_rate_is_that_of_jiwer(expected: list[str], heard: list[str]) -> None:
    reference = jiwer.wer(" ".join(expected), " ".join(heard))
    assert edit_distance(expected, heard) / len(expected) == pytest.approx(reference)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Good morning, everyone!", "good morning everyone"),
        ("It\N{RIGHT SINGLE QUOTATION MARK}s twenty-two — isn't it?", "it's twenty two isn't it"),
        ("'Quoted' words", "quoted words"),
        ("\N{FULLWIDTH LATIN CAPITAL LETTER A}BC  1 000", "abc 1 000"),
        ("... -- !", ""),
    ],
)
def test_case_and_punctuation_do_not_count(text: str, expected: str) -> None:
    assert normalise(text) == expected.split()


def test_inserted_words_are_errors() -> None:
    assert word_error_rate("one two", "one two three four") == 1.0
    assert word_error_rate("", "") == 0.0

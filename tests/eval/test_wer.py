"""The normaliser and the error rate that every figure uses."""

import re
from pathlib import Path

import jiwer
import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from livecap.errors import AudioError
from livecap.eval.alignment import edit_distance
from livecap.eval.reference import read_reference
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
        ("\ufe0f", ""),
        ("1\ufe0f\u20e3 \U0001f44d\U0001f3fd ❤\ufe0f \U0001f468\u200d\U0001f469", "1"),
        ("co\u00adop \u200eright\u200f \ufeffbom word\u2060joiner", "coop right bom wordjoiner"),
        ("don´t don‘t don`t donʼt l‘e\u0301tude e\u0301´t", "don't don't don't don't l'étude é't"),
        ("‘hello’ ´hello´ `hello`", "hello hello hello"),
        ("\u0301alone a \u0301b 5´10", "alone a b 5'10"),
        ("می\u200cخواهم नमस्\u200dते", "میخواهم नमस्ते"),
    ],
)
def test_case_and_punctuation_do_not_count(text: str, expected: str) -> None:
    assert normalise(text) == expected.split()


def test_the_shipped_texts_have_the_words_that_stored_figures_counted() -> None:
    """As whitespace and plain punctuation part them, since none of them has a special character."""
    paths = sorted((Path(__file__).parents[2] / "recordings").glob("*.txt"))
    assert paths
    for path in paths:
        text = path.read_text(encoding="utf-8")
        assert normalise(text) == re.findall(r"[a-z0-9]+(?:'[a-z0-9]+)*", text.casefold().replace("’", "'")), path.name


def test_inserted_words_are_errors() -> None:
    assert word_error_rate("one two", "one two three four") == 1.0
    assert word_error_rate("", "") == 0.0


@pytest.mark.parametrize(
    ("text", "words", "said"),
    [
        ("... (!)", None, "a.txt has no words, so there is no error rate"),
        ("", None, "a.txt has no words, so there is no error rate"),
        ("note", '[{"word": "note", "start": 0, "end": 1e999}]', "not a list of words with start and end times"),
        ("note", "[" * 100_000, "not a list of words with start and end times"),
    ],
)
def test_what_has_no_error_rate_is_one_clear_line(tmp_path: Path, text: str, words: str | None, said: str) -> None:
    soundfile.write(tmp_path / "a.wav", np.zeros(16_000), 16_000)
    (tmp_path / "a.txt").write_text(text)
    if words is not None:
        (tmp_path / "a.words.json").write_text(words)
    with pytest.raises(AudioError, match=re.escape(said)):
        read_reference(tmp_path / "a.wav")


@pytest.mark.parametrize(
    ("samples", "said"),
    [
        (np.zeros(0), "there is not a single sample in it"),
        (np.array([0.0] * 4000 + [np.nan] + [0.0] * 4000), "its sample at 0.250 s is not a number"),
    ],
)
def test_sound_that_cannot_be_measured_is_one_clear_line(tmp_path: Path, samples: np.ndarray, said: str) -> None:
    soundfile.write(tmp_path / "a.wav", samples, 16_000, subtype="FLOAT")
    (tmp_path / "a.txt").write_text("note")
    with pytest.raises(AudioError, match=re.escape(said)):
        read_reference(tmp_path / "a.wav")

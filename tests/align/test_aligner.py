"""An aligner gives each word of a text its time; the network's choices are scripted here."""

from pathlib import Path

import numpy as np
import pytest

from livecap.align import aligner as module
from livecap.align.aligner import Aligner
from livecap.align.units import CUTTERS
from livecap.errors import AudioError, ModelError, SettingsError
from livecap.transcript import SAMPLE_RATE, Word
from tests.model.parity import DATA

SECOND = np.zeros(SAMPLE_RATE, np.float32)


@pytest.fixture(scope="module")
def aligner() -> Aligner:
    return Aligner.load(DATA / "aligner")


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Word n lies in segments 2n to 2n + 1, whatever the sound; returns what the network was asked for."""
    asked: list[list[str]] = []

    def segments(network: object, tokenizer: object, samples: object, words: list[str]) -> np.ndarray:
        asked.append(list(words))
        return np.arange(2 * len(words)).reshape(-1, 2)

    monkeypatch.setattr(module, "segments_of", segments)
    return asked


def placed(words: tuple[Word, ...]) -> list[tuple[str, float, float]]:
    assert all(word.quality == "aligned" for word in words)
    return [(word.text, word.start_sample / SAMPLE_RATE, word.end_sample / SAMPLE_RATE) for word in words]


def test_words_keep_their_punctuation_and_get_the_times_of_their_units(aligner: Aligner, told: list) -> None:
    found = aligner.words(SECOND, ' "Hello," she said - (state-of-the-art) ', "English")
    assert told == [["Hello", "she", "said", "stateoftheart"]]
    assert placed(found) == [
        ('"Hello,"', 0.0, 0.08),
        ("she", 0.16, 0.24),
        ("said -", 0.32, 0.4),
        ("(state-of-the-art)", 0.48, 0.56),
    ]


def test_a_script_without_spaces_has_a_word_for_each_unit(aligner: Aligner, told: list) -> None:
    found = aligner.words(SECOND, "我用 iPhone15，「打」电话。", "Chinese")
    assert [word.text for word in found] == ["我", "用", "iPhone15，", "「打」", "电", "话。"]


def test_no_word_begins_at_a_small_kana(aligner: Aligner, told: list, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("livecap.align.units.find_spec", lambda name: None)
    found = aligner.words(SECOND, "ティー、か\u3099っこう", "Japanese")
    assert [word.text for word in found] == ["ティー、", "か\u3099っ", "こ", "う"]


def test_units_of_one_spaced_word_are_one_word(aligner: Aligner, told: list, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("livecap.align.units.find_spec", lambda name: object())
    monkeypatch.setitem(CUTTERS, "Korean", lambda text: ["가공품", "을", "만들", "었다."])
    found = aligner.words(SECOND, "가공품을 만들었다.", "Korean")
    assert placed(found) == [("가공품을", 0.0, 0.24), ("만들었다.", 0.32, 0.56)]


@pytest.mark.parametrize("text", ["", "  ...  ", "—"])
def test_a_text_without_a_word_has_no_times(aligner: Aligner, told: list, text: str) -> None:
    assert aligner.words(SECOND, text, "English") == () and told == []


def test_no_word_ends_after_the_sound(aligner: Aligner, told: list) -> None:
    found = aligner.words(SECOND[:3000], "one two three four", "English")
    assert all(0 <= word.start_sample <= word.end_sample <= 3000 for word in found)


def test_times_that_run_backwards_are_repaired(aligner: Aligner, monkeypatch: pytest.MonkeyPatch) -> None:
    backwards = np.array([[0, 1], [9, 9], [2, 3], [4, 5]])
    monkeypatch.setattr(module, "segments_of", lambda *arguments: backwards)
    found = aligner.words(SECOND, "one two three four", "English")
    assert placed(found)[1] == ("two", 0.08, 0.16)


@pytest.mark.parametrize("n_samples", [0, 1, 200, 201, 16_000])
def test_any_length_of_sound_is_aligned(aligner: Aligner, n_samples: int) -> None:
    found = aligner.words(np.zeros(n_samples, np.float32), "the of and", "English")
    assert [word.text for word in found] == ["the", "of", "and"]
    assert all(word.end_sample <= n_samples for word in found)


def test_sound_above_the_limit_and_an_unknown_language_are_refused(aligner: Aligner) -> None:
    with pytest.raises(AudioError, match="301 s of sound are too long to align at once; the limit is 300 s"):
        aligner.words(np.zeros(301 * SAMPLE_RATE, np.float32), "one", "English")
    with pytest.raises(SettingsError, match="does not know Thai. It knows Chinese, English"):
        aligner.words(SECOND, "one", "Thai")


def test_a_text_that_nobody_can_say_in_that_time_is_refused_before_memory_is_used(aligner: Aligner, told: list) -> None:
    with pytest.raises(SettingsError) as raised:
        aligner.words(SECOND[:8000], "word " * 5000, "English")
    assert str(raised.value) == (
        "The text has 5,000 words for 0.5 s of sound: more than can be said. Give the text of this recording only."
    )
    assert told == []
    fast = aligner.words(np.zeros(300 * SAMPLE_RATE, np.float32), "会" * 2400, "Chinese")
    assert len(fast) == 2400, "8 characters a second"
    assert len(aligner.words(SECOND[:1000], "one two three four", "English")) == 4, "a short text is never too long"


def test_a_missing_package_is_said_once(monkeypatch: pytest.MonkeyPatch, told: list) -> None:
    monkeypatch.setattr("livecap.align.units.find_spec", lambda name: None)
    notices: list[str] = []
    aligner = Aligner.load(DATA / "aligner", notices.append)
    for _ in range(2):
        aligner.words(SECOND, "今日は", "Japanese")
    assert len([notice for notice in notices if "nagisa" in notice]) == 1


def test_a_recogniser_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="a recogniser, not a forced aligner. Choose Qwen/Qwen3-ForcedAligner-0.6B"):
        Aligner.load("tiny")

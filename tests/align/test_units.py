"""Text is cut into the units that the official aligner cuts it into, and each unit knows its place in the text."""

import json
from importlib.util import find_spec

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livecap.align import units as module
from livecap.align.units import missing_package, units
from tests.model.parity import DATA

GOLDEN = json.loads((DATA / "functions.json").read_text(encoding="utf-8"))["align_words"]
KOREAN = [
    ("안녕하세요 저는 학생입니다.", ["안녕", "하세요", "저는", "학생", "입니다"]),
    ("오늘 날씨가 정말 좋네요! Hello 123", ["오늘", "날씨", "가", "정말", "좋네요", "Hello", "123"]),
    ("가공품을 만들었다.", ["가공품", "을", "만들", "었다"]),
]
"""What qwen-asr 0.0.6 makes of them."""


def words(text: str, language: str) -> list[str]:
    return [unit.text for unit in units(text, language)]


@pytest.mark.parametrize("case", GOLDEN, ids=lambda case: case["text"])
def test_units_are_the_official_ones(case: dict) -> None:
    if case["language"] == "Japanese" and find_spec("nagisa") is None:
        pytest.skip("nagisa is not installed")
    assert words(case["text"], case["language"]) == case["words"]


@pytest.mark.skipif(find_spec("soynlp") is None, reason="soynlp is not installed")
@pytest.mark.parametrize(("text", "expected"), KOREAN)
def test_korean_units_are_the_official_ones(text: str, expected: list[str]) -> None:
    assert words(text, "Korean") == expected


def test_without_its_package_japanese_is_cut_at_characters_and_korean_at_spaces(monkeypatch) -> None:
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    assert words("今日は、iPhone15を", "Japanese") == ["今", "日", "は", "iPhone15", "を"]
    assert words("안녕하세요 저는 학생입니다.", "Korean") == ["안녕하세요", "저는", "학생입니다"]
    assert 'install ".[ja]"' in (missing_package("Japanese") or "")
    assert 'install ".[ko]"' in (missing_package("Korean") or "")
    assert missing_package("English") is None


def test_with_its_package_nothing_is_said(monkeypatch) -> None:
    monkeypatch.setattr(module, "find_spec", lambda name: object())
    assert missing_package("Japanese") is None


def test_words_of_a_package_are_placed_in_the_text(monkeypatch) -> None:
    """The package sees the text in form NFKC, so a half-width character may stand for a part of one of its words."""
    monkeypatch.setattr(module, "find_spec", lambda name: object())
    monkeypatch.setitem(module.CUTTERS, "Japanese", lambda text: ["カタカナ", "　", "と", "、", "12"])
    placed = units("ｶﾀｶﾅ と、１２。", "Japanese")
    assert [(unit.text, unit.start, unit.end) for unit in placed] == [("カタカナ", 0, 4), ("と", 5, 6), ("12", 7, 9)]


@given(st.text(alphabet="ab '’.-1\n你好가 \u0301é"))
def test_units_lie_in_the_text_in_order_and_hold_all_that_stays(text: str) -> None:
    found = units(text, "Chinese")
    assert all(a.end <= b.start for a, b in zip(found, found[1:], strict=False))
    for unit in found:
        assert "".join(c for c in text[unit.start : unit.end] if c.isalnum() or c == "'") == unit.text
    kept = [c for c in text if c.isalnum() or c == "'"]
    assert "".join(unit.text for unit in found) == "".join(kept)

"""Scripts without spaces are the same everywhere, and widths are those that a terminal uses."""

import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from livecap.archive.search_terms import pairs, searchable
from livecap.text.scripts import ATTACHED, EAST_ASIAN, SPACELESS, begins_word, cells, is_spaceless, joined, shortened

SPACELESS_TEXT = {
    "Chinese": "我們今天先討論預算〇々",
    "rare Han": "𠮷𪚥",
    "Japanese": "これはテストㇷ゚",
    "half-width kana": "ﾃｽﾄ",
    "Thai": "ภาษาไทยเป็น",
    "Lao": "ພາສາລາວ",
    "Burmese": "မြန်မာဘာသာ",
    "Khmer": "ភាសាខ្មែរ",
}
SPACED_TEXT = {
    "English": "The budget, please: 42%.",
    "Greek": "Καλημέρα",
    "Russian": "Доброе утро",
    "Arabic": "صباح الخير",
    "Hindi": "सुप्रभात",
    "Korean": "안녕하세요",
    "Vietnamese": "Chào buổi sáng",
}


@pytest.mark.parametrize("text", SPACELESS_TEXT.values(), ids=SPACELESS_TEXT)
def test_every_character_of_a_script_without_spaces_is_known(text: str) -> None:
    assert all(map(is_spaceless, text))


@pytest.mark.parametrize("text", SPACED_TEXT.values(), ids=SPACED_TEXT)
def test_no_character_of_a_script_with_spaces_is_taken_for_one_without(text: str) -> None:
    assert not any(map(is_spaceless, text))


def test_the_pattern_and_the_function_agree_on_every_character() -> None:
    pattern = re.compile(f"[{SPACELESS}]")
    characters = [*map(chr, range(0x34000)), "\U000e0041", "\U0010ffff"]
    assert [bool(pattern.match(character)) for character in characters] == list(map(is_spaceless, characters))


def test_no_word_begins_at_a_mark_of_a_script_without_spaces() -> None:
    marks = [c for c in map(chr, range(0x34000)) if is_spaceless(c) and unicodedata.category(c)[0] == "M"]
    assert marks and not any(map(begins_word, marks))
    assert not any(map(begins_word, "ะาำๅๆຳໆៗーっャゕㇷｯｰﾞ々ゝ・"))
    assert all(map(begins_word, "กเໄກကកカか會〇ｶ"))
    attached = re.compile(f"[{ATTACHED}]")
    assert not any(attached.match(c) for c in "".join(SPACED_TEXT["English"]) + "กเໄກကកカか會〇ｶ฿")


def test_rows_may_break_in_east_asian_text_but_not_inside_a_thai_word() -> None:
    pattern = re.compile(f"[{EAST_ASIAN}]+")
    assert all(pattern.fullmatch(SPACELESS_TEXT[name]) for name in ("Chinese", "rare Han", "half-width kana"))
    assert pattern.fullmatch("、。「」ＡＢＣㄅ㎏")
    assert not any(pattern.search(text) for text in (SPACELESS_TEXT["Thai"], *SPACED_TEXT.values()))


@pytest.mark.parametrize(
    ("pieces", "whole"),
    [
        (["你好。", "再见。"], "你好。再见。"),
        (["你好。", "「再见」"], "你好。「再见」"),
        (["はい！", "（笑）", "どうも。"], "はい！（笑）どうも。"),
        (["Yes.", "“No.”"], "Yes. “No.”"),
        (["안녕.", "네."], "안녕. 네."),
        (["Да —", "нет."], "Да — нет."),
    ],
)
def test_pieces_are_joined_with_a_space_where_their_script_has_one(pieces: list[str], whole: str) -> None:
    assert joined(pieces) == whole


def test_text_is_indexed_as_version_7_of_the_index_has_it() -> None:
    """Another result here makes the indexes of users wrong: raise VERSION in archive/index.py."""
    assert searchable("我們 OK") == " 我  們  ok"
    assert searchable("ﾃｽﾄ ﬁne") == " テ  ス  ト  fine"
    assert searchable("ไทย ລາວ") == " ไ  ท  ย   ລ  າ  ວ "
    assert searchable("မြန် ខ្មែ 𠮷") == " မ  ြ  န  ်   ខ  ្  ម  ែ   𠮷 "
    assert searchable("안녕 Доброе ёлка мой λόγος أحمد Straße") == "안녕 доброе елка мой λογοσ احمد strasse"
    assert pairs("預算 to be, however ไท") == "預\ue000算 算\ue000to to\ue000be 0 ไ\ue000ท"
    assert pairs("To be, however it's 5_a") == "To\ue000be 0 it\ue000s s\ue0005 5\ue000a"


@given(st.text(st.characters(codec="ascii")))
def test_text_in_ascii_is_indexed_as_other_text(text: str) -> None:
    assert pairs(text).lower() == pairs(text + "—")


@pytest.mark.parametrize("text", [*SPACELESS_TEXT.values(), *SPACED_TEXT.values(), "「、。」ＡＢＣ", "e\u0301"])
def test_a_text_takes_as_many_cells_as_on_the_screen(text: str) -> None:
    if text in (SPACELESS_TEXT["Burmese"], SPACELESS_TEXT["Khmer"], SPACED_TEXT["Hindi"]):
        assert cells(text) >= cell_len(text), "a vowel beside its consonant may be counted apart, never forgotten"
    else:
        assert cells(text) == cell_len(text)


@given(st.text(), st.text())
def test_cells_add_up(one: str, other: str) -> None:
    assert cells(one + other) == cells(one) + cells(other)


@pytest.mark.parametrize(
    ("text", "width", "short"),
    [
        ("one  two\nthree", 13, "one two three"),
        ("one  two\nthree", 12, "one two …"),
        ("今日は会議を始めます。", 8, "今日は会議を …"),
        ("OK 今日は会議を始めます。", 8, "OK 今日は …"),
        ("ที่นี่", 5, "ที่ …"),  # a vowel stays with its consonant
        ("Hello 今日は", 8, "Hello …"),
        ("averylongwordindeed", 8, "averyl …"),
        ("", 8, ""),
    ],
)
def test_a_long_text_is_cut_at_a_word_or_where_its_script_allows_it(text: str, width: int, short: str) -> None:
    assert shortened(text, width) == short

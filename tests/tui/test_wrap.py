"""Word wrap: rows fit, hold the whole text, and stable text never moves."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from rich.cells import cell_len

from livecap.text.safety import printable
from livecap.transcript import TranscriptUpdate
from livecap.tui.transcript.paragraph import Paragraph
from livecap.tui.transcript.wrap import HANG, wrap

words = st.text(st.sampled_from("abc xyz,. 字音。「ー e\u0301\u200d👍️-"), max_size=60)
widths = st.integers(1, 40)


def laid_out(text, width, prefix=""):
    paragraph = Paragraph("", 0, stable=text, prefix=prefix)
    paragraph.lay_out(width)
    return [stable for stable, _ in (paragraph.row(row) for row in range(paragraph.height))]


def update(stable, partial="", final=False):
    return TranscriptUpdate("", 0, stable, partial, 0, 16_000, None, final)


@given(words, st.integers(2, 40))
def test_no_row_is_wider_than_the_screen(text, width):
    for row in laid_out(text, width):
        assert cell_len(row) <= width


@given(words, widths)
def test_rows_hold_the_whole_text(text, width):
    rows = laid_out(text, width)
    assert "".join("".join(rows).split()) == "".join(text.split())


@given(st.lists(st.tuples(words, words), max_size=8), st.integers(2, 40))
@example([("a" * 15, "b"), ("", "b" * 30), ("c d", "")], 20)
def test_stable_text_never_moves_while_the_utterance_grows(steps, width):
    paragraph, stable = Paragraph("", 0), ""
    for more, partial in steps:
        before = [row for row in (paragraph.row(index)[0] for index in range(paragraph.height)) if row]
        stable += more
        paragraph.change(update(stable, partial), width)
        after = [paragraph.row(index)[0] for index in range(paragraph.height)]
        for index, row in enumerate(before):
            assert after[index].startswith(row.rstrip())


@given(st.lists(st.tuples(words, words), max_size=8), st.integers(2, 40))
def test_a_growing_text_is_shown_whole(steps, width):
    paragraph, stable, partial = Paragraph("", 0), "", ""
    for more, partial in steps:
        stable += more
        paragraph.change(update(stable, partial), width)
    rows = [paragraph.row(index) for index in range(paragraph.height)]
    shown = "".join(one + other for one, other in rows)
    assert "".join(shown.split()) == "".join(printable(stable + partial).split())


@given(st.text(st.sampled_from("abcd ,é—"), max_size=120), st.integers(1, 30), st.integers(0, 8), st.data())
def test_the_fast_path_breaks_where_the_full_one_does(text, width, indent, data):
    frontier = data.draw(st.integers(0, len(text)))
    quick = wrap(text, width, indent, frontier=frontier)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("livecap.tui.transcript.wrap._quick_start", lambda *_: None)
        assert wrap(text, width, indent, frontier=frontier) == quick


def test_words_break_at_spaces():
    assert laid_out("the quick brown fox jumps over the dog", 20) == [
        "the quick brown",
        "fox jumps over the",
        "dog",
    ]


def test_a_long_word_breaks_anywhere():
    assert laid_out("x" * 45, 20) == ["x" * 18, "x" * 18, "x" * 9]


def test_chinese_breaks_between_characters_and_no_row_begins_with_a_full_stop():
    rows = laid_out("今天天气很好。" * 4, 20)
    assert all(cell_len(row) <= 20 and not row.startswith("。") for row in rows)
    assert len(rows) == 4


def test_a_comma_hangs_behind_a_word_that_filled_its_row():
    width = 20
    words = "abcd efgh ijkl mnop"[: width - HANG]
    paragraph = Paragraph("", 0)
    paragraph.change(update(words), width)
    paragraph.change(update(words + ","), width)
    assert paragraph.row(0) == (words + ",", "")


def test_a_word_that_was_cut_is_wrapped_whole_when_the_utterance_ends():
    paragraph = Paragraph("", 0)
    paragraph.change(update("one two three four"), 20)
    paragraph.change(update("one two three fourteenth"), 20)
    assert paragraph.row(0)[0] == "one two three fourte"
    paragraph.change(update("one two three fourteenth", final=True), 20)
    assert [paragraph.row(row)[0] for row in (0, 1)] == ["one two three", "fourteenth"]


def test_a_label_takes_columns_of_the_first_row_only():
    assert laid_out("the quick brown fox jumps", 20, prefix="them: ") == ["the quick", "brown fox jumps"]


def test_wrapping_no_text_gives_no_rows():
    assert wrap("", 20).starts == []

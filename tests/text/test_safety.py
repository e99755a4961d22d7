"""Control characters that a terminal would obey are removed."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livecap.text.safety import encodable, printable

any_text = st.text(st.characters(exclude_categories=()))  # also surrogates, which `text` leaves out
OVERRIDES = {*range(0x202A, 0x202F), *range(0x2066, 0x206A)}


@given(any_text)
def test_no_control_character_and_no_bidi_override_gets_through(text):
    for character in printable(text):
        assert unicodedata.category(character) not in ("Cc", "Cs", "Zl", "Zp"), hex(ord(character))
        assert ord(character) not in OVERRIDES


@given(any_text)
def test_what_gets_through_can_be_written(text):
    printable(text).encode("utf-8")


@given(any_text)
def test_encodable_text_has_only_half_surrogate_pairs_replaced(text):
    expected = ["?" if 0xD800 <= ord(character) < 0xE000 else character for character in text]
    assert encodable(text) == "".join(expected)
    encodable(text).encode()


@given(any_text, any_text)
def test_joined_texts_print_as_their_printable_forms_joined(one, other):
    assert printable(one + other) == printable(one) + printable(other)


@given(any_text)
def test_printable_text_is_printable_as_it_is(text):
    assert printable(printable(text)) == printable(text)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[2Jgone", "[2Jgone"),
        ("\x1b]0;title\x07", "]0;title"),
        ("\x9b31mred", "31mred"),
        ("one\ntwo\tthree", "one two three"),
        ("\u202eevil", "evil"),
        ("half \ud83d", "half \ufffd"),
        ("[bold]markup[/]", "[bold]markup[/]"),
        ("e\u0301 字 שלום 👍🏽 👩\u200d🚀", "e\u0301 字 שלום 👍🏽 👩\u200d🚀"),
    ],
)
def test_examples(text, shown):
    assert printable(text) == shown

"""Text without case, accents and strokes, and where it is in the text as it was written."""

import pytest

from livecap.text.folding import folded, places


@pytest.mark.parametrize(
    ("text", "wanted", "found"),
    [
        ("The Budget, the budget", "budget", ["Budget", "budget"]),
        ("Die Straße, STRASSE", "strasse", ["Straße", "STRASSE"]),
        ("Łukasz und Lukasz", "lukasz", ["Łukasz", "Lukasz"]),
        ("Zoë, Zoe\u0308, zoe", "zoe", ["Zoë", "Zoe\u0308", "zoe"]),
        ("ΛΟΓΟΣ, λόγος", "λογοσ", ["ΛΟΓΟΣ", "λόγος"]),
        ("ёлка и йод", "елка", ["ёлка"]),
        ("ёлка и йод", "иод", []),
        ("我們的預算", "預算", ["預算"]),
        ("Œuvre Æon", "o", ["Œ", "o"]),
        ("한국어 회의", "회의", ["회의"]),
        ("é\u0301 e", "e", ["é\u0301", "e"]),
        ("aaa", "aa", ["aa"]),
        ("anything", "", []),
    ],
)
def test_each_place_is_found_as_it_was_written(text: str, wanted: str, found: list[str]) -> None:
    assert folded(wanted) == wanted
    assert [text[start:end] for start, end in places(text, wanted)] == found

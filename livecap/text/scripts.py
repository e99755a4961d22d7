"""Scripts written without spaces between words, where text is cut, and how many columns it takes.

A pattern uses these constants inside a character class: `[{SPACELESS}]`.
"""

import re
import unicodedata
from collections.abc import Iterable

HAN = "\u3005-\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U000323af"
KANA = "\u3040-\u30ff\u31f0-\u31ff\uff66-\uff9f"
THAI = "\u0e00-\u0e7f"
LAO = "\u0e80-\u0eff"
BURMESE = "\u1000-\u109f"
KHMER = "\u1780-\u17ff"

SPACELESS = HAN + KANA + THAI + LAO + BURMESE + KHMER
"""Characters of all scripts without spaces: text may be cut, and is searched, at any of them."""

EAST_ASIAN = (
    HAN
    + KANA
    + "\u2e80-\u2fff\u3001-\u303f\u3100-\u31ef\u3200-\u33ff\u4dc0-\u4dff"  # radicals, punctuation, squared words
    + "\uff01-\uff60\uffe0-\uffe6"  # full-width forms
)
"""Han, kana and what is set with them. Rows of text may break between any two of these characters."""

OPENING = "「『（〔［｛〈《【“‘"
"""Punctuation that stays with the character after it."""
CLOSING = "、。，．：；？！）〕］｝〉》】」』”’…ー々ぁぃぅぇぉっゃゅょァィゥェォッャュョ"
"""Punctuation and small kana that stay with the character before them."""

SENTENCE_ENDS = ".?!…。？！｡।؟۔"
"""Punctuation that ends a sentence, in all scripts."""
AFTER_SENTENCE = "\"')]}»”’」』）"
"""Quotation marks and brackets that may follow it."""

_TOUCHING = re.compile(f"[{SPACELESS}{EAST_ASIAN}]")
_RANGES = tuple((SPACELESS[i], SPACELESS[i + 2]) for i in range(0, len(SPACELESS), 3))


def is_spaceless(character: str) -> bool:
    """True for a character of a script without spaces: it may begin a word wherever it stands."""
    return any(first <= character <= last for first, last in _RANGES)


def are_apart(before: str, after: str) -> bool:
    """True if a space stands between two characters where one piece of text ends and the next begins: not beside a
    script without spaces, nor beside its punctuation."""
    return not (_TOUCHING.match(before) or _TOUCHING.match(after))


def joined(pieces: Iterable[str]) -> str:
    """Pieces of text one after the other, with a space between two unless their script has none."""
    text = ""
    for piece in filter(None, map(str.strip, pieces)):
        between = " " if text and are_apart(text[-1], piece[0]) else ""
        text += between + piece
    return text


def shortened(text: str, width: int) -> str:
    """A text in one line of at most `width` characters. What is too long ends with " …" after a word, or after a
    character of a script without spaces."""
    line = " ".join(text.split())
    if len(line) <= width:
        return line
    edges = (i for i in range(width - 2, 0, -1) if line[i] == " " or is_spaceless(line[i]) and not _is_mark(line[i]))
    return line[: next(edges, width - 2)].rstrip() + " …"


def folded_name(name: str) -> str:
    """A name as it is compared: without case, and in one of the two forms in which accents are written."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def cells(text: str) -> int:
    """Columns that a text takes in a terminal or a subtitle: two for a wide character, none for a combining one.

    The screen measures with Rich instead, because Textual draws with it; exports do without either.
    """
    if text.isascii():
        return len(text)
    return sum(_cells_of(character) for character in text)


def _is_mark(character: str) -> bool:
    """True for a vowel or an accent that is drawn on the character before it."""
    return unicodedata.category(character)[0] == "M"


def _cells_of(character: str) -> int:
    if unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in ("W", "F") else 1

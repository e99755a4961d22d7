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
CLOSING = (
    "、。，．：；？！）〕］｝〉》】」』”’…・ー々ゝゞヽヾ゛゜ぁぃぅぇぉっゃゅょゎゕゖァィゥェォッャュョヮヵヶ"
    "ㇰㇱㇲㇳㇴㇵㇶㇷㇸㇹㇺㇻㇼㇽㇾㇿｧｨｩｪｫｬｭｮｯｰﾞﾟ"
)
"""Punctuation, small kana and marks of repetition that stay with the character before them."""
LEADING = "\u0e40-\u0e44\u0ec0-\u0ec4"
"""Vowels of Thai and Lao that are written before their consonant."""
ATTACHED = (
    "\u0300-\u036f\u200b-\u200d\u3099\u309a\ufe00-\ufe0f\U000e0100-\U000e01ef"
    "\u0e2f-\u0e3a\u0e45-\u0e4e\u0eaf-\u0ebc\u0ec6-\u0ece"  # Thai, Lao
    "\u102b-\u103e\u1056-\u1059\u105e-\u1060\u1062-\u1064\u1067-\u106d\u1071-\u1074\u1082-\u108d\u108f"
    "\u109a-\u109d"  # Burmese
    "\u17b4-\u17d3\u17d7\u17dd"  # Khmer
)
"""Vowels, tones, accents and variants that stay with the character before them."""
STACKED = rf"[\u1039\u17d2][{BURMESE}{KHMER}]"
"""A consonant of Burmese or Khmer below another one, after the sign that joins the two. Not a class, but a pattern."""

SENTENCE_ENDS = ".?!…。？！｡।؟۔"
"""Punctuation that ends a sentence, in all scripts."""
AFTER_SENTENCE = "\"')]}»”’」』）"
"""Quotation marks and brackets that may follow it."""

_TOUCHING = re.compile(f"[{SPACELESS}{EAST_ASIAN}]")
_JOINED_ON = re.compile(f"[{ATTACHED}{CLOSING}]")
_RANGES = tuple((SPACELESS[i], SPACELESS[i + 2]) for i in range(0, len(SPACELESS), 3))


def is_spaceless(character: str) -> bool:
    """True for a character of a script without spaces."""
    return any(first <= character <= last for first, last in _RANGES)


def begins_word(character: str) -> bool:
    """True for a character that begins a word wherever it stands: of a script without spaces, and not drawn on, or read
    with, the character before it."""
    return is_spaceless(character) and not _JOINED_ON.match(character)


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
    edges = (i for i in range(width - 2, 0, -1) if line[i] == " " or begins_word(line[i]))
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


def _cells_of(character: str) -> int:
    if unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in ("W", "F") else 1

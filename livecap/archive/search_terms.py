"""Translates a typed search into an FTS5 expression, and finds its words in a text.

Scripts without spaces (Chinese, Japanese, Thai ...) are indexed character by character, and a run of characters is
searched as a phrase, so any part of a sentence is found. Adjacent short tokens (such characters, and words like "to
be") are also indexed as pairs: single ones occur nearly everywhere, and a phrase of them would be slow to search.
"""

import re
import unicodedata
from collections import deque
from io import StringIO
from itertools import pairwise

from livecap.text.folding import ACCENTS, BREVE, folded
from livecap.text.scripts import SPACELESS

_SPACELESS_CHARACTER = re.compile(f"([{SPACELESS}])")
SIGNS = "".join(character for character in map(chr, range(0x900, 0xE00)) if unicodedata.category(character)[0] == "M")
"""Vowels and other signs of Hindi and its relatives. They are part of a word, and not accents: "din" is a day, "daan" a
gift. Neither Python's `\\w` nor FTS5 has them."""
_TOKEN = re.compile(f"[{SPACELESS}]|(?:(?![{SPACELESS}_])[\\w{SIGNS}{ACCENTS}{BREVE}])+")
_ASCII_TOKEN = re.compile("[A-Za-z0-9]+")
"""The same for text in ASCII, in a third of the time."""
_WORD = re.compile(f"(?:(?!_)[\\w{SPACELESS}{SIGNS}{ACCENTS}{BREVE}])+")
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")
"""Characters that SQLite does not store in text: NUL and half surrogate pairs."""
_TERM = re.compile(r'"([^"]*)"?|(\S+)')

SHORT = 3
"""Most characters of a short token. The most common words of most languages are short."""
_JOINT = "\ue000"
"""Joins the two tokens of a pair: a private-use character, which FTS5 takes for part of a word."""
_BREAK = " 0 "
"""Separates runs of pairs that are not adjacent in the text."""

NEAR = 2000
"""Characters behind the first found word in which others are looked for."""
BEFORE, AFTER = 50, 110
"""Characters of a snippet before the first found word, and from its start on."""

Pieces = tuple[tuple[str, bool], ...]
"""Parts of a text in order, each with whether it was found."""


def searchable(text: str) -> str:
    """The text as the index stores it in its column `text`."""
    if text.isascii() and "\0" not in text:
        return text
    return _SPACELESS_CHARACTER.sub(r" \1 ", folded(_UNSTORABLE.sub(" ", text)))


def pairs(text: str) -> str:
    """The adjacent short tokens of a text, as the index stores them in its column `pairs`."""
    found = StringIO()
    before = separator = ""
    for token in _tokens(text):
        if len(token) > SHORT:
            before = ""
        elif before:
            found.write(f"{separator}{before}{_JOINT}{token}")
            before, separator = token, " "
        else:
            before, separator = token, _BREAK if found.tell() else ""
    return found.getvalue()


def fts_query(
    query: str,
    *,
    prefix: bool = False,
    track: str | None = None,
    speaker: str | None = None,
    language: str | None = None,
) -> str | None:
    """An FTS5 expression in which everything typed is quoted; None if `query` has no word."""
    terms = _terms(query)
    if not terms:
        return None
    is_open = prefix and not query.endswith((" ", '"'))
    parts = [_wanted(term, is_open and number == len(terms)) for number, term in enumerate(terms, 1)]
    for column, wanted in (("track", track), ("speaker", speaker), ("language", language)):
        if wanted and _tokens(wanted):
            parts.append(f"{column} : {_phrase(wanted)}")
    return " AND ".join(parts)


def _wanted(term: str, is_open: bool) -> str:
    """The expression for a word or a phrase. With `is_open` its last word may be the beginning of a longer one."""
    tokens = _tokens(term)
    is_open = is_open and len(tokens[-1]) > 1
    if len(tokens) > 1 and not is_open and all(len(token) <= SHORT for token in tokens):
        return f'pairs : "{_joined_pairs(tokens)}"'
    return f"text : {_phrase(term)}" + (" *" if is_open else "")


def longest_word(query: str) -> str:
    """The longest word of a typed search, without punctuation and quotes; "" without one."""
    return max(_WORD.findall(query), key=len, default="")


def snippet(text: str, query: str, prefix: bool = False) -> Pieces:
    """The part of `text` around the first found word, with every found word marked; without one, the beginning."""
    spans = _found(text, query, prefix)
    first = spans[0][0] if spans else 0
    low = _word_begin(text, first - BEFORE) if first > BEFORE else 0
    high = min(len(text), first + AFTER)
    pieces: list[tuple[str, bool]] = [("…", False)] if low else []
    at = low
    for start, end in spans:
        if start >= high:
            break
        if start > at:
            pieces.append((text[at:start], False))
        pieces.append((text[start:end], True))
        at = end
    if at < high:
        pieces.append((text[at:high], False))
    if max(at, high) < len(text):
        pieces.append(("…", False))
    return tuple(pieces)


def _tokens(text: str) -> list[str]:
    return _ASCII_TOKEN.findall(text) if text.isascii() else _TOKEN.findall(folded(text))


def _joined_pairs(tokens: list[str]) -> str:
    return " ".join(left + _JOINT + right for left, right in pairwise(tokens))


def _terms(query: str) -> list[str]:
    terms = [quoted or word for quoted, word in _TERM.findall(query)]
    return [term for term in terms if _tokens(term)]


def _phrase(term: str) -> str:
    return '"' + searchable(term).strip().replace('"', '""') + '"'


def _found(text: str, query: str, prefix: bool) -> list[tuple[int, int]]:
    """[start, end) of the first word of `query` in `text` and of those near it, in order, not overlapping."""
    wanted = [[folded(token) for token in _tokens(term)] for term in _terms(query)]
    last = wanted[-1] if wanted and prefix and not query.endswith((" ", '"')) and len(wanted[-1][-1]) > 1 else None
    starts: deque[int] = deque(maxlen=max(map(len, wanted), default=1))
    words: deque[str] = deque(maxlen=starts.maxlen)
    spans: list[tuple[int, int]] = []
    for match in _TOKEN.finditer(text):
        if spans and match.start() > spans[0][0] + NEAR:
            break
        starts.append(match.start())
        words.append(folded(match[0]))
        for phrase in wanted:
            said = list(words)[-len(phrase) :]
            if said == phrase or phrase is last and said[:-1] == phrase[:-1] and said[-1].startswith(phrase[-1]):
                spans.append((starts[-len(phrase)], match.end()))
    return _joined(sorted(spans))


def _joined(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    joined: list[tuple[int, int]] = []
    for start, end in spans:
        if joined and start < joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
    return joined


def _word_begin(text: str, near: int) -> int:
    space = text.find(" ", near, near + BEFORE // 2)
    return space + 1 if space >= 0 else near

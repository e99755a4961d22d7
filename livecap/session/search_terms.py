"""What somebody types into a search, as FTS5 understands it, and where it stands in a text.

Scripts that put no spaces between words (Chinese, Japanese, Thai ...) are indexed character by character, and a run of
them is searched as a phrase: any part of a sentence is found, down to one character.
"""

import re
import unicodedata

_SPACELESS = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"  # Thai, Lao, Burmese, Khmer
    "\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff"  # kana and what belongs to them
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U000323af"  # Han
)
_SPACELESS_CHARACTER = re.compile(f"([{_SPACELESS}])")
_TOKEN = re.compile(f"[{_SPACELESS}]|(?:(?![{_SPACELESS}])[^\\W_])+")
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")
"""Ends a string of SQLite, or is no text."""
_TERM = re.compile(r'"([^"]*)"?|(\S+)')

BEFORE, AFTER = 50, 110
"""Characters of a snippet before the first found word, and from it on."""

Pieces = tuple[tuple[str, bool], ...]
"""Pieces of a text, and whether each was found."""


def searchable(text: str) -> str:
    """A text as it is indexed."""
    if text.isascii() and "\0" not in text:
        return text
    return _SPACELESS_CHARACTER.sub(r" \1 ", unicodedata.normalize("NFKC", _UNSTORABLE.sub(" ", text)))


def fts_query(query: str, *, prefix: bool = False, track: str | None = None, language: str | None = None) -> str | None:
    """An FTS5 expression in which everything that was typed is quoted; None where nothing can be searched for."""
    phrases = [_phrase(term) for term in _terms(query)]
    if not phrases:
        return None
    if prefix and not query.endswith((" ", '"')):
        phrases[-1] += " *"
    expression = f"text : ({' AND '.join(phrases)})"
    for column, wanted in (("track", track), ("language", language)):
        if wanted and _TOKEN.search(wanted):
            expression += f" AND {column} : {_phrase(wanted)}"
    return expression


def snippet(text: str, query: str, prefix: bool = False) -> Pieces:
    """The part of `text` around the first found word, with every found word marked; its beginning where none is."""
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


def found_spans(text: str, query: str) -> list[tuple[int, int]]:
    """[start, end) of every word in `text` that `query` asks for, in order, not overlapping."""
    return _found(text, query, prefix=False)


def _terms(query: str) -> list[str]:
    terms = [quoted or word for quoted, word in _TERM.findall(query)]
    return [term for term in terms if _TOKEN.search(unicodedata.normalize("NFKC", term))]


def _phrase(term: str) -> str:
    return '"' + searchable(term).strip().replace('"', '""') + '"'


def _found(text: str, query: str, prefix: bool) -> list[tuple[int, int]]:
    tokens = [(match.start(), match.end(), _bare(match[0])) for match in _TOKEN.finditer(text)]
    wanted = [[_bare(token) for token in _TOKEN.findall(unicodedata.normalize("NFKC", term))] for term in _terms(query)]
    spans: list[tuple[int, int]] = []
    for number, phrase in enumerate(wanted):
        is_open = prefix and number == len(wanted) - 1 and not query.endswith((" ", '"'))
        for i in range(len(tokens) - len(phrase) + 1):
            words = [token for _, _, token in tokens[i : i + len(phrase)]]
            if words == phrase or is_open and words[:-1] == phrase[:-1] and words[-1].startswith(phrase[-1]):
                spans.append((tokens[i][0], tokens[i + len(phrase) - 1][1]))
    return _joined(sorted(spans))


def _joined(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    joined: list[tuple[int, int]] = []
    for start, end in spans:
        if joined and start < joined[-1][1]:
            joined[-1] = (joined[-1][0], max(end, joined[-1][1]))
        else:
            joined.append((start, end))
    return joined


def _bare(token: str) -> str:
    """Without case and accents, as the index compares."""
    if token.isascii():
        return token.lower()
    parts = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", token).casefold())
    return "".join(c for c in parts if not unicodedata.combining(c)) or token


def _word_begin(text: str, near: int) -> int:
    space = text.find(" ", near, near + BEFORE // 2)
    return space + 1 if space >= 0 else near

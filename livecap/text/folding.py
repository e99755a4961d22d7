"""Text as it is compared in a search: without case, accents and strokes, so that `strasse` finds Straße."""

import re
import unicodedata
from functools import lru_cache

BREVE = "\u0306"
ACCENTS = (
    "\u0300-\u0305\u0307-\u036f\u0483-\u0487\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7"
    "\u0610-\u061a\u064b-\u065f\u0670\u06d6-\u06dc\u06df-\u06e8\u06ea-\u06ed"
)
"""Accents of Latin, Greek and Cyrillic but the breve, and vowel signs of Hebrew and Arabic, which most texts leave out.
FTS5 removes accents of Latin only."""
_ACCENT = re.compile(f"[{ACCENTS}]|(?<!и){BREVE}")
"""An accent that does not matter. The one of й makes another letter of и."""
STROKED = str.maketrans({"ł": "l", "đ": "d", "ð": "d", "ħ": "h", "ŧ": "t", "ı": "i", "ø": "o", "æ": "ae", "œ": "oe"})
"""Latin letters whose stroke or ligature Unicode does not take for an accent, and how they are typed without them."""


def folded(text: str) -> str:
    """The text in Unicode's form NFKC, without case, accents and strokes."""
    if text.isascii():
        return text.lower()
    bare = _ACCENT.sub("", unicodedata.normalize("NFKD", text.casefold()))
    return unicodedata.normalize("NFC", bare.translate(STROKED))


@lru_cache(maxsize=512)
def places(text: str, wanted: str) -> tuple[tuple[int, int], ...]:
    """[start, end) of each place of `text` that holds `wanted`, a folded text; a letter keeps its accents."""
    if not wanted or wanted not in folded(text):
        return ()
    begins = [i for i, character in enumerate(text) if not i or not unicodedata.combining(character)]
    parts = [(folded(text[begin:end]), begin, end) for begin, end in zip(begins, [*begins[1:], len(text)], strict=True)]
    owners = [(begin, end) for part, begin, end in parts for _ in part]
    found = re.finditer(re.escape(wanted), "".join(part for part, _, _ in parts))
    return tuple((owners[match.start()][0], owners[match.end() - 1][1]) for match in found)

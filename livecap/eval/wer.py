"""Word and character error rates, after the one normaliser that every figure of livecap uses."""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from livecap.eval.alignment import align, edit_distance
from livecap.stream.statistics import Counts


def _mark_ranges() -> str:
    """The combining marks of the first 65,536 characters, as ranges of a character class: parts of words in Hindi, Thai
    and others, which `\\w` leaves out."""
    codes = [code for code in range(0x300, 0xFFFF) if unicodedata.category(chr(code)).startswith("M")]
    starts = [code for code, before in zip(codes, [0, *codes], strict=False) if code != before + 1]
    ends = [code for code, after in zip(codes, [*codes[1:], 0], strict=True) if after != code + 1]
    return "".join(f"{chr(start)}-{chr(end)}" for start, end in zip(starts, ends, strict=True))


_LETTER = r"[^\W_]"
_MARK = f"[{_mark_ranges()}]"
_PART = rf"{_LETTER}(?:{_LETTER}|{_MARK})*"
_WORD = re.compile(f"{_PART}(?:'{_PART})*")
_INVISIBLE = re.compile(
    "[\u00ad\u034f\u0600-\u0605\u061c\u06dd\u070f\u08e2\u180b-\u180f\u200c-\u200f\u202a-\u202e\u2060-\u206f"
    "\u20dd-\u20e4\ufe00-\ufe0f\ufeff\ufff9-\ufffb\U000e0000-\U000e0fff]"
)
"""Soft hyphens, joiners, directions, forms of emoji and what is drawn around a character: they separate no words."""
_APOSTROPHE = re.compile(rf"(?<={_LETTER}|{_MARK})[‘´`ʼ](?={_LETTER})")
"""What is typed for an apostrophe. NFKC would make a space and an accent of `´`."""


def normalise(text: str) -> list[str]:
    """The words of a text: NFKC, lower case, plain apostrophes, hyphens as spaces, no punctuation and no invisible
    characters."""
    typed = _APOSTROPHE.sub("'", _INVISIBLE.sub("", text))
    plain = unicodedata.normalize("NFKC", typed).replace("\N{RIGHT SINGLE QUOTATION MARK}", "'").casefold()
    return _WORD.findall(plain)


@dataclass(frozen=True, slots=True)
class ErrorCounts(Counts):
    """Edits between a text and its reference, in words and in characters."""

    n_words: int = 0
    word_errors: int = 0
    n_characters: int = 0
    character_errors: int = 0

    @property
    def wer(self) -> float:
        """Word errors over reference words."""
        return self.word_errors / max(self.n_words, 1)

    @property
    def cer(self) -> float:
        """Character errors over reference characters, including the spaces between words."""
        return self.character_errors / max(self.n_characters, 1)


def count_errors(reference: str, heard: str) -> ErrorCounts:
    """The errors of one text against its reference."""
    expected, said = normalise(reference), normalise(heard)
    letters, said_letters = " ".join(expected), " ".join(said)
    return ErrorCounts(len(expected), edit_distance(expected, said), len(letters), edit_distance(letters, said_letters))


def errors_by_word(expected: Sequence[str], heard: str) -> list[int]:
    """The word errors of a text at each expected word; an inserted word belongs to the word before it."""
    said, errors, at = normalise(heard), [0] * len(expected), 0
    for i, j in align(expected, said) if expected else ():
        at = at if i is None else i
        errors[at] += i is None or j is None or expected[i] != said[j]
    return errors


def word_error_rate(reference: str, heard: str) -> float:
    """Substituted, missing and inserted words over the words of the reference; 0 where both are empty."""
    expected, said = normalise(reference), normalise(heard)
    return edit_distance(expected, said) / max(len(expected), 1)

"""Word error rate, after the one normaliser that every figure of livecap uses."""

import re
import unicodedata

_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)*")


def normalise(text: str) -> list[str]:
    """The words of a text: NFKC, lower case, plain apostrophes, no punctuation, hyphens as spaces."""
    plain = unicodedata.normalize("NFKC", text).replace("\N{RIGHT SINGLE QUOTATION MARK}", "'").casefold()
    return _WORD.findall(plain)


def word_error_rate(reference: str, hypothesis: str) -> float:
    """Substituted, missing and invented words over the words of the reference; 0 where both are empty."""
    expected, heard = normalise(reference), normalise(hypothesis)
    return edit_distance(expected, heard) / max(len(expected), 1)


def edit_distance(expected: list[str], heard: list[str]) -> int:
    """The fewest substitutions, deletions and insertions that make one list of words the other."""
    row = list(range(len(heard) + 1))
    for i, word in enumerate(expected, 1):
        diagonal, row[0] = row[0], i
        for j, other in enumerate(heard, 1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (word != other))
    return row[-1]

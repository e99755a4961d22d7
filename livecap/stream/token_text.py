"""TokenText: where token ids may be cut, and their text. The only file of the stream that deals with characters."""

import unicodedata
from collections.abc import Sequence
from itertools import pairwise
from typing import Protocol

from livecap.text.scripts import begins_word, is_spaceless

OPENING = " \"'„‚…¿¡#"
"""Characters that may stand before a word, beside brackets, opening quotation marks, dashes and signs of currencies."""


class Decodes(Protocol):
    """From ids to text, as `Tokenizer` does."""

    def decode(self, ids: Sequence[int]) -> str:
        """See `Tokenizer`."""

    def decode_whole_characters(self, ids: Sequence[int]) -> str:
        """See `Tokenizer`."""

    def ends_whole(self, ids: Sequence[int]) -> bool:
        """See `Tokenizer`."""


class TokenText:
    """The questions that the stream asks a tokenizer."""

    def __init__(self, tokenizer: Decodes) -> None:
        self._tokenizer = tokenizer
        self._starts: dict[int, bool] = {}

    def starts_word(self, token: int) -> bool:
        """True if text may be cut before this token: it begins with a space, or as a word of a script without."""
        if token not in self._starts:
            text = self._tokenizer.decode([token])
            self._starts[token] = bool(text) and (text[0].isspace() or begins_word(text[0]))
        return self._starts[token]

    def words(self, ids: Sequence[int], joints: Sequence[int] = ()) -> list[tuple[str, int]]:
        """Each word of the text, and the number of ids up to its end. For `joints` see `decode`."""
        words: list[tuple[str, int]] = []
        start = 0
        for end in range(1, len(ids) + 1):
            if end == len(ids) or self.starts_word(ids[end]) or end in joints:
                if text := self._tokenizer.decode_whole_characters(ids[start:end]).strip():
                    words.append((text, end))
                start = end
        return words

    def begins_with_word(self, ids: Sequence[int]) -> bool:
        """False for text that begins with punctuation, which belongs to the text before it."""
        text = self._tokenizer.decode(ids)
        first = next((c for c in text if not (c in OPENING or unicodedata.category(c) in ("Ps", "Pi", "Pd", "Sc"))), "")
        return first.isalnum()

    def is_whole(self, ids: Sequence[int]) -> bool:
        """False if the ids end inside a character."""
        return self._tokenizer.ends_whole(ids)

    def decode(
        self, stable_ids: Sequence[int], partial_ids: Sequence[int], joints: Sequence[int] = ()
    ) -> tuple[str, str]:
        """Stable and partial text of one utterance. Stable text never ends in a space, so that it only grows.

        Args:
            joints: numbers of ids after which a prompt began without text. The model writes no space before the first
                word of a prompt, so one is added there.
        """
        stable = self._joined(stable_ids, joints)
        return stable, self._joined([*stable_ids, *partial_ids], joints)[len(stable) :]

    def _joined(self, ids: Sequence[int], joints: Sequence[int]) -> str:
        text = ""
        for start, end in pairwise([0, *(joint for joint in joints if joint < len(ids)), len(ids)]):
            piece = self._tokenizer.decode_whole_characters(ids[start:end])
            apart = bool(piece) and piece[0].isalnum() and not is_spaceless(piece[0])
            text += f" {piece}" if text and apart and not text[-1].isspace() else piece
        return text.strip()

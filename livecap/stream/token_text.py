"""TokenText: where token ids may be cut, and what they say. The only place of the stream that knows characters."""

from collections.abc import Sequence

from livecap.model.tokenizer import Tokenizer


class TokenText:
    """A tokenizer as the stream needs it."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._starts: dict[int, bool] = {}

    def starts_word(self, token: int) -> bool:
        """True where text may be cut before this token: it begins with a space, or with a character that is a word."""
        if token not in self._starts:
            text = self._tokenizer.decode([token])
            self._starts[token] = bool(text) and (text[0].isspace() or _is_own_word(text[0]))
        return self._starts[token]

    def words(self, ids: Sequence[int]) -> list[tuple[str, int]]:
        """Each word of the text, as written, and how many of the ids it ends behind."""
        words: list[tuple[str, int]] = []
        start = 0
        for end in range(1, len(ids) + 1):
            if end == len(ids) or self.starts_word(ids[end]):
                if text := self._tokenizer.decode_whole_characters(ids[start:end]).strip():
                    words.append((text, end))
                start = end
        return words

    def is_whole(self, ids: Sequence[int]) -> bool:
        """False where the ids end inside a character."""
        return self._tokenizer.ends_whole(ids)

    def decode(self, stable_ids: Sequence[int], partial_ids: Sequence[int]) -> tuple[str, str]:
        """Stable and partial text of one utterance. Stable text never ends in a space: it only grows."""
        stable = self._tokenizer.decode_whole_characters(stable_ids).strip()
        text = self._tokenizer.decode_whole_characters([*stable_ids, *partial_ids]).strip()
        return stable, text[len(stable) :]


def _is_own_word(character: str) -> bool:
    """Ideographs, kana and Thai stand without spaces: each may begin a piece of text."""
    point = ord(character)
    return 0x0E00 <= point < 0x0E80 or 0x3040 <= point < 0x3100 or 0x3400 <= point < 0xA000 or point >= 0x20000

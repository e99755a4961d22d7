"""RemoteWords: the text of a server as ids, as the stream takes it from a tokenizer. Also, what of a text is new.

A word, a mark of punctuation and a character of a script without spaces, with its vowels, are one id each; a word holds
the space before it. Ids are given in the order of appearance and are known in this process only.
"""

import re
from collections.abc import Sequence

from livecap.text.scripts import ATTACHED, LEADING, SPACELESS, is_spaceless

_PIECES = re.compile(
    rf"(\s*)([{LEADING}]?[{SPACELESS}][{ATTACHED}]*|[^\W{SPACELESS}]+(?:['’.,-][^\W{SPACELESS}]+)*|\S)"
)


class RemoteWords:
    """Text to ids and back. Grows with the vocabulary that was heard. Decode thread only."""

    def __init__(self) -> None:
        self._texts: list[str] = []
        self._ids: dict[str, int] = {}

    def encode(self, text: str) -> list[int]:
        """The ids of a text. Its first word has a space before it, since any word may follow another."""
        pieces = [f"{' ' if space else ''}{piece}" for space, piece in _PIECES.findall(text.strip())]
        if pieces and not is_spaceless(pieces[0][0]):
            pieces[0] = f" {pieces[0]}"
        return [self.id_of(piece) for piece in pieces]

    def id_of(self, piece: str) -> int:
        """The id of one piece of text, whatever is in it."""
        if piece not in self._ids:
            self._ids[piece] = len(self._texts)
            self._texts.append(piece)
        return self._ids[piece]

    def decode(self, ids: Sequence[int]) -> str:
        """The text of ids."""
        return "".join(self._texts[id] for id in ids)

    def decode_whole_characters(self, ids: Sequence[int]) -> str:
        """As `decode`: an id is never a part of a character."""
        return self.decode(ids)

    def ends_whole(self, ids: Sequence[int]) -> bool:
        """True: an id is never a part of a character."""
        return True

    def after(self, said: Sequence[int], ids: Sequence[int]) -> list[int]:
        """What `ids` add to the text that was `said` already, which they repeat, perhaps in other words.

        The server hears the whole sound each time and cannot be told to keep words. So the beginning of its text that
        is most like what was said, by the number of words to change, is left out.
        """
        if not said:
            return list(ids)
        before, again = self._keys(said), self._keys(ids)
        keys, now = [key for key, _ in before], [key for key, _ in again]
        costs = [float(j) for j in range(len(now) + 1)]  # of making keys[:i] from now[:j], for each j
        for i, key in enumerate(keys, 1):
            row = [float(i)]
            for j, other in enumerate(now, 1):
                row.append(min(costs[j - 1] + _unlike(key, other), costs[j] + 1, row[j - 1] + 1))
            costs = row
        n = min(
            range(len(now) + 1),
            key=lambda j: (costs[j], not (j and keys and now[j - 1] == keys[-1]), abs(j - len(keys)), j),
        )
        start = again[n - 1][1] + 1 if n else 0
        ends_in_a_mark = not before or before[-1][1] < len(said) - 1
        while ends_in_a_mark and start < len(ids) and self._is_mark(ids[start]):
            start += 1
        return list(ids[start:])

    def _keys(self, ids: Sequence[int]) -> list[tuple[str, int]]:
        """Each word without case, and its place."""
        texts = [self._texts[id].strip() for id in ids]
        return [(text.casefold(), place) for place, text in enumerate(texts) if text[:1].isalnum()]

    def _is_mark(self, id: int) -> bool:
        """True for punctuation that belongs to the word before it."""
        text = self._texts[id]
        return not (text[0].isspace() or text[0].isalnum())


def _unlike(one: str, other: str) -> float:
    """The cost of taking one word for another: half for words that begin alike."""
    return 0.0 if one == other else 0.5 if one[:3] == other[:3] else 1.0

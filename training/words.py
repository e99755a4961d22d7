"""Text with the common words of today's English: sentences that are chosen for a word, and lists of words.

The books and dialogues lack a sixth of the 15,000 most frequent words, and have many others once or twice.
"""

from __future__ import annotations

import gzip
import random
import re
from collections import Counter, defaultdict
from functools import cache
from itertools import accumulate
from pathlib import Path

from training.sources import fetched

N_WORDS = 15_000
FREQUENCY_POWER = 0.5
"""A word is drawn in proportion to its frequency to this power: 1 as often as people say it, 0 all equally often."""
MOST_SENTENCES = 400
"""Sentences kept for a word."""
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
LETTER_SHARE = 0.06
"""The share of a list's entries that are single letters."""
OFFENSIVE = re.compile(
    r"\b(obscene|insulting|offensive|vulgar|disparaging|derogatory)( \w+){0,4} (terms?|words?|names?) (for|of|used)"
    r"|ethnic slur"
)
"""The words with which WordNet marks a term as offensive."""
HARMLESS_USES = 10
"""A word that the texts use so often has another sense: boy, common, queen, tool."""


def frequencies(work: Path) -> dict[str, float]:
    """The most frequent words of English by the wordfreq package, with their share of all words."""
    import msgpack  # here, because sessions.py imports this file where only livecap's packages are installed

    path = fetched("wordfreq", work) / "wordfreq" / "data" / "small_en.msgpack.gz"
    _, *groups = msgpack.unpackb(gzip.decompress(path.read_bytes()))
    found = {}
    for centibels, words in enumerate(groups):
        for word in words:
            is_spoken = re.fullmatch(r"[a-z]*[aeiouy][a-z]*('[a-z]+)?", word)  # not "dr" or "tv"
            if is_spoken and (len(word) > 1 or word in "ai"):
                found[word] = 10 ** (-centibels / 100)
    return found


def dictionary(work: Path) -> tuple[list[str], set[str]]:
    """The definitions and examples of WordNet as sentences of 3 to 20 words, and the words that it calls offensive."""
    sentences, offensive = [], set()
    folder = fetched("wordnet-base", work) / "usr" / "share" / "wordnet"
    for part in ("noun", "verb", "adj", "adv"):
        for line in (folder / f"data.{part}").read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith(" "):  # the licence
                continue
            fields, _, gloss = line.partition(" | ")
            definition = re.sub(r'"[^"]*"', "", gloss)
            if OFFENSIVE.search(definition):
                columns = fields.split()
                n_words = int(columns[3], 16)
                offensive |= {columns[4 + 2 * i].partition("(")[0].lower() for i in range(n_words)}
                continue
            for text in [*re.findall(r'"([^"]*)"', gloss), definition.split(";")[0]]:
                if sentence := _as_sentence(text):
                    sentences.append(sentence)
    return sentences, offensive


def _as_sentence(text: str) -> str:
    """A definition or an example of WordNet with capital and full stop; "" if it cannot be spoken as it is written."""
    text = re.sub(r"\([^)]*\)", "", re.sub(r"--|,(?=\w)", ", ", text.replace("`", "'")))
    text = " ".join(re.sub(r"\s+([,.?!])", r"\1", text).split()).strip(" ,;:-")
    is_quoted = ".." in text or re.search(r"(^|\s)'|'(?=[,.?!\s]|$)", text)
    if is_quoted or not re.fullmatch(r"[A-Za-z',.?! -]+", text) or not 3 <= len(text.split()) <= 20:
        return ""
    text = text[0].upper() + text[1:]
    return text if text[-1] in ".?!" else text + "."


def words_of(sentence: str) -> list[str]:
    """The words of a sentence in small letters."""
    return re.findall(r"[a-z]+(?:'[a-z]+)?", sentence.lower())


class CommonWords:
    """Common words and sentences that contain them."""

    def __init__(self, texts: list[str], work: Path) -> None:
        """
        Args:
            texts: sentences to choose from, in addition to WordNet's.
            work: where packages are unpacked.
        """
        defined, offensive = dictionary(work)
        used = Counter(word for sentence in texts for word in set(words_of(sentence)))
        offensive = {word for word in offensive if used[word] < HARMLESS_USES}
        shares = {word: share for word, share in frequencies(work).items() if word not in offensive}
        common = dict(sorted(shares.items(), key=lambda item: -item[1])[:N_WORDS])
        every = [*texts, *(sentence for sentence in defined if shares.keys() >= set(words_of(sentence)))]
        random.Random(1).shuffle(every)
        self._sentences: dict[str, list[str]] = defaultdict(list)
        for sentence in every:
            for word in set(words_of(sentence)):
                if word in common and len(self._sentences[word]) < MOST_SENTENCES:
                    self._sentences[word].append(sentence)
        self._words = [word for word in common if word in self._sentences]
        self._weights = list(accumulate(common[word] ** FREQUENCY_POWER for word in self._words))
        self.written = cache(self._written)

    def word(self, choice: random.Random) -> str:
        """A common word in small letters."""
        return choice.choices(self._words, cum_weights=self._weights)[0]

    def sentence(self, choice: random.Random) -> str:
        """A sentence that contains a word drawn by its frequency."""
        return choice.choice(self._sentences[self.word(choice)])

    def entries(self, choice: random.Random) -> list[str]:
        """One to nine random words; some are single letters."""
        n = 1 if choice.random() < 0.2 else choice.randint(2, 9)
        return [
            choice.choice(LETTERS) if choice.random() < LETTER_SHARE else self.written(self.word(choice))
            for _ in range(n)
        ]

    def _written(self, word: str) -> str:
        """A word as it is most often written inside a sentence: Monday, I'll, table."""
        pattern = re.compile(rf"(?<=[a-z,] ){re.escape(word)}(?![\w'])", re.IGNORECASE)
        forms = Counter(form for sentence in self._sentences.get(word, ()) for form in pattern.findall(sentence))
        return forms.most_common(1)[0][0] if forms else word

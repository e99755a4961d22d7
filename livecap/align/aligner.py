"""Aligner: a loaded Qwen3-ForcedAligner. From sound and the text that is said in it to the time of each word.

with_time = aligner.words(samples, "Good morning, everyone.", "English")
"""

from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from livecap.align.repair import repaired
from livecap.align.units import Unit, check_language, missing_package, units
from livecap.errors import AudioError, SettingsError
from livecap.model.aligner import aligner_config, segments_of
from livecap.model.checkpoint.catalogue import ALIGNER
from livecap.model.checkpoint.load import LoadedModel, load
from livecap.model.mel import HOP_LENGTH, MIN_SAMPLES, n_mel_frames
from livecap.text.scripts import CLOSING, OPENING, is_spaceless
from livecap.transcript import SAMPLE_RATE, Word

ALIGNED = "aligned"
"""The quality of the words' times."""
MOST_SECONDS = 300
"""The most sound that is aligned at once."""
MOST_TOKENS = 8192
"""The positions of the released aligner. A longer prompt is for fast speech in scripts without spaces only."""
MOST_WORDS_A_SECOND = 10
"""The fastest speech, in units of the aligner: characters of Chinese or Japanese; words have several of these."""


class Aligner:
    """Finds when words were said. Use it on the thread that loaded it."""

    def __init__(self, loaded: LoadedModel, on_notice: Callable[[str], None] = lambda message: None) -> None:
        """
        Args:
            on_notice: gets one sentence the first time that a language lacks its package.
        """
        self._loaded = loaded
        self._on_notice = on_notice
        self._noticed: set[str] = set()

    @classmethod
    def load(cls, name: str | Path = ALIGNER, on_notice: Callable[[str], None] = lambda message: None) -> "Aligner":
        """Load an aligner: a folder, or a repository, which is downloaded if necessary.

        Raises:
            ModelError: there is no such model, or it is damaged, or it is not an aligner.
        """
        loaded = load(name, aligner=True)
        for notice in loaded.notices:
            on_notice(notice)
        return cls(loaded, on_notice)

    def words(self, samples: NDArray[np.float32], text: str, language: str) -> tuple[Word, ...]:
        """The words of `text` with their punctuation, each with the samples of `samples` in which it was said.

        A word is the text between two spaces; in a script without spaces, it is what the aligner places at once.

        Args:
            samples: [n] float32 at 16 kHz, at most 300 s.
            language: full name, one of `livecap.align.units.LANGUAGES`.

        Raises:
            AudioError: the sound is longer.
            SettingsError: the aligner does not know the language, or so much cannot be said in that time.
        """
        self.check(language)
        found = units(text, language)
        times = self._times(samples, [unit.text for unit in found])
        edges = [i for i in range(1, len(found)) if not belong_together(text, found[i - 1], found[i])]
        cuts = [0, *(cut_between(text, found[i - 1], found[i]) for i in edges), len(text)]
        spans = [(times[i][0], times[j - 1][1]) for i, j in pairwise([0, *edges, len(found)]) if i < j]
        return tuple(
            Word(" ".join(text[cuts[n] : cuts[n + 1]].split()), *span, ALIGNED) for n, span in enumerate(spans)
        )

    def check(self, language: str) -> None:
        """Raise SettingsError for a language that the aligner does not know; say once if its package is missing."""
        check_language(language)
        notice = missing_package(language)
        if notice and language not in self._noticed:
            self._noticed.add(language)
            self._on_notice(notice)

    def _times(self, samples: NDArray[np.float32], words: Sequence[str]) -> list[tuple[int, int]]:
        """[start, end) of each word in samples."""
        if len(samples) > MOST_SECONDS * SAMPLE_RATE:
            seconds = len(samples) / SAMPLE_RATE
            raise AudioError(f"{seconds:.0f} s of sound are too long to align at once; the limit is {MOST_SECONDS} s.")
        if not words:
            return []
        sound = np.pad(samples, (0, max(0, max(MIN_SAMPLES, HOP_LENGTH) - len(samples))))
        network, tokenizer = self._loaded.model, self._loaded.tokenizer
        n_audio = network.config.audio.n_embeddings(n_mel_frames(len(sound)))
        if n_audio + sum(len(tokenizer.encode(word)) + 2 for word in words) > MOST_TOKENS:
            check_speed(len(words), len(samples))
        segments = segments_of(network, tokenizer, sound, words)
        segment_ms = aligner_config(network).timestamp_segment_time
        ms = repaired([float(segment) * segment_ms for segment in segments.reshape(-1)])
        edges = [min(edge * SAMPLE_RATE // 1000, len(samples)) for edge in ms]
        return list(zip(edges[::2], edges[1::2], strict=True))


def check_speed(n_words: int, n_samples: int) -> None:
    """Raise SettingsError where nobody can say so many words in that time; they would also need too much memory."""
    seconds = n_samples / SAMPLE_RATE
    if n_words > MOST_WORDS_A_SECOND * seconds:
        raise SettingsError(
            f"The text has {n_words:,} words for {seconds:.3g} s of sound: more than can be said. "
            "Give the text of this recording only."
        )


def belong_together(text: str, unit: Unit, following: Unit) -> bool:
    """Whether two units without a space between them are one word: in a script with spaces, or because the second one
    begins with a character that begins no word, like a small kana."""
    if any(character.isspace() for character in text[unit.end : following.start]):
        return False
    return following.text[0] in CLOSING or not (is_spaceless(unit.text[-1]) or is_spaceless(following.text[0]))


def cut_between(text: str, unit: Unit, following: Unit) -> int:
    """Where the text is cut between two units: punctuation stays with the unit that it is written at."""
    cut = following.start
    while cut > unit.end and text[cut - 1] in OPENING_MARKS:
        cut -= 1
    spaces = [i for i in range(unit.end, cut) if text[i].isspace()]
    return spaces[-1] if spaces else cut


OPENING_MARKS = OPENING + "([{¿¡\"'"
"""Punctuation that belongs to the character after it."""

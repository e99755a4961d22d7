"""When the words of an utterance were said, as well as its second pass and the forced aligner can tell."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from livecap.stream.settling import Settled
from livecap.stream.word_times import carry_over, place_heard
from livecap.transcript import Word

Align = Callable[[NDArray[np.float32], str, str | None], tuple[Word, ...]]
"""From sound [n], its text and its language to the words, with times from the start of the sound; empty if unknown."""


def settled_words(
    settled: Settled, text: str, ends: Sequence[tuple[str, int]], align: Align | None, language: str | None
) -> tuple[Word, ...]:
    """The words of a settled utterance with their times: by the aligner, else by the recogniser's attention, else those
    of the live words.

    Args:
        text: of the whole utterance.
        ends: each word, and the number of ids up to its end.
        align: the forced aligner, if one is loaded.
        language: of the text.
    """
    utterance, texts = settled.utterance, [word for word, _ in ends]
    start = utterance.start_sample
    if align and (words := align(settled.sound, text, language)):
        return tuple(word.moved(start) for word in words)
    if settled.starts is None:
        return carry_over(texts, utterance.words, (start, utterance.end_sample), utterance.voiced)
    edges = [int(settled.starts[i]) for i in (0, *(end for _, end in ends))]
    return place_heard(texts, edges[:-1], edges[1:], start, settled.sound)

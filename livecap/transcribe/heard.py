"""What a recogniser hears in sound of any length, word by word with times: it ties a given text to the sound."""

import numpy as np
from numpy.typing import NDArray

from livecap.align.pieces import cut_at_pauses
from livecap.engine import Engine
from livecap.stream.config import samples_in
from livecap.stream.recogniser import Recogniser
from livecap.stream.token_text import TokenText
from livecap.stream.word_times import place_heard, place_words
from livecap.transcript import SAMPLE_RATE, Word

MOST_SAMPLES = 24 * SAMPLE_RATE
"""The longest piece that is decoded at once."""


def heard_words(engine: Engine, samples: NDArray[np.float32], recogniser: Recogniser | None = None) -> list[Word]:
    """The words of [n] float32 samples at 16 kHz, with times from their start: as the model's attention tells, or else
    divided over the voiced sound.

    Args:
        recogniser: one of the engine's; None makes one. It is closed.
    """
    config, text = engine.settings.stream, TokenText(engine.tokenizer)
    recogniser = recogniser or engine.recogniser()
    pad_samples = samples_in(config.utterance.pad_seconds)
    spans, voiced = cut_at_pauses(samples, MOST_SAMPLES)
    words: list[Word] = []
    for start, end in spans:
        inside = [(a, b) for a, b in voiced if a < end and b > start]
        if not inside:
            continue  # a model may invent words for silence
        sound = samples[start:end]
        recogniser.begin(start)
        recogniser.append(sound)
        decoded = recogniser.decode((), (), (), config.loops.token_budget(end - start), pad_samples)
        ends = text.words(decoded.ids)
        starts = recogniser.starts_of(decoded.header, (), decoded.ids, pad_samples, start)
        if starts is None:
            words += place_words([word for word, _ in ends], [end] * len(ends), (start, end), inside)
        else:
            edges = [int(starts[i]) for i in (0, *(n for _, n in ends))]
            words += place_heard([word for word, _ in ends], edges[:-1], edges[1:], start, sound)
    recogniser.close()
    return words

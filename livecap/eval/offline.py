"""Text of a whole recording, cut at pauses into pieces of at most 28 s; streaming is measured against it."""

import numpy as np
from numpy.typing import NDArray

from livecap.audio_in.source import AudioBlock
from livecap.audio_in.vad import DetectorConfig, SpeechDetector
from livecap.engine import Recognises
from livecap.stream.config import samples_in
from livecap.text.scripts import joined
from livecap.transcript import SAMPLE_RATE

MOST_SAMPLES = 28 * SAMPLE_RATE
"""The longest piece."""
LEAST_SAMPLES = 8 * SAMPLE_RATE
"""The shortest piece, but for the last one: the cut is the longest pause between this and the longest piece."""


def offline_text(engine: Recognises, samples: NDArray[np.float32]) -> str:
    """The text of [n] float32 samples at 16 kHz."""
    config, recogniser = engine.settings.stream, engine.recogniser()
    texts = []
    for start, stop in cut_at_pauses(samples, config.detector):
        recogniser.begin(start)
        recogniser.append(samples[start:stop])
        budget = config.loops.token_budget(stop - start)
        decoded = recogniser.decode((), (), (), budget, samples_in(config.utterance.pad_seconds))
        texts.append(engine.tokenizer.decode(decoded.ids).strip())
    return joined(texts)


def cut_at_pauses(samples: NDArray[np.float32], config: DetectorConfig) -> list[tuple[int, int]]:
    """[start, stop) of the pieces, in samples: cut in the middle of a pause, or at 28 s where there is none."""
    pieces, start = [], 0
    detector = SpeechDetector(config)
    heard = 0
    while len(samples) - start > MOST_SAMPLES:
        most = start + MOST_SAMPLES
        detector.accept(AudioBlock(heard, samples[heard:most]))
        heard = most
        pause = detector.longest_pause(start + LEAST_SAMPLES, most)
        stop = (pause[0] + pause[1]) // 2 if pause else most
        pieces.append((start, stop))
        start = stop
    pieces.append((start, len(samples)))
    return pieces

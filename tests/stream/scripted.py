"""A recogniser that knows what is said when: every policy figure becomes exact, and no model is needed."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from livecap.audio_in.source import AudioChunk
from livecap.audio_in.vad import SpeechEnded, SpeechEvent, SpeechStarted
from livecap.stream.recogniser import Decoded

SECOND = 16_000
WINDOW = 8 * SECOND
HEADER = (1, 2, 3)
"""Stands for `language English<asr_text>`."""


@dataclass(frozen=True)
class Word:
    token: int
    start: int
    end: int


def speech(seconds_between: Sequence[float], word_seconds: float = 0.3) -> list[Word]:
    """Words after pauses of these lengths, each with a token of its own."""
    words, at = [], 0
    for i, pause in enumerate(seconds_between):
        start = at + round(pause * SECOND)
        at = start + round(word_seconds * SECOND)
        words.append(Word(100 + i, start, at))
    return words


class ScriptedTokenizer:
    """Token 123 is the word " w23"."""

    def decode(self, ids: Sequence[int]) -> str:
        if tuple(ids) == HEADER:
            return "language English<asr_text>"
        return "".join(f" w{token - 100}" for token in ids)

    decode_whole_characters = decode

    def ends_whole(self, ids: Sequence[int]) -> bool:
        return True


class ScriptedDetector:
    """Says what a detector with a pause of 0.6 s would say about the words."""

    def __init__(self, words: Sequence[Word], ends: bool = True) -> None:
        """Without `ends`, speech that has begun goes on for ever, as with music or a babble of voices."""
        self._words = list(words)
        self._ends = ends
        self._last_end = 0
        self.speaking = False

    def accept(self, chunk: AudioChunk) -> list[SpeechEvent]:
        events: list[SpeechEvent] = []
        now = chunk.end_sample
        while True:
            if self.speaking:
                nearby = [w for w in self._words if w.start < self._last_end + 0.6 * SECOND]
                if not self._ends:
                    return events
                if nearby:
                    if nearby[0].end > now:
                        return events
                    self._last_end = self._words.pop(0).end
                elif self._ends and now >= self._last_end + 0.6 * SECOND:
                    self.speaking = False
                    events.append(SpeechEnded(round(self._last_end + 0.2 * SECOND)))
                else:
                    return events
            elif self._words and self._words[0].start + 0.06 * SECOND <= now:
                self.speaking = True
                self._last_end = self._words[0].start
                events.append(SpeechStarted(max(0, round(self._words[0].start - 0.3 * SECOND))))
            else:
                return events


class ScriptedRecogniser:
    """Hears every word that lies whole in its sound, and goes on after the prefix; its last tokens may be wrong."""

    def __init__(self, words: Sequence[Word], unstable: int = 0, seed: int = 0) -> None:
        self._words = list(words)
        self._unstable = unstable
        self._random = random.Random(seed)
        self.start_sample = 0
        self.end_sample = 0
        self.window_samples = WINDOW
        self.longest_prompt = 0
        self.prefixes: list[list[int]] = []
        self.runaway: list[int] = []

    def begin(self, start_sample: int) -> None:
        self.start_sample = self.end_sample = start_sample

    def append(self, samples: NDArray[np.float32]) -> None:
        self.end_sample += len(samples)

    def drop_before(self, sample: int) -> int:
        assert sample <= self.end_sample
        self.start_sample += max(0, sample - self.start_sample) // WINDOW * WINDOW
        return self.start_sample

    def decode(self, header: Sequence[int], prefix: Sequence[int], max_tokens: int, pad_samples: int = 0) -> Decoded:
        self.longest_prompt = max(self.longest_prompt, self.end_sample - self.start_sample)
        self.prefixes.append(list(prefix))
        assert not prefix or tuple(header) == HEADER, "the header is never dropped"
        heard = [
            w.token for w in self._words if w.start >= self.start_sample and w.end <= self.end_sample + pad_samples
        ]
        after = [t for t in heard if t > prefix[-1]] if prefix else heard
        ids = [*after, *self.runaway]
        fresh = [w for w in self._words if w.token in heard and w.end > self.end_sample + pad_samples - 0.4 * SECOND]
        if self._unstable and fresh and ids:
            # Too little right context for the last word: the last tokens are wrong, and no word has them.
            n = min(self._random.randint(0, self._unstable), len(ids))
            ids = ids[: len(ids) - n] + [5000 + i for i in range(n)]
        return Decoded(ids[:max_tokens], HEADER, len(ids) <= max_tokens)

"""A recogniser and a detector that follow a script: policy figures become exact, and no model is needed."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from livecap.audio_in.source import AudioBlock
from livecap.audio_in.vad import SpeechEnded, SpeechEvent, SpeechPaused, SpeechStarted
from livecap.model.generate import GeneratedToken
from livecap.stream.recogniser import Decoded

SECOND = 16_000
HEADER = (1, 2, 3)
"""Represents `language English<asr_text>`."""


@dataclass(frozen=True)
class Word:
    token: int
    start: int
    end: int


def speech(seconds_between: Sequence[float], word_seconds: float = 0.3) -> list[Word]:
    """Words after pauses of these lengths, each with its own token."""
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
    """Reports what a detector with a pause after 0.2 s and an end after 0.7 s would report about the words."""

    def __init__(self, words: Sequence[Word], ends: bool = True) -> None:
        """
        Args:
            ends: False for speech that never ends, as with music or many voices.
        """
        self._words = list(words)
        self._all = list(words)
        self._ends = ends
        self._paused = False
        self.last_voiced_sample: int | None = None
        self.speaking = False

    def accept(self, block: AudioBlock) -> list[SpeechEvent]:
        """See `SpeechDetector.accept`."""
        events: list[SpeechEvent] = []
        now = block.end_sample
        while True:
            following = self._words[0] if self._words else None
            if self.speaking:
                assert self.last_voiced_sample is not None
                if not self._ends:
                    self.last_voiced_sample = now
                    self._words = [w for w in self._words if w.end > now]
                    return events
                quiet_until = min(now, following.start if following else now)
                if not self._paused and quiet_until >= self.last_voiced_sample + 0.2 * SECOND:
                    self._paused = True
                    events.append(SpeechPaused(round(self.last_voiced_sample + 0.2 * SECOND), SECOND // 5))
                if quiet_until >= self.last_voiced_sample + 0.7 * SECOND:
                    self.speaking = False
                    events.append(SpeechEnded(round(self.last_voiced_sample + 0.2 * SECOND)))
                    continue
            elif following is None or following.start + 0.06 * SECOND > now:
                return events
            else:
                self.speaking = True
                earliest = self.last_voiced_sample + 0.2 * SECOND if self.last_voiced_sample else 0
                events.append(SpeechStarted(round(max(0, earliest, following.start - 0.3 * SECOND))))
            if following is None or following.start >= now:
                return events
            self._paused = False
            self.last_voiced_sample = min(following.end, now)
            if following.end > now:
                return events
            self._words.pop(0)

    def voiced_spans(self, start_sample: int, end_sample: int) -> list[tuple[int, int]]:
        spans = [(max(w.start, start_sample), min(w.end, end_sample)) for w in self._all]
        return [(a, b) for a, b in spans if a < b]

    def longest_pause(self, start_sample: int, end_sample: int) -> tuple[int, int] | None:
        """See `SpeechDetector.longest_pause`."""
        edges = [start_sample, *(x for w in self._all for x in (w.start, w.end)), end_sample]
        quiet = [(max(a, start_sample), min(b, end_sample)) for a, b in zip(edges[::2], edges[1::2], strict=True)]
        quiet = [(a, b) for a, b in quiet if a < b]
        return max(quiet, key=lambda pause: pause[1] - pause[0], default=None)


class ScriptedRecogniser:
    """Recogniser that returns every word that lies completely in its sound. Its last tokens may be wrong."""

    def __init__(self, words: Sequence[Word], unstable: int = 0, seed: int = 0) -> None:
        self._words = list(words)
        self._unstable = unstable
        self._random = random.Random(seed)
        self._n_wrong = 0
        self.start_sample = 0
        self.end_sample = 0
        self.longest_prompt = 0
        self.prefixes: list[list[int]] = []
        self.runaway: list[int] = []

    def begin(self, start_sample: int) -> None:
        self.start_sample = self.end_sample = start_sample

    def append(self, samples: NDArray[np.float32]) -> None:
        self.end_sample += len(samples)

    def starts_of(self, *arguments: object) -> None:
        """See `Recogniser`. A script cannot tell."""

    def close(self) -> None:
        """See `Recogniser`."""

    def decode(
        self,
        header: Sequence[int],
        prefix: Sequence[int],
        draft: Sequence[int],
        max_tokens: int,
        pad_samples: int = 0,
    ) -> Decoded:
        self.longest_prompt = max(self.longest_prompt, self.end_sample - self.start_sample)
        self.prefixes.append(list(prefix))
        assert not prefix or tuple(header) == HEADER, "the header is never dropped"
        heard = [w.token for w in self._words if w.start >= self.start_sample and w.end <= self.end_sample]
        after = [t for t in heard if t > prefix[-1]] if prefix else heard
        ids = [*after, *self.runaway]
        fresh = [w for w in self._words if w.token in heard and w.end > self.end_sample + pad_samples - 0.4 * SECOND]
        if self._unstable and fresh and ids:
            # Too little sound follows the last word: the last tokens are wrong, and different each time.
            n = min(self._random.randint(0, self._unstable), len(ids))
            self._n_wrong += n
            ids = ids[: len(ids) - n] + [5000 + self._n_wrong - i for i in range(n)]
        return Decoded([GeneratedToken(token, 9.0) for token in ids[:max_tokens]], HEADER, len(ids) <= max_tokens)

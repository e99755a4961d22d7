"""Scripts for the oracle: which word is said when, and what a speech detector would report."""

import random
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from livecap.audio_in.source import AudioBlock
from livecap.audio_in.vad import PAUSES_SECONDS, DetectorConfig, SpeechEnded, SpeechEvent, SpeechPaused, SpeechStarted
from livecap.eval.reference import SpokenWord
from livecap.transcript import SAMPLE_RATE

VOCABULARY = """the and that have for not with you this but his from they say her she will one all would there what
about which when make can like time just him know take people into year your good some could them
see other than then now look only come its over think also back after use two how our work first
well way even new want because any these give day most us meeting budget release Thursday transcript
quarterly Kowalski unfortunately responsibility""".split()
"""Frequent words, and some that a tokenizer splits."""
REPEATED = ("no", "yes", "very", "go", "stop")


@dataclass(frozen=True)
class ScriptStyle:
    """How words follow each other. A chance is a probability from 0 to 1."""

    pause_chance: float = 0.06
    """The probability of a pause after a word."""
    pause_seconds: tuple[float, float] = (0.25, 2.5)
    gap_seconds: tuple[float, float] = (0.0, 0.12)
    word_seconds: tuple[float, float] = (0.15, 0.55)
    repeat_chance: float = 0.02
    """The probability of a word that is said many times in a row."""
    most_repeats: int = 20
    count_chance: float = 0.01
    """The probability of counting."""
    mark_chance: float = 0.3
    """The probability of punctuation after a word; 0.3 gives about 1.27 of Qwen's tokens per word, as published."""


def speak(n_words: int, seed: int, style: ScriptStyle | None = None, start_seconds: float = 0.5) -> list[SpokenWord]:
    """About `n_words` words in spoken order."""
    style = style or ScriptStyle()
    chance = random.Random(seed)
    words: list[SpokenWord] = []
    at = start_seconds
    numbers = "one two three four five six seven eight nine ten".split()
    while len(words) < n_words:
        kind = chance.random()
        if kind < style.repeat_chance:
            texts = [chance.choice(REPEATED)] * chance.randint(2, style.most_repeats)
        elif kind < style.repeat_chance + style.count_chance:
            texts = numbers[: chance.randint(3, 10)]
        else:
            mark = chance.choice(",.?") if chance.random() < style.mark_chance else ""
            texts = [chance.choice(VOCABULARY) + mark]
        for text in texts:
            end = at + chance.uniform(*style.word_seconds)
            words.append(SpokenWord(text, round(at * SAMPLE_RATE), round(end * SAMPLE_RATE)))
            pause = style.pause_seconds if chance.random() < style.pause_chance else style.gap_seconds
            at = end + chance.uniform(*pause)
    return words


class ScriptDetector:
    """What `SpeechDetector` would report if exactly the words were voiced. The sound is ignored."""

    def __init__(self, words: Sequence[SpokenWord], config: DetectorConfig | None = None) -> None:
        config = config or DetectorConfig()
        self._starts = [word.start_sample for word in words]
        self._ends = [word.end_sample for word in words]
        self._pauses = [round(seconds * SAMPLE_RATE) for seconds in PAUSES_SECONDS]
        self._end = round(config.pause_seconds * SAMPLE_RATE)
        self._tail = round(min(config.tail_seconds, config.pause_seconds) * SAMPLE_RATE)
        self._pre_roll = round(config.pre_roll_seconds * SAMPLE_RATE)
        self._notice = round(0.06 * SAMPLE_RATE)
        """How much of a word must have arrived before speech is reported."""
        self._next = 0
        """The index of the first word that has not ended."""
        self._now = 0
        self._n_told = 0
        self._ended_at = 0
        self.last_voiced_sample: int | None = None
        self.speaking = False

    def accept(self, block: AudioBlock) -> list[SpeechEvent]:
        """The events up to the end of the block, in order."""
        if self._now == 0:
            # A detector that is made in the middle of a session has not heard the earlier sound.
            self._next = bisect_right(self._ends, block.start_sample)
            self._ended_at = block.start_sample
        self._now = block.end_sample
        events: list[SpeechEvent] = []
        while True:
            start = self._starts[self._next] if self._next < len(self._starts) else self._now
            if self.speaking:
                events += self._quiet(min(start, self._now))
            if start >= self._now:
                return events
            if not self.speaking:
                if start + self._notice > self._now:
                    return events
                self.speaking = True
                events.append(SpeechStarted(max(self._ended_at, start - self._pre_roll)))
            self._n_told = 0
            self.last_voiced_sample = min(self._ends[self._next], self._now)
            if self._ends[self._next] > self._now:
                return events
            self._next += 1

    def _quiet(self, until: int) -> list[SpeechEvent]:
        """The events of the silence since the last voiced sample."""
        assert self.last_voiced_sample is not None
        events: list[SpeechEvent] = []
        for pause in self._pauses[self._n_told :]:
            if until - self.last_voiced_sample >= pause:
                self._n_told += 1
                events.append(SpeechPaused(self.last_voiced_sample + pause, pause))
        if until - self.last_voiced_sample >= self._end:
            self.speaking = False
            self._ended_at = self.last_voiced_sample + self._tail
            events.append(SpeechEnded(self._ended_at))
        return events

    def voiced_spans(self, start_sample: int, end_sample: int) -> list[tuple[int, int]]:
        """The voiced spans in [start_sample, end_sample); adjoining words are one span."""
        spans: list[tuple[int, int]] = []
        for i in range(bisect_right(self._ends, start_sample), bisect_left(self._starts, min(end_sample, self._now))):
            low, high = max(self._starts[i], start_sample), min(self._ends[i], end_sample, self._now)
            if spans and low <= spans[-1][1]:
                spans[-1] = (spans[-1][0], max(high, spans[-1][1]))
            else:
                spans.append((low, high))
        return spans

    def longest_pause(self, start_sample: int, end_sample: int) -> tuple[int, int] | None:
        """The longest stretch without a word in [start_sample, end_sample); the last one of equals."""
        first = bisect_right(self._ends, start_sample)
        last = bisect_left(self._starts, end_sample)
        edges = [start_sample, *(x for i in range(first, last) for x in (self._starts[i], self._ends[i])), end_sample]
        pauses = [(low, high) for low, high in zip(edges[::2], edges[1::2], strict=True) if low < high]
        return max(pauses, key=lambda pause: (pause[1] - pause[0], pause[0]), default=None)

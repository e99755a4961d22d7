"""Oracle: a recogniser that knows which word is said when. It takes the model's place and makes errors on request.

It answers as the model would: with the words in the prompt's sound that follow the prefix. An alignment of the prefix
with the script finds the place where the prefix ends, so a prefix that lacks a word makes the oracle say a word twice,
and a prefix with an extra word makes it lose one. Every word that a policy loses or doubles can be counted exactly.

The answer depends on the sound and the prefix only: the same input gives the same output.
"""

import random
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.scripted_speech import VOCABULARY
from livecap.errors import ModelError
from livecap.eval.reference import SpokenWord
from livecap.model.generate import GeneratedToken
from livecap.model.text.tokenizer import Tokenizer
from livecap.stream.recogniser import Decoded
from livecap.transcript import SAMPLE_RATE

SURE_MARGIN, UNSURE_MARGIN = 8.0, 0.5
"""The margins of correct tokens and of guesses."""
PROMPT_SECONDS = 90
"""Words are searched up to this long after the start of the prompt, which is longer than any prompt."""


@dataclass(frozen=True)
class Loop:
    """From `at_seconds` on, for `seconds` of sound, the oracle repeats the last `period` tokens."""

    at_seconds: float
    period: int
    seconds: float = 3.0


@dataclass(frozen=True)
class Faults:
    """Which errors the oracle makes, and how often. By default none; `PUBLISHED` imitates real models."""

    unstable_chance: float = 0.0
    """The probability that the last tokens of a decode are wrong."""
    unstable_tokens: int = 0
    """The most tokens that are wrong then; at least 1 is."""
    right_context_seconds: float = 0.0
    """A word that ends less than this before the end of the sound is a guess: wrong or missing."""
    sure_when_wrong: float = 0.2
    """The share of wrong tokens that have the margin of a correct one."""
    seam_damage: float = 0.0
    """The probability that a word with the start of the prompt inside or just before it is wrong."""
    invention: float = 0.0
    """The probability of invented words where nobody speaks."""
    loops: tuple[Loop, ...] = ()
    language_flips: float = 0.0
    """The probability that a prompt without a prefix is answered in another language."""
    cost_seconds: float = 0.0
    """The time of a decode, on the clock that `spend` moves."""
    cost_per_token_seconds: float = 0.0
    """The additional time of each token that was not in the draft."""
    hang_at: int | None = None
    """The number of the decode, from 0, in which the oracle hangs."""
    crash_at: int | None = None
    """The number of the decode in which the oracle crashes."""


PUBLISHED = Faults(unstable_chance=0.65, unstable_tokens=2, right_context_seconds=0.3)
"""With a chunk of 2 s and a rollback of five tokens: draft acceptance 0.74, rewrite rate 0.65 (a test checks both)."""


class Oracle:
    """`Recogniser` that answers from a script instead of a model."""

    def __init__(
        self,
        words: Sequence[SpokenWord],
        tokenizer: Tokenizer,
        faults: Faults = PUBLISHED,
        *,
        seed: int = 0,
        spend: Callable[[float], None] = lambda seconds: None,
        hang: Callable[[], None] | None = None,
        language: str = "English",
    ) -> None:
        """
        Args:
            spend: called with the seconds that each decode costs.
            hang: called in the decode in which the oracle hangs.
        """
        self._tokenizer = tokenizer
        self._faults = faults
        self._seed = seed
        self._spend = spend
        self._hang = hang
        self._headers = [self._header(language), self._header("German" if language != "German" else "English")]
        self._wrong = [tokenizer.encode(f" {word}") for word in VOCABULARY]
        self._invented = tokenizer.encode("Thank you.")
        tokens: dict[str, list[int]] = {}
        self._words = list(words)
        self._starts = [word.start_sample for word in words]
        self._ends = [word.end_sample for word in words]
        self._first_of: list[int] = [0]
        """For each word, the index of its first token in `_tokens`."""
        self._tokens: list[int] = []
        for word in words:
            if word.text not in tokens:
                tokens[word.text] = tokenizer.encode(f" {word.text}")
            self._tokens += tokens[word.text]
            self._first_of.append(len(self._tokens))
        self._array = np.array(self._tokens, np.int64)
        self.start_sample = 0
        self.end_sample = 0
        self.n_decodes = 0
        self.n_begun = 0
        self.n_rewritten = 0
        """Answers that change part of the previous answer in the same prompt."""
        self._last: list[int] = []
        self._row: NDArray[np.int64] | None = None
        """Edit distances between `_known` and each beginning of the prompt's tokens."""
        self._known: list[int] = []
        """The prefix that `_row` was computed for."""

    def begin(self, start_sample: int) -> None:
        """Start a new prompt whose sound begins here."""
        self.start_sample = self.end_sample = start_sample
        self.n_begun += 1
        self._last = []
        self._row = None

    def append(self, samples: NDArray[np.float32]) -> None:
        """Add sound that follows; only its length matters."""
        self.end_sample += len(samples)

    def starts_of(self, *arguments: object) -> None:
        """See `Recogniser`. An oracle cannot tell."""

    def close(self) -> None:
        """There is nothing to release."""

    def decode(
        self,
        header: Sequence[int],
        prefix: Sequence[int],
        draft: Sequence[int],
        max_tokens: int,
        pad_samples: int = 0,
    ) -> Decoded:
        """The words in the sound that follow the prefix, with the errors of `Faults`."""
        n = self.n_decodes
        self.n_decodes += 1
        if n == self._faults.crash_at:
            raise ModelError(f"The oracle crashed in decode {n}, as requested.")
        if n == self._faults.hang_at and self._hang is not None:
            self._hang()
        chance = random.Random(f"{self._seed} {self.start_sample} {self.end_sample} {pad_samples} {len(prefix)}")
        ids, margins = self._said(prefix, pad_samples, chance)
        ids, margins = self._looped(ids, margins, max_tokens)
        complete = len(ids) <= max_tokens
        ids, margins = ids[:max_tokens], margins[:max_tokens]
        answer_header = tuple(header)
        if not prefix:
            answer_header = self._headers[chance.random() < self._faults.language_flips]
        n_accepted = next((i for i, (a, b) in enumerate(zip(ids, draft, strict=False)) if a != b), None)
        n_accepted = min(len(ids), len(draft)) if n_accepted is None else n_accepted
        answer = [*prefix, *ids]
        self.n_rewritten += answer[: len(self._last)] != self._last
        self._last = answer
        self._spend(self._faults.cost_seconds + self._faults.cost_per_token_seconds * (len(ids) - n_accepted))
        tokens = [GeneratedToken(*token) for token in zip(ids, margins, strict=True)]
        return Decoded(tokens, answer_header, complete, n_accepted, len(ids) - n_accepted)

    def _said(self, prefix: Sequence[int], pad_samples: int, chance: random.Random) -> tuple[list[int], list[float]]:
        """The tokens after the prefix, and the margin of each."""
        faults = self._faults
        first = bisect_left(self._starts, self.start_sample)
        last = max(first, bisect_right(self._ends, self.end_sample))
        begin, end = self._first_of[first], self._first_of[last]
        at = begin + self._place_of(prefix, begin, end - begin)
        ids = self._tokens[at:end]
        if not prefix and not ids and chance.random() < faults.invention:
            return list(self._invented), [UNSURE_MARGIN] * len(self._invented)
        margins = [SURE_MARGIN] * len(ids)
        unsure = 0
        if faults.right_context_seconds:
            heard_until = self.end_sample + pad_samples
            edge = heard_until - round(faults.right_context_seconds * SAMPLE_RATE)
            unsure = len(self._tokens[max(at, self._first_of[bisect_right(self._ends, edge, first, last)]) : end])
        if faults.unstable_tokens and not pad_samples and chance.random() < faults.unstable_chance:
            unsure = max(unsure, chance.randint(1, faults.unstable_tokens))
        unsure = min(unsure, len(ids))
        if unsure:
            kept = len(ids) - unsure
            wrong = [token for _ in range(unsure) for token in chance.choice(self._wrong)][:unsure]
            sure = [SURE_MARGIN if chance.random() < faults.sure_when_wrong else UNSURE_MARGIN for _ in wrong]
            ids, margins = ids[:kept] + wrong, margins[:kept] + sure
        if faults.seam_damage and not prefix and ids and self._cut_beside(first):
            if chance.random() < faults.seam_damage:
                ids, margins = [self._wrong[0][0], *ids[1:]], [UNSURE_MARGIN, *margins[1:]]
        return ids, margins

    def _cut_beside(self, first: int) -> bool:
        """Whether the prompt begins inside a word, or just before one."""
        inside = first > 0 and self._ends[first - 1] > self.start_sample
        return inside or (first < len(self._starts) and self._starts[first] - self.start_sample < 0.05 * SAMPLE_RATE)

    def _looped(self, ids: list[int], margins: list[float], max_tokens: int) -> tuple[list[int], list[float]]:
        """The answer, with the end of the text repeated while a loop lasts."""
        for loop in self._faults.loops:
            at = round(loop.at_seconds * SAMPLE_RATE)
            if at <= self.end_sample < at + round(loop.seconds * SAMPLE_RATE):
                before = ids or [self._wrong[0][0]]
                piece = [before[i % len(before)] for i in range(loop.period)]
                if len(set(piece)) < loop.period:
                    piece = [self._wrong[i % len(self._wrong)][0] for i in range(loop.period)]
                more = piece * (max_tokens // loop.period + 2)
                return ids + more, margins + [SURE_MARGIN] * len(more)
        return ids, margins

    def _place_of(self, prefix: Sequence[int], begin: int, n_heard: int) -> int:
        """How many of the prompt's tokens the prefix covers: its end in the best alignment, the last one of equals."""
        most = bisect_right(self._starts, self.start_sample + PROMPT_SECONDS * SAMPLE_RATE)
        columns = self._array[begin : self._first_of[most]]
        known = len(self._known)
        if self._row is None or self._known != list(prefix[:known]) or len(self._row) != len(columns) + 1:
            self._row, self._known, known = np.arange(len(columns) + 1), [], 0
        row, steps = self._row, np.arange(len(columns) + 1)
        for token in prefix[known:]:
            best = np.empty_like(row)
            best[0] = row[0] + 1
            best[1:] = np.minimum(row[1:] + 1, row[:-1] + (columns != token))
            row = np.minimum.accumulate(best - steps) + steps
        self._row, self._known = row, list(prefix)
        heard = row[: n_heard + 1]
        return n_heard - int(np.argmin(heard[::-1]))

    def _header(self, language: str) -> tuple[int, ...]:
        return (*self._tokenizer.encode(f"language {language}"), self._tokenizer.asr_text_id)

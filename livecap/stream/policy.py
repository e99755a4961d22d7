"""When a token becomes stable: one small pure rule, chosen by figures (docs/decisions/0008-commit-policy.md).

A rule knows tokens and seconds of sound, no model. It counts words and seconds, never tokens or steps, since those
differ from model to model and from chunk to chunk. The one exception is `rollback`, which is the official recipe.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum

from livecap.transcript import SAMPLE_RATE


class Rule(Enum):
    """How agreement is asked for."""

    ROLLBACK = "rollback"
    """All but the last five tokens, and those that were believed for eight seconds (the official recipe)."""
    AGREEMENT = "agreement"
    """What a hypothesis with more sound said again (LocalAgreement-2)."""
    CONFIDENCE = "confidence"
    """The same, where the model was sure each time; doubtful words must stand longer."""


@dataclass(frozen=True, slots=True)
class CommitPolicy:
    """One rule and its numbers. Seconds are of sound."""

    rule: Rule = Rule.CONFIDENCE
    rollback_tokens: int = 5
    """Of `ROLLBACK`: so many last tokens are decided anew."""
    rollback_cold_seconds: float = 4.0
    """Of `ROLLBACK`: so much sound is heard before anything is stable."""
    held_seconds: float = 8.0
    """Of `ROLLBACK`: tokens believed for so long are stable though they be the last."""
    agree_seconds: float = 0.3
    """A word is stable once it was still believed after so much more sound."""
    doubtful_seconds: float = 0.8
    """The same for a word that the model was not sure of."""
    sure_margin: float = 0.5
    """A token is sure whose logit always lay so far above the second best."""
    shown_margin: float = 1.0
    """A token that no step heard before is shown if its logit lies so far above the second best."""
    pause_margin: float = 0.03
    """The same at a pause, where no word can be half heard: all is shown but a toss of a coin, and what follows it."""
    believed_margin: float = 1.0
    """One token with this margin makes the text of short sound believable."""
    hold_display: bool = True
    """Text that is new and doubtful, and the last word, are shown when a second step heard them, too."""
    kept_steps: int = 2
    """For so many steps a word stays on the screen that the last step did not say, if no other word is agreed upon."""
    short_voice_seconds: float = 1.5
    """A cough, a door or a hum is voiced for less; text that is nowhere sure is not committed for it."""
    held_words: int = 1
    """So many last words wait for what follows: the sound may end inside them."""

    def stable(
        self,
        tokens: Sequence["BelievedToken"],
        frontier: int,
        begin_sample: int,
        end_sample: int,
        starts_word: Callable[[int], bool],
    ) -> int:
        """How many of `tokens` may be stable, at least `frontier`, after sound up to `end_sample`.

        Args:
            tokens: all that is believed.
            frontier: how many of them are stable already.
            begin_sample: where the utterance's sound begins.
            starts_word: True for a token id that may begin a word.
        """
        if self.rule is Rule.ROLLBACK:
            return self._all_but_last(tokens, frontier, begin_sample, end_sample)
        if end_sample - begin_sample < 2 * self.short_voice_seconds * SAMPLE_RATE and not any(
            token.margin >= self.believed_margin for token in tokens[frontier:]
        ):
            return frontier  # perhaps nobody spoke: see `is_believable`
        n = frontier
        while n < len(tokens) and end_sample - tokens[n].since_sample >= self._wait_samples(tokens[n]):
            n += 1
        return max(frontier, min(n, self._before_last_words(tokens, frontier, end_sample, starts_word)))

    def shown(
        self,
        tokens: Sequence["BelievedToken"],
        frontier: int,
        end_sample: int,
        starts_word: Callable[[int], bool],
        at_pause: bool,
        first: bool,
    ) -> int:
        """How many of `tokens` are shown: what is doubtful and new waits for one more step, so that nothing flickers.

        Args:
            at_pause: nobody speaks at `end_sample`: no word can be half heard.
            first: nothing of the utterance was shown so far, and people wait for a word.
        """
        if not self.hold_display:
            return len(tokens)
        least_margin = self.pause_margin if at_pause else self.shown_margin
        n = frontier
        while n < len(tokens) and (tokens[n].since_sample < end_sample or tokens[n].margin >= least_margin):
            n += 1
        held = not (at_pause or first)
        if n == len(tokens) and n > frontier and held and tokens[-1].since_sample == end_sample:
            n -= 1  # the sound may end inside the last word: it is shown when it was heard twice
        while n > frontier and n < len(tokens) and not starts_word(tokens[n].id):
            n -= 1
        return n

    def is_believable(self, tokens: Sequence["BelievedToken"], voiced_samples: int) -> bool:
        """False for the text of an utterance in which the model was sure of nothing and hardly anybody spoke."""
        short = voiced_samples < self.short_voice_seconds * SAMPLE_RATE
        return not short or any(token.margin >= self.believed_margin for token in tokens)

    def _wait_samples(self, token: "BelievedToken") -> int:
        sure = self.rule is Rule.AGREEMENT or token.margin >= self.sure_margin
        return max(1, round((self.agree_seconds if sure else self.doubtful_seconds) * SAMPLE_RATE))

    def _before_last_words(
        self, tokens: Sequence["BelievedToken"], frontier: int, end_sample: int, starts_word: Callable[[int], bool]
    ) -> int:
        """Where the last `held_words` words begin; words that were long believed are held no more."""
        old = end_sample - round(self.held_seconds * SAMPLE_RATE)
        n, words = len(tokens), 0
        while n > frontier and words < self.held_words and tokens[n - 1].since_sample > old:
            n -= 1
            words += starts_word(tokens[n].id)
        return n

    def _all_but_last(
        self, tokens: Sequence["BelievedToken"], frontier: int, begin_sample: int, end_sample: int
    ) -> int:
        if end_sample - begin_sample <= self.rollback_cold_seconds * SAMPLE_RATE:
            return frontier
        settled = end_sample - round(self.held_seconds * SAMPLE_RATE)
        old = frontier
        while old < len(tokens) and tokens[old].since_sample <= settled:
            old += 1
        return max(frontier, len(tokens) - self.rollback_tokens, old)


@dataclass(slots=True)
class BelievedToken:
    """A token of the hypothesis, and how long and how surely it is believed."""

    id: int
    since_sample: int
    """How much sound had been heard when it was first believed, after just these tokens."""
    margin: float
    """How far its logit lay above the second best, the lowest of all steps since."""

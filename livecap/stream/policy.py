"""When a token becomes stable: one pure rule, chosen by measurement (docs/decisions/0008-commit-policy.md).

A rule knows tokens and seconds of sound, not the model. It counts words and seconds instead of tokens and steps, which
differ between models and chunks. The one exception is `rollback`, the official recipe.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum

from livecap.transcript import SAMPLE_RATE


class Rule(Enum):
    """How a token becomes stable."""

    ROLLBACK = "rollback"
    """All but the last five tokens, and tokens that were believed for eight seconds (the official recipe)."""
    AGREEMENT = "agreement"
    """Tokens that a hypothesis with more sound repeated (LocalAgreement-2)."""
    CONFIDENCE = "confidence"
    """Like `AGREEMENT` for tokens that the model was sure of each time; uncertain ones must be repeated for longer."""


@dataclass(slots=True)
class BelievedToken:
    """A token of the hypothesis, since when it is believed, and how sure the model was."""

    id: int
    since_sample: int
    """Where the sound ended in the step that first had this token after the same tokens before it."""
    margin: float
    """The lowest margin of all steps since then."""


@dataclass(frozen=True, slots=True)
class CommitPolicy:
    """One rule and its numbers. Seconds are of sound. A margin is the lead of a token's logit over the second best."""

    rule: Rule = Rule.CONFIDENCE
    rollback_tokens: int = 5
    """`ROLLBACK`: the number of last tokens that never become stable in the step that first has them."""
    rollback_cold_seconds: float = 4.0
    """`ROLLBACK`: nothing is stable before this much sound."""
    held_seconds: float = 8.0
    """Tokens that were believed for this long become stable even if they are the last ones."""
    agree_seconds: float = 0.3
    """A word becomes stable once it is still believed after this much more sound."""
    doubtful_seconds: float = 0.8
    """Replaces `agree_seconds` for a word that the model was not sure of."""
    sure_margin: float = 0.5
    """The model is sure of a token if its margin was never below this."""
    shown_margin: float = 1.0
    """A new token is shown in the step that first has it if its margin is at least this."""
    pause_margin: float = 0.03
    """Replaces `shown_margin` at a pause, where no word can be cut off: only tokens near a tie are held back."""
    believed_margin: float = 1.0
    """Text of short sound is believed if one of its tokens has at least this margin."""
    doubted_margin: float = 3.0
    """Text of sound in which the detector finds no speech counts if its tokens have at least this margin on average."""
    hold_display: bool = True
    """Hold back new uncertain text and the last word until a second step repeats them. False shows every token."""
    kept_steps: int = 2
    """Steps for which a word stays on the screen although the last step lacks it, unless two steps agree on another."""
    short_voice_seconds: float = 1.5
    """A cough, a door or a hum is voiced for less than this. Uncertain text is not committed for such sound."""
    held_words: int = 1
    """The number of last words that wait for the next one, because the sound may end inside them."""

    def stable(
        self,
        tokens: Sequence[BelievedToken],
        frontier: int,
        begin_sample: int,
        end_sample: int,
        starts_word: Callable[[int], bool],
    ) -> int:
        """The number of first `tokens` that may be stable, at least `frontier`, after sound up to `end_sample`.

        Args:
            tokens: all believed tokens of the hypothesis.
            frontier: the number of tokens that are stable already.
            begin_sample: where the sound of the utterance begins.
            starts_word: True for a token id that may begin a word.
        """
        if self.rule is Rule.ROLLBACK:
            return self._all_but_last(tokens, frontier, begin_sample, end_sample)
        if end_sample - begin_sample < 2 * self.short_voice_seconds * SAMPLE_RATE and not any(
            token.margin >= self.believed_margin for token in tokens[frontier:]
        ):
            return frontier  # possibly no speech: see `is_believable`
        n = frontier
        while n < len(tokens) and end_sample - tokens[n].since_sample >= self._wait_samples(tokens[n]):
            n += 1
        return max(frontier, min(n, self._before_last_words(tokens, frontier, end_sample, starts_word)))

    def shown(
        self,
        tokens: Sequence[BelievedToken],
        frontier: int,
        end_sample: int,
        starts_word: Callable[[int], bool],
        at_pause: bool,
        first: bool,
    ) -> int:
        """The number of first `tokens` to show. New uncertain tokens wait for one more step, to avoid flicker.

        Args:
            at_pause: there is silence at `end_sample`, so no word can be cut off.
            first: nothing of the utterance has been shown yet, and the user waits for a word.
        """
        if not self.hold_display:
            return len(tokens)
        least_margin = self.pause_margin if at_pause else self.shown_margin
        n = frontier
        while n < len(tokens) and (tokens[n].since_sample < end_sample or tokens[n].margin >= least_margin):
            n += 1
        held = not (at_pause or first)
        if n == len(tokens) and n > frontier and held and tokens[-1].since_sample == end_sample:
            n -= 1  # the sound may end inside the last word, so it is shown once a second step repeats it
        while n > frontier and n < len(tokens) and not starts_word(tokens[n].id):
            n -= 1
        return n

    def is_believable(self, tokens: Sequence[BelievedToken], voiced_samples: int) -> bool:
        """False for text that the model was nowhere sure of, in an utterance with hardly any voice."""
        short = voiced_samples < self.short_voice_seconds * SAMPLE_RATE
        return not short or any(token.margin >= self.believed_margin for token in tokens)

    def _wait_samples(self, token: BelievedToken) -> int:
        sure = self.rule is Rule.AGREEMENT or token.margin >= self.sure_margin
        return max(1, round((self.agree_seconds if sure else self.doubtful_seconds) * SAMPLE_RATE))

    def _before_last_words(
        self, tokens: Sequence[BelievedToken], frontier: int, end_sample: int, starts_word: Callable[[int], bool]
    ) -> int:
        """Where the last `held_words` words begin. Words that were believed for `held_seconds` are not held back."""
        old = end_sample - round(self.held_seconds * SAMPLE_RATE)
        n, words = len(tokens), 0
        while n > frontier and words < self.held_words and tokens[n - 1].since_sample > old:
            n -= 1
            words += starts_word(tokens[n].id)
        return n

    def _all_but_last(self, tokens: Sequence[BelievedToken], frontier: int, begin_sample: int, end_sample: int) -> int:
        if end_sample - begin_sample <= self.rollback_cold_seconds * SAMPLE_RATE:
            return frontier
        held_until = end_sample - round(self.held_seconds * SAMPLE_RATE)
        n_old = frontier
        while n_old < len(tokens) and tokens[n_old].since_sample <= held_until:
            n_old += 1
        return max(frontier, len(tokens) - self.rollback_tokens, n_old)

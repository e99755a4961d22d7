"""Settling: a second pass over the whole sound of a closed utterance, when no step is due.

Live text is decided word by word, with about a second of sound after each. The second pass hears the whole utterance;
exports use its text where the model is surer of it than it was live. The utterances just before it go into the same
prompt, up to 16 s. The live text is the draft, so a pass costs little more than its prefill.
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from livecap.stream.config import StreamConfig, samples_in
from livecap.stream.recent_sound import RecentSound
from livecap.stream.recogniser import Decoded, Recogniser
from livecap.stream.word_times import Span
from livecap.transcript import Word

MOST_WAITING = 12
"""The most closed utterances that may wait, of at most 36 s each."""


@dataclass(frozen=True, slots=True)
class ClosedUtterance:
    """The live text of a closed utterance, and the sound it was spoken in."""

    index: int
    start_sample: int
    end_sample: int
    joints: tuple[int, ...]
    """Numbers of ids after which a prompt began without text."""
    header: tuple[int, ...]
    """`language X<asr_text>` of the prompt that it was decoded in."""
    ids: tuple[int, ...]
    margin: float
    """The mean margin of `ids`, each with the lowest of all steps that had it."""
    words: tuple[Word, ...]
    voiced: tuple[Span, ...]
    """Where there is voice in it."""
    language: str | None


class Settling:
    """The queue of closed utterances and their prompt. Has a recogniser of its own, so that the live KV cache stays."""

    def __init__(self, recogniser: Recogniser, config: StreamConfig) -> None:
        self._recogniser = recogniser
        self._config = config
        self._waiting: deque[ClosedUtterance] = deque()
        self._header: tuple[int, ...] = ()
        self._prefix: list[int] | None = None
        """Settled text in the open prompt; None before the first."""

    @property
    def n_waiting(self) -> int:
        """Closed utterances that still wait."""
        return len(self._waiting)

    def add(self, utterance: ClosedUtterance) -> None:
        """Add a closed utterance. If too many wait, the oldest keeps its live text and its sound is released."""
        self._waiting.append(utterance)
        while len(self._waiting) > MOST_WAITING:
            self._waiting.popleft()

    @property
    def needs_from(self) -> int | None:
        """Sound from here on must be kept; None if no utterance waits."""
        if not self._waiting:
            return None
        first = self._waiting[0]
        return min(first.start_sample, self._recogniser.end_sample) if self._joins(first) else first.start_sample

    def settle(
        self, sound: RecentSound, begins_with_word: Callable[[Sequence[int]], bool]
    ) -> tuple[ClosedUtterance, list[int]]:
        """Decode the next utterance again; returns it and the ids of its text: the live ones if those are no worse."""
        utterance = self._waiting.popleft()
        if not self._joins(utterance):
            self._recogniser.begin(utterance.start_sample)
            self._header, self._prefix = utterance.header, []
        prefix = self._prefix
        assert prefix is not None
        heard = self._recogniser.end_sample
        self._recogniser.append(sound.between(heard, max(heard, utterance.end_sample)))
        budget = self._config.loops.token_budget(utterance.end_sample - utterance.start_sample)
        pad_samples = samples_in(self._config.utterance.pad_seconds)
        decoded = self._recogniser.decode(self._header, prefix, utterance.ids, budget, pad_samples)
        self._header = decoded.header
        ids = decoded.ids if self._is_better(decoded, utterance, begins_with_word) else list(utterance.ids)
        prefix += ids
        return utterance, ids

    def close(self) -> None:
        """Release the recogniser. Decode thread only."""
        self._recogniser.close()

    @staticmethod
    def _is_better(
        decoded: Decoded, utterance: ClosedUtterance, begins_with_word: Callable[[Sequence[int]], bool]
    ) -> bool:
        """True if the second pass is surer of its text than the live steps were, and the text begins with a word."""
        margins = [token.margin for token in decoded.tokens]
        if not margins or not decoded.complete or not begins_with_word(decoded.ids):
            return False
        return not utterance.ids or sum(margins) / len(margins) > utterance.margin

    def _joins(self, utterance: ClosedUtterance) -> bool:
        """True if the utterance continues the open prompt."""
        if self._prefix is None:
            return False
        config = self._config.prompt
        silence = utterance.start_sample - self._recogniser.end_sample
        length = utterance.end_sample - self._recogniser.start_sample
        return silence <= samples_in(config.joined_pause_seconds) and length <= samples_in(
            config.settled_prompt_seconds
        )

"""What a running session measures of itself: what its steps cost, and how late its words became stable."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from livecap.stream.statistics import StageSeconds
from livecap.transcript import SAMPLE_RATE, SessionEvent, TextCommitted, TranscriptUpdate, UtteranceEnded

RTF_STEPS = 10
"""Number of steps that the shown RTF is averaged over."""
KEPT_STEPS = 2000
"""More than ten minutes of the shortest steps."""
KEPT_WORDS = 3000
"""About twenty minutes of speech."""


@dataclass(frozen=True, slots=True)
class StepCost:
    """The cost of one step of one track."""

    at_seconds: float
    """When it ended, on the sample clock of its track."""
    track: str
    sound_seconds: float
    """New sound that it decoded."""
    compute_seconds: float
    """Its duration: the stages, the host's work, the log and the listeners."""
    waited_seconds: float
    """How much of its sound had arrived earlier and waited for the decoder."""
    stages: StageSeconds

    @property
    def host_seconds(self) -> float:
        """The part of its duration that no stage accounts for."""
        stages = self.stages
        return max(0.0, self.compute_seconds - stages.mel - stages.encoder - stages.prefill - stages.generate)


class StepCosts:
    """The costs of the last steps. The decode thread adds, any thread reads."""

    def __init__(self) -> None:
        self._kept: deque[StepCost] = deque(maxlen=KEPT_STEPS)
        self.compute_seconds = 0.0
        """Sum over all steps so far."""

    def add(self, cost: StepCost) -> None:
        self.compute_seconds += cost.compute_seconds
        if cost.sound_seconds > 0:
            self._kept.append(cost)

    @property
    def recent(self) -> tuple[StepCost, ...]:
        """The last steps that decoded new sound, oldest first."""
        return tuple(self._kept)

    @property
    def last(self) -> StepCost | None:
        return self._kept[-1] if self._kept else None

    @property
    def rtf(self) -> float | None:
        """Compute time over sound time of the last steps; None before the first step."""
        last = list(self._kept)[-RTF_STEPS:]
        sound = sum(cost.sound_seconds for cost in last)
        return sum(cost.compute_seconds for cost in last) / sound if sound else None


@dataclass(frozen=True, slots=True)
class CommittedWord:
    """The commit latency of one word of a closed utterance."""

    at_seconds: float
    """When it became stable, on the sample clock of its track."""
    seconds: float
    """Time from the end of its sound until then. The end of a word is known about as exactly as a step is long."""


class CommitLatency:
    """A listener that measures how long after its sound each word became stable. Any thread may read `recent`."""

    def __init__(self, arrived_samples: Callable[[str], int]) -> None:
        """
        Args:
            arrived_samples: how much sound of the track with this label has arrived by now.
        """
        self._arrived_samples = arrived_samples
        self._commits: dict[tuple[str, int], list[tuple[int, int]]] = {}
        """(track, utterance) to (number of stable characters, sound that had arrived by then) of each commit."""
        self._words: deque[CommittedWord] = deque(maxlen=KEPT_WORDS)

    def __call__(self, item: SessionEvent | TranscriptUpdate) -> None:
        match item:
            case TextCommitted(track=track, utterance=utterance, text=text):
                commits = self._commits.setdefault((track, utterance), [])
                n_before = commits[-1][0] if commits else 0
                commits.append((n_before + len(text), self._arrived_samples(track)))
            case UtteranceEnded():
                self._add_words(item)

    @property
    def recent(self) -> tuple[CommittedWord, ...]:
        """The last words, oldest first."""
        return tuple(self._words)

    def _add_words(self, utterance: UtteranceEnded) -> None:
        commits = self._commits.pop((utterance.track, utterance.utterance), [])
        at = 0
        for word in utterance.words:
            found = utterance.text.find(word.text, at)
            if found < 0:
                continue  # a word that is spelled differently in the text has no place in it
            at = found + len(word.text)
            arrived = next((sample for n_characters, sample in commits if n_characters >= at), None)
            if arrived is not None:
                seconds = max(0, arrived - word.end_sample) / SAMPLE_RATE
                self._words.append(CommittedWord(arrived / SAMPLE_RATE, seconds))

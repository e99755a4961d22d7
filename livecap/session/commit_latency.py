"""CommitLatency: how long after its sound each word became stable, measured while a session runs."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from livecap.transcript import SAMPLE_RATE, SessionEvent, TextCommitted, TranscriptUpdate, UtteranceEnded

KEPT_WORDS = 3000
"""Twenty minutes of speech."""


@dataclass(frozen=True, slots=True)
class CommittedWord:
    """One word of a closed utterance."""

    at_seconds: float
    """When it became stable, on the sample clock of its track."""
    seconds: float
    """From the end of its sound until then. Where a word ends is known about as well as a step is long."""


class CommitLatency:
    """A listener of the session: hears of text when it becomes stable, and of word times when an utterance ends."""

    def __init__(self, arrived_samples: Callable[[str], int]) -> None:
        """
        Args:
            arrived_samples: of the track with this label, now.
        """
        self._arrived_samples = arrived_samples
        self._commits: dict[tuple[str, int], list[tuple[int, int]]] = {}
        """(track, utterance) to (characters so far, sound that had arrived when they were stable)."""
        self._words: deque[CommittedWord] = deque(maxlen=KEPT_WORDS)

    def __call__(self, item: SessionEvent | TranscriptUpdate) -> None:
        match item:
            case TextCommitted(track=track, utterance=utterance, text=text):
                commits = self._commits.setdefault((track, utterance), [])
                n_before = commits[-1][0] if commits else 0
                commits.append((n_before + len(text), self._arrived_samples(track)))
            case UtteranceEnded():
                self._note_words(item)

    @property
    def recent(self) -> tuple[CommittedWord, ...]:
        """The last words, oldest first; from any thread."""
        return tuple(self._words)

    def _note_words(self, utterance: UtteranceEnded) -> None:
        commits = self._commits.pop((utterance.track, utterance.utterance), [])
        at = 0
        for word in utterance.words:
            found = utterance.text.find(word.text, at)
            if found < 0:
                continue  # a word that is written otherwise has no place
            at = found + len(word.text)
            arrived = next((sample for n_characters, sample in commits if n_characters >= at), None)
            if arrived is not None:
                seconds = max(0, arrived - word.end_sample) / SAMPLE_RATE
                self._words.append(CommittedWord(arrived / SAMPLE_RATE, seconds))

"""DraftTrial: finds out whether drafts make decoding quicker on this machine."""

import math

ROUNDS = 2
"""Batches with drafts and batches without that are compared."""


class DraftTrial:
    """Some batches are decoded with drafts and some without, the rest in the quicker way."""

    def __init__(self) -> None:
        self._n = {True: 0, False: 0}
        self._least_seconds = {True: math.inf, False: math.inf}
        """The least time for a second of sound, with drafts and without: other batches were disturbed by other programs
        or loaded code."""

    @property
    def is_decided(self) -> bool:
        return min(self._n.values()) >= ROUNDS

    def wants_drafts(self) -> bool:
        """Whether the next batch should be decoded with drafts."""
        if not self.is_decided:
            return self._n[True] <= self._n[False]
        return self._least_seconds[True] <= self._least_seconds[False]

    def add(self, with_drafts: bool, seconds: float, sound_seconds: float) -> None:
        """Count a batch that could be decoded either way."""
        self._n[with_drafts] += 1
        cost = seconds / max(sound_seconds, 1e-9)
        self._least_seconds[with_drafts] = min(self._least_seconds[with_drafts], cost)

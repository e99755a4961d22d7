"""Totals: what a worker has done since it began: sound, the time that it took, and how late live sound was heard."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import accumulate

from livecap.transcript import SAMPLE_RATE

STREAM, RECORDING = "stream", "recording"
LAG_BOUNDS = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0)
"""Seconds; a lag is counted by the first bound that it does not exceed."""


class Totals:
    """The worker's thread counts; any thread may read."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """
        Args:
            clock: seconds.
        """
        self._clock = clock
        self._kind: str | None = None
        self._since = clock()
        self._lags = [0] * (len(LAG_BOUNDS) + 1)
        self.lag_seconds = 0.0
        """Sum of all lags."""
        self.sound_seconds = {STREAM: 0.0, RECORDING: 0.0}
        """Sound that was heard."""
        self.busy_seconds = {STREAM: 0.0, RECORDING: 0.0}
        """Time that was spent on it."""

    @contextmanager
    def busy(self, kind: str) -> Iterator[None]:
        """Count the time of this block. Time of a block within it counts for that one alone."""
        outer = self._kind
        self._turn_to(kind)
        try:
            yield
        finally:
            self._turn_to(outer)

    def _turn_to(self, kind: str | None) -> None:
        now = self._clock()
        if self._kind is not None:
            self.busy_seconds[self._kind] += now - self._since
        self._kind, self._since = kind, now

    def heard(self, n_samples: int, lag: float) -> None:
        """Count a piece of a stream at 16 kHz.

        Args:
            lag: seconds from its arrival until it was heard and the step that was due was made.
        """
        self.sound_seconds[STREAM] += n_samples / SAMPLE_RATE
        self.lag_seconds += lag
        self._lags[next((i for i, bound in enumerate(LAG_BOUNDS) if lag <= bound), -1)] += 1

    @property
    def lags(self) -> list[int]:
        """[n_bounds + 1]: how many pieces were at most as late as each bound; the last counts all."""
        return list(accumulate(self._lags))

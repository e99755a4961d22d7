"""Detectors for what can be wrong with a device: zeros, sleep, a changed rate, drift, repeated failure.

Each gets numbers and answers a question. None has a thread or a device; the caller reads the clock.
"""

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # slow to load, and capture begins before it
    import numpy as np
    from numpy.typing import NDArray


class ZerosWatch:
    """Detects an input that delivers nothing but exact zeros: no real microphone is that quiet."""

    def __init__(self, zeros_seconds: float) -> None:
        self._zeros_seconds = zeros_seconds
        self._seconds = 0.0

    @property
    def seconds(self) -> float:
        """How long it has been zeros."""
        return self._seconds

    @property
    def silent(self) -> bool:
        """True from `zeros_seconds` of zeros until the first sound."""
        return self._seconds >= self._zeros_seconds

    def hear(self, sound: "NDArray[np.float32]", rate: int) -> None:
        """The next sound, [n] or [n, n_channels], at `rate`."""
        self._seconds = 0.0 if sound.any() else self._seconds + len(sound) / rate


class SleepWatch:
    """Detects that the computer was asleep."""

    least_seconds = 1.0
    """The two clocks are read one after the other, so a shorter difference is not sleep."""

    def __init__(self, now: Callable[[], float], awake_now: Callable[[], float]) -> None:
        """
        Args:
            now: seconds that go on during sleep.
            awake_now: seconds that do not.
        """
        self._now = now
        self._awake_now = awake_now
        self._last, self._last_awake = now(), awake_now()

    def slept_since(self) -> float | None:
        """When the sleep began, in seconds of `now`; None if the computer was awake since the last call."""
        before, awake_before = self._last, self._last_awake
        self._last, self._last_awake = self._now(), self._awake_now()
        slept = (self._last - before) - (self._last_awake - awake_before)
        return before if slept > self.least_seconds else None


class RateWatch:
    """Detects a stream that delivers at another rate than it was opened with, by counting samples."""

    window_seconds = 5.0
    tolerance = 0.02
    windows = 2
    """How many windows in a row must agree: a burst after a stall is not another rate."""

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._start: tuple[float, int] | None = None
        self._odd: list[float] = []

    def changed_to(self, now: float, n_samples: int) -> float | None:
        """Samples a second as counted, where that differs from the stream's rate for long enough; else None.

        Args:
            now: when the last block arrived.
            n_samples: delivered up to then.
        """
        if self._start is None:
            self._start = (now, n_samples)
            return None
        seconds = now - self._start[0]
        if seconds < self.window_seconds:
            return None
        counted = (n_samples - self._start[1]) / seconds
        self._start = (now, n_samples)
        if abs(counted / self._rate - 1) <= self.tolerance:
            self._odd.clear()
            return None
        self._odd.append(counted)
        agree = max(self._odd) - min(self._odd) <= self.tolerance * self._rate
        if len(self._odd) < self.windows:
            return None
        if not agree:
            del self._odd[0]
            return None
        return sum(self._odd) / len(self._odd)


class DriftWatch:
    """Measures how fast a device's clock runs against the computer's, by the blocks that arrived with the least delay.

    The audio system changes its delay now and then, by more than any drift. So the most punctual blocks of neighbouring
    windows are compared, and the drift is the median of all these slopes.
    """

    window_seconds = 10.0
    least_windows = 6
    """With fewer windows, the jitter of a block is more than any drift."""
    most_windows = 720

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._slopes: deque[float] = deque(maxlen=self.most_windows)
        self._last: tuple[float, float] | None = None
        """(when it arrived, delay) of the most punctual block in the last complete window."""
        self._best: tuple[float, float] | None = None
        self._window_start: float | None = None
        self.ppm: float | None = None
        """By how many millionths the device's clock is faster than the computer's; None in the first minute or so."""

    def hear(self, now: float, n_samples: int) -> None:
        """A block arrived at `now`; `n_samples` have arrived with it."""
        delay = now - n_samples / self._rate
        if self._window_start is None:
            self._window_start = now
        if now - self._window_start >= self.window_seconds and self._best is not None:
            self._close_window(self._best)
            self._best, self._window_start = None, now
        if self._best is None or delay < self._best[1]:
            self._best = (now, delay)

    def _close_window(self, best: tuple[float, float]) -> None:
        last, self._last = self._last, best
        if last is not None and best[0] - last[0] >= self.window_seconds / 2:
            self._slopes.append((best[1] - last[1]) / (best[0] - last[0]))
        if len(self._slopes) >= self.least_windows:
            from statistics import median  # slow to load, and capture begins before it

            self.ppm = -median(self._slopes) * 1e6


class RestartPace:
    """How long to wait before a device is opened again: no time after it ran well, longer and longer while it fails."""

    well_seconds = 5.0
    """A stream that ran for this long ran well."""
    most_seconds = 8.0
    storm_openings = 3
    """How many short-lived streams in a row are a `storm`."""
    most_counted = 30
    """Further ones in a row change nothing: the longest wait is reached long before."""

    def __init__(self, retry_seconds: float) -> None:
        self._retry_seconds = retry_seconds
        self._n_short = 0

    @property
    def storm(self) -> bool:
        """The device fails again and again as soon as it is opened."""
        return self._n_short >= self.storm_openings

    def died_after(self, lived_seconds: float) -> float:
        """Seconds to wait before the next opening."""
        self._n_short = 0 if lived_seconds >= self.well_seconds else min(self._n_short + 1, self.most_counted)
        if self._n_short == 0:
            return 0.0
        return min(self._retry_seconds * 2.0 ** (self._n_short - 1), self.most_seconds)

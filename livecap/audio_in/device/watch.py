"""What to watch a device for, each as a small thing that is told numbers and answers: zeros, a changed rate, drift,
sleep, and a device that comes and goes. No thread, no device; seconds come from the clock of whoever asks."""

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # slow to load, and capture begins before it
    import numpy as np
    from numpy.typing import NDArray


class ZerosWatch:
    """Whether an input has delivered nothing but exact zeros for too long: no room is that quiet."""

    def __init__(self, zeros_seconds: float) -> None:
        self._zeros_seconds = zeros_seconds
        self._seconds = 0.0

    @property
    def seconds(self) -> float:
        """Zeros up to now."""
        return self._seconds

    @property
    def silent(self) -> bool:
        """True from `zeros_seconds` of zeros until the first sound."""
        return self._seconds >= self._zeros_seconds

    def hear(self, sound: "NDArray[np.float32]", rate: int) -> None:
        """Sound of any shape, its first axis time."""
        self._seconds = 0.0 if sound.any() else self._seconds + len(sound) / rate


class SleepWatch:
    """Whether the machine slept since it was asked last."""

    least_seconds = 1.0
    """Clocks are read one after the other: less is no sleep."""

    def __init__(self, clock: Callable[[], float], awake_clock: Callable[[], float]) -> None:
        """
        Args:
            clock: seconds that go on during sleep.
            awake_clock: seconds that do not.
        """
        self._clock = clock
        self._awake_clock = awake_clock
        self._last = clock()
        self._last_awake = awake_clock()

    def slept_since(self) -> float | None:
        """When the sleep began, by the clock that goes on; None where there was none since the last call."""
        before, awake_before = self._last, self._last_awake
        self._last, self._last_awake = self._clock(), self._awake_clock()
        slept = (self._last - before) - (self._last_awake - awake_before)
        return before if slept > self.least_seconds else None


class RateWatch:
    """Whether a stream delivers at another rate than it was opened with, by counting: nothing else tells."""

    window_seconds = 5.0
    tolerance = 0.02
    windows = 2
    """So many in a row must agree: a late burst after a stall is no other rate."""

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._start: tuple[float, int] | None = None
        self._odd: list[float] = []

    def changed_to(self, now: float, n_samples: int) -> float | None:
        """Samples a second as counted, where that is not the stream's rate for long enough; else None.

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
    """How fast a device's clock runs against the machine's, by the blocks that arrived with the least delay.

    The audio system changes its delay now and then, by more than any drift. So the most punctual blocks of neighbouring
    windows are compared, and the middle one of all these slopes counts.
    """

    window_seconds = 10.0
    least_windows = 6
    """Before this a block's jitter is more than any drift."""
    most_windows = 720

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._slopes: deque[float] = deque(maxlen=self.most_windows)
        self._last: tuple[float, float] | None = None
        """(when, delay) of the last whole window's most punctual block."""
        self._best: tuple[float, float] | None = None
        self._window_start: float | None = None
        self.ppm: float | None = None
        """Millionths by which the device is faster than the machine's clock; None in the first minute or so."""

    def hear(self, now: float, n_samples: int) -> None:
        """A block arrived, the last of `n_samples`."""
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
    """How long to wait before a device is opened again: at once after it ran well, longer and longer while it dies."""

    well_seconds = 5.0
    """A stream that lived so long ran well."""
    most_seconds = 8.0
    told_after = 3
    """Openings that died at once, before that is worth a sentence."""

    def __init__(self, retry_seconds: float) -> None:
        self._retry_seconds = retry_seconds
        self._n_short = 0

    @property
    def storm(self) -> bool:
        """It dies as soon as it is opened."""
        return self._n_short >= self.told_after

    def died_after(self, lived_seconds: float) -> float:
        """Seconds to wait before the next opening."""
        self._n_short = 0 if lived_seconds >= self.well_seconds else self._n_short + 1
        if self._n_short == 0:
            return 0.0
        return min(self._retry_seconds * 2.0 ** (self._n_short - 1), self.most_seconds)

"""CaptureStatus: how well an input device was captured. Does not import numpy: capture begins before it is loaded."""

from dataclasses import dataclass

CALLBACK_BUCKETS = 24
"""Callback times are counted by powers of two, in microseconds."""


@dataclass(frozen=True, slots=True)
class CaptureStatus:
    """Counters since the start, for `livecap doctor` and the log."""

    n_blocks: int = 0
    """Callbacks."""
    n_overflows: int = 0
    """How often the ring buffer was full and the oldest samples were lost."""
    n_flags: int = 0
    """Callbacks for which PortAudio reported lost input."""
    n_opened: int = 0
    """How often the device was opened; more than once means that it was paused, lost or switched."""
    longest_callback_seconds: float = 0.0
    callback_counts: tuple[int, ...] = (0,) * CALLBACK_BUCKETS
    """How many callbacks took less than 2, 4, 8, ... microseconds (and not less than the bound before)."""
    drift_ppm: float | None = None
    """By how many millionths the device's clock runs faster than the computer's; None in the first minute."""

    @property
    def callback_p999_seconds(self) -> float | None:
        """999 of 1000 callbacks took no longer; rounded up to a power of two of microseconds. None before the first."""
        most = sum(self.callback_counts) * 0.999
        n = 0
        for bucket, count in enumerate(self.callback_counts):
            n += count
            if count and n >= most:
                return min(2.0 ** (bucket + 1) * 1e-6, self.longest_callback_seconds)
        return None

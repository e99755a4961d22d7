"""One clock for times of sound and sessions: it never falls, and goes on while the computer sleeps."""

import sys
import time


def steady_seconds() -> float:
    """Seconds since some moment. `time.monotonic` stands still during sleep on Linux and macOS."""
    if sys.platform == "linux":
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    if sys.platform == "darwin":
        return time.clock_gettime(time.CLOCK_MONOTONIC)
    return time.monotonic()

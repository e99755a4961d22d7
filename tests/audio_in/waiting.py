"""Waiting for other threads, with a deadline that a busy machine meets."""

import threading
import time
from collections.abc import Callable

WITHIN_SECONDS = 30.0


def eventually(condition: Callable[[], object], within_seconds: float = WITHIN_SECONDS) -> None:
    """Return as soon as it is so; fail where it is not in time."""
    deadline = time.monotonic() + within_seconds
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.0005)


def capture_threads() -> list[threading.Thread]:
    """Those of all live sources of this process."""
    return [thread for thread in threading.enumerate() if thread.name.startswith("capture ")]

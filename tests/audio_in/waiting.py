"""Waiting for other threads and for sound, with deadlines that a busy machine meets."""

import threading
import time
from collections.abc import Callable, Iterator

from livecap.audio_in.source import WAKE_SECONDS, AudioBlock, AudioSource

WITHIN_SECONDS = 30.0


def eventually(condition: Callable[[], object], within_seconds: float = WITHIN_SECONDS) -> None:
    """Return as soon as the condition holds; fail if it does not in time."""
    deadline = time.monotonic() + within_seconds
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.0005)


def capture_threads() -> list[threading.Thread]:
    """The capture threads of all live sources in this process."""
    return [thread for thread in threading.enumerate() if thread.name.startswith("capture ")]


def blocks(source: AudioSource) -> Iterator[AudioBlock]:
    """Everything from a source, as it comes, on the calling thread; fails if nothing comes for too long.

    Raises:
        AudioError: the source failed; everything that arrived before was yielded.
    """
    event = threading.Event()
    source.wake(event)
    deadline = time.monotonic() + WITHIN_SECONDS
    while not source.ended:
        event.clear()
        block = source.take()
        if block is not None:
            yield block
            deadline = time.monotonic() + WITHIN_SECONDS
        elif not source.ended:
            assert time.monotonic() < deadline, "nothing came"
            event.wait(WAKE_SECONDS)

"""Ctrl-C, SIGTERM and a closed window end a session in order."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def signals_stop(stop: Callable[[], None]) -> Iterator[None]:
    """Ctrl-C, SIGTERM and a closed window decode the rest and end in order; a second Ctrl-C leaves at once."""
    asked = False

    def on_signal(number: int, frame: object) -> None:
        nonlocal asked
        if asked and number == signal.SIGINT:
            os._exit(130)
        asked = True
        stop()

    # A signal that is ignored stays so: nohup, and a shell's background jobs, count on it.
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    heard = [number for number, handler in before.items() if handler is not signal.SIG_IGN]
    for number in heard:
        signal.signal(number, on_signal)
    try:
        yield
    finally:
        for number in heard:
            signal.signal(number, before[number])

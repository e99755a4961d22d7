"""The terminal that livecap was started from: warnings, questions, and the signals that end a session.

Light to import: capture starts before anything heavy is loaded.
"""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from livecap.session.notices import ONE_STOP_SECONDS
from livecap.text.printing import say

INTERRUPTED = 130
"""Exit status after Ctrl-C, unless it ended a session in order."""


def warn(message: str) -> None:
    """Print one line on standard error."""
    say("livecap: ", message, file=sys.stderr, flush=True)


def ask(question: str) -> str:
    """The user's answer in lower case; "" at the end of the input. Unlike `input`, the question goes to stdout."""
    *lines, last = question.split("\n")
    for line in lines:
        say(line)
    say(last, end="", flush=True)
    return sys.stdin.readline().strip().lower()


def silence_model_log() -> None:
    """Keep the model's logged warnings off standard error, for callers that report them in another way."""
    import logging  # slow to load, and not needed to open a device

    logging.getLogger("livecap.model").addHandler(logging.NullHandler())


@contextmanager
def loading_code() -> Iterator[None]:
    """Within this block, which imports modules, Ctrl-C ends livecap at once. A `KeyboardInterrupt` inside a module that
    is being loaded may be swallowed there, or become another error."""
    before = signal.getsignal(signal.SIGINT)
    is_main = threading.current_thread() is threading.main_thread()
    if before is not signal.default_int_handler or not is_main:  # ignored, or of whoever called livecap
        yield
        return
    signal.signal(signal.SIGINT, lambda number, frame: os._exit(INTERRUPTED))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def signals_stop(
    stop: Callable[[], None], leave: Callable[[], None] = lambda: None, is_over: Callable[[], bool] = lambda: False
) -> Iterator[None]:
    """Within this block Ctrl-C, SIGTERM and a closed window call `stop`. A second Ctrl-C, at least ONE_STOP_SECONDS
    later, calls `leave` and exits at once; so does the first one if `is_over` says that nothing is left to stop."""
    asked: float | None = None

    def on_signal(number: int, frame: object) -> None:
        nonlocal asked
        leaves = is_over() if asked is None else time.monotonic() - asked >= ONE_STOP_SECONDS
        if number == signal.SIGINT and leaves:
            try:
                leave()
            finally:
                os._exit(INTERRUPTED)
        elif asked is None:
            asked = time.monotonic()
            stop()

    # A signal that is ignored stays ignored: nohup and background jobs of a shell rely on it.
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    heard = [number for number, handler in before.items() if handler is not signal.SIG_IGN]
    for number in heard:
        signal.signal(number, on_signal)
    try:
        yield
    finally:
        if asked is None:  # otherwise the second signal of this stop may come while the process ends
            for number in heard:
                signal.signal(number, before[number])

"""The terminal belongs to the screen: native prints go to a log, signals end the session in order.

PortAudio and ALSA write to file descriptors 1 and 2 behind Python's back, and Textual draws on the same
terminal. So the screen gets descriptors of its own, and 1 and 2 lead to a file while it is up.
"""

import ctypes
import gc
import os
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Any

from livecap.settings import Settings
from livecap.text_safety import printable
from livecap.tui.app import LivecapApp, Remember, forget
from livecap.tui.live_screen import LiveScreen
from livecap.tui.machine import Change, Machine

if TYPE_CHECKING:
    from textual.screen import Screen

    from livecap.session.steered import SteeredSession

STDOUT, STDERR = 1, 2


def run_app(
    session: "SteeredSession",
    native_log: Path,
    settings: Settings | None = None,
    *,
    remember: Remember = forget,
    machine: Machine | None = None,
    change: Change | None = None,
    inline: bool = False,
) -> str:
    """Show the session until a person leaves: `finished`, `abandoned`, or `crashed` where the screen failed.

    The session has ended, except where a person abandoned it.

    Args:
        session: not started.
        native_log: gets what native libraries print.
        remember: stores a setting that a person chose on the screen.
        machine: what can be chosen from while the session runs.
        change: changes the session that runs.
        inline: captions in a few lines of the normal screen.
    """
    screen = LiveScreen(session, machine=machine, change=change, inline=inline)
    app = LivecapApp(screen, settings, remember)
    gc.freeze()  # what is loaded by now stays: a collection during the session need not look at it
    with native_prints_to(native_log), _signals(screen.request_quit):
        result = app.run(inline=inline)
    if result is None:
        session.stop()
        session.wait()
        _tell_fault(app, native_log.parent / "screen-fault.txt")
    return result or "crashed"


def run_screen(screen: "Screen[Any]", settings: Settings | None = None, remember: Remember = forget) -> Any:
    """Show a screen that is no session; returns what it leaves with, None where it failed."""
    app = LivecapApp(screen, settings, remember)
    with native_prints_to(Path(os.devnull)):
        result = app.run()
    _tell_fault(app, Path(tempfile.gettempdir()) / f"livecap-screen-fault-{os.getpid()}.txt")
    return result


def _tell_fault(app: LivecapApp, path: Path) -> None:
    """One line on the error output where the screen failed; the traceback goes to a file."""
    if app.fault:
        with suppress(OSError):
            path.write_text(app.fault, encoding="utf-8")
        last = printable(app.fault.strip().splitlines()[-1])
        print(f"livecap: the screen failed: {last}. Please report it, with {path}.", file=sys.stderr)


@contextmanager
def native_prints_to(path: Path) -> Iterator[None]:
    """Lead descriptors 1 and 2 to a file; Python's own streams, and so Textual, keep the terminal.

    The screen is drawn on the error output, or on the standard output where only that is a terminal.
    """
    _flush()
    saved = [os.dup(STDOUT), os.dup(STDERR)]
    screen = saved[1] if os.isatty(saved[1]) else saved[0]
    before = (sys.stdout, sys.__stdout__, sys.stderr, sys.__stderr__)
    log = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
    out, err = _stream(saved[0]), _stream(screen)
    try:
        os.dup2(log, STDOUT)
        os.dup2(log, STDERR)
        sys.stdout = sys.__stdout__ = out  # type: ignore[misc]
        sys.stderr = sys.__stderr__ = err  # type: ignore[misc]
        yield
    finally:
        _flush()
        os.dup2(saved[0], STDOUT)
        os.dup2(saved[1], STDERR)
        sys.stdout, sys.__stdout__, sys.stderr, sys.__stderr__ = before  # type: ignore[misc]
        for stream in (out, err):
            with suppress(OSError):
                stream.close()
        for descriptor in (*saved, log):
            os.close(descriptor)


def _stream(descriptor: int) -> TextIOWrapper:
    return os.fdopen(os.dup(descriptor), "w", encoding="utf-8", errors="replace")


def _flush() -> None:
    """What Python and C hold back is written before a descriptor changes hands."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    ctypes.CDLL(None).fflush(None)


@contextmanager
def _signals(request_quit: Callable[[], None]) -> Iterator[None]:
    """SIGTERM and a closed window ask for the same end as `q`."""
    numbers = (signal.SIGTERM, signal.SIGHUP)
    before = [signal.signal(number, lambda *_: request_quit()) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)

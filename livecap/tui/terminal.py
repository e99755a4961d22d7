"""The terminal belongs to the screen: native prints go to a log, signals end the session in order.

PortAudio and ALSA write to file descriptors 1 and 2 behind Python's back, and Textual draws on the same
terminal. So the screen gets descriptors of its own, and 1 and 2 lead to a file while it is up.
"""

import gc
import os
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from livecap.audio_in.device.native_prints import native_prints_to
from livecap.settings.fields import Settings
from livecap.text.safety import printable
from livecap.tui.app import LivecapApp, Remember, forget
from livecap.tui.choices import Change, Machine
from livecap.tui.screens.live_screen import LiveScreen

if TYPE_CHECKING:
    from textual.screen import Screen

    from livecap.session.requests import SteeredSession


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
def _signals(request_quit: Callable[[], None]) -> Iterator[None]:
    """SIGTERM and a closed window ask for the same end as `q`."""
    numbers = (signal.SIGTERM, signal.SIGHUP)
    before = [signal.signal(number, lambda *_: request_quit()) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)

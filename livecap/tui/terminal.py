"""Runs a screen in the terminal: native prints go to a file, and signals end the screen and its session properly.

PortAudio and ALSA write to file descriptors 1 and 2 behind Python's back, and Textual draws on the same
terminal. So the screen gets descriptors of its own, and 1 and 2 are redirected to a file while it is up.
"""

import gc
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from livecap.audio_in.device.native_prints import native_prints_to
from livecap.files import replace_file, temporary_folders
from livecap.session.notices import ONE_STOP_SECONDS
from livecap.settings.fields import Settings
from livecap.text.printing import keys_from_terminal, say
from livecap.tui.app import LivecapApp, Remember, forget
from livecap.tui.choices import Change, Machine
from livecap.tui.screens.live_screen import LiveScreen

if TYPE_CHECKING:
    from textual.screen import Screen

    from livecap.session.live import LiveSession


def run_app(
    session: "LiveSession",
    native_log: Path,
    settings: Settings | None = None,
    *,
    remember: Remember = forget,
    machine: Machine | None = None,
    change: Change | None = None,
    inline: bool = False,
) -> str:
    """Show a session until the user leaves.

    Args:
        session: not started yet.
        native_log: the file for what native libraries print.
        remember: stores a setting that the user changed on the screen.
        machine: the choices for changes while the session runs; None allows no changes.
        change: changes the running session.
        inline: show captions in a few lines of the normal screen.

    Returns:
        `finished`; `crashed` if the screen failed; `abandoned` if the user left before the session had ended. The
        session has ended in the first two cases.
    """
    screen = LiveScreen(session, machine=machine, change=change, inline=inline)
    app = LivecapApp(screen, settings, remember)
    keys_from_terminal()
    gc.freeze()  # everything loaded by now stays: collections during the session need not scan it
    with native_prints_to(native_log), _signals(screen.request_quit):
        result = app.run(inline=inline)
    for line in screen.unprinted_lines:
        say(line)
    if result is None:
        session.stop()
        session.wait()
        _tell_fault(app, native_log.parent / "screen-fault.txt")
    return result or "crashed"


def run_screen(screen: "Screen[Any]", settings: Settings | None = None, remember: Remember = forget) -> Any:
    """Show a screen without a session. Returns the result it leaves with; None if it failed."""
    app = LivecapApp(screen, settings, remember)
    keys_from_terminal()
    with native_prints_to(Path(os.devnull)), _signals(app.request_leave):
        result = app.run()
    _tell_fault(app, temporary_folders()[0] / f"livecap-screen-fault-{os.getpid()}.txt")
    return result


def _tell_fault(app: LivecapApp, path: Path) -> None:
    """If the screen failed, print one line to stderr and write the traceback to a file."""
    if app.fault:
        with suppress(OSError):
            replace_file(path, [app.fault])
        last = app.fault.strip().splitlines()[-1]
        say(f"livecap: the screen failed: {last}. Please report this and attach {path}.", file=sys.stderr)


@contextmanager
def _signals(request_quit: Callable[[], None]) -> Iterator[None]:
    """Let SIGTERM, a closed window (SIGHUP) and SIGINT, which another program sends, call `request_quit`; one stop may
    come as several signals. A SIGINT that is ignored stays ignored."""
    numbers = [signal.SIGTERM, signal.SIGHUP]
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        numbers.append(signal.SIGINT)
    last, is_hung_up = -ONE_STOP_SECONDS, False

    def on_signal(number: int, frame: object) -> None:
        nonlocal last, is_hung_up
        if number == signal.SIGHUP:
            if is_hung_up:
                return  # a window closes once; the kernel and LivecapApp may both notice it
            is_hung_up = True
        if time.monotonic() - last >= ONE_STOP_SECONDS:
            last = time.monotonic()
            request_quit()

    before = [signal.signal(number, on_signal) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)

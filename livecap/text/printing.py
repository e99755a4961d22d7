"""Printing: the only way by which text of livecap reaches standard output and standard error.

Nothing else in livecap prints (tests/text/test_printing.py looks). Whatever a text came from - a folder's name, a
device, a model, a title, a log - it is made printable here.
"""

import io
import os
import sys
from collections.abc import Callable, Iterable
from enum import StrEnum
from typing import Any, TextIO

from livecap.text.safety import json_text, printable

NO_DRAWING = ("", "dumb", "unknown")
"""Values of TERM of terminals that print control sequences as text."""


class Style(StrEnum):
    """Control sequences that livecap itself prints; left out where they would not be understood."""

    PLAIN = "\033[0m"
    BOLD = "\033[1m"
    RED = "\033[31m"
    GREEN = "\033[32m"
    REDRAW = "\r\033[K"
    """Print over the line that is there."""


COLOURS = (Style.RED, Style.GREEN)
"""Left out where the user has set NO_COLOR (https://no-color.org), as on the screen."""


def draws(file: TextIO) -> bool:
    """Whether a stream is a terminal that understands control sequences."""
    return file.isatty() and os.environ.get("TERM", "") not in NO_DRAWING


def keys_from_terminal() -> bool:
    """Make the terminal standard input, so that a screen gets the keys although a file or a pipe was given there, as
    inside `while read name; do livecap ...; done < names`. False if there is no terminal."""
    if os.isatty(0):
        return True
    try:
        terminal = os.open("/dev/tty", os.O_RDONLY)
    except OSError:
        return False
    if terminal:  # else standard input was closed
        os.dup2(terminal, 0)
        os.close(terminal)
    return True


def say(*pieces: str, end: str = "\n", file: TextIO | None = None, flush: bool = False) -> None:
    """Print a line, on standard output unless `file` is given.

    Args:
        pieces: texts, printed without control characters and line ends, and styles between them.
    """
    out = sys.stdout if file is None else file
    print("".join(_shown(piece, out) for piece in pieces), end=end, file=out, flush=flush)


def _shown(piece: str, out: TextIO) -> str:
    if not isinstance(piece, Style):
        return printable(piece)
    is_unwanted = piece in COLOURS and os.environ.get("NO_COLOR")
    return "" if is_unwanted or not draws(out) else piece


def say_lines(text: str, file: TextIO | None = None) -> None:
    """Print a text of several lines, on standard output unless `file` is given."""
    for line in text.split("\n"):
        say(line, file=file)


def say_json(value: Any, indent: int | None = None, default: Callable[[Any], Any] | None = None) -> None:
    """Print a value as JSON."""
    say_lines(json_text(value, indent, default))


def send(pieces: Iterable[str]) -> None:
    """Print a document as it is: an export, whose writer has made every text in it printable. All of it is out at the
    end: more work may follow, and be ended by a signal."""
    sys.stdout.writelines(pieces)
    sys.stdout.flush()


def take_standard_output() -> TextIO:
    """Standard output, for one writer alone. Whatever else prints from now on, libraries included, goes to standard
    error."""
    sys.stdout.flush()
    taken = open(os.dup(sys.stdout.fileno()), "w", encoding="utf-8", errors="replace")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return taken


def open_standard_streams() -> None:
    """Replace standard streams that were closed before the start (`livecap <&-`) by /dev/null, and write UTF-8.

    Call it early: the lowest free descriptor has to be the stream's, so that no file of livecap takes its place.
    """
    closed = [name for name in ("stdin", "stdout", "stderr") if getattr(sys, name) is None]
    for name in closed:
        descriptor = os.open(os.devnull, os.O_RDWR)
        mode = "r" if name == "stdin" else "w"
        setattr(sys, name, open(descriptor, mode, encoding="utf-8"))
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="replace")
    if "stdout" in closed:
        say("livecap: Standard output is closed: what is printed is lost.", file=sys.stderr)

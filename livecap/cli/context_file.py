"""`--context-file`: names and terms to expect, one a line; read again when the file changes. Imports nothing slow."""

import csv
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from livecap.errors import SettingsError
from livecap.files import read_regular
from livecap.settings.fields import Settings

MOST_BYTES = 1_000_000
POLL_SECONDS = 1.0
"""How often the file is looked at while a session runs."""


def context_of(settings: Settings) -> str:
    """The names and terms to expect: those of `--context`, then those of the file.

    Raises:
        SettingsError: the file cannot be read, or is not text.
    """
    terms = read_terms(settings.context_file) if settings.context_file is not None else []
    return ", ".join(filter(None, [settings.context, *terms]))


def read_terms(path: Path) -> list[str]:
    """The terms in a file: one a line; in a .csv the cells of each row. Lines that begin with # are remarks.

    Raises:
        SettingsError: it cannot be read, or is not text.
    """
    try:
        text = read_regular(path, MOST_BYTES).decode("utf-8-sig")
    except OSError as error:
        raise SettingsError(f"Cannot read --context-file {path}: {error.strerror or error}.") from None
    except UnicodeDecodeError:
        raise SettingsError(f"Cannot read --context-file {path}: it is not text in UTF-8.") from None
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    rows = csv.reader(lines) if path.suffix.lower() == ".csv" else ([line] for line in lines)
    terms = (" ".join(cell.split()) for row in rows for cell in row)
    return list(dict.fromkeys(term for term in terms if term))


class ContextFile:
    """Tells when the terms have changed."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._context = context_of(settings)

    def changed(self) -> str | None:
        """The new terms; None if they are the same, or the file cannot be read just now."""
        with suppress(SettingsError):
            context = context_of(self._settings)
            if context != self._context:
                self._context = context
                return context
        return None


@contextmanager
def followed(settings: Settings, change: Callable[[str], None]) -> Iterator[None]:
    """Within this block, `change` is called with the new terms when the file changes, on a thread of its own."""
    if settings.context_file is None:
        yield
        return
    file, ended = ContextFile(settings), threading.Event()

    def look() -> None:
        while not ended.wait(POLL_SECONDS):
            if (context := file.changed()) is not None:
                change(context)

    thread = threading.Thread(target=look, name="context file", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()

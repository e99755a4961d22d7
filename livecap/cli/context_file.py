"""`--context-file`: names and terms to expect, one per line; read again when the file changes. Imports nothing slow."""

import csv
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from livecap.errors import SettingsError
from livecap.files import read_regular
from livecap.settings.fields import Settings

MOST_BYTES = 1_000_000
POLL_SECONDS = 1.0
"""How often the file is looked at while a session runs."""
LIVE_PATIENCE = 1
"""Looks at which the file of a session may be missing without a word: an editor may delete it before it writes it."""


def context_of(settings: Settings) -> str:
    """The names and terms to expect: those of `--context`, then those of the file.

    Raises:
        SettingsError: the file cannot be read, or is not text.
    """
    terms = read_terms(settings.context_file) if settings.context_file is not None else []
    return ", ".join(filter(None, [settings.context, *terms]))


def read_terms(path: Path) -> list[str]:
    """The terms in a file: one per line; in a .csv the cells of each row. Lines that begin with # are remarks.

    The cells of a .csv may be separated by semicolons or tabs, as spreadsheets in many languages write them.

    Raises:
        SettingsError: it cannot be read, or is not text.
    """
    try:
        text = read_regular(path, MOST_BYTES).decode("utf-8-sig")
    except OSError as error:
        raise SettingsError(f"Cannot read --context-file {path}: {error.strerror or error}.") from None
    except UnicodeDecodeError:
        raise SettingsError(f"Cannot read --context-file {path}: it is not text in UTF-8.") from None
    lines = [line for line in text.splitlines(keepends=True) if not line.lstrip().startswith("#")]
    separator = max(",;\t", key="".join(lines).count)
    rows = csv.reader(lines, delimiter=separator) if path.suffix.lower() == ".csv" else ([line] for line in lines)
    try:
        terms = [" ".join(cell.split()) for row in rows for cell in row]
    except csv.Error as error:  # such as a quote that is never closed
        raise SettingsError(f"Cannot read --context-file {path}: it is not a table ({error}).") from None
    return list(dict.fromkeys(term for term in terms if term))


class ContextFile:
    """Tells when the terms have changed, and says once when the file cannot be read any more."""

    def __init__(self, settings: Settings, tell: Callable[[str], None], patience: int = 0) -> None:
        """
        Args:
            tell: gets what is to be said to the user.
            patience: looks in a row at which the file may be unreadable without a word.
        """
        self._settings, self._tell, self._patience = settings, tell, patience
        self._context = context_of(settings)
        self._n_failed = 0
        """Looks in a row at which the file could not be read."""

    def typed(self, context: str) -> str:
        """All terms where these now take the place of `--context`; those of the file stay.

        Raises:
            SettingsError: the file cannot be read.
        """
        settings = replace(self._settings, context=context)
        self._context = context_of(settings)
        self._settings = settings
        return self._context

    def changed(self) -> str | None:
        """The new terms; None if they are the same, or the file cannot be read: then the terms stay as they were."""
        try:
            context = context_of(self._settings)
        except SettingsError as error:
            self._n_failed += 1
            if self._n_failed == self._patience + 1:
                self._tell(f"{error} The previous terms stay in use until it can be read again.")
            return None
        self._n_failed = 0
        if context == self._context:
            return None
        self._context = context
        return context


@contextmanager
def followed(
    settings: Settings, change: Callable[[str], None], tell: Callable[[str], None]
) -> Iterator[ContextFile | None]:
    """The file, if there is one. Within this block, `change` is called with the new terms when it changes, and `tell`
    once with a sentence when it cannot be read any more; both on a thread of its own."""
    if settings.context_file is None:
        yield None
        return
    file, ended = ContextFile(settings, tell, LIVE_PATIENCE), threading.Event()

    def look() -> None:
        while not ended.wait(POLL_SECONDS):
            if (context := file.changed()) is not None:
                change(context)

    thread = threading.Thread(target=look, name="context file", daemon=True)
    thread.start()
    try:
        yield file
    finally:
        ended.set()
        thread.join()

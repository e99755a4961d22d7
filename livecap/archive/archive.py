"""Archive: the sessions in a folder. Find them, read them, name them, delete them; search is in index.py.

archive = Archive(folder)
archive.names()                      every session, newest first; quick
archive.folder_of("last")            a session by its name, a part of it, its title, a path, or "last"
archive.open(name)                   a RecordedSession
archive.rename(name, "Budget")       a title for people; the folder keeps its name
archive.delete(name)                 every trace of it, index included; what is not livecap's stays
archive.cut_off()                    sessions that a crash left unfinished
"""

import os
import re
import sqlite3
import stat
import unicodedata
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

from livecap.archive.delete import Deleted, delete, to_delete
from livecap.archive.folder import EVENTS, TITLE, has_end, is_being_written, read_title
from livecap.archive.index import INDEX, Index, SessionSummary, erase
from livecap.archive.reader import LogReader
from livecap.archive.recorded import RecordedSession
from livecap.archive.search import Hit, Query
from livecap.errors import LogError
from livecap.files import replace_file
from livecap.text.safety import printable

T = TypeVar("T")

MAX_TITLE = 200
"""Characters of a title."""


class Archive:
    """The sessions in one folder. Nothing is kept in memory: every call looks at what is there now."""

    def __init__(self, parent: Path) -> None:
        """
        Args:
            parent: the folder that has a folder for each session; it need not exist.
        """
        self.parent = parent

    def names(self) -> list[str]:
        """Every session, newest first."""
        found = (name for name in self._folders() if _has_begun(f"{self.parent}/{name}/{EVENTS}"))
        return sorted(found, key=_by_time, reverse=True)

    def _folders(self) -> list[str]:
        """Every folder that may be a session's, in no order; quicker than `names` where there are thousands."""
        try:
            with os.scandir(self.parent) as entries:
                return [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
        except FileNotFoundError:
            return []
        except OSError as error:
            raise LogError(f"Cannot read the sessions in {self.parent}: {error.strerror or error}.") from None

    def sessions(self) -> list[SessionSummary]:
        """Every session, newest first. Reads the logs that are new or changed since the last call, and the index for
        the rest; what cannot be read as a session is left out.

        Raises:
            LogError: the index cannot be made beside the sessions.
        """
        return self._ask(Index.sessions)

    def unreadable(self, readable: Iterable[str]) -> list[str]:
        """A line for each log that cannot be read: of another program, or of a later livecap.

        Args:
            readable: the names of those that can, as `sessions` told.
        """
        troubles = []
        for name in sorted(set(self.names()) - set(readable)):
            try:
                RecordedSession(self.parent / name)
            except LogError as error:
                troubles.append(str(error))
            except OSError as error:
                troubles.append(f"Cannot read {self.parent / name / EVENTS}: {error.strerror or error}.")
        return troubles

    def search(self, query: Query) -> list[Hit]:
        """The newest utterances that are as `query` wants them, in all sessions or one.

        Raises:
            LogError: the index cannot be made beside the sessions.
        """
        return self._ask(lambda index: index.search(query))

    def _ask(self, question: Callable[[Index], list[T]]) -> list[T]:
        """The answer of an index that knows everything; a damaged one is made anew once."""
        if not self.parent.is_dir():
            return []
        for attempt in range(2):
            try:
                with Index(self.parent) as index:
                    index.refresh(self._folders)
                    return question(index)
            except sqlite3.OperationalError as error:
                raise LogError(f"Cannot use the search index in {self.parent}: {error}.") from None
            except sqlite3.DatabaseError as error:
                if attempt:
                    raise LogError(f"Cannot use the search index in {self.parent}: {error}.") from None
                erase(self.parent)
        raise AssertionError

    def folder_of(self, wanted: str) -> Path:
        """The folder of the session that a person means: its name, the beginning of it, its title (or a part), a path
        to its folder or log, or "last".

        Raises:
            LogError: there is none, or there are several; names them.
        """
        path = Path(wanted).expanduser()
        if path.name == EVENTS:
            path = path.parent
        if (os.sep in wanted or path.is_absolute()) and (path / EVENTS).is_file():
            return path
        names = self.names()
        if wanted == "last" and names:
            return self.parent / names[0]
        if wanted in names:
            return self.parent / wanted
        found = [name for name in names if wanted and name.startswith(wanted)] or self._with_title(names, wanted)
        if len(found) == 1:
            return self.parent / found[0]
        if found:
            listed = ", ".join(found[:5]) + (", ..." if len(found) > 5 else "")
            raise LogError(f"{len(found)} sessions are called {wanted!r}: {listed}. Give more of the name.")
        if (path / EVENTS).is_file():
            return path
        have = f"The newest is {names[0]}" if names else "There are none yet"
        raise LogError(f"No session {wanted!r} in {self.parent}. {have}; `livecap sessions` lists them.")

    def _with_title(self, names: list[str], wanted: str) -> list[str]:
        titles = {name: _plain(read_title(self.parent / name)) for name in names} if wanted else {}
        key = _plain(wanted)
        return [name for name in names if titles.get(name) == key] or [
            name for name in names if key and key in titles.get(name, "")
        ]

    def open(self, wanted: str, last_seconds: float | None = None) -> RecordedSession:
        """A session as `folder_of` finds it; `last_seconds` as RecordedSession has it."""
        return RecordedSession(self.folder_of(wanted), last_seconds)

    def rename(self, wanted: str, title: str) -> None:
        """Give a session a title; an empty one takes it away.

        Raises:
            LogError: no such session, or its folder cannot be written.
        """
        folder = self.folder_of(wanted)
        title = printable(title).strip()[:MAX_TITLE]
        try:
            if title:
                replace_file(folder / TITLE, [f"{title}\n"])
            else:
                (folder / TITLE).unlink(missing_ok=True)
        except OSError as error:
            raise LogError(f"Cannot rename the session {folder.name}: {error.strerror or error}.") from None

    def delete(self, wanted: str) -> Deleted:
        """Remove what livecap wrote into a session's folder, sound and all, and its words from the index. What else is
        in the folder stays, and the folder with it; no link is followed.

        Raises:
            LogError: no such session, a folder of another program, a livecap writes it, or it cannot be removed.
        """
        folder = self.folder_of(wanted)
        try:
            if is_being_written(folder):
                raise LogError(f"The session {folder.name} is being written. End it first.")
            contents = to_delete(folder)
            if (folder.parent / INDEX).exists():
                self._forget(folder)
            return delete(folder, contents)
        except OSError as error:
            raise LogError(f"Cannot delete {folder}: {error.strerror or error}.") from None

    def _forget(self, folder: Path) -> None:
        try:
            with Index(folder.parent) as index:
                index.forget([folder.name])
        except sqlite3.DatabaseError:
            erase(folder.parent)  # damaged, or busy for long: without it no word is left either

    def cut_off(self, newest: int | None = None) -> list[str]:
        """Sessions that have no end and that nobody writes, newest first. Looks at the last bytes of each log.

        Args:
            newest: look at so many sessions only; None at all of them.
        """
        found = []
        for name in self.names()[:newest]:
            folder = self.parent / name
            try:
                if not has_end(folder / EVENTS) and not is_being_written(folder):
                    LogReader(folder / EVENTS)
                    found.append(name)
            except (LogError, OSError):
                continue  # not readable as a session: nothing to offer
        return found


def _has_begun(log: str) -> bool:
    """A livecap that was killed before its first fact leaves an empty log."""
    try:
        status = os.stat(log)
    except OSError:
        return False
    return stat.S_ISREG(status.st_mode) and status.st_size > 0


def file_name(title: str, otherwise: str) -> str:
    """A title as the name of a file, without a suffix: words joined by hyphens, at most 80 bytes; `otherwise` where
    nothing is left. Never a path, never hidden, never a name that a system reserves."""
    words = re.findall(r"[\w]+", unicodedata.normalize("NFC", title))
    name = "-".join(words)
    while len(name.encode()) > 80:
        name = name[:-1]
    name = name.strip("-._")
    reserved = re.fullmatch(r"(?i)con|prn|aux|nul|com\d|lpt\d", name)
    return f"{name}-" if reserved else name or otherwise


def _plain(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold().strip()


def _by_time(name: str) -> tuple[str, int]:
    """2026-03-01_10-02-03-10 comes after -9."""
    tail = name[20:]
    return name[:19], int(tail) if tail.isascii() and tail.isdigit() else 0

"""Archive: finds, reads, names, searches and deletes the sessions in a folder.

archive = Archive(folder)
archive.names()                      every session, newest first; quick
archive.folder_of("last")            a session by its name, the start of it, its title, a path, or "last"
archive.open(name)                   a RecordedSession
archive.rename(name, "Budget")       set its title; the folder keeps its name
archive.delete(name)                 delete it, also from the index; files of the user's own stay
archive.cut_off()                    sessions that a crash interrupted
"""

import os
import re
import sqlite3
import stat
import unicodedata
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from itertools import takewhile
from pathlib import Path
from typing import TypeVar

from livecap.archive.delete import SESSION_NAME, Deleted, delete, to_delete
from livecap.archive.folder import EVENTS, MAX_TITLE, TITLE, has_end, is_being_written, read_title
from livecap.archive.index import INDEX, Index, SessionSummary, erase, with_index
from livecap.archive.reader import LogReader
from livecap.archive.recorded import RecordedSession
from livecap.archive.rescued import remove_rescued, rescued
from livecap.archive.search import Hit, Query
from livecap.errors import LogError
from livecap.files import replace_file
from livecap.text.safety import printable

T = TypeVar("T")

ZONES = timedelta(hours=26)
"""The most by which the local times of two places differ."""


class Archive:
    """The sessions in one folder. Nothing is kept in memory: every call reads the folder again. Any thread may call."""

    def __init__(self, parent: Path) -> None:
        """
        Args:
            parent: contains a folder for each session; need not exist.
        """
        self.parent = parent

    def names(self) -> list[str]:
        """Every session, newest first."""
        return [name for name in self._begun() if os.path.isfile(f"{self.parent}/{name}/{EVENTS}")]

    def _begun(self) -> list[str]:
        """Every folder with a log, newest first, also those in which something else has the name of the log."""
        found = (name for name in self._folders() if _has_begun(f"{self.parent}/{name}/{EVENTS}"))
        return sorted(found, key=_by_time, reverse=True)

    def _folders(self) -> list[str]:
        """Every folder that may be a session, in no order; quicker than `names` with thousands of sessions."""
        try:
            with os.scandir(self.parent) as entries:
                return [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
        except FileNotFoundError:
            return []
        except OSError as error:
            raise self._unreadable(error) from None

    def _unreadable(self, error: OSError) -> LogError:
        return LogError(f"Cannot read the sessions in {self.parent}: {error.strerror or error}.")

    def sessions(self) -> list[SessionSummary]:
        """Every readable session, newest first. Reads new and changed logs, and the index for the others.

        Raises:
            LogError: the index cannot be used.
        """
        return self._ask(Index.sessions)

    def unreadable(self, readable: Iterable[str]) -> list[str]:
        """A sentence for each log that cannot be read, for example because a later version wrote it.

        Args:
            readable: the names of the sessions that `sessions` returned.
        """
        troubles = []
        for name in sorted(set(self._begun()) - set(readable)):
            try:
                if (source := rescued(self.parent / name)) is not None:
                    raise LogError(f"The session {name} is in {source}: `livecap recover` brings it back.")
                RecordedSession(self.parent / name)
            except LogError as error:
                troubles.append(str(error))
            except OSError as error:
                troubles.append(f"Cannot read {self.parent / name / EVENTS}: {error.strerror or error}.")
        return troubles

    def search(self, query: Query) -> list[Hit]:
        """The newest utterances that match `query`.

        Raises:
            LogError: the index cannot be used.
        """
        return self._ask(lambda index: index.search(query))

    def _ask(self, question: Callable[[Index], list[T]]) -> list[T]:
        """Ask an index that is up to date."""

        def act(index: Index) -> list[T]:
            index.refresh(self._folders)
            return question(index)

        try:
            return with_index(self.parent, act) if self.parent.is_dir() else []
        except OSError as error:
            raise self._unreadable(error) from None

    def reindex(self) -> tuple[int, list[str]]:
        """Build the index again from the logs; returns how many are in it, and a sentence for each that cannot be read.

        Raises:
            LogError: the index cannot be used.
        """
        return with_index(self.parent, lambda index: index.rebuild(self._begun()[::-1]))

    def folder_of(self, wanted: str) -> Path:
        """The folder of the session that the user means.

        Args:
            wanted: its name or the start of it, its title or a part of it, a path to its folder or log, or "last".

        Raises:
            LogError: no session or several match; the message names some.
        """
        path = Path(os.path.expanduser(wanted))
        if path.name == EVENTS:
            path = path.parent
        if wanted and path.name in ("", "..") and os.path.lexists(path / EVENTS):
            path = path.resolve()  # the index knows a session by the name of its folder, which "." does not say
        if (os.sep in wanted or path.is_absolute()) and os.path.lexists(path / EVENTS):
            return path
        names = self.names()
        if wanted == "last" and names:
            return self.parent / self._last(names)
        if wanted in self._begun():
            return self.parent / wanted
        found = [name for name in names if wanted and printable(name).startswith(printable(wanted))]
        found = found or self._with_title(names, wanted)
        if len(found) == 1:
            return self.parent / found[0]
        if found:
            listed = ", ".join(found[:5]) + (", ..." if len(found) > 5 else "")
            raise LogError(f"{len(found)} sessions match {wanted[:80]!r}: {listed}. Type more of the name.")
        if wanted and os.path.isfile(path / EVENTS):
            return path
        have = f"The newest is {names[0]}; `livecap sessions` lists all" if names else "There are no sessions yet"
        raise LogError(f"No session {wanted[:80]!r} in {self.parent}. {have}.")

    def _last(self, names: list[str]) -> str:
        """The session that began last of those that can be read; the newest name if none can.

        Names are local times, which go back when summer time ends and when the user flies west. So sessions whose names
        are close to the newest one are compared by their headers.
        """
        began = ((name, moment) for name in names if (moment := self._began(name)) is not None)
        first = next(began, None)
        if first is None:
            return names[0]
        newest = first[0]
        close = takewhile(lambda each: _are_close(each[0], newest), began)
        return max([first, *close], key=lambda each: each[1])[0]

    def _began(self, name: str) -> datetime | None:
        """When a session began; None if it cannot be read."""
        try:
            return datetime.fromisoformat(LogReader(self.parent / name / EVENTS).started.wall_time)
        except (LogError, OSError):
            return None

    def _with_title(self, names: list[str], wanted: str) -> list[str]:
        titles = {name: _plain(read_title(self.parent / name)) for name in names} if wanted else {}
        key = _plain(wanted)
        return [name for name in names if titles.get(name) == key] or [
            name for name in names if key and key in titles.get(name, "")
        ]

    def open(self, wanted: str, last_seconds: float | None = None) -> RecordedSession:
        """Read a session; `wanted` as in `folder_of`, `last_seconds` as in `RecordedSession`."""
        return RecordedSession(self.folder_of(wanted), last_seconds)

    def rename(self, wanted: str, title: str) -> None:
        """Set the title of a session; an empty one removes it.

        Raises:
            LogError: there is no such session, or its folder cannot be written.
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
        """Delete what livecap wrote into a session's folder, sound included, and its words from the index. Other files
        stay, and the folder with them. No link is followed.

        Raises:
            LogError: there is no such session, it is being recorded, or it cannot be deleted.
        """
        folder = self.folder_of(wanted)
        self.check_not_running(folder)
        try:
            contents = to_delete(folder)
            _change_index(folder.parent, lambda index: index.forget([folder.name]))
            if (rest := rescued(folder)) is not None:  # the disk failed while it ran
                remove_rescued(rest)
            return delete(folder, contents)
        except OSError as error:
            raise LogError(f"Cannot delete {folder}: {error.strerror or error}.") from None

    def expire(self, folder: Path) -> None:
        """Let the index read the session in `folder` again, whose log has changed after its end."""
        _change_index(folder.parent, lambda index: index.expire(folder.name))

    def check_not_running(self, folder: Path) -> None:
        """Raise LogError if the session in `folder` is being recorded, or has no log that can be opened."""
        try:
            running = is_being_written(folder)
        except OSError as error:
            log = folder / EVENTS
            raise LogError(f"Not deleted: {log} is not a session log of livecap: {error.strerror or error}.") from None
        if running:
            raise LogError(f"The session {folder.name} is being recorded. End it first.")

    def cut_off(self, newest: int | None = None) -> list[str]:
        """Sessions without an end that are not running, newest first. Reads the last bytes of each log.

        Args:
            newest: the number of sessions to check; None for all.
        """
        found = []
        for name in self.names()[:newest]:
            folder = self.parent / name
            try:
                if not has_end(folder / EVENTS) and not is_being_written(folder):
                    if rescued(folder) is None:
                        LogReader(folder / EVENTS)
                    found.append(name)
            except (LogError, OSError):
                continue  # not readable as a session
        return found


def _change_index(parent: Path, change: Callable[[Index], None]) -> None:
    """Change the index of the sessions in `parent`, if there is one.

    Where it is damaged or busy, or the disk is full, it is deleted instead: a new one has nothing that is gone, and
    everything that is new.
    """
    if (parent / INDEX).is_file():
        try:
            with Index(parent) as index:
                change(index)
        except (sqlite3.Error, UnicodeDecodeError, OSError):
            erase(parent)


def _has_begun(log: str) -> bool:
    """False without a log, and for the empty log of a livecap that was killed before its first fact; but not where the
    disk was full from the first fact on, and the session is in the temporary folder."""
    try:
        status = os.stat(log)
    except OSError:
        return os.path.lexists(log)
    return not stat.S_ISREG(status.st_mode) or status.st_size > 0 or rescued(Path(log).parent) is not None


def file_name(title: str, otherwise: str) -> str:
    """A title as a file name without suffix: its words joined by hyphens, at most 80 bytes; `otherwise` without words.
    Never a path, hidden, or a name that Windows reserves."""
    words = [""]
    for character in unicodedata.normalize("NFC", title):
        is_sign = unicodedata.category(character).startswith("M")  # a vowel of Hindi or Thai
        if character.isalnum() or character == "_" or is_sign and words[-1]:
            words[-1] += character
        elif words[-1]:
            words.append("")
    name = "-".join(filter(None, words))
    while len(name.encode()) > 80:
        name = name[:-1]
    name = name.strip("-._")
    reserved = re.fullmatch(r"(?i)con|prn|aux|nul|com\d|lpt\d", name)
    return f"{name}-" if reserved else name or otherwise


def _plain(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold().strip()


def _are_close(name: str, newest: str) -> bool:
    """True if an earlier name may be that of a later session."""
    try:
        earlier, later = (datetime.strptime(each[:19], "%Y-%m-%d_%H-%M-%S") for each in (name, newest))
    except ValueError:
        return False
    return later - earlier <= ZONES


def _by_time(name: str) -> tuple[bool, str, int]:
    """A sort key: 2026-03-01_10-02-03-10 comes after 2026-03-01_10-02-03-9, and both after names without a time."""
    tail = name[20:]
    return SESSION_NAME.match(name) is not None, name[:19], int(tail) if tail.isascii() and tail.isdigit() else 0

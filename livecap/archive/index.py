"""Index: full-text search over all sessions in a folder, with SQLite's FTS5. It is a cache: `with_index` builds a
damaged one again from the logs, and does without a file where none can be written.

The row number of an utterance is its start in milliseconds since 1970, or the next free number. So the newest hits come
first without sorting, and a search for fifty hits stops after fifty.
"""

import os
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from livecap.archive.disk import Disk
from livecap.archive.folder import AUDIO, EVENTS, is_being_written, read_title, saved_sounds
from livecap.archive.recorded import RecordedSession
from livecap.archive.search import DamagedIndex, Hit, Query, checked, find, milliseconds
from livecap.archive.search_terms import SIGNS, pairs, searchable
from livecap.errors import LogError
from livecap.transcript import SAMPLE_RATE

INDEX = "index.sqlite"
VERSION = 8
"""Version of the tables and of `searchable` and `pairs`. An index of another version is built again."""
FOLDER_TIME_TICK_NS = 1_000_000_000
"""Resolution of a folder's time of change: a folder that changed more recently may change again without a new time."""
AT_ONCE = 50
"""Sessions added in one transaction, which is quicker but blocks other writers. A session of an hour takes 20 ms."""
BUSY_SECONDS = 10
"""Longest time to wait for another livecap that writes the index."""
REBUILD_BUSY_SECONDS = 600
"""The same for building it again, which takes long itself."""
ATTEMPTS = 3
"""Tries to use the index file. One repairs a damaged file, two also work when two processes repair it at once."""
BUSY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
FULL = sqlite3.SQLITE_FULL
"""Building the index again would not help against these."""
T = TypeVar("T")

TABLES = f"""
CREATE TABLE sessions (
    id INTEGER PRIMARY KEY, name BLOB UNIQUE NOT NULL, stamp TEXT NOT NULL, started TEXT NOT NULL, source TEXT NOT NULL,
    model TEXT NOT NULL, live INTEGER NOT NULL, n_samples INTEGER NOT NULL, n_utterances INTEGER NOT NULL,
    first_words TEXT NOT NULL, tracks TEXT NOT NULL, languages TEXT NOT NULL, ended INTEGER NOT NULL
);
CREATE TABLE utterances (
    id INTEGER PRIMARY KEY, session INTEGER NOT NULL, track TEXT NOT NULL, number INTEGER NOT NULL,
    start_sample INTEGER NOT NULL, at TEXT NOT NULL, language TEXT NOT NULL, text TEXT NOT NULL, speaker TEXT NOT NULL
);
CREATE TABLE seen (folder_time INTEGER NOT NULL);
CREATE INDEX utterances_of ON utterances (session);
CREATE VIRTUAL TABLE words USING fts5 (
    text, pairs, track, language, speaker, content='', prefix='2 3 4',
    tokenize="unicode61 remove_diacritics 2 tokenchars '{SIGNS}'"
);
"""


@dataclass(frozen=True, slots=True)
class SessionSummary:
    """What a list of sessions shows of one session."""

    name: str
    title: str
    """The title that the user gave it, or ""."""
    started: datetime
    source: str
    model: str
    live: bool
    seconds: float
    """Length of its sound."""
    n_utterances: int
    first_words: str
    tracks: tuple[str, ...]
    languages: tuple[str, ...]
    ended: bool
    """False if the session is running or was interrupted."""
    n_bytes: int
    """Total size of its files."""
    has_sound: bool
    """True if its sound was kept."""
    running: bool
    """True while a livecap writes it."""


class Index:
    """The index of one folder of sessions. A context manager; used from one thread."""

    def __init__(self, parent: Path, in_memory: bool = False) -> None:
        """Open the index of the sessions in `parent`, or create an empty one.

        Args:
            in_memory: without a file; it is gone when it is closed.

        Raises:
            sqlite3.Error: the file is damaged, busy, or cannot be written.
            OSError: it cannot be opened.
        """
        self.parent = parent
        self._db = _connect(":memory:" if in_memory else _private_file(parent / INDEX))

    def __enter__(self) -> "Index":
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()

    def close(self) -> None:
        self._db.close()

    # ---- questions

    def sessions(self) -> list[SessionSummary]:
        """Every session as of the last `refresh`, newest first."""
        rows = self._db.execute(
            "SELECT name, started, source, model, live, n_samples, n_utterances, first_words, tracks, languages, ended "
            "FROM sessions ORDER BY id DESC"
        )
        summaries = [self._summary(*checked(row, bytes, *[str] * 3, *[int] * 3, *[str] * 3, int)) for row in rows]
        return sorted(summaries, key=lambda summary: summary.started, reverse=True)  # not by text: time zones differ

    def search(self, query: Query) -> list[Hit]:
        """The newest utterances that match `query`, as of the last `refresh`."""
        return find(self._db, self.parent, query)

    # ---- updates from the logs

    def refresh(self, names: Callable[[], Iterable[str]]) -> list[str]:
        """Add new and changed sessions, and remove deleted ones. Logs of ended sessions are not read again, and folders
        are listed only after one was added or removed.

        Args:
            names: lists the folders that may be sessions.

        Returns:
            a sentence for each session that cannot be read.
        """
        rows = self._db.execute("SELECT name, stamp FROM sessions WHERE NOT ended")
        running = {os.fsdecode(name): stamp for name, stamp in (checked(row, bytes, str) for row in rows)}
        folder_time = os.stat(self.parent).st_mtime_ns
        if self._db.execute("SELECT 1 FROM seen WHERE folder_time = ?", (folder_time,)).fetchone():
            return self._update(sorted(running), running)
        rows = self._db.execute("SELECT name FROM sessions")
        known = {os.fsdecode(name) for (name,) in (checked(row, bytes) for row in rows)}
        there = set(names())
        if gone := known - there:
            self.forget(gone)
        troubles = self._update(sorted((there - known) | (there & running.keys())), running)
        if time.time_ns() - folder_time > FOLDER_TIME_TICK_NS and not troubles:
            with self._writing():
                self._db.execute("DELETE FROM seen")
                self._db.execute("INSERT INTO seen VALUES (?)", (folder_time,))
        return troubles

    def _update(self, names: list[str], stamps: Mapping[str, str]) -> list[str]:
        """Add or replace those of `names` whose log differs from its stamp, oldest first: ascending row numbers make a
        smaller index."""
        waiting = [name for name in names if self._has_changed(name, stamps.get(name))]
        troubles: list[str] = []
        while waiting:
            some, waiting = waiting[:AT_ONCE], waiting[AT_ONCE:]
            with self._writing():
                troubles += self._add_all(some)
        return troubles

    def _has_changed(self, name: str, before: str | None) -> bool:
        folder = self.parent / name
        try:
            stamp = _stamp(folder)
            return before != stamp and not (before and _hardly_grew(before, stamp) and is_being_written(folder))
        except FileNotFoundError:
            return False  # not a session
        except OSError:
            return True  # reading it will say why

    def rebuild(self, names: Iterable[str]) -> tuple[int, list[str]]:
        """Build the index again. Until it is complete, other processes see the old one.

        Args:
            names: the sessions, oldest first.

        Returns:
            the number of sessions in it, and a sentence for each that cannot be read.
        """
        self._db.execute(f"PRAGMA busy_timeout = {REBUILD_BUSY_SECONDS * 1000}")
        if self._db.execute("PRAGMA integrity_check(1)").fetchone() != ("ok",):
            raise DamagedIndex("it does not pass SQLite's check")
        with self._writing():
            self._db.execute("INSERT INTO words (words) VALUES ('delete-all')")
            for table in ("seen", "sessions", "utterances"):
                self._db.execute(f"DELETE FROM {table}")
            troubles = self._add_all(names)
            return self._db.execute("SELECT count(*) FROM sessions").fetchone()[0], troubles

    def _add_all(self, names: Iterable[str]) -> list[str]:
        troubles = []
        for name in names:
            folder = self.parent / name
            try:
                stamp = _stamp(folder)  # before it is read: what comes later will change it
                self._add(RecordedSession(folder), stamp)
            except (LogError, OSError) as error:
                self._remove(name)
                troubles.append(_sentence(folder, error))
        return troubles

    def _add(self, session: RecordedSession, stamp: str) -> None:
        name = os.fsencode(session.name)
        if self._db.execute("SELECT stamp FROM sessions WHERE name = ?", (name,)).fetchone() == (stamp,):
            return  # another livecap has added it
        self._remove(session.name)
        cursor = self._db.execute(
            "INSERT INTO sessions VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                name,
                stamp,
                session.clock.started.isoformat(),
                _storable(session.started.source),
                _storable(session.started.model),
                session.started.live,
                session.n_samples,
                session.n_utterances,
                _storable(session.first_words),
                _storable("\n".join(session.tracks)),
                _storable("\n".join(session.languages)),
                session.ended is not None,
            ),
        )
        self._insert(cursor.lastrowid or 0, session)

    def _insert(self, session_id: int, session: RecordedSession) -> None:
        next_ids: dict[int, int] = {}
        for utterance in session.utterances():
            start = milliseconds(session.clock.wall(utterance.start_sample, utterance.track))
            rowid = self._free_id(next_ids.get(start, start))
            next_ids[start] = rowid + 1
            parts = (utterance.text, utterance.track, utterance.language or "", utterance.label)
            text, track, language, speaker = map(_storable, parts)
            at = session.clock.at(utterance.start_sample, utterance.track)
            self._db.execute(
                "INSERT INTO utterances VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (rowid, session_id, track, utterance.utterance, utterance.start_sample, at, language, text, speaker),
            )
            self._db.execute(
                "INSERT INTO words (rowid, text, pairs, track, language, speaker) VALUES (?, ?, ?, ?, ?, ?)",
                (rowid, *_indexed(text, track, language, speaker)),
            )

    def _free_id(self, wanted: int) -> int:
        while self._db.execute("SELECT 1 FROM utterances WHERE id = ?", (wanted,)).fetchone():
            wanted += 1
        return wanted

    def forget(self, names: Iterable[str]) -> None:
        """Remove sessions so that none of their words is left in the file, not even in freed pages."""
        with self._writing():
            for name in names:
                self._remove(name)
            self._db.execute("INSERT INTO words (words) VALUES ('optimize')")
            self._db.execute("DELETE FROM seen")  # a session whose deletion fails is found again

    def expire(self, name: str) -> None:
        """Read a session again at the next refresh, although it has ended."""
        with self._writing():
            self._db.execute("UPDATE sessions SET ended = 0, stamp = '' WHERE name = ?", (os.fsencode(name),))

    def _remove(self, name: str) -> None:
        row = self._db.execute("SELECT id FROM sessions WHERE name = ?", (os.fsencode(name),)).fetchone()
        if row is None:
            return
        for rowid, *said in self._db.execute(
            "SELECT id, text, track, language, speaker FROM utterances WHERE session = ?", row
        ).fetchall():
            self._db.execute(
                "INSERT INTO words (words, rowid, text, pairs, track, language, speaker) "
                "VALUES ('delete', ?, ?, ?, ?, ?, ?)",
                (rowid, *_indexed(*said)),
            )
        self._db.execute("DELETE FROM utterances WHERE session = ?", row)
        self._db.execute("DELETE FROM sessions WHERE id = ?", row)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """A transaction that keeps other writers out from its start."""
        self._db.execute("BEGIN IMMEDIATE")
        with self._db:
            yield

    def _summary(
        self, name: bytes, started: str, source: str, model: str, live: int, n_samples: int, n_utterances: int,
        first_words: str, tracks: str, languages: str, ended: int,
    ) -> SessionSummary:  # fmt: skip
        folder = self.parent / os.fsdecode(name)
        try:
            moment = datetime.fromisoformat(started)
            if moment.tzinfo is None:
                raise ValueError
        except ValueError:
            raise DamagedIndex(f"{started:.40} is not a time") from None
        return SessionSummary(
            name=folder.name,
            title=read_title(folder),
            started=moment,
            source=source,
            model=model,
            live=bool(live),
            seconds=n_samples / SAMPLE_RATE,
            n_utterances=n_utterances,
            first_words=first_words,
            tracks=tuple(tracks.split("\n")),
            languages=tuple(languages.split("\n")) if languages else (),
            ended=bool(ended),
            n_bytes=_n_bytes(folder),
            has_sound=bool(saved_sounds(folder)),
            running=not ended and _is_running(folder),
        )


def with_index(parent: Path, act: Callable[[Index], T]) -> T:
    """Use the index of the sessions in `parent`. A damaged one is built again. Where no file can be written, as on a
    full disk, the index is built in memory and forgotten.

    Args:
        act: called again with another index if the first is damaged.

    Raises:
        LogError: another process uses the index for too long, or a link or a folder stands in its place.
    """
    path = parent / INDEX
    if path.is_symlink() or path.is_dir():
        raise LogError(f"Cannot use the search index {path}: it is not a file. Remove it; livecap builds a new one.")
    for attempt in range(ATTEMPTS):
        opened = None
        try:
            with Index(parent) as index:
                opened = _identity(path)
                return act(index)
        except (sqlite3.Error, UnicodeDecodeError) as error:  # text that is not UTF-8 is damage, too
            code = getattr(error, "sqlite_errorcode", 0)
            if code & 0xFF in BUSY:
                raise LogError(f"Cannot use the search index {path}: {error}. Try again in a minute.") from None
            if code & 0xFF == FULL or attempt == ATTEMPTS - 1:
                break
            if opened in (None, _identity(path)):  # otherwise another process has replaced it
                try:
                    erase(parent)
                except LogError:
                    break
        except OSError:
            break
    with Index(parent, in_memory=True) as index:
        return act(index)


def erase(parent: Path) -> None:
    """Delete the index of a folder; it can be built again from the logs.

    Raises:
        LogError: it cannot be removed.
    """
    try:
        for suffix in ("", "-journal", "-wal", "-shm"):
            (parent / (INDEX + suffix)).unlink(missing_ok=True)
    except OSError as error:
        raise LogError(f"Cannot remove the search index in {parent}: {error.strerror or error}.") from None


def _identity(path: Path) -> tuple[int, int] | None:
    """What tells a file from another of the same name; None if there is none."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _private_file(path: Path) -> Path:
    """Create the file if it is missing; what is not a regular file is replaced."""
    disk = Disk()
    if path.exists() and not path.is_file():
        path.unlink()
    with suppress(FileExistsError):
        disk.close(disk.create(path))
    disk.close(disk.reopen(path))  # a link is refused
    return path


def _connect(path: Path | str) -> sqlite3.Connection:
    db = sqlite3.connect(path, timeout=BUSY_SECONDS)
    try:
        db.execute("PRAGMA secure_delete = ON")
        db.execute("PRAGMA journal_mode = TRUNCATE")  # a journal that comes and goes would change the folder's time
        db.execute("PRAGMA synchronous = NORMAL")
        db.execute("PRAGMA cache_size = -32768")
        if db.execute("PRAGMA user_version").fetchone()[0] != VERSION:
            _make_tables(db)
    except BaseException:
        db.close()
        raise
    return db


def _make_tables(db: sqlite3.Connection) -> None:
    """Create the tables in one transaction, unless another process has done so."""
    db.execute("BEGIN IMMEDIATE")
    if db.execute("PRAGMA user_version").fetchone()[0] != VERSION:
        for name in ("seen", "sessions", "utterances", "words"):
            db.execute(f"DROP TABLE IF EXISTS {name}")
        for statement in TABLES.split(";"):
            db.execute(statement)
        db.execute(f"PRAGMA user_version = {VERSION}")
    db.commit()


def _hardly_grew(before: str, stamp: str) -> bool:
    """True if a log grew by less than 1%: adding a running session of a day takes seconds, so not on every refresh."""
    try:
        old_size, new_size = int(before.split()[0]), int(stamp.split()[0])
    except (ValueError, IndexError):
        return False  # `before` is damaged: the log is read again
    return old_size <= new_size < old_size * 1.01


def _indexed(text: str, track: str, language: str, speaker: str) -> tuple[str, str, str, str, str]:
    """The columns `text`, `pairs`, `track`, `language` and `speaker` of an utterance in the table `words`."""
    return searchable(text), pairs(text), searchable(track), searchable(language), searchable(speaker)


def _stamp(folder: Path) -> str:
    """Size and time of a session's log: they differ after any change."""
    status = os.stat(folder / EVENTS)
    return f"{status.st_size} {status.st_mtime_ns}"


def _sentence(folder: Path, error: Exception) -> str:
    return f"Cannot read {folder / EVENTS}: {error.strerror or error}." if isinstance(error, OSError) else str(error)


def _is_running(folder: Path) -> bool:
    try:
        return is_being_written(folder)
    except OSError:
        return False


def _n_bytes(folder: Path) -> int:
    """Size of the files in a session's folder and in its `audio`, as far as it can be read."""
    n_bytes = 0
    for part in (folder, folder / AUDIO):
        with suppress(OSError), os.scandir(part) as entries:
            n_bytes += sum(entry.stat().st_size for entry in entries if entry.is_file(follow_symlinks=False))
    return n_bytes


def _storable(text: str) -> str:
    """Text without what SQLite cannot store: half surrogate pairs and NUL."""
    return text.encode("utf-8", errors="replace").decode("utf-8").replace("\0", " ")

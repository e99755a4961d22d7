"""Index: full-text search over all sessions in a folder, with SQLite's FTS5. It is a cache: a damaged one is built
again from the logs.

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
from types import TracebackType

from livecap.archive.disk import Disk
from livecap.archive.folder import EVENTS, is_being_written, read_title, saved_sounds
from livecap.archive.recorded import RecordedSession
from livecap.archive.search import Hit, Query, find, milliseconds
from livecap.archive.search_terms import pairs, searchable
from livecap.errors import LogError
from livecap.transcript import SAMPLE_RATE

INDEX = "index.sqlite"
VERSION = 3
"""Version of the tables and of `searchable` and `pairs`. An index of another version is built again."""
FOLDER_TIME_TICK_NS = 1_000_000_000
"""Resolution of a folder's time of change: a folder that changed more recently may change again without a new time."""
AT_ONCE = 50
"""Sessions added in one transaction, which is quicker but blocks other writers. A session of an hour takes 20 ms."""
BUSY_SECONDS = 10
"""Longest time to wait for another livecap that writes the index."""

TABLES = """
CREATE TABLE sessions (
    id INTEGER PRIMARY KEY, name TEXT UNIQUE NOT NULL, stamp TEXT NOT NULL, started TEXT NOT NULL, source TEXT NOT NULL,
    model TEXT NOT NULL, live INTEGER NOT NULL, n_samples INTEGER NOT NULL, n_utterances INTEGER NOT NULL,
    first_words TEXT NOT NULL, tracks TEXT NOT NULL, languages TEXT NOT NULL, ended INTEGER NOT NULL
);
CREATE TABLE utterances (
    id INTEGER PRIMARY KEY, session INTEGER NOT NULL, track TEXT NOT NULL, number INTEGER NOT NULL,
    start_sample INTEGER NOT NULL, at TEXT NOT NULL, language TEXT NOT NULL, text TEXT NOT NULL
);
CREATE TABLE seen (folder_time INTEGER NOT NULL);
CREATE INDEX utterances_of ON utterances (session);
CREATE VIRTUAL TABLE words USING fts5 (
    text, pairs, track, language, content='', tokenize="unicode61 remove_diacritics 2", prefix='2 3 4'
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


class Index:
    """The index of one folder of sessions. A context manager; used from one thread."""

    def __init__(self, parent: Path) -> None:
        """Open the index of the sessions in `parent`, or create an empty one.

        Raises:
            LogError: it can be neither opened nor created.
        """
        self.parent, self.path = parent, parent / INDEX
        self._db = self._open()

    def __enter__(self) -> "Index":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._db.close()

    # ---- questions

    def sessions(self) -> list[SessionSummary]:
        """Every session as of the last `refresh`, newest first."""
        rows = self._db.execute(
            "SELECT name, started, source, model, live, n_samples, n_utterances, first_words, tracks, languages, ended "
            "FROM sessions ORDER BY started DESC, id DESC"
        )
        return [self._summary(row) for row in rows]

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
        running = dict(self._db.execute("SELECT name, stamp FROM sessions WHERE NOT ended"))
        folder_time = os.stat(self.parent).st_mtime_ns
        if self._db.execute("SELECT 1 FROM seen WHERE folder_time = ?", (folder_time,)).fetchone():
            return self._update(sorted(running), running)
        known = {name for (name,) in self._db.execute("SELECT name FROM sessions")}
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
        changed: dict[str, str] = {}
        for name in names:
            with suppress(FileNotFoundError):  # not a session
                folder, before = self.parent / name, stamps.get(name)
                stamp = _stamp(folder)
                if before != stamp and not (before and _hardly_grew(before, stamp) and is_being_written(folder)):
                    changed[name] = stamp
        troubles: list[str] = []
        waiting = list(changed.items())
        while waiting:
            some, waiting = waiting[:AT_ONCE], waiting[AT_ONCE:]
            with self._writing():
                for name, stamp in some:
                    try:
                        self._add(RecordedSession(self.parent / name), stamp)
                    except (LogError, OSError) as error:
                        self._remove(name)
                        troubles.append(str(error))
        return troubles

    def _add(self, session: RecordedSession, stamp: str) -> None:
        known = self._db.execute("SELECT stamp FROM sessions WHERE name = ?", (session.name,)).fetchone()
        if known == (stamp,):
            return  # another livecap has added it
        self._remove(session.name)
        cursor = self._db.execute(
            "INSERT INTO sessions VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                session.name,
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
        for utterance in session.utterances():
            rowid = self._free_id(milliseconds(session.clock.wall(utterance.start_sample, utterance.track)))
            text, track, language = (
                _storable(part) for part in (utterance.text, utterance.track, utterance.language or "")
            )
            at = session.clock.at(utterance.start_sample, utterance.track)
            self._db.execute(
                "INSERT INTO utterances VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (rowid, session_id, track, utterance.utterance, utterance.start_sample, at, language, text),
            )
            self._db.execute(
                "INSERT INTO words (rowid, text, pairs, track, language) VALUES (?, ?, ?, ?, ?)",
                (rowid, *_indexed(text, track, language)),
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

    def _remove(self, name: str) -> None:
        row = self._db.execute("SELECT id FROM sessions WHERE name = ?", (name,)).fetchone()
        if row is None:
            return
        for rowid, *said in self._db.execute(
            "SELECT id, text, track, language FROM utterances WHERE session = ?", row
        ).fetchall():
            self._db.execute(
                "INSERT INTO words (words, rowid, text, pairs, track, language) VALUES ('delete', ?, ?, ?, ?, ?)",
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

    # ---- the file

    def _open(self) -> sqlite3.Connection:
        for attempt in range(2):
            try:
                return self._connect()
            except sqlite3.DatabaseError as error:
                if attempt or isinstance(error, sqlite3.OperationalError):
                    raise LogError(f"Cannot open the search index {self.path}: {error}.") from None
                erase(self.parent)
            except OSError as error:
                raise LogError(f"Cannot open the search index {self.path}: {error.strerror or error}.") from None
        raise AssertionError

    def _connect(self) -> sqlite3.Connection:
        disk = Disk()
        with suppress(FileExistsError):
            disk.close(disk.create(self.path))
        disk.close(disk.reopen(self.path))  # a link is refused
        db = sqlite3.connect(self.path, timeout=BUSY_SECONDS)
        try:
            db.execute("PRAGMA secure_delete = ON")
            db.execute("PRAGMA journal_mode = TRUNCATE")  # a journal that comes and goes would change the folder's time
            db.execute("PRAGMA synchronous = NORMAL")
            db.execute("PRAGMA cache_size = -32768")
            if db.execute("PRAGMA user_version").fetchone()[0] != VERSION:
                _make_tables(db)
            db.execute("SELECT count(*) FROM sessions").fetchone()
        except BaseException:
            db.close()
            raise
        return db

    def _summary(self, row: tuple[str, str, str, str, int, int, int, str, str, str, int]) -> SessionSummary:
        name, started, source, model, live, n_samples, n_utterances, first_words, tracks, languages, ended = row
        folder = self.parent / name
        return SessionSummary(
            name=name,
            title=read_title(folder),
            started=datetime.fromisoformat(started),
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
        )


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
    old_size, new_size = int(before.split()[0]), int(stamp.split()[0])
    return old_size <= new_size < old_size * 1.01


def _indexed(text: str, track: str, language: str) -> tuple[str, str, str, str]:
    """The columns `text`, `pairs`, `track` and `language` of an utterance in the table `words`."""
    return searchable(text), pairs(text), searchable(track), searchable(language)


def _stamp(folder: Path) -> str:
    """Size and time of a session's log: they differ after any change."""
    status = os.stat(folder / EVENTS)
    return f"{status.st_size} {status.st_mtime_ns}"


def _n_bytes(folder: Path) -> int:
    with os.scandir(folder) as entries:
        files = [entry for entry in entries if not entry.is_symlink()]
    return sum(_n_bytes(Path(file.path)) if file.is_dir() else file.stat().st_size for file in files)


def _storable(text: str) -> str:
    """Text without what SQLite cannot store: half surrogate pairs and NUL."""
    return text.encode("utf-8", errors="replace").decode("utf-8").replace("\0", " ")

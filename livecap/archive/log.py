"""SessionLog: writes what was said to disk before it is shown. Each session has a folder with two files:

session.jsonl    one line for each fact; other programs read it (docs/log-format.md)
transcript.md    one line for each utterance; people read it

any thread ─append─▶ memory ─writer thread─▶ operating system ─keeper thread─▶ disk
"""

import os
import sys
import threading
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from livecap.archive.append_file import AppendFile
from livecap.archive.clock import SessionClock
from livecap.archive.disk import Disk
from livecap.archive.folder import EVENTS, TRANSCRIPT, lock
from livecap.archive.line import encode_line
from livecap.archive.transcript_file import finish_transcript, heading, line
from livecap.errors import LogError
from livecap.files import make_folder
from livecap.text.printing import say_lines
from livecap.transcript import Paused, SessionEnded, SessionEvent, SessionStarted, UtteranceSettled

PATIENCE_SECONDS = 0.5
"""Longest time that `append` waits for a line to be written. With a disk that hangs only the first call waits."""
SYNC_SECONDS = 0.4
"""Time between two syncs, so that a fact is on the disk within a second."""
FULL_SYNC_SECONDS = 5.0
"""Time between two full syncs (see `Disk.sync`), which are slow."""
WATCH_SECONDS = 0.3
"""Time between two checks whether the folder still exists, and between two attempts to write after an error."""
END_SECONDS = 2.0
"""Longest time that `close` waits for a disk with an error."""

OnTrouble = Callable[[str | None], None]
"""Called with one sentence when the log cannot be written, and with None when it is complete again."""


class SessionLog:
    """Appends the facts of one session. Any thread may call. Two threads of its own write and sync."""

    def __init__(
        self,
        parent: Path,
        started: datetime,
        disk: Disk | None = None,
        on_trouble: OnTrouble = lambda trouble: None,
    ) -> None:
        """Create a new folder below `parent`, readable by the owner only, named after the time `started`.

        Args:
            on_trouble: called on the keeper thread.

        Raises:
            LogError: the folder cannot be created or written.
        """
        self._disk = disk or Disk()
        self.folder = _new_folder(self._disk, parent, f"{started:%Y-%m-%d_%H-%M-%S}")
        try:
            self._events = AppendFile(self._disk, self.folder / EVENTS)
            self._transcript = AppendFile(self._disk, self.folder / TRANSCRIPT)
            for folder in (self.folder, parent):
                self._disk.sync_folder(folder)
        except OSError as error:
            raise _unwritable(self.folder, error) from None
        self._begin(0, None, on_trouble)

    @classmethod
    def reopen(cls, folder: Path, n_facts: int, clock: SessionClock) -> "SessionLog":
        """The log of an interrupted session, to append after its last whole fact.

        Args:
            folder: the folder of the session.
            n_facts: the number of the next fact.
            clock: the session's clock with every anchor of the log.

        Raises:
            LogError: the session is still running, or its files cannot be written.
        """
        log = cls.__new__(cls)
        log._disk = Disk()
        log.folder = folder
        try:
            log._events = AppendFile(log._disk, folder / EVENTS, reopen=True)
            there = (folder / TRANSCRIPT).exists()
            log._transcript = AppendFile(log._disk, folder / TRANSCRIPT, reopen=there)
        except OSError as error:
            raise _unwritable(folder, error) from None
        if not lock(log._events.descriptor):
            log._events.close()
            log._transcript.close()
            raise LogError(f"The session {folder.name} is being recorded by another livecap. End it there first.")
        log._begin(n_facts, clock, lambda trouble: None)
        return log

    def _begin(self, n_facts: int, clock: SessionClock | None, on_trouble: OnTrouble) -> None:
        lock(self._events.descriptor)
        self._clock = clock
        self.trouble: str | None = None
        """Why the log cannot be written now, in one sentence. Facts wait in memory until it can."""
        self._on_trouble = on_trouble
        self._to_finish = n_facts > 0
        """transcript.md must be written again at the end: there is settled text, or an error left a gap in it."""
        self._ended = False
        self._n_facts = n_facts
        self._n_written = n_facts
        self._hangs = False
        """No line has been written since one took longer than PATIENCE_SECONDS."""
        self._told: str | None = None
        self._full_wanted = n_facts
        """Number of facts that a full sync must cover."""
        self._full_synced = n_facts
        """Number of facts that a full sync has covered."""
        self._last_full_sync = time.monotonic()
        self._closing = False
        self._closed = False
        self._changed = threading.Condition()
        """Guards the fields above, and is notified of changes."""
        self._hurry = threading.Event()
        """Set to make the keeper sync at once."""
        self._writer = threading.Thread(target=self._write, name="log writer", daemon=True)
        self._keeper = threading.Thread(target=self._keep, name="log keeper", daemon=True)
        self._writer.start()
        self._keeper.start()

    @property
    def session(self) -> str:
        """The session's name, which is the name of its folder."""
        return self.folder.name

    def append(self, event: SessionEvent, wall_seconds: float) -> None:
        """Append a fact. Returns when the operating system has it, so that killing this process cannot lose it; with a
        disk that hangs or fails, when it is in memory. It is on the disk within a second."""
        with self._changed:
            assert not self._closing, "a fact after the log was closed"
            if isinstance(event, SessionStarted):
                self._clock = SessionClock.from_started(event)
                self._transcript.add(heading(event, self._clock).encode())
            assert self._clock is not None, "a session starts with SessionStarted"
            self._clock.note(event)
            self._events.add(encode_line(event, wall_seconds, self._n_facts))
            if isinstance(event, UtteranceSettled):
                self._to_finish = True
            elif text := line(event, self._clock):
                self._transcript.add(text.encode())
            self._n_facts += 1
            number = self._n_facts
            self._ended = isinstance(event, SessionEnded)
            if isinstance(event, Paused | SessionEnded):
                self._full_wanted = number
            self._changed.notify_all()
            if not self._hangs:
                is_out = self._changed.wait_for(lambda: self._n_written >= number or self.trouble, PATIENCE_SECONDS)
                self._hangs = not is_out

    def flush(self, timeout: float) -> bool:
        """Wait until everything appended so far is on the disk; False if that takes longer than `timeout` seconds."""
        self._hurry.set()
        with self._changed:
            self._full_wanted = self._n_facts
            self._changed.notify_all()
            return self._changed.wait_for(lambda: not self._is_dirty, timeout)

    def close(self) -> None:
        """Bring everything to the disk, and the settled text into transcript.md. A second call does nothing.

        Raises:
            LogError: the disk still fails; the message says where the rest of the facts are.
        """
        with self._changed:
            if self._closing:
                return
            self._closing = True
            self._hurry.set()
            self._full_wanted = self._n_facts
            self._changed.notify_all()
            self._changed.wait_for(lambda: not self._is_dirty, END_SECONDS)
            self._closed = True
            self._hurry.set()
            self._changed.notify_all()
        for thread in (self._writer, self._keeper):
            thread.join(END_SECONDS)  # with a disk that hangs they never end
        rest, trouble = self._events.unwritten(), self.trouble
        if self._writer.is_alive() or self._keeper.is_alive():
            raise LogError(f"The disk of {self.folder} does not respond. The end of the session may be missing there.")
        for file in (self._events, self._transcript):
            file.close()
        if rest:
            raise LogError(f"{trouble or 'The session log could not be written.'} {_rescue(self.session, rest)}")
        if self._ended and (self._to_finish or self._clock and self._clock.shift_seconds):
            finish_transcript(self.folder)

    # ---- writer thread

    def _write(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closed or self._waits and not self.trouble)
                if self._closed and (self.trouble or not self._waits):
                    return
            self._try_to_write()

    def _try_to_write(self) -> None:
        """Write everything that waits, or set `trouble`."""
        trouble = None
        try:
            self._events.write()
            self._transcript.write()
        except OSError as error:
            trouble = str(_unwritable(self.folder, error))
        with self._changed:
            if trouble is None:
                self._n_written = self._n_facts - self._events.n_waiting
                self._hangs = False
            self.trouble = trouble
            self._to_finish |= trouble is not None
            self._changed.notify_all()

    # ---- keeper thread

    def _keep(self) -> None:
        """Sync what was written, recover from errors, and report both."""
        watched = time.monotonic()
        while not self._closed:
            self._hurry.wait(SYNC_SECONDS)
            self._hurry.clear()
            with self._changed:
                self._changed.wait_for(lambda: self._closed or self._is_dirty, WATCH_SECONDS)
            if self.trouble or time.monotonic() - watched >= WATCH_SECONDS:
                self._heal()
                watched = time.monotonic()
            self._sync()
            self._tell()

    def _heal(self) -> None:
        """Create deleted files again, and try to write what waits."""
        try:
            for file in (self._events, self._transcript):
                if file.is_removed():
                    self._set_trouble(f"The session's folder {self.folder} was removed. Its text is kept in memory.")
                    self._tell()
                    make_folder(self.folder)
                    file.restore()
                    lock(self._events.descriptor)
        except OSError as error:
            self._set_trouble(str(_unwritable(self.folder, error)))
            return
        if self.trouble:
            self._try_to_write()

    def _sync(self) -> None:
        if self.trouble or not self._is_dirty:
            return
        n_written = self._n_written  # before the sync, which may miss what is written meanwhile
        full = self._full_is_due or time.monotonic() - self._last_full_sync >= FULL_SYNC_SECONDS
        try:
            for file in (self._events, self._transcript):
                file.sync(full)
        except OSError as error:
            self._set_trouble(str(_unwritable(self.folder, error)))
            return
        with self._changed:
            if full:
                self._full_synced, self._last_full_sync = n_written, time.monotonic()
            self._changed.notify_all()

    def _tell(self) -> None:
        trouble = self.trouble
        if (trouble is None) != (self._told is None):
            self._told = trouble
            self._on_trouble(trouble)

    def _set_trouble(self, trouble: str) -> None:
        with self._changed:
            self.trouble = trouble
            self._to_finish = True
            self._changed.notify_all()

    @property
    def _waits(self) -> bool:
        return bool(self._events.n_waiting or self._transcript.n_waiting)

    @property
    def _full_is_due(self) -> bool:
        return self._full_wanted > self._full_synced

    @property
    def _is_dirty(self) -> bool:
        return self._full_is_due or self._events.is_dirty or self._transcript.is_dirty


def check_parent(parent: Path) -> None:
    """Create the folder for sessions, long before one is written.

    Raises:
        LogError: it cannot be created or written.
    """
    try:
        make_folder(parent)
    except OSError as error:
        raise _unwritable(parent, error) from None
    if not os.access(parent, os.W_OK | os.X_OK):
        raise LogError(
            f"Cannot write the session log in {parent}: no permission. Choose another folder with --log-dir."
        )


def _new_folder(disk: Disk, parent: Path, name: str) -> Path:
    try:
        for n in range(1, 1000):
            folder = parent / (name if n == 1 else f"{name}-{n}")
            try:
                disk.make_folder(folder)
                return folder
            except FileExistsError:
                if not parent.is_dir():
                    raise
    except OSError as error:
        raise _unwritable(parent, error) from None
    raise LogError(f"Cannot start a session in {parent}: 1000 sessions have started in this second. Try again.")


def _rescue(session: str, rest: bytes) -> str:
    """Save facts in the system's temporary folder when their own disk failed; returns a sentence for the user."""
    import tempfile

    try:
        folder = Path(tempfile.mkdtemp(prefix=f"livecap-{session}-"))
        with open(os.open(folder / EVENTS, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(rest)
    except OSError:
        say_lines(rest.decode(), file=sys.stderr)
        return "The missing facts were printed to standard error instead."
    return f"The missing facts are in {folder / EVENTS}."


def _unwritable(path: Path, error: OSError) -> LogError:
    return LogError(
        f"Cannot write the session log in {path}: {error.strerror or error}. "
        "Free some space or choose another folder with --log-dir."
    )

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
from contextlib import nullcontext, suppress
from datetime import datetime
from pathlib import Path
from tempfile import mkdtemp

from livecap.archive.append_file import AppendFile
from livecap.archive.clock import SessionClock
from livecap.archive.disk import Disk
from livecap.archive.folder import EVENTS, RESCUE_PREFIX, TRANSCRIPT, lock, unwritable
from livecap.archive.line import encode_line
from livecap.archive.transcript_file import finish_transcript, heading, line
from livecap.errors import LogError
from livecap.files import make_folder
from livecap.text.printing import say_lines
from livecap.transcript import (
    Marked,
    Paused,
    SessionEnded,
    SessionEvent,
    SessionStarted,
    SpeakerNamed,
    SpeakersHeard,
    SpeakersMerged,
    UtteranceSettled,
)

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
"""Called with a message for the user when something happens to the log, and with None when it can be written again and
is complete."""


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
            raise unwritable(self.folder, error) from None
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
            raise unwritable(folder, error) from None
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
        """transcript.md must be written again at the end: it has settled text, labelled speakers, or a gap after an
        error."""
        self._last_began = 0
        """Where the last line of transcript.md begins; lines are put in order of time at the end."""
        self._ended = False
        self._n_facts = n_facts
        self._n_written = n_facts
        self._hangs = False
        """No line has been written since one took longer than PATIENCE_SECONDS."""
        self._told: str | None = None
        self._n_cuts_told = self._n_overwritten_told = 0
        self._cut_told: str | None = None
        """The sentence about facts that another program cut out of the log, if they are lost."""
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

    @property
    def _files(self) -> tuple[AppendFile, AppendFile]:
        return self._events, self._transcript

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
            if isinstance(event, UtteranceSettled | SpeakersHeard | SpeakerNamed | SpeakersMerged):
                self._to_finish = True
            elif text := line(event, self._clock):
                self._transcript.add(text.encode())
                began = event.sample if isinstance(event, Marked) else getattr(event, "start_sample", 0)
                self._to_finish |= began < self._last_began
                self._last_began = began
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
        if self._writer.is_alive() or self._keeper.is_alive():
            place = _saved_elsewhere(self.session, self._events.remembered())
            raise LogError(f"The disk of {self.folder} does not respond. {place}")
        self._heal()  # other programs may have changed something since the last time
        self._sync()
        trouble = self._rescue(self.trouble) if self.trouble else self._cut_told
        for file in self._files:
            file.close()
        if self._ended and (self._to_finish or self._clock and self._clock.shift_seconds):
            with suppress(LogError) if trouble else nullcontext():
                finish_transcript(self.folder)
        if trouble:
            raise LogError(trouble)

    def _rescue(self, trouble: str) -> str:
        """Save the session in the system's temporary folder, since its own cannot be written; a sentence for the
        user."""
        try:
            self._relocate(None)
            self._try_to_write()
            self._sync()
            if self.trouble:
                raise OSError(self.trouble)
        except OSError:
            return f"{trouble} {_saved_elsewhere(self.session, self._events.unwritten())}"
        return f"{trouble} The whole session is in {self.folder}."

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
            trouble = str(unwritable(self.folder, error))
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
        """Undo what other programs did to the files, and try to write what waits."""
        try:
            place = self._events.place()
            if place is not None and place.name == EVENTS and self._events.is_removed():
                self._move_to(place.parent)  # another program renamed the folder
            for file in self._files:
                file.find_cut()
            if self._events.is_removed():
                self._restore()
            if self._transcript.is_removed():
                self._restore_transcript()
            self._events.find_overwritten()
        except OSError as error:
            self._set_trouble(str(unwritable(self.folder, error)))
            return
        self._report_cut()
        if self.trouble or self._closed and self._waits:
            self._try_to_write()

    def _restore(self) -> None:
        self._set_trouble(f"The session log {self.folder / EVENTS} was removed.")
        self._tell()
        try:
            if self.folder.is_symlink():
                raise FileExistsError
            make_folder(self.folder)
            self._events.restore(self.folder / EVENTS)
        except (FileExistsError, NotADirectoryError):  # something else has its place
            self._relocate(self.folder.parent, None)
        lock(self._events.descriptor)

    def _restore_transcript(self) -> None:
        self._to_finish = True
        try:
            self._transcript.restore(self._transcript.path)
        except FileExistsError:
            try:
                self._transcript.adopt()  # an editor saved a copy
            except OSError:
                self._transcript.give_up()  # it is made from the log at the end

    def _relocate(self, *parents: Path | None) -> None:
        """Go on in a new folder in the first of these that can be written, with everything that was written so far.

        Args:
            parents: None is a new folder in the system's temporary folder.

        Raises:
            OSError: none of them can be written.
        """
        for parent in parents:
            with suppress(OSError, LogError):
                self._copy_to(parent or Path(mkdtemp(prefix=RESCUE_PREFIX)), Disk() if parent is None else self._disk)
                return
        raise OSError("another file has taken its place, and no other folder can be written")

    def _copy_to(self, parent: Path, disk: Disk) -> None:
        folder = _new_folder(disk, parent, self.folder.name)
        try:
            self._events.restore(folder / EVENTS, disk)
        except OSError:
            folder.rmdir()
            raise
        finally:
            with suppress(OSError):
                parent.rmdir()  # a temporary one that stayed empty
        lock(self._events.descriptor)
        try:
            self._transcript.restore(folder / TRANSCRIPT, disk)
        except OSError:
            self._transcript.give_up()
        self._move_to(folder)

    def _move_to(self, folder: Path) -> None:
        self._on_trouble(f"The session's folder {self.folder} was moved or replaced. The session goes on in {folder}.")
        self.folder = folder
        self._to_finish = True
        for file in self._files:
            file.path = folder / file.path.name

    def _report_cut(self) -> None:
        """Tell the user that another program made the log shorter, and whether facts are lost by that."""
        self._to_finish |= self._transcript.n_cuts > 0
        if self._events.n_lost and not self._cut_told:
            self._cut_told = f"Another program cut facts out of the session log {self.folder / EVENTS}; they are lost."
            self._on_trouble(self._cut_told)
        elif self._events.n_cuts > self._n_cuts_told:
            self._on_trouble(f"Another program cut off the end of {self.folder / EVENTS}. It was written again.")
        self._n_cuts_told = self._events.n_cuts
        if self._events.n_overwritten > self._n_overwritten_told:
            self._on_trouble(f"Another program overwrote part of {self._events.path}. It was written again.")
            self._n_overwritten_told = self._events.n_overwritten

    def _sync(self) -> None:
        if self.trouble or not self._is_dirty:
            return
        n_written = self._n_written  # before the sync, which may miss what is written meanwhile
        full = self._full_is_due or time.monotonic() - self._last_full_sync >= FULL_SYNC_SECONDS
        try:
            for file in self._files:
                file.sync(full)
        except OSError as error:
            self._set_trouble(str(unwritable(self.folder, error)))
            return
        with self._changed:
            if full:
                self._full_synced, self._last_full_sync = n_written, time.monotonic()
            self._changed.notify_all()

    def _tell(self) -> None:
        trouble = self.trouble
        if (trouble is None) != (self._told is None):
            self._told = trouble
            self._on_trouble(trouble and f"{trouble} What is said stays in memory until the log can be written again.")

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
        raise unwritable(parent, error) from None
    raise LogError(f"Cannot start a session in {parent}: 1000 sessions have started in this second. Try again.")


def _saved_elsewhere(session: str, facts: bytes) -> str:
    """Save facts in the system's temporary folder when their own disk failed; returns a sentence for the user."""
    try:
        folder = Path(mkdtemp(prefix=RESCUE_PREFIX)) / session
        folder.mkdir(mode=0o700)
        with open(os.open(folder / EVENTS, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(facts)
    except OSError:
        say_lines(facts.decode(), file=sys.stderr)
        return "The missing facts were printed to standard error instead."
    return f"The facts that were still in memory are in {folder / EVENTS}."

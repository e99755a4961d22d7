"""AppendFile: a file that only grows. Data stays in memory until it is on disk, and is written again after errors.

Other programs may delete, replace or shorten the file while it is open here; what was in it is then written again.
"""

import time
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from threading import Lock

from livecap.archive.disk import Disk

COPY_BYTES = 1 << 20
"""Bytes per read when a deleted file is copied to a new one."""
FILE_TIME_NANOSECONDS = 2_000_000_000
"""The coarsest time of change that file systems keep: within it, a second change may not show."""
REMEMBERED_BYTES = 4 << 20
"""Bytes at the end of the file that are also kept in memory, hours of a log, in case that the file is shortened."""


class AppendFile:
    """Any thread may `add`; one thread calls `write`, another the rest."""

    def __init__(self, disk: Disk, path: Path, reopen: bool = False) -> None:
        """Create the file, or with `reopen` go on with an existing one.

        Raises:
            OSError: it cannot be created or opened.
        """
        self.path = path
        self._disk = disk
        self._waiting: deque[bytes] = deque()
        """Items that are not written yet."""
        self._unsynced: deque[bytes] = deque()
        """Items that were written since the last successful sync."""
        self._first = b""
        """The first item, unless the file was reopened."""
        self._recent: deque[bytes] = deque()
        """The end of what was written: at least REMEMBERED_BYTES if there was as much."""
        self._n_recent = 0
        """Bytes in `_recent`."""
        self._n_ours = 0
        """Number of bytes at the end of the file that are known: the end of `_recent`, if that has as many."""
        self._is_given_up = False
        self.n_cuts = 0
        """How often the file was found shortened."""
        self.n_overwritten = 0
        """How often other bytes were found in the place of ours."""
        self.n_lost = 0
        """Bytes that were cut off and are not known any more."""
        self._compared_at = 0
        """The time of change of the file that was compared with memory; 0 if it may have changed since then."""
        self._items = Lock()
        """Guards the queues."""
        self._writing = Lock()
        """Held while the descriptor is written to or replaced."""
        self._descriptor = disk.reopen(path) if reopen else disk.create(path)
        self._size = disk.size(self._descriptor)
        self._torn = reopen and self._ends_torn()
        """The file does not end with a line end: the next item must begin with one."""

    @property
    def descriptor(self) -> int:
        """The open file. Another one after `restore`."""
        return self._descriptor

    @property
    def n_waiting(self) -> int:
        """Number of items that were not written yet."""
        return len(self._waiting)

    @property
    def is_dirty(self) -> bool:
        """True if something is not known to be on the disk."""
        return bool(self._waiting or self._unsynced)

    def add(self, item: bytes) -> None:
        """Queue whole lines, to be written after those added before."""
        with self._items:
            if not self._is_given_up:
                self._first = self._first or item
                self._waiting.append(item)

    def write(self) -> None:
        """Hand all waiting items to the operating system.

        Raises:
            OSError: not all were taken. The rest goes on waiting, and no part of a line stays in the file.
        """
        while True:
            with self._writing:
                self._find_cut()
                if not self._waiting:
                    return
                follows = not self._torn and self._disk.size(self._descriptor) == self._size
                self._write_one(self._waiting[0])
                self._n_ours = self._n_ours if follows else 0
                self._n_ours += len(self._waiting[0])
                with self._items:
                    item = self._waiting.popleft()
                    self._unsynced.append(item)
                    self._recent.append(item)
                    self._n_recent += len(item)
                    while self._n_recent - len(self._recent[0]) >= REMEMBERED_BYTES:
                        self._n_recent -= len(self._recent.popleft())

    def _write_one(self, item: bytes) -> None:
        was_torn, before = self._torn, self._disk.size(self._descriptor)
        data = b"\n" + item if was_torn else item
        rest = data
        try:
            while rest:
                rest = rest[self._disk.write(self._descriptor, rest) :]
        except OSError:
            if len(rest) < len(data):
                self._torn = True
                with suppress(OSError):  # if it fails, the next item begins with a line end
                    self._disk.truncate(self._descriptor, before)
                    self._torn = was_torn
            raise
        self._torn = False
        self._size = before + len(data)

    def find_cut(self) -> None:
        """Queue the end of the file again if another program cut it off.

        Raises:
            OSError: the file's size is not known.
        """
        with self._writing:
            self._find_cut()

    def find_overwritten(self) -> None:
        """Write the end of the file again in its place if another program put other bytes there; queue it again where
        it was cut off.

        Raises:
            OSError: the file cannot be read, or not be written at its path.
        """
        with self._writing:
            changed_at = self._disk.changed_at(self._descriptor)
            if changed_at == self._compared_at:
                return
            is_old = abs(time.time_ns() - changed_at) > FILE_TIME_NANOSECONDS
            with self._items:
                recent = b"".join(self._recent)
            recent = recent[max(0, len(recent) - self._n_ours) :]
            start = self._size - len(recent)
            found = self._disk.read(self._descriptor, len(recent), start)
            if found == recent:
                self._compared_at = changed_at if is_old else 0
                return
            if len(found) < len(recent):  # cut off since the last `find_cut`
                self._find_cut()
                return
            self._disk.overwrite(self._descriptor, self.path, recent, start)
            self.n_overwritten += 1

    def _find_cut(self) -> None:
        size = self._disk.size(self._descriptor)
        n_missing = self._size - size
        if n_missing <= 0:
            return
        with self._items:
            recent = b"".join(self._recent)
            kept, end = recent[: max(0, len(recent) - n_missing)], recent[-n_missing:]
            self._recent, self._n_recent, self._size = deque([kept]), len(kept), size
            self._n_ours = max(0, self._n_ours - n_missing)
            self._waiting.appendleft(end)
            self.n_cuts += 1
            self.n_lost += n_missing - len(end)
            self._torn = n_missing > len(end)

    def sync(self, full: bool) -> None:
        """Wait until everything written is on the disk; `full` as in `Disk.sync`.

        Raises:
            OSError: it may not be. Everything since the last sync waits again, to be written a second time.
        """
        n_written = len(self._unsynced)
        try:
            self._disk.sync(self._descriptor, full)
        except OSError:
            with self._writing, self._items:
                self._waiting.extendleft(reversed(self._unsynced))
                self._unsynced.clear()
            raise
        with self._items:
            for _ in range(n_written):
                self._unsynced.popleft()

    def is_removed(self) -> bool:
        """True if the file is not at its path any more: deleted, renamed, or replaced by another one."""
        return not self._is_given_up and not self._disk.is_at(self._descriptor, self.path)

    def place(self) -> Path | None:
        """Where the file is now, if it still has a name and the system tells it."""
        return self._disk.path_of(self._descriptor)

    def restore(self, path: Path, disk: Disk | None = None) -> None:
        """Go on in a new file with everything that was in the old one.

        Args:
            disk: of the new file; None for the same.

        Raises:
            OSError: that is not possible now.
        """
        disk = disk or self._disk
        with self._writing:
            descriptor, size = disk.create(path), 0
            try:
                for data in self._content():
                    size += len(data)
                    while data:
                        data = data[disk.write(descriptor, data) :]
                disk.sync(descriptor, full=False)
                disk.sync_folder(path.parent)
            except OSError:
                path.unlink(missing_ok=True)
                disk.close(descriptor)
                raise
            self._disk.close(self._descriptor)
            self._disk, self._descriptor, self._size, self.path = disk, descriptor, size, path

    def _content(self) -> Iterator[bytes]:
        """What was written; what memory has of it if the file cannot be read."""
        offset = 0
        try:
            while data := self._disk.read(self._descriptor, COPY_BYTES, offset):
                offset += len(data)
                yield data
        except OSError:
            with self._items:
                yield b"\n" * bool(offset) + b"".join((self._first, *self._recent))

    def remembered(self) -> bytes:
        """The first item, the last ones that were written, and those that wait; some twice."""
        with self._items:
            return b"".join((self._first, *self._recent, *self._waiting))

    def adopt(self) -> None:
        """Go on in the file that another program put in the place of this one.

        Raises:
            OSError: it is not a regular file, or cannot be written.
        """
        with self._writing:
            descriptor = self._disk.reopen(self.path)
            old, self._descriptor, self._size = self._descriptor, descriptor, self._disk.size(descriptor)
            self._torn = self._ends_torn()
            self._disk.close(old)

    def give_up(self) -> None:
        """Write nothing any more."""
        with self._items:
            self._is_given_up = True
            self._waiting.clear()
            self._unsynced.clear()

    def unwritten(self) -> bytes:
        """Everything that is not known to be on the disk."""
        with self._items:
            return b"".join((*self._unsynced, *self._waiting))

    def close(self) -> None:
        """Close the file without a sync. Call once."""
        self._disk.close(self._descriptor)

    def _ends_torn(self) -> bool:
        return self._size > 0 and self._disk.read(self._descriptor, 1, self._size - 1) != b"\n"

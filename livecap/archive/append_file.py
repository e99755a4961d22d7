"""AppendFile: a file that only grows. Data stays in memory until it is on disk, and is written again after errors."""

from collections import deque
from contextlib import suppress
from pathlib import Path
from threading import Lock

from livecap.archive.disk import Disk

COPY_BYTES = 1 << 20
"""Bytes per read when a deleted file is copied to a new one."""


class AppendFile:
    """Any thread may `add`; one thread calls `write`, another `sync` and `restore`."""

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
        self._items = Lock()
        """Guards the two queues."""
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
            self._waiting.append(item)

    def write(self) -> None:
        """Hand all waiting items to the operating system.

        Raises:
            OSError: not all were taken. The rest goes on waiting, and no part of a line stays in the file.
        """
        while True:
            with self._writing:
                if not self._waiting:
                    return
                self._write_one(self._waiting[0])
                with self._items:
                    self._unsynced.append(self._waiting.popleft())

    def _write_one(self, item: bytes) -> None:
        was_torn = self._torn
        data = b"\n" + item if was_torn else item
        rest = data
        try:
            while rest:
                rest = rest[self._disk.write(self._descriptor, rest) :]
        except OSError:
            if len(rest) < len(data):
                self._torn = True
                with suppress(OSError):  # if it fails, the next item begins with a line end
                    self._disk.truncate(self._descriptor, self._size)
                    self._torn = was_torn
            raise
        self._torn = False
        self._size += len(data)

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
        """True if the file was deleted while it is open here."""
        return self._disk.is_removed(self._descriptor)

    def restore(self) -> None:
        """Create a deleted file again, with everything that was in it.

        Raises:
            OSError: that is not possible now.
        """
        with self._writing:
            descriptor = self._disk.create(self.path)
            try:
                offset = 0
                while data := self._disk.read(self._descriptor, COPY_BYTES, offset):
                    offset += len(data)
                    while data:
                        data = data[self._disk.write(descriptor, data) :]
                self._disk.sync(descriptor, full=False)
                self._disk.sync_folder(self.path.parent)
            except OSError:
                self.path.unlink(missing_ok=True)
                self._disk.close(descriptor)
                raise
            old, self._descriptor = self._descriptor, descriptor
            self._disk.close(old)

    def unwritten(self) -> bytes:
        """Everything that is not known to be on the disk."""
        with self._items:
            return b"".join((*self._unsynced, *self._waiting))

    def close(self) -> None:
        """Close the file without a sync. Call once."""
        self._disk.close(self._descriptor)

    def _ends_torn(self) -> bool:
        return self._size > 0 and self._disk.read(self._descriptor, 1, self._size - 1) != b"\n"

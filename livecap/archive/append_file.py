"""AppendFile: a file that only grows. What cannot be written, or was not synced when a sync failed, waits in memory."""

from collections import deque
from contextlib import suppress
from pathlib import Path
from threading import Lock

from livecap.archive.disk import Disk

COPY_BYTES = 1 << 20
"""Read at once when a removed file is written anew."""


class AppendFile:
    """Used from three threads: any may `add`, one writes, one syncs and heals."""

    def __init__(self, disk: Disk, path: Path, reopen: bool = False) -> None:
        """A new file, or one that is there and goes on.

        Raises:
            OSError: it cannot be made or opened.
        """
        self.path = path
        self._disk = disk
        self._waiting: deque[bytes] = deque()
        """Not written yet."""
        self._unsynced: deque[bytes] = deque()
        """Written, but the disk has not said that it has them."""
        self._items = Lock()
        """Guards the two queues."""
        self._writing = Lock()
        """Guards the descriptor against a change while it is written to."""
        self._descriptor = disk.reopen(path) if reopen else disk.create(path)
        self._size = disk.size(self._descriptor)
        self._torn = reopen and self._ends_torn()
        """The file does not end with a line end, and what follows has to begin with one."""

    @property
    def descriptor(self) -> int:
        """Changes when the file is made anew."""
        return self._descriptor

    @property
    def n_waiting(self) -> int:
        """Items that only memory has."""
        return len(self._waiting)

    @property
    def is_dirty(self) -> bool:
        """Something was written since the last sync, or waits."""
        return bool(self._waiting or self._unsynced)

    def add(self, item: bytes) -> None:
        """Whole lines, to be written after all before them."""
        with self._items:
            self._waiting.append(item)

    def write(self) -> None:
        """Hand everything that waits to the operating system.

        Raises:
            OSError: it did not take all; the rest waits on, and no half line stays behind.
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
                with suppress(OSError):  # then the next item begins with a line end
                    self._disk.truncate(self._descriptor, self._size)
                    self._torn = was_torn
            raise
        self._torn = False
        self._size += len(data)

    def sync(self, full: bool) -> None:
        """What was written is on the disk.

        Raises:
            OSError: it is not known to be; all since the last sync is written again.
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
        """Somebody deleted the file under us."""
        return self._disk.is_removed(self._descriptor)

    def make_anew(self) -> None:
        """After it was removed: the same path with all that was in it.

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
        """What memory alone has, or may have."""
        with self._items:
            return b"".join((*self._unsynced, *self._waiting))

    def close(self) -> None:
        """Without a sync. Once."""
        self._disk.close(self._descriptor)

    def _ends_torn(self) -> bool:
        return self._size > 0 and self._disk.read(self._descriptor, 1, self._size - 1) != b"\n"

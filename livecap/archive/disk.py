"""Disk: what the log asks of the operating system, so that tests can cut its power. Files are their owner's alone."""

import errno
import fcntl
import os
from pathlib import Path

FULL_SYNC: int | None = getattr(fcntl, "F_FULLFSYNC", None)
"""macOS alone has it: there fsync leaves the data in the drive's own cache."""
NO_FULL_SYNC = (errno.ENOTSUP, errno.EINVAL, errno.ENOTTY)
"""What network drives and foreign file systems answer to it."""


class Disk:
    """The real one. Every method raises OSError."""

    def make_folder(self, path: Path) -> None:
        """A new folder, mode 0700 from the start; its parents too where they are missing."""
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.mkdir(mode=0o700)

    def create(self, path: Path) -> int:
        """A new empty file to append to, mode 0600 from the start; what is there already, a link too, is an error."""
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
        return os.open(path, flags, 0o600)

    def reopen(self, path: Path) -> int:
        """A file that is there, to append to; a link is an error."""
        return os.open(path, os.O_RDWR | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC)

    def size(self, descriptor: int) -> int:
        return os.fstat(descriptor).st_size

    def read(self, descriptor: int, n_bytes: int, offset: int) -> bytes:
        return os.pread(descriptor, n_bytes, offset)

    def write(self, descriptor: int, data: bytes) -> int:
        """Appends some of `data`; how many bytes."""
        return os.write(descriptor, data)

    def truncate(self, descriptor: int, size: int) -> None:
        os.ftruncate(descriptor, size)

    def sync(self, descriptor: int, full: bool) -> None:
        """Everything written so far is on the disk; `full` also empties the drive's own cache on macOS."""
        if full and FULL_SYNC is not None:
            try:
                fcntl.fcntl(descriptor, FULL_SYNC)
                return
            except OSError as error:
                if error.errno not in NO_FULL_SYNC:
                    raise
        os.fsync(descriptor)

    def sync_folder(self, path: Path) -> None:
        """The names in a folder are on the disk."""
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def is_removed(self, descriptor: int) -> bool:
        """An open file that no folder has any more: what is written to it will be lost."""
        return os.fstat(descriptor).st_nlink == 0

    def close(self, descriptor: int) -> None:
        os.close(descriptor)

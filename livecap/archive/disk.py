"""Disk: the file operations of the log, in one class so that tests can fail them. Everything is readable by the owner
only."""

import errno
import fcntl
import os
from pathlib import Path

from livecap.files import make_folder

FULL_SYNC: int | None = getattr(fcntl, "F_FULLFSYNC", None)
"""F_FULLFSYNC, on macOS only: fsync leaves data in the drive's own cache there."""
NO_FULL_SYNC = (errno.ENOTSUP, errno.EINVAL, errno.ENOTTY)
"""Errors by which network drives and foreign file systems say that they do not have F_FULLFSYNC."""


class Disk:
    """A real disk. Every method raises OSError. Any thread may call."""

    def make_folder(self, path: Path) -> None:
        """Make a folder with mode 0700, and its missing parents. It must not exist."""
        make_folder(path.parent)
        path.mkdir(mode=0o700)

    def create(self, path: Path) -> int:
        """A descriptor of a new file to append to, mode 0600 from the start. Anything at `path`, also a link, is an
        error."""
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
        return os.open(path, flags, 0o600)

    def reopen(self, path: Path) -> int:
        """A descriptor of an existing file to append to. A link is an error."""
        return os.open(path, os.O_RDWR | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC)

    def size(self, descriptor: int) -> int:
        return os.fstat(descriptor).st_size

    def read(self, descriptor: int, n_bytes: int, offset: int) -> bytes:
        return os.pread(descriptor, n_bytes, offset)

    def write(self, descriptor: int, data: bytes) -> int:
        """Append some of `data`; returns how many bytes."""
        return os.write(descriptor, data)

    def truncate(self, descriptor: int, size: int) -> None:
        os.ftruncate(descriptor, size)

    def sync(self, descriptor: int, full: bool) -> None:
        """Wait until everything written so far is on the disk; `full` also empties the drive's own cache on macOS."""
        if full and FULL_SYNC is not None:
            try:
                fcntl.fcntl(descriptor, FULL_SYNC)
                return
            except OSError as error:
                if error.errno not in NO_FULL_SYNC:
                    raise
        os.fsync(descriptor)

    def sync_folder(self, path: Path) -> None:
        """Wait until the names in a folder are on the disk."""
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def is_removed(self, descriptor: int) -> bool:
        """True if an open file was deleted: what is written to it will be lost."""
        return os.fstat(descriptor).st_nlink == 0

    def close(self, descriptor: int) -> None:
        os.close(descriptor)

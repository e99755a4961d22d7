"""Disk: the file operations of the log, in one class so that tests can fail them. Everything is readable by the owner
only."""

import errno
import fcntl
import os
import stat
from pathlib import Path

from livecap.files import make_folder

FULL_SYNC: int | None = getattr(fcntl, "F_FULLFSYNC", None)
"""F_FULLFSYNC, on macOS only: fsync leaves data in the drive's own cache there."""
GET_PATH: int | None = getattr(fcntl, "F_GETPATH", None)
"""F_GETPATH, on macOS only; Linux has /proc instead."""
NO_SYNC = (errno.ENOTSUP, errno.EINVAL, errno.ENOTTY)
"""Errors by which network drives and foreign file systems say that they cannot sync a folder, or lack F_FULLFSYNC."""


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
        """A descriptor of an existing regular file to append to. Anything else, also a link, is an error."""
        descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise OSError(errno.EINVAL, "not a regular file", str(path))
        return descriptor

    def size(self, descriptor: int) -> int:
        return os.fstat(descriptor).st_size

    def changed_at(self, descriptor: int) -> int:
        """When the content of an open file changed, in nanoseconds."""
        return os.fstat(descriptor).st_mtime_ns

    def read(self, descriptor: int, n_bytes: int, offset: int) -> bytes:
        return os.pread(descriptor, n_bytes, offset)

    def write(self, descriptor: int, data: bytes) -> int:
        """Append some of `data`; returns how many bytes."""
        return os.write(descriptor, data)

    def overwrite(self, descriptor: int, path: Path, data: bytes, offset: int) -> None:
        """Replace bytes inside an open file, which is at `path`. (Its own descriptor only appends.)"""
        other = os.open(path, os.O_WRONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            if not os.path.samestat(os.fstat(other), os.fstat(descriptor)):
                raise OSError(errno.ESTALE, "another file has taken its place", str(path))
            while data:
                n_written = os.pwrite(other, data, offset)
                data, offset = data[n_written:], offset + n_written
        finally:
            os.close(other)

    def truncate(self, descriptor: int, size: int) -> None:
        os.ftruncate(descriptor, size)

    def sync(self, descriptor: int, full: bool) -> None:
        """Wait until everything written so far is on the disk; `full` also empties the drive's own cache on macOS."""
        if full and FULL_SYNC is not None:
            try:
                fcntl.fcntl(descriptor, FULL_SYNC)
                return
            except OSError as error:
                if error.errno not in NO_SYNC:
                    raise
        os.fsync(descriptor)

    def sync_folder(self, path: Path) -> None:
        """Wait until the names in a folder are on the disk, where it can tell."""
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        except OSError as error:
            if error.errno not in NO_SYNC:
                raise
        finally:
            os.close(descriptor)

    def is_at(self, descriptor: int, path: Path) -> bool:
        """True if an open file has this name; otherwise it was deleted, renamed or replaced."""
        try:
            return os.path.samestat(os.fstat(descriptor), os.lstat(path))
        except (FileNotFoundError, NotADirectoryError):
            return False

    def path_of(self, descriptor: int) -> Path | None:
        """Where an open file is now; None if it was deleted, or if the system does not say."""
        if os.fstat(descriptor).st_nlink == 0:
            return None
        if GET_PATH is not None:
            return Path(os.fsdecode(fcntl.fcntl(descriptor, GET_PATH, bytes(1024)).rstrip(b"\0")))
        link = f"/proc/self/fd/{descriptor}"
        return Path(os.readlink(link)) if os.path.islink(link) else None

    def close(self, descriptor: int) -> None:
        os.close(descriptor)

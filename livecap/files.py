"""Files that are replaced whole, folders that are their owner's alone, and reading what may not be a file at all."""

import errno
import fcntl
import os
import stat
import tempfile
import zlib
from collections.abc import Iterable
from contextlib import suppress
from io import BufferedReader
from pathlib import Path
from typing import BinaryIO

NO_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.EINVAL, errno.ENOSYS)
"""What file systems without locks answer."""
MOST_NAME_BYTES = 255
"""The longest name of a file on the usual file systems."""


def make_folder(path: Path) -> None:
    """Make a folder and all missing ones above it, each with mode 0700; one that exists stays as it is.

    (`Path.mkdir(parents=True, mode=0o700)` gives the mode to the last one only.)

    Raises:
        OSError: it cannot be made, or `path` is not a folder.
    """
    try:
        path.mkdir(mode=0o700)
    except FileNotFoundError:
        if path.parent == path:
            raise
        make_folder(path.parent)
        path.mkdir(mode=0o700, exist_ok=True)
    except FileExistsError:
        if not path.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(path)) from None
    except OSError:
        if not path.is_dir():
            raise


def temporary_folders() -> list[Path]:
    """Where temporary files of this user may be, the usual folder first. Unlike `tempfile.gettempdir`, which writes a
    file to find out, it also works where every disk is full."""
    try:
        return [Path(tempfile.gettempdir())]
    except FileNotFoundError:
        return [Path(folder) for folder in (os.environ.get("TMPDIR"), "/tmp", "/var/tmp") if folder]


def try_lock(file: int | BinaryIO, how: int = fcntl.LOCK_EX) -> bool | None:
    """Lock an open file until it is closed, without waiting: True, or False if another process has locked it; None on a
    disk without locks, which some network disks are.

    Raises:
        OSError: another failure.
    """
    try:
        fcntl.flock(file, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
        return None
    return True


def open_regular(path: Path, follow: bool = True) -> BufferedReader:
    """Open a regular file to read it. FIFOs and devices, which may block or never end, are not opened.

    Args:
        follow: a link is followed; otherwise it is an error.

    Raises:
        OSError: there is no such file, or it is not a regular one.
    """
    status = os.stat(path, follow_symlinks=follow)
    if stat.S_ISREG(status.st_mode):
        flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | (0 if follow else os.O_NOFOLLOW)
        file = open(os.open(path, flags), "rb")
        if stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            return file
        file.close()
    raise OSError(errno.EINVAL, "not a regular file" if follow else "a link or not a regular file", str(path))


def read_regular(path: Path, most_bytes: int) -> bytes:
    """The contents of a regular file; nothing for the null device, which stands for an empty file.

    Raises:
        OSError: it cannot be read, is not a regular file, or holds more than `most_bytes`.
    """
    if os.path.samestat(os.stat(path), os.stat(os.devnull)):
        return b""
    with open_regular(path) as file:
        data = bytearray()
        while len(data) <= most_bytes and (piece := file.read(most_bytes + 1 - len(data))):
            data += piece
    if len(data) > most_bytes:
        raise OSError(errno.EFBIG, f"larger than {most_bytes:,} bytes", str(path))
    return bytes(data)


def hidden_beside(path: Path, ending: str) -> Path:
    """`.NAME` and the ending, in the folder of `path`. A NAME with which that would be too long for a disk is
    shortened."""
    return path.with_name(f".{shortened_name(path.name, MOST_NAME_BYTES - 1 - len(ending))}{ending}")


def shortened_name(name: str, most_bytes: int, ending: str = "") -> str:
    """A name of a file with at most so many bytes. A longer one becomes its beginning, its checksum and the ending."""
    whole = os.fsencode(name)
    if len(whole) <= most_bytes:
        return name
    beginning = whole[: most_bytes - 9 - len(ending)].decode("utf-8", "ignore")
    return f"{beginning}-{zlib.crc32(whole):08x}{ending}"


def replace_file(path: Path, pieces: Iterable[str], durable: bool = True, errors: str = "replace") -> None:
    """Give a file new text, in UTF-8, with mode 0600. A link at `path` is replaced, not followed.

    The text goes into a new file beside it (`.NAME.xxxxxxxx.new`), is synced to the disk, and takes its name. Several
    threads and processes may do so at once: the last one wins.

    Args:
        pieces: written as they come; line ends stay as they are.
        durable: False leaves out the sync, for a file that is of no use after a power failure.
        errors: what becomes of characters that UTF-8 has no bytes for, as in `str.encode`.

    Raises:
        OSError: `path` is unchanged, and nothing is left beside it. The same holds for an exception from `pieces`.
    """
    new = hidden_beside(path, f".{os.urandom(4).hex()}.new")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with open(descriptor, "w", encoding="utf-8", errors=errors, newline="") as file:
            file.writelines(pieces)
            file.flush()
            if durable:
                os.fsync(descriptor)
        os.replace(new, path)
    except BaseException:
        with suppress(OSError):
            new.unlink()
        raise
    if not durable:
        return
    with suppress(OSError):  # some network drives cannot sync a folder; the new file is in place
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

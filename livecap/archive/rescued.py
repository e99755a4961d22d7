"""A session whose disk failed goes on in the system's temporary folder (`SessionLog`); what its own folder has is only
the beginning. Here the rest is found and brought back.
"""

import os
import shutil
import stat
from contextlib import suppress
from glob import escape
from pathlib import Path
from typing import BinaryIO

from livecap.archive.folder import EVENTS, RESCUE_PREFIX, TRANSCRIPT
from livecap.archive.reader import LogReader
from livecap.errors import LogError
from livecap.files import open_regular, temporary_folders

BLOCK_BYTES = 1 << 20


def rescued(folder: Path) -> Path | None:
    """The folder that holds more of a session than its own; None if there is none.

    Only what this user alone can write counts, and a log that begins with all whole lines of the session's.
    """
    for temporary in temporary_folders():
        for path in sorted(temporary.glob(f"{RESCUE_PREFIX}*/{escape(folder.name)}/{EVENTS}")):
            with suppress(OSError, LogError):
                ours = all(_is_ours(place) for place in (path.parent.parent, path.parent))
                if ours and _goes_on(folder / EVENTS, path):
                    LogReader(path)  # raises if nothing in it can be read
                    return path.parent
    return None


def bring_back(folder: Path, source: Path) -> None:
    """Replace the log in a session's folder by the longer one, and remove that from the temporary folder.

    Raises:
        LogError: the folder still cannot be written; both logs stay.
    """
    new = folder / f".{EVENTS}.{os.urandom(4).hex()}.new"
    try:
        with open_regular(source / EVENTS, follow=False) as old:
            descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with open(descriptor, "wb") as file:
                shutil.copyfileobj(old, file, BLOCK_BYTES)
                file.flush()
                os.fsync(descriptor)
        os.replace(new, folder / EVENTS)
    except OSError as error:
        with suppress(OSError):
            new.unlink()
        raise LogError(
            f"The whole session {folder.name} is in {source}, and cannot be brought back to {folder}: "
            f"{error.strerror or error}."
        ) from None
    with suppress(OSError):  # the session is back, and what is left here does no harm
        remove_rescued(source)


def remove_rescued(source: Path) -> None:
    """Remove a session's log and text from the temporary folder. Raises OSError where that fails."""
    for name in (EVENTS, TRANSCRIPT):
        (source / name).unlink(missing_ok=True)
    with suppress(OSError):  # files of others in it stay
        source.rmdir()
        source.parent.rmdir()


def _is_ours(place: Path) -> bool:
    status = place.lstat()
    return stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid() and not status.st_mode & 0o022


def _goes_on(log: Path, longer: Path) -> bool:
    """True if the second log is longer, and begins with all whole lines of the first."""
    with open_regular(log, follow=False) as one, open_regular(longer, follow=False) as other:
        whole = _end_of_last_line(one)
        if os.fstat(other.fileno()).st_size <= whole:
            return False
        one.seek(0)
        while whole > 0:
            n_bytes = min(whole, BLOCK_BYTES)
            if one.read(n_bytes) != other.read(n_bytes):
                return False
            whole -= n_bytes
    return True


def _end_of_last_line(file: BinaryIO) -> int:
    """Bytes up to the end of the last whole line."""
    end = os.fstat(file.fileno()).st_size
    while end > 0:
        start = max(0, end - BLOCK_BYTES)
        file.seek(start)
        found = file.read(end - start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        end = start
    return 0

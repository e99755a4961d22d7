"""Replacing a file whole: its readers, and a crash, find the old text or the new one, never a part."""

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path


def replace_file(path: Path, pieces: Iterable[str]) -> None:
    """Give a file new text, in UTF-8, with mode 0600. A link at `path` is replaced, not followed.

    The text goes into a new file beside it (`.NAME.xxxxxxxx.new`), is synced to the disk, and takes its name. Several
    threads and processes may do so at once: the last one wins.

    Args:
        pieces: written as they come; line ends stay as they are.

    Raises:
        OSError: `path` is unchanged, and nothing is left beside it. The same holds for an exception from `pieces`.
    """
    new = path.with_name(f".{path.name}.{os.urandom(4).hex()}.new")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with open(descriptor, "w", encoding="utf-8", errors="replace", newline="") as file:
            file.writelines(pieces)
            file.flush()
            os.fsync(descriptor)
        os.replace(new, path)
    except BaseException:
        with suppress(OSError):
            new.unlink()
        raise
    with suppress(OSError):  # some network drives cannot sync a folder; the new file is in place
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

"""The names of the files in a session's folder, and whether a livecap is writing it (docs/log-format.md)."""

import fcntl
import os
import time
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from livecap.errors import LogError
from livecap.files import make_folder, open_regular, try_lock

EVENTS = "session.jsonl"
RESCUE_PREFIX = "livecap-"
"""Beginning of the name of a temporary folder in which a session goes on whose disk failed."""
TRANSCRIPT = "transcript.md"
TITLE = "title.txt"
FAULT = "fault.txt"
AUDIO = "audio"
UNSAVED = "unsaved"
"""Marker file in `audio/`: this sound is deleted once it is transcribed."""
FAILED = "failed: "
"""Beginning of the reason of `session_ended` where an error ended the session."""
SINGLE = "sound"
"""Name without suffix of the sound file in `audio/` of a track without a label."""
MAX_TITLE = 200
"""Characters of a title; what is longer is cut off."""
END_BYTES = 16 << 10
"""Bytes at the end of a log in which `session_ended` is looked for; more where all of them are about speakers."""
SPEAKER_LINE = b'{"type": "speaker'
"""Beginning of a line that says who speaks. Such lines may also be added after the end."""

WRITTEN_SECONDS = 150.0
"""A running session that is not paused writes to its log at least once a minute."""
LOCK_SECONDS = 0.5
"""How long to try to lock a log: whoever asks whether it is being written holds it for an instant."""


def lock(descriptor: int) -> bool:
    """Lock a log until this process ends; False if another process, or another log of this one, holds the lock. On a
    disk without locks (some network disks) nothing is locked, and it is True."""
    until = time.monotonic() + LOCK_SECONDS
    while try_lock(descriptor) is False:
        if time.monotonic() >= until:
            return False
        time.sleep(0.001)
    return True


def is_being_written(folder: Path) -> bool:
    """True while a livecap is writing the session in `folder`. On a disk without locks: while its log has no end and
    was changed in the last WRITTEN_SECONDS.

    Raises:
        OSError: the folder has no log that can be opened.
    """
    with open_regular(folder / EVENTS, follow=False) as log:
        locked = try_lock(log, fcntl.LOCK_SH)
        if locked is None:
            age = time.time() - os.fstat(log.fileno()).st_mtime
            return age < WRITTEN_SECONDS and not has_end(folder / EVENTS)
    return not locked


def all_have_ends(parent: Path, newest: int) -> bool:
    """True if the newest sessions in `parent` all ended properly. Quick, and imports no library. After False ask
    `Archive.cut_off`, which is exact."""
    try:
        names = sorted(os.listdir(parent), reverse=True)
        logs = (log for name in names if (log := parent / name / EVENTS).is_file())
        return all(map(has_end, islice(logs, newest)))
    except OSError:
        return not parent.exists()


def has_end(log: Path) -> bool:
    """True if the session of this log ended properly: not one that failed and whose sound waits to be transcribed.

    Raises:
        OSError: it cannot be read.
    """
    with open_regular(log) as file:
        end = _last_lines(file)
    last = end.rfind(b'{"type": "session_ended"')
    failed = f'"reason": "{FAILED}'.encode() in end[last:]
    return last >= 0 and not (failed and saved_sounds(log.parent))


def _last_lines(file: BinaryIO) -> bytes:
    """The end of a log, with some line that is not about speakers: adding facts about them may have been cut off."""
    size, n_bytes = os.fstat(file.fileno()).st_size, END_BYTES
    while True:
        file.seek(max(0, size - n_bytes))
        end = file.read(n_bytes)
        whole = end.split(b"\n")[1:-1]
        if n_bytes >= size or not whole or not all(line.startswith(SPEAKER_LINE) for line in whole):
            return end
        n_bytes *= 2


def read_title(folder: Path) -> str:
    """The title that the user gave the session in `folder`; "" if it has none, or none that can be read."""
    try:
        with open_regular(folder / TITLE, follow=False) as file:
            return file.read(4 * MAX_TITLE).decode("utf-8", errors="replace").strip()[:MAX_TITLE]
    except OSError:
        return ""


def saved_sounds(folder: Path) -> dict[str, Path]:
    """Track to its sound file, for the session in `folder`; the key is "" for a session with one track."""
    files = (path for path in sorted((folder / AUDIO).glob("*")) if path.suffix in (".flac", ".wav"))
    return {"" if path.stem == SINGLE else path.stem: path for path in files if path.is_file()}


def check_parent(parent: Path) -> None:
    """Create the folder for sessions, long before one is written.

    Raises:
        LogError: it cannot be created or written.
    """
    try:
        make_folder(parent)
    except OSError as error:
        raise unwritable(parent, error) from None
    if not os.access(parent, os.W_OK | os.X_OK):
        why = "the disk is read-only" if os.statvfs(parent).f_flag & os.ST_RDONLY else "no permission"
        raise LogError(f"Cannot write the session log in {parent}: {why}. Choose another folder with --log-dir.")


def unwritable(path: Path, error: OSError) -> LogError:
    """The error for a session whose files cannot be written."""
    return LogError(
        f"Cannot write the session log in {path}: {error.strerror or error}. "
        "Free some space or choose another folder with --log-dir."
    )

"""What a session's folder holds, and whether somebody writes it (docs/log-format.md)."""

import fcntl
import os
from pathlib import Path

from livecap.errors import LogError

EVENTS = "session.jsonl"
TRANSCRIPT = "transcript.md"
TITLE = "title.txt"
FAULT = "fault.txt"
AUDIO = "audio"
UNSAVED = "unsaved"
"""In `audio/`: its sound is not to be kept."""
SINGLE = "sound"
"""In `audio/`: the file of a track without a label."""
END_BYTES = 16 << 10
"""The end of a log, with what may stand behind the end of its session."""


def lock(descriptor: int) -> bool:
    """False where another process, or another log of this one, writes the session. Ends with the process."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def is_being_written(folder: Path) -> bool:
    """True while a livecap writes the session in `folder`.

    Raises:
        OSError: there is no log in it that can be opened.
    """
    descriptor = os.open(folder / EVENTS, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def all_have_ends(parent: Path, newest: int) -> bool:
    """True where none of the newest sessions in `parent` was cut off: quick, and without any library. False says
    nothing: ask `Archive.cut_off`."""
    try:
        names = sorted(os.listdir(parent), reverse=True)[:newest]
        return all(has_end(log) for name in names if (log := parent / name / EVENTS).is_file())
    except OSError:
        return not parent.exists()


def has_end(log: Path) -> bool:
    """The session of this log ended in order.

    Raises:
        OSError: it cannot be read.
    """
    with open(log, "rb", buffering=0) as file:
        file.seek(max(0, os.fstat(file.fileno()).st_size - END_BYTES))
        return b'{"type": "session_ended"' in file.read(END_BYTES)


def read_title(folder: Path) -> str:
    """What a person called the session in `folder`, or "".

    Raises:
        LogError: there is a title that cannot be read.
    """
    try:
        return (folder / TITLE).read_text(encoding="utf-8", errors="replace").strip()
    except (FileNotFoundError, NotADirectoryError):
        return ""
    except OSError as error:
        raise LogError(f"Cannot read {folder / TITLE}: {error.strerror or error}.") from None


def saved_sounds(folder: Path) -> dict[str, Path]:
    """Track to sound file of the session in `folder`; "" is the track of a session that has one."""
    files = sorted((folder / AUDIO).glob("*"))
    return {"" if path.stem == "sound" else path.stem: path for path in files if path.suffix in (".flac", ".wav")}

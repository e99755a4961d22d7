"""At the end of a session its transcript.md is made again: settled text, corrected times, nothing missing."""

import os
from contextlib import suppress
from pathlib import Path

from livecap.archive.disk import Disk
from livecap.archive.folder import TRANSCRIPT
from livecap.archive.recorded import RecordedSession
from livecap.archive.transcript_file import lines
from livecap.errors import LogError


def finish_transcript(folder: Path) -> None:
    """Replace transcript.md, whole or not at all, by what the log says now.

    Raises:
        LogError: the log cannot be read, or the file not be written; the old one is still there.
    """
    session = RecordedSession(folder)
    path, disk = folder / TRANSCRIPT, Disk()
    new = path.with_name(path.name + ".new")
    try:
        new.unlink(missing_ok=True)
        with open(disk.create(new), "w", encoding="utf-8") as file:
            for text in lines(session.started, session.clock, session.facts(), session.title):
                file.write(text)
            file.flush()
            disk.sync(file.fileno(), full=False)
        os.replace(new, path)
        disk.sync_folder(folder)
    except OSError as error:
        with suppress(OSError):
            new.unlink(missing_ok=True)
        raise LogError(f"Cannot write the finished {path}: {error.strerror or error}.") from None

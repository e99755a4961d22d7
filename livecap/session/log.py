"""SessionLog: what was said, on disk before it is shown. One folder a session:

session.jsonl    every fact, a line each, appended; what other programs read (docs/events.md)
transcript.md    a line for each utterance, as people read it
"""

import os
from datetime import datetime
from io import FileIO
from pathlib import Path

from livecap.errors import LogError
from livecap.session.clock import SessionClock
from livecap.text_safety import printable
from livecap.transcript import SessionEvent, SessionStarted, UtteranceEnded, to_json


class SessionLog:
    """Appends the facts of one session and flushes each. Used from one thread at a time."""

    def __init__(self, parent: Path, started: datetime) -> None:
        """Makes a folder below `parent` that no other session has, readable by its owner alone.

        Raises:
            LogError: the folder cannot be made or written.
        """
        self.folder = _new_folder(parent, f"{started:%Y-%m-%d_%H-%M-%S}")
        try:
            self._events = _open_new(self.folder / "session.jsonl")
            self._transcript = _open_new(self.folder / "transcript.md")
        except OSError as error:
            raise _unwritable(self.folder, error) from None
        self._clock: SessionClock | None = None

    @property
    def session(self) -> str:
        """The session's name: its folder's."""
        return self.folder.name

    def append(self, event: SessionEvent, wall_seconds: float) -> None:
        """On disk, as far as the operating system is asked, when this returns.

        Raises:
            LogError: the disk is full.
        """
        try:
            _append(self._events, to_json(event, wall_seconds) + "\n")
            if isinstance(event, SessionStarted):
                self._clock = SessionClock.of(event)
                source = printable(f"{event.source}, {event.model}")
                _append(self._transcript, f"# {self._clock.date}\n\n{source}\n\n")
            assert self._clock is not None, "a session starts with SessionStarted"
            self._clock.note(event)
            if isinstance(event, UtteranceEnded):
                label = f"{event.track}: " if event.track else ""
                line = printable(label + event.text)
                _append(self._transcript, f"[{self._clock.at(event.start_sample)}] {line}\n\n")
        except OSError as error:
            raise _unwritable(self.folder, error) from None

    def close(self) -> None:
        """Twice is harmless."""
        for file in (self._events, self._transcript):
            file.close()


def check_parent(parent: Path) -> None:
    """Make the folder that sessions go into, long before the first one is written.

    Raises:
        LogError: it cannot be made or written.
    """
    try:
        parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise _unwritable(parent, error) from None
    if not os.access(parent, os.W_OK | os.X_OK):
        raise LogError(f"Cannot write the session log in {parent}: no permission. Choose another with --log-dir.")


def _new_folder(parent: Path, name: str) -> Path:
    try:
        parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        for n in range(1, 1000):
            folder = parent / (name if n == 1 else f"{name}-{n}")
            try:
                folder.mkdir(mode=0o700)
                return folder
            except FileExistsError:
                continue
    except OSError as error:
        raise _unwritable(parent, error) from None
    raise LogError(f"Cannot start a session in {parent}: a thousand began in this second. Try again.")


def _open_new(path: Path) -> FileIO:
    """Unbuffered: a line that could not be written is not tried again when the file is closed."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
    return FileIO(descriptor, "w")


def _append(file: FileIO, line: str) -> None:
    data = line.encode("utf-8", errors="surrogatepass")
    while data:
        data = data[file.write(data) or 0 :]


def _unwritable(path: Path, error: OSError) -> LogError:
    return LogError(
        f"Cannot write the session log in {path}: {error.strerror or error}. "
        "Free the disk or choose another folder with --log-dir."
    )

"""LogReader: reads session.jsonl of any released version, also a damaged one (docs/log-format.md).

Damaged lines are reported and skipped. Nothing here writes.
"""

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from livecap.archive.clock import iso_time
from livecap.archive.folder import SPEAKER_LINE
from livecap.archive.line import LOG_FORMAT, DamagedLine, LogLine, decode_line
from livecap.errors import LogError
from livecap.files import open_regular
from livecap.transcript import (
    SAMPLE_RATE,
    AudioGap,
    ClockAnchored,
    Marked,
    Notice,
    Paused,
    Resumed,
    SessionEnded,
    SessionEvent,
    SessionStarted,
    TextCommitted,
    UtteranceEnded,
)

MAX_LINE_BYTES = 8 << 20
"""Longer than any line that livecap writes; a longer line is skipped without reading it into memory."""
TAIL_BYTES = 64 << 10
"""Bytes at the end of a log that `last_events` reads."""
LAST_SECOND = 4e9
"""In 2096. Nothing is older than 1970 or younger than this, whatever a folder or a file is called or dated."""
MARGIN_SECONDS = 120
"""Sound before the wanted position that is read too: tracks are not exactly in step, and a clock anchor is needed."""


@dataclass(frozen=True, slots=True)
class Damage:
    """One damaged or missing part of a log."""

    offset: int
    """Byte at which the line begins."""
    reason: str

    def __str__(self) -> str:
        return f"byte {self.offset}: {self.reason}"


class LogReader:
    """One session.jsonl. Each call opens the file again and reads its present content."""

    def __init__(self, path: Path) -> None:
        """
        Raises:
            LogError: the file cannot be read, has no line of livecap, or was written by a later version.
        """
        self.path = path
        self.damages: list[Damage] = []
        """Damage found by the last iteration over `events`, in order."""
        self.n_facts = 0
        """Number of the next fact, after an iteration to the end."""
        self.wall_seconds = 0.0
        """Seconds from the session's start to the last fact, after an iteration to the end."""
        self._may_lack_checksums = True
        """False from a first line of format 2 on."""
        self.started = self._header()

    def events(self, offset: int = 0) -> Iterator[tuple[int, SessionEvent]]:
        """(byte offset, event) of every undamaged fact in the lines that begin at or after `offset`, each fact once."""
        self.damages = []
        next_seq = 0 if offset == 0 else None
        for at, line in self._lines(offset):
            if line.seq is not None:
                if next_seq is not None and line.seq < next_seq:
                    continue  # written a second time after a disk error
                if next_seq is not None and line.seq > next_seq:
                    self.damages.append(Damage(at, f"facts missing before this line: {line.seq - next_seq}"))
                next_seq = line.seq + 1
                self.n_facts = next_seq
            self.wall_seconds = max(self.wall_seconds, line.wall_seconds)
            if line.event is not None:
                yield at, line.event

    def about_speakers(self, before: int) -> Iterator[tuple[int, SessionEvent]]:
        """(byte offset, event) of every undamaged fact about speakers in the lines that begin before this byte. Quick,
        since other lines are not decoded."""
        with self._open() as file:
            while (at := file.tell()) < before and (data := file.readline(MAX_LINE_BYTES)):
                if data.startswith(SPEAKER_LINE):
                    with suppress(DamagedLine):
                        if (event := self._checked(decode_line(data)).event) is not None:
                            yield at, event

    def event_at(self, offset: int) -> SessionEvent:
        """The event of the line that begins at `offset`, which came from `events`.

        Raises:
            LogError: the file has changed since then.
        """
        with self._open() as file:
            file.seek(offset)
            try:
                event = decode_line(file.readline(MAX_LINE_BYTES)).event
            except DamagedLine:
                event = None
        if event is None:
            raise LogError(f"The log {self.path} changed while it was being read. Try again.")
        return event

    def last_events(self) -> list[SessionEvent]:
        """The facts in the last TAIL_BYTES of the log, oldest first; cheap for a log of any length."""
        size = self.path.stat().st_size
        return [event for _, event in self.events(max(0, size - TAIL_BYTES))]

    def offset_of(self, sample: int) -> int:
        """A byte offset from which `events` yields everything heard from `sample` on, and not much more."""
        sample -= MARGIN_SECONDS * SAMPLE_RATE
        low, high = 0, self.path.stat().st_size
        while sample > 0 and high - low > TAIL_BYTES:
            middle = (low + high) // 2
            found = next((at for _, event in self.events(middle) if (at := position(event)) is not None), None)
            if found is None or found >= sample:
                high = middle
            else:
                low = middle
        return low

    # ---- lines

    def _open(self) -> BinaryIO:
        try:
            return open_regular(self.path)
        except OSError as error:
            raise LogError(f"Cannot read the session log {self.path}: {error.strerror or error}.") from None

    def _lines(self, offset: int) -> Iterator[tuple[int, LogLine]]:
        with self._open() as file:
            if offset:
                file.seek(offset - 1)
                _skip_line(file)
            while True:
                at = file.tell()
                data = file.readline(MAX_LINE_BYTES)
                if not data:
                    return
                has_end = data.endswith(b"\n")
                if not has_end and len(data) == MAX_LINE_BYTES:
                    _skip_line(file)
                    self.damages.append(Damage(at, "this line is too long"))
                elif data.strip(b"\0\r\n "):
                    try:
                        yield at, self._checked(decode_line(data))
                    except DamagedLine as error:
                        reason = f"this line is damaged: {error}" if has_end else "the last line is incomplete"
                        self.damages.append(Damage(at, reason))

    def _checked(self, line: LogLine) -> LogLine:
        if line.seq is None and not self._may_lack_checksums:
            raise DamagedLine("it has no checksum")
        return line

    # ---- the first line

    def _header(self) -> SessionStarted:
        first = next(self._lines(0), None)
        if first is None or first[1].event is None and first[1].seq is None:
            raise LogError(f"{self.path} is not a session log of livecap: it has no undamaged line.")
        line = first[1]
        if line.log_format is not None and line.log_format > LOG_FORMAT:
            raise LogError(
                f"{self.path} has log format {line.log_format}, from a later version of livecap. This version reads up "
                f"to {LOG_FORMAT}. Update livecap."
            )
        if isinstance(line.event, SessionStarted):
            self._may_lack_checksums = line.seq is None and line.log_format is None
            return line.event
        return _guess(self.path)


def position(event: SessionEvent) -> int | None:
    """Sample up to which sound had been heard when a fact was written; None if the fact does not say."""
    match event:
        case TextCommitted() | UtteranceEnded() | AudioGap():
            return event.end_sample
        case Paused() | Resumed() | ClockAnchored() | Marked() | Notice():
            return event.sample
        case SessionEnded():
            return event.n_samples
        case _:
            return None


def _skip_line(file: BinaryIO) -> None:
    while (data := file.readline(MAX_LINE_BYTES)) and not data.endswith(b"\n"):
        pass


def _guess(path: Path) -> SessionStarted:
    """A header in place of a lost one, with the time from the folder's name."""
    name = path.parent.name
    try:
        seconds = datetime.strptime(name[:19], "%Y-%m-%d_%H-%M-%S").timestamp()
    except (ValueError, OverflowError):
        seconds = os.stat(path).st_mtime
    wall_time = iso_time(min(max(seconds, 0), LAST_SECOND))
    return SessionStarted(name, "unknown source", "unknown model", wall_time, True, None, "unknown")

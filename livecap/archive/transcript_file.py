"""transcript.md: the facts of a session as people read them. Appended to while the session runs; `finish_transcript`
replaces it at the end."""

from collections.abc import Iterator
from pathlib import Path

from livecap.archive.clock import SessionClock
from livecap.archive.folder import TRANSCRIPT
from livecap.archive.recorded import Document, RecordedSession
from livecap.errors import LogError
from livecap.files import replace_file
from livecap.text.safety import printable
from livecap.transcript import (
    AudioGap,
    Marked,
    SessionEvent,
    SessionStarted,
    UtteranceEnded,
    UtteranceSettled,
)


def heading(started: SessionStarted, clock: SessionClock, title: str = "") -> str:
    """The first lines: the title or the date, then source and model."""
    source = printable(f"{started.source}, {started.model}")
    return f"# {printable(title) or clock.date}\n\n{source}\n\n"


def line(event: SessionEvent, clock: SessionClock) -> str:
    """The line of one fact and an empty one; "" for a fact that is not shown to people."""
    match event:
        case UtteranceEnded() | UtteranceSettled() if event.text.strip():
            label = f"{event.label}: " if event.label else ""
            return _line(clock.at_fact(event), label + event.text)
        case Marked():
            return _line(clock.at_fact(event), f"★ {event.note}".rstrip())
        case AudioGap():
            return _line(clock.at_fact(event), f"— {event.remark} —")
        case _:
            return ""


def _line(time: str, text: str) -> str:
    return f"[{time}] {printable(text)}\n\n"


def finished_lines(session: Document) -> Iterator[str]:
    """The finished file, piece by piece: settled text, corrected times, nothing missing."""
    yield heading(session.started, session.clock, session.title)
    for fact in session.facts():
        yield line(fact, session.clock)


def finish_transcript(folder: Path) -> None:
    """Write transcript.md again from the log of a session that has ended.

    Raises:
        LogError: the log cannot be read, or the file cannot be written; the old one is still there.
    """
    session, path = RecordedSession(folder), folder / TRANSCRIPT
    try:
        replace_file(path, finished_lines(session))
    except OSError as error:
        raise LogError(f"Cannot write the finished {path}: {error.strerror or error}.") from None

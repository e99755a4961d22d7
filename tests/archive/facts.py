"""Sessions to read, search and export: written by the real log, without sound."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from livecap.archive.log import SessionLog
from livecap.transcript import (
    SessionEnded,
    SessionEvent,
    SessionStarted,
    TextCommitted,
    UtteranceEnded,
    Word,
)
from tests.archive.when import STARTED

SECOND = 16_000
WALL = "2026-03-01T10:02:03.500+01:00"


def header(session: str = "s", live: bool = True, **fields: object) -> SessionStarted:
    return SessionStarted(session, "Mic", "tiny", WALL, live, None, "0.1.0", **fields)  # type: ignore[arg-type]


def said(texts: Iterable[str], track: str = "", language: str = "English", every: int = 5) -> Iterator[SessionEvent]:
    """Utterances of 4 s, one every `every` seconds, committed word by word, with word times."""
    for number, text in enumerate(texts):
        start, end = number * every * SECOND, (number * every + 4) * SECOND
        parts = text.split()
        times = [start + (end - start) * i // max(len(parts), 1) for i in range(len(parts) + 1)]
        for i, part in enumerate(parts):
            yield TextCommitted(track, number, (" " if i else "") + part, start, times[i + 1])
        words = tuple(Word(part, times[i], times[i + 1], "step") for i, part in enumerate(parts))
        yield UtteranceEnded(track, number, text, start, end, language, words)


def write(
    parent: Path, events: Iterable[SessionEvent], started: SessionStarted | None = None, end: bool = True
) -> Path:
    """The folder of a session with these facts."""
    log = SessionLog(parent, STARTED)
    log.append(started or header(log.session), 0.0)
    last = 0
    for number, event in enumerate(events, 1):
        last = max(last, getattr(event, "end_sample", 0), getattr(event, "sample", 0))
        log.append(event, number / 10)
    if end:
        log.append(SessionEnded(last, "stopped"), 99.0)
    log.close()
    return log.folder

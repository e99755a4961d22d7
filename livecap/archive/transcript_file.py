"""transcript.md: the facts of a session as people read them."""

from collections.abc import Iterator

from livecap.archive.clock import SessionClock
from livecap.text.safety import printable
from livecap.transcript import (
    SAMPLE_RATE,
    AudioGap,
    Marked,
    SessionEvent,
    SessionStarted,
    UtteranceEnded,
    UtteranceSettled,
)


def heading(started: SessionStarted, clock: SessionClock, title: str = "") -> str:
    """What stands above everything else."""
    source = printable(f"{started.source}, {started.model}")
    return f"# {printable(title) or clock.date}\n\n{source}\n\n"


def line(event: SessionEvent, clock: SessionClock) -> str:
    """The line of one fact with an empty one below it; "" for a fact that people do not read."""
    match event:
        case UtteranceEnded() | UtteranceSettled():
            label = f"{event.track}: " if event.track else ""
            return _line(clock.at(event.start_sample, event.track), label + event.text)
        case Marked():
            return _line(clock.at(event.sample, event.track), f"★ {event.note}".rstrip())
        case AudioGap():
            seconds = (event.end_sample - event.start_sample) / SAMPLE_RATE
            return _line(clock.at(event.start_sample, event.track), f"— {seconds:.1f} s of sound lost —")
        case _:
            return ""


def _line(time: str, text: str) -> str:
    return f"[{time}] {printable(text)}\n\n"


def lines(
    started: SessionStarted, clock: SessionClock, facts: Iterator[SessionEvent], title: str = ""
) -> Iterator[str]:
    """The whole file, piece by piece.

    Args:
        clock: knows all that the log says about times.
        facts: as people read them: one event for each utterance, the settled one where there is one.
    """
    yield heading(started, clock, title)
    for fact in facts:
        yield line(fact, clock)

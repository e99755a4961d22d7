"""Output for scripts and screen readers: finished utterances (`--plain`), or every event and update (`--json`)."""

from collections.abc import Callable
from typing import TextIO

from livecap.archive.clock import SessionClock
from livecap.text.printing import say
from livecap.transcript import (
    AudioGap,
    ClockAnchored,
    Notice,
    Paused,
    Resumed,
    SessionEvent,
    SessionStarted,
    TranscriptUpdate,
    UtteranceEnded,
    to_json,
)


class PlainOutput:
    """Prints one line per utterance to `out`; lost sound and warnings go to `err`."""

    def __init__(self, out: TextIO, err: TextIO, on_closed: Callable[[str | None], None]) -> None:
        """
        Args:
            on_closed: called when the output can no longer be written: with None if its reader left, else with the
                error in one line.
        """
        self._out = out
        self._err = err
        self._on_closed = on_closed
        self._clock: SessionClock | None = None

    def __call__(self, item: SessionEvent | TranscriptUpdate) -> None:
        match item:
            case TranscriptUpdate():
                return
            case SessionStarted():
                self._clock = SessionClock.from_started(item)
            case UtteranceEnded():
                self._print(self._out, item.start_sample, _label(item.track) + item.text, item.track)
            case AudioGap():
                self._print(self._err, item.start_sample, _label(item.track) + item.remark, item.track)
            case Notice(severity="warning"):
                self._print(self._err, item.sample, item.message)
            case Paused() | Resumed() | ClockAnchored():
                assert self._clock is not None
                self._clock.note(item)
            case _:
                return

    def _print(self, file: TextIO, sample: int, text: str, track: str = "") -> None:
        assert self._clock is not None, "a session starts with SessionStarted"
        _print_line(f"[{self._clock.at(sample, track)}] {text}", file, self._on_closed)


def _label(track: str) -> str:
    return f"{track}: " if track else ""


class JsonOutput:
    """Prints one JSON object per line: every event, and an update after every step."""

    def __init__(self, out: TextIO, wall_seconds: Callable[[], float], on_closed: Callable[[str | None], None]) -> None:
        """
        Args:
            wall_seconds: returns the seconds since the session started.
            on_closed: called when the output can no longer be written: with None if its reader left, else with the
                error in one line.
        """
        self._out = out
        self._wall_seconds = wall_seconds
        self._on_closed = on_closed

    def __call__(self, item: SessionEvent | TranscriptUpdate) -> None:
        _print_line(to_json(item, self._wall_seconds()), self._out, self._on_closed)


def _print_line(line: str, file: TextIO, on_closed: Callable[[str | None], None]) -> None:
    try:
        say(line, file=file, flush=True)
    except BrokenPipeError:
        on_closed(None)  # `livecap ... | head`: end in order, with the log finished
    except OSError as error:
        on_closed(f"Cannot write the output: {error.strerror or error}. The log has the text.")

"""Output for scripts and screen readers: finished utterances (`--plain`), or every event and update (`--json`)."""

import sys
from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import TextIO

from livecap.archive.clock import SessionClock
from livecap.archive.speakers import Speakers
from livecap.text.printing import say
from livecap.transcript import (
    AudioGap,
    CaptureReport,
    ClockAnchored,
    Notice,
    Paused,
    Resumed,
    SessionEnded,
    SessionEvent,
    SessionStarted,
    SpeakerNamed,
    SpeakersHeard,
    SpeakersMerged,
    TranscriptUpdate,
    UtteranceEnded,
    UtteranceSettled,
    to_json,
)

MOST_WAITING = 3
"""Utterances of a live session that wait for their speaker; with more, the oldest is printed without."""


class PlainOutput:
    """Prints one line per utterance to `out`; lost sound and warnings go to `err`."""

    def __init__(
        self, out: TextIO, err: TextIO, on_closed: Callable[[str | None], None], with_speakers: bool = False
    ) -> None:
        """
        Args:
            on_closed: called when the output can no longer be written: with None if its reader left, else with the
                error in one line.
            with_speakers: an utterance is printed once its speaker is known, a moment after its end.
        """
        self._out = out
        self._err = err
        self._on_closed = on_closed
        self._speakers = Speakers() if with_speakers else None
        self._waiting: OrderedDict[tuple[str, int], UtteranceEnded] = OrderedDict()
        """Utterances whose speaker is not known yet."""
        self._most_waiting = MOST_WAITING
        self._heard: dict[tuple[str, int], SpeakersHeard] = {}
        """What was heard in those that wait."""
        self._clock: SessionClock | None = None
        self._error: Notice | None = None
        """Printed with the next event or update, unless the session fails by it: then the command prints it."""

    def __call__(self, item: SessionEvent | TranscriptUpdate) -> None:
        fails = isinstance(item, SessionEnded) and item.reason.startswith("failed")
        if self._error is not None and not (fails or isinstance(item, CaptureReport)):
            self._print(self._err, self._error.sample, self._error.message)
            self._error = None
        match item:
            case TranscriptUpdate():
                return
            case SessionStarted():
                self._clock = SessionClock.from_started(item)
                self._most_waiting = MOST_WAITING if item.live else sys.maxsize
            case UtteranceEnded():
                self._waiting[item.track, item.utterance] = item
                self._print_known()
            case SpeakersHeard() | SpeakerNamed() | SpeakersMerged() if self._speakers is not None:
                self._speakers.note(item)
                if isinstance(item, SpeakersHeard) and (item.track, item.utterance) in self._waiting:
                    self._heard[item.track, item.utterance] = item
                self._print_known()
            case AudioGap():
                self._print(self._err, item.start_sample, _label(item.track) + item.remark, item.track)
            case Notice(severity="error"):
                self._error = item
            case Notice(severity="warning"):
                self._print(self._err, item.sample, item.message)
            case Paused() | Resumed() | ClockAnchored():
                assert self._clock is not None
                self._clock.note(item)
            case SessionEnded():
                self._print_known(all=True)
            case _:
                return

    def _print_known(self, all: bool = False) -> None:
        """Print the utterances that wait, in order, up to the first whose speaker is not known."""
        while self._waiting:
            key, utterance = next(iter(self._waiting.items()))
            heard = self._heard.get(key)
            is_known = self._speakers is None or heard is not None
            if not (is_known or all or len(self._waiting) > self._most_waiting):
                return
            del self._waiting[key]
            self._heard.pop(key, None)
            parts: Iterable[UtteranceEnded | UtteranceSettled] = [utterance]
            if self._speakers is not None and heard is not None and self._speakers.has_labels(key[0]) and heard.voices:
                parts = self._speakers.parts(utterance, heard.voices)
            for part in parts:
                self._print(self._out, part.start_sample, _label(part.label) + part.text, part.track)

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

"""A session as a log for OmniSTEval, which measures the latency of published systems: github.com/pe-trik/OmniSTEval.

One line of JSON for each track, as SimulEval writes it:

    {"source": "talk.wav", "prediction": "Good morning ...", "delays": [...], "elapsed": [...], "source_length": 61000}

The text is the one that became stable live, since settled text has no moment at which it came.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import PurePath

from livecap.archive.clock import SessionClock
from livecap.archive.folder import EVENTS
from livecap.archive.reader import LogReader
from livecap.archive.recorded import RecordedSession
from livecap.errors import LogError
from livecap.text.safety import json_text
from livecap.text.scripts import are_apart, is_spaceless
from livecap.transcript import SAMPLE_RATE, Jumped, SessionStarted, TextCommitted

SAMPLES_A_MILLISECOND = SAMPLE_RATE / 1000


@dataclass(slots=True)
class _Stable:
    """The stable text of a track, with the times in milliseconds at which each character came."""

    utterance: int | None = None
    text: str = ""
    delays: list[float] = field(default_factory=list)
    elapsed: list[float] = field(default_factory=list)

    def add(self, event: TextCommitted, late_ms: float) -> None:
        """Append committed text, with a space before a new utterance."""
        text = event.text
        if event.utterance != self.utterance:
            text = text.lstrip()
            if self.text and text and are_apart(self.text[-1], text[0]):
                text = f" {text}"
            self.utterance = event.utterance
        delay = event.end_sample / SAMPLES_A_MILLISECOND
        done = max(delay + late_ms, *self.elapsed[-1:], 0.0)
        self.text += text
        self.delays += [delay] * len(text)
        self.elapsed += [done] * len(text)

    def units(self) -> Iterator[int]:
        """The place of the last character of each unit of OmniSTEval: words, or, where most of the text has no spaces,
        characters (its --char_level)."""
        if 2 * sum(map(is_spaceless, self.text)) > len(self.text):
            yield from range(len(self.text))
            return
        for place, character in enumerate(self.text):
            if not character.isspace() and (place + 1 == len(self.text) or self.text[place + 1].isspace()):
                yield place


def to_omnisteval(session: RecordedSession) -> Iterator[str]:
    """The lines of the log.

    Raises:
        LogError: the user jumped in the recording, so no time says how late text was.
    """
    reader = LogReader(session.folder / EVENTS)
    started = reader.started
    clock, tracks = SessionClock.from_started(started), {label: _Stable() for label in started.tracks}
    for _, event in reader.events():
        clock.note(event)
        if isinstance(event, Jumped):
            raise LogError(f"The session {session.name} was rewound or skipped: how late its text came is unknown.")
        if isinstance(event, TextCommitted):
            written = clock.started + timedelta(seconds=reader.wall_seconds)
            late = written - clock.wall(event.end_sample, event.track)
            tracks.setdefault(event.track, _Stable()).add(event, max(0.0, late.total_seconds() * 1000))
    for label, stable in tracks.items():
        places = list(stable.units())
        line = {
            "source": _source(session.name, started, label),
            "prediction": stable.text,
            "delays": [round(stable.delays[place], 1) for place in places],
        }
        if started.live:  # a recording is not heard by the clock
            line["elapsed"] = [round(stable.elapsed[place], 1) for place in places]
        yield json_text(line | {"source_length": round(session.n_samples / SAMPLES_A_MILLISECOND, 1)}) + "\n"


def _source(name: str, started: SessionStarted, label: str) -> str:
    """The name of the recording, by which OmniSTEval finds its reference."""
    replay = started.settings.get("replay")
    stem = PurePath(replay).name if isinstance(replay, str) else name
    return f"{PurePath(stem).stem}-{label}.wav" if label else stem if "." in stem else f"{stem}.wav"

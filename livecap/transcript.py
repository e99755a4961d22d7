"""What livecap says: updates are snapshots, events are facts, and their JSON is written here and nowhere else.

An update may be dropped for a newer one of the same utterance. An event may not be dropped: the session log,
`--json` and every later listener are built from them.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import Field, asdict, dataclass, field, fields
from datetime import datetime
from functools import cache
from types import UnionType
from typing import Any, get_args, get_origin

SAMPLE_RATE = 16_000
"""Samples a second. The sample index is the clock of the whole program."""

SCHEMA_VERSION = 1
"""Of the JSON lines below; see docs/events.md."""


@dataclass(frozen=True, slots=True)
class Word:
    """A word of committed text and when it was said."""

    text: str
    """As written, without the space before it."""
    start_sample: int
    end_sample: int
    quality: str
    """How its time is known: "step" (shared out over the voiced sound between the steps that first heard it), or
    "settled" (the same, for text from a pass over the whole utterance)."""


@dataclass(frozen=True, slots=True)
class TranscriptUpdate:
    """All there is to know about one utterance, now."""

    track: str
    """Whose sound: "me", "them"; one track is ""."""
    utterance: int
    """Counted from 0 in each track."""
    stable: str
    """Text that will not change. Only grows."""
    partial: str
    """Text that may change in every update; what follows `stable`."""
    start_sample: int
    end_sample: int
    """Sound of this utterance heard so far."""
    language: str | None
    """The language the model named, or the forced one; None where it heard no speech yet."""
    final: bool
    """The last update of its utterance; `partial` is empty."""
    words: tuple[Word, ...] = ()
    """Of `stable` and when they were said, in the last update of an utterance."""

    @property
    def text(self) -> str:
        """Stable and partial text as one string."""
        return self.stable + self.partial


@dataclass(frozen=True, slots=True)
class SessionStarted:
    """The first fact of every session."""

    session: str
    """A name no other session has; also the name of its folder."""
    source: str
    model: str
    wall_time: str
    """ISO 8601 with the offset to UTC, of sample 0."""
    live: bool
    """True for a device, whose times are read as wall time; False for a recording, whose times are elapsed."""
    language: str | None
    """The forced language, or None."""
    version: str
    schema: int = SCHEMA_VERSION
    settings: Mapping[str, Any] = field(default_factory=dict, hash=False)
    """What the person chose, by the names of `settings/fields.py`; values that JSON has."""
    versions: Mapping[str, str] = field(default_factory=dict, hash=False)
    """Of what the session runs on: the system, Python, the libraries that decide what is heard."""
    tracks: tuple[str, ...] = ("",)
    """Their labels; one without a name where there is one."""


@dataclass(frozen=True, slots=True)
class TextCommitted:
    """These characters joined the stable text of an utterance, and stay."""

    track: str
    utterance: int
    text: str
    start_sample: int
    """Of the utterance."""
    end_sample: int
    """Sound heard when the text was committed."""


@dataclass(frozen=True, slots=True)
class UtteranceEnded:
    """An utterance is closed; `text` is all of it."""

    track: str
    utterance: int
    text: str
    start_sample: int
    end_sample: int
    language: str | None
    words: tuple[Word, ...] = ()
    """Of `text`, in order; times never run backwards. Empty where none are known."""


@dataclass(frozen=True, slots=True)
class UtteranceSettled:
    """A pass over the whole sound of a closed utterance heard it so. Supersedes `UtteranceEnded` in exports; the screen
    keeps what it showed."""

    track: str
    utterance: int
    text: str
    start_sample: int
    end_sample: int
    language: str | None
    words: tuple[Word, ...] = ()


@dataclass(frozen=True, slots=True)
class Marked:
    """A person marked this moment."""

    track: str
    sample: int
    note: str
    wall_time: str


@dataclass(frozen=True, slots=True)
class AudioGap:
    """Sound that was lost: nothing of [start_sample, end_sample) was heard."""

    track: str
    start_sample: int
    end_sample: int


@dataclass(frozen=True, slots=True)
class Paused:
    """Listening stopped on request. The sample clock stands still until `Resumed`."""

    track: str
    sample: int
    wall_time: str


@dataclass(frozen=True, slots=True)
class Resumed:
    """Listening goes on."""

    track: str
    sample: int
    wall_time: str


@dataclass(frozen=True, slots=True)
class Jumped:
    """A person went to another place of a recording. What lies between was neither heard nor lost; what lies behind a
    place farther back is heard again, and counts as it was heard last."""

    track: str
    from_sample: int
    """Sound was heard up to here."""
    to_sample: int
    """It goes on here, and so does the sample clock."""


@dataclass(frozen=True, slots=True)
class ClockAnchored:
    """Where the sample clock stood by the session's wall clock: every minute of a live session, and when somebody moved
    the computer's clock."""

    track: str
    sample: int
    wall_time: str
    """When `sample` was heard, by a clock that was set once, at the session's start, and never steps."""
    step_seconds: float = 0.0
    """How far the computer's clock has been moved since the start, forward above 0. A new time zone is no move."""


@dataclass(frozen=True, slots=True)
class Notice:
    """Something a person should know: a token budget that was hit, a device that left."""

    message: str
    sample: int
    severity: str = "warning"
    """"info" (a trouble is over), "warning" or "error"."""


@dataclass(frozen=True, slots=True)
class CaptureReport:
    """How a track was captured, at the end of a session: every sample is in one of `decoded_samples`, `silence_samples`
    and `gap_samples`. What follows them is of a device, and 0 or None without one."""

    track: str
    source: str
    captured_samples: int
    decoded_samples: int
    """Heard as speech."""
    silence_samples: int
    """Heard, and nobody spoke."""
    gap_samples: int
    n_gaps: int
    n_blocks: int = 0
    """Callbacks of the audio system."""
    n_flags: int = 0
    """Callbacks in which it told of lost sound."""
    n_overflows: int = 0
    """Times that livecap itself came too late."""
    n_opened: int = 0
    """Times that the device was opened; more than one means pauses or losses."""
    callback_p999_ms: float | None = None
    """999 of 1000 callbacks took no longer."""
    callback_max_ms: float | None = None
    drift_ppm: float | None = None
    """Millionths by which the device's clock is faster than the computer's; None before it can be known."""


@dataclass(frozen=True, slots=True)
class SessionEnded:
    """The last fact of a session that ended in order."""

    n_samples: int
    reason: str
    """"end of source", "stopped" or "failed: ..."."""


SessionEvent = (
    SessionStarted
    | TextCommitted
    | UtteranceEnded
    | UtteranceSettled
    | Marked
    | AudioGap
    | Paused
    | Resumed
    | Jumped
    | ClockAnchored
    | Notice
    | CaptureReport
    | SessionEnded
)

_TYPE_NAMES: dict[type, str] = {
    TranscriptUpdate: "update",
    SessionStarted: "session_started",
    TextCommitted: "text_committed",
    UtteranceEnded: "utterance_ended",
    UtteranceSettled: "utterance_settled",
    Marked: "marked",
    AudioGap: "audio_gap",
    Paused: "paused",
    Resumed: "resumed",
    Jumped: "jumped",
    ClockAnchored: "clock_anchored",
    Notice: "notice",
    CaptureReport: "capture_report",
    SessionEnded: "session_ended",
}
_TYPES_BY_NAME = {name: cls for cls, name in _TYPE_NAMES.items()}


def to_json(item: SessionEvent | TranscriptUpdate, wall_seconds: float | None = None) -> str:
    """One line of JSON without its newline: `type` first, then the fields, then `wall_seconds` since the start."""
    record: dict[str, Any] = {"type": _TYPE_NAMES[type(item)], **asdict(item)}
    if wall_seconds is not None:
        record["wall_seconds"] = round(wall_seconds, 3)
    return json.dumps(record, ensure_ascii=False, separators=(", ", ": "))


def from_json(line: str) -> SessionEvent | TranscriptUpdate:
    """The update or event that `to_json` wrote. Keys of later versions are ignored.

    Raises:
        ValueError: the line is no JSON object, has an unknown type, or lacks a field.
    """
    record = json.loads(line)
    if not isinstance(record, dict) or not knows(record):
        raise ValueError(f"not a livecap event: {line[:80]!r}")
    return from_record(record)


def knows(record: Mapping[str, Any]) -> bool:
    """True where `record` claims to be an update or an event of this version."""
    name = record.get("type")
    return isinstance(name, str) and name in _TYPES_BY_NAME


def from_record(record: Mapping[str, Any]) -> SessionEvent | TranscriptUpdate:
    """The update or event in a parsed line that `knows` says yes to.

    Raises:
        ValueError: a field is missing, or its value is none that livecap writes.
    """
    cls = _TYPES_BY_NAME[record["type"]]
    values = {name: read(record[name]) for name, read in _readers(cls) if name in record}
    try:
        item: SessionEvent | TranscriptUpdate = cls(**values)
    except TypeError as error:
        raise ValueError(f"event {record['type']!r} is incomplete: {error}") from None
    return item


_MOST_SAMPLES = 2**48
"""557 years: more is no position, and would not fit into a date."""


@cache
def _readers(cls: type) -> tuple[tuple[str, Callable[[Any], Any]], ...]:
    """Each field of an event with what checks its value in JSON. Old logs and other programs are not trusted."""
    return tuple((item.name, _reader(item)) for item in fields(cls))


def _reader(wanted: "Field[Any]") -> Callable[[Any], Any]:
    kinds = get_args(wanted.type) if isinstance(wanted.type, UnionType) else (wanted.type,)
    optional, is_mapping = type(None) in kinds, get_origin(kinds[0]) is Mapping

    def good(value: Any) -> bool:
        if value is None:
            return optional
        if int in kinds:
            return type(value) is int and 0 <= value <= _MOST_SAMPLES
        if float in kinds:
            return type(value) in (int, float) and abs(value) < 1e12
        if wanted.name == "wall_time":
            return isinstance(value, str) and _is_moment(value)
        if is_mapping:
            return isinstance(value, dict)
        return type(value) in kinds

    def read(value: Any) -> Any:
        if not good(value):
            raise ValueError(f"{wanted.name} cannot be {value!r:.40}")
        return value

    return {"words": _words, "tracks": _labels}.get(wanted.name, read)


def _words(records: Any) -> tuple[Word, ...]:
    try:
        words = tuple(Word(r["text"], r["start_sample"], r["end_sample"], r["quality"]) for r in records)
    except (TypeError, KeyError, IndexError):
        raise ValueError(f"words cannot be {records!r:.60}") from None
    for word in words:
        texts, samples = (word.text, word.quality), (word.start_sample, word.end_sample)
        if not (
            all(type(text) is str for text in texts)
            and all(type(sample) is int and 0 <= sample <= _MOST_SAMPLES for sample in samples)
        ):
            raise ValueError(f"a word cannot be {word!r:.80}")
    return words


def _labels(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(label, str) for label in value):
        raise ValueError(f"tracks cannot be {value!r:.40}")
    return tuple(value)


def _is_moment(text: str) -> bool:
    """With an offset to UTC, and of a year that leaves room for sessions."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return False
    return moment.tzinfo is not None and 1900 <= moment.year <= 9000

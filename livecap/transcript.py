"""The output of livecap: updates, events, and their JSON, which only this file reads and writes (docs/events.md).

An update is a snapshot of one utterance, and may be dropped when a newer one exists. An event is a fact and is never
dropped: the session log and `--json` are made of events.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import Field, asdict, dataclass, field, fields, replace
from datetime import datetime
from functools import cache
from types import UnionType
from typing import Any, get_args, get_origin

from livecap.text.safety import json_text

SAMPLE_RATE = 16_000
"""Samples per second. The index of a sample is the clock of the whole program."""

SCHEMA_VERSION = 1
"""Version of the JSON; raised when a field changes its meaning."""


@dataclass(frozen=True, slots=True)
class Word:
    """A word of committed text, and when it was said."""

    text: str
    """The word with its punctuation, without the space before it."""
    start_sample: int
    end_sample: int
    quality: str
    """How the time was found: "step", divided over the voiced sound between the steps that first heard the word;
    "settled", the same for text from the second pass over the whole utterance; "attention", where the recogniser looked
    when it wrote the word in the second pass; or "aligned", by the forced aligner."""

    def moved(self, n_samples: int) -> "Word":
        """The same word, said this much later."""
        return replace(self, start_sample=self.start_sample + n_samples, end_sample=self.end_sample + n_samples)


@dataclass(frozen=True, slots=True)
class TranscriptUpdate:
    """A snapshot of one utterance."""

    track: str
    """Label of the track, such as "me" or "them"; "" if there is only one track."""
    utterance: int
    """Number of the utterance in its track, from 0."""
    stable: str
    """Text that will not change; it only grows."""
    partial: str
    """Text after `stable` that may change with every update."""
    start_sample: int
    end_sample: int
    """End of the sound heard so far of this utterance."""
    language: str | None
    """The forced or detected language; a detected one is None until the first text of the track is stable."""
    final: bool
    """True for the last update of its utterance; `partial` is empty then."""
    words: tuple[Word, ...] = ()
    """Words of `stable`, in the last update of an utterance."""

    @property
    def text(self) -> str:
        """Stable and partial text as one string."""
        return self.stable + self.partial


@dataclass(frozen=True, slots=True)
class SessionStarted:
    """The first event of every session."""

    session: str
    """Unique name of the session, and of its folder."""
    source: str
    """Name of the device or file."""
    model: str
    """Name of the model."""
    wall_time: str
    """Time of sample 0, in ISO 8601 with the offset to UTC."""
    live: bool
    """True for a device, with times shown as wall time; False for a recording, a pipe or the network, with times since
    the start."""
    language: str | None
    """The forced language; None if it is detected."""
    version: str
    """Version of livecap."""
    schema: int = SCHEMA_VERSION
    """Version of the JSON."""
    settings: Mapping[str, Any] = field(default_factory=dict, hash=False)
    """The settings of the session by name, as JSON values."""
    versions: Mapping[str, str] = field(default_factory=dict, hash=False)
    """Versions of the system, Python and the libraries that affect the text."""
    tracks: tuple[str, ...] = ("",)
    """Labels of the tracks; one empty label if there is only one track."""


@dataclass(frozen=True, slots=True)
class TextCommitted:
    """Characters were added to the stable text of an utterance. They will not change."""

    track: str
    utterance: int
    text: str
    """The new characters."""
    start_sample: int
    """Start of the utterance."""
    end_sample: int
    """End of the sound heard when the text was committed."""


@dataclass(frozen=True, slots=True)
class _Utterance:
    """The whole text of a closed utterance."""

    track: str
    utterance: int
    text: str
    start_sample: int
    end_sample: int
    language: str | None
    words: tuple[Word, ...] = ()
    """Words of `text` in order; their times never run backwards. Empty if no times are known."""
    speaker: str = ""
    """Name or letter of who said it, as far as speakers were labelled; only in exports, never in the log."""

    @property
    def label(self) -> str:
        """What people read before the text: the speaker, else the track; "" if there is only one."""
        return self.speaker or self.track


@dataclass(frozen=True, slots=True)
class UtteranceEnded(_Utterance):
    """An utterance with text was closed."""


@dataclass(frozen=True, slots=True)
class UtteranceSettled(_Utterance):
    """Better text of a closed utterance, from the second pass over its whole sound. It replaces `UtteranceEnded` in
    exports; the live screen keeps what it showed."""


@dataclass(frozen=True, slots=True)
class Voice:
    """A stretch of sound in which one voice speaks. Stretches of two voices may overlap."""

    start_sample: int
    end_sample: int
    speaker: int
    """Number of the speaker in the session, from 0; people read letters, see `speaker_letter`."""


@dataclass(frozen=True, slots=True)
class SpeakersHeard:
    """Whose voices were heard in an utterance. The last such fact of an utterance counts."""

    track: str
    utterance: int
    voices: tuple[Voice, ...]
    """In order of their start."""
    settled: bool
    """False for a first impression, made while people speak, which a later fact may correct."""


@dataclass(frozen=True, slots=True)
class SpeakerNamed:
    """A person named a speaker, for the whole session; or the speaker's voice is remembered under this name."""

    speaker: int
    name: str
    """"" takes the name away."""
    remembered: bool = False
    """livecap knew the voice. A name that a person gives counts, whatever comes later."""


@dataclass(frozen=True, slots=True)
class SpeakersMerged:
    """A person said that two speakers are the same, for the whole session."""

    speaker: int
    into: int
    """Whose name and letter count from now on; the same as `speaker` to part them again."""


@dataclass(frozen=True, slots=True)
class SpeakerSplit:
    """A person said that a speaker is in truth two. What is heard then follows as `SpeakersHeard`."""

    speaker: int
    into: int
    """Number of the new speaker."""


@dataclass(frozen=True, slots=True)
class Marked:
    """The user marked this moment."""

    track: str
    sample: int
    note: str
    wall_time: str


@dataclass(frozen=True, slots=True)
class AudioGap:
    """Sound was lost: nothing in [start_sample, end_sample) was heard."""

    track: str
    start_sample: int
    end_sample: int
    cause: str = ""
    """"switch" if the user changed the input, "opening" at the start and after a pause: opening an input takes time.
    "" if sound was lost without being asked for."""

    @property
    def remark(self) -> str:
        """What people read: "1.5 s of sound lost"."""
        seconds = f"{(self.end_sample - self.start_sample) / SAMPLE_RATE:.1f} s"
        reason = {"switch": "input changed", "opening": "input opened"}.get(self.cause)
        return f"{reason}, {seconds} not heard" if reason else f"{seconds} of sound lost"


@dataclass(frozen=True, slots=True)
class Paused:
    """The user paused listening. The sample clock stops until `Resumed`."""

    track: str
    sample: int
    wall_time: str


@dataclass(frozen=True, slots=True)
class Resumed:
    """Listening continues after a pause."""

    track: str
    sample: int
    wall_time: str


@dataclass(frozen=True, slots=True)
class Jumped:
    """The user jumped to another position in a recording. Skipped sound was neither heard nor lost. After a jump back,
    sound is heard again, and its newest text counts."""

    track: str
    from_sample: int
    """Position up to which sound was heard."""
    to_sample: int
    """Position from which sound and the sample clock continue."""


@dataclass(frozen=True, slots=True)
class ClockAnchored:
    """Ties the sample clock to wall time: once a minute in a live session, and whenever the computer's clock was
    moved."""

    track: str
    sample: int
    wall_time: str
    """When `sample` was heard, by a clock that is set once, at the start of the session, and never jumps."""
    step_seconds: float = 0.0
    """How far the computer's clock was moved since the start; positive is forward. A new time zone does not count."""


@dataclass(frozen=True, slots=True)
class Notice:
    """Something the user should know, such as a device that was unplugged."""

    message: str
    """One or two sentences."""
    sample: int
    """Position up to which sound had been heard."""
    severity: str = "warning"
    """"info" (such as the end of a problem), "warning" or "error"."""


@dataclass(frozen=True, slots=True)
class CaptureReport:
    """How a track was captured, at the end of a session. Each captured sample counts in one of `decoded_samples`,
    `silence_samples` and `gap_samples`. The fields from `n_blocks` on are about a device; without one they are 0 or
    None."""

    track: str
    source: str
    captured_samples: int
    decoded_samples: int
    """Samples that were decoded as speech."""
    silence_samples: int
    """Samples without speech."""
    gap_samples: int
    """Samples that were lost."""
    n_gaps: int
    n_blocks: int = 0
    """Number of callbacks of the audio system."""
    n_flags: int = 0
    """Number of callbacks that reported lost sound."""
    n_overflows: int = 0
    """Number of times that livecap was too late to take sound."""
    n_opened: int = 0
    """Number of times that the device was opened; more than one after pauses or losses."""
    callback_p999_ms: float | None = None
    """The 99.9th percentile of the duration of callbacks, in milliseconds."""
    callback_max_ms: float | None = None
    """The longest callback, in milliseconds."""
    drift_ppm: float | None = None
    """How much faster the device's clock is than the computer's, in parts per million; None in the first minute."""


@dataclass(frozen=True, slots=True)
class SessionEnded:
    """The last event of a session that ended properly."""

    n_samples: int
    """How much sound arrived, gaps included, on the longest track: without what lies before the start of a replay or
    was jumped over."""
    reason: str
    """"end of source", "stopped" or "failed: ..."; after an interruption "recovered", or "cut off" if not decoded."""


def speaker_letter(speaker: int) -> str:
    """What people read of a speaker without a name: A, B ... Z, AA, AB."""
    letters = ""
    while speaker >= 0:
        letters = chr(ord("A") + speaker % 26) + letters
        speaker = speaker // 26 - 1
    return letters


SessionEvent = (
    SessionStarted
    | TextCommitted
    | UtteranceEnded
    | UtteranceSettled
    | SpeakersHeard
    | SpeakerNamed
    | SpeakersMerged
    | SpeakerSplit
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

_TYPE_NAMES: dict[type, str] = {TranscriptUpdate: "update"} | {
    kind: re.sub(r"(?<=[a-z])(?=[A-Z])", "_", kind.__name__).lower() for kind in get_args(SessionEvent)
}
"""Type to its name in JSON: UtteranceEnded is "utterance_ended"."""
_TYPES_BY_NAME = {name: cls for cls, name in _TYPE_NAMES.items()}


def to_json(item: SessionEvent | TranscriptUpdate, wall_seconds: float | None = None) -> str:
    """One line of JSON without a line end: `type`, the fields, and `wall_seconds` from the start of the session."""
    record = event_record(item)
    if wall_seconds is not None:
        record["wall_seconds"] = round(wall_seconds, 3)
    return json_text(record)


def event_record(item: SessionEvent | TranscriptUpdate) -> dict[str, Any]:
    """`type` and the fields, as JSON values. Of an utterance without a label, `speaker` is left out."""
    record = {"type": _TYPE_NAMES[type(item)], **asdict(item)}
    if record.get("speaker") == "":
        del record["speaker"]
    return record


def knows(record: Mapping[str, Any]) -> bool:
    """True if `record` has the type of an update or event of this version."""
    name = record.get("type")
    return isinstance(name, str) and name in _TYPES_BY_NAME


def from_record(record: Mapping[str, Any]) -> SessionEvent | TranscriptUpdate:
    """The update or event in a parsed line for which `knows` is true.

    Raises:
        ValueError: a field is missing or invalid.
    """
    cls = _TYPES_BY_NAME[record["type"]]
    values = {name: read(record[name]) for name, read in _readers(cls) if name in record}
    try:
        item: SessionEvent | TranscriptUpdate = cls(**values)
    except TypeError as error:
        raise ValueError(f"event {record['type']!r} is incomplete: {error}") from None
    return item


_MOST_SAMPLES = 2**48
"""557 years: a larger number is not a position, and would not fit into a date."""
_MOST_SECONDS = 1e10
"""317 years, in seconds; no other number with a fraction is as large. It fits into a date beside `_MOST_SAMPLES`."""


_MOST_SPEAKERS = 2**16
"""A larger number is not one of a speaker."""


@cache
def _readers(cls: type) -> tuple[tuple[str, Callable[[Any], Any]], ...]:
    """Each field of an event with the function that checks its JSON value. Logs of other programs are not trusted."""
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
            return type(value) in (int, float) and abs(value) < _MOST_SECONDS
        if wanted.name == "wall_time":
            return isinstance(value, str) and _is_moment(value)
        if is_mapping:
            return isinstance(value, dict) and _is_plain(value)
        return type(value) in kinds

    def read(value: Any) -> Any:
        if not good(value):
            raise ValueError(f"invalid {wanted.name}: {value!r:.40}")
        return value

    return {"words": _words, "voices": _voices, "tracks": _labels}.get(wanted.name, read)


def _is_plain(value: Any, depth: int = 8) -> bool:
    """True for JSON of little depth whose numbers are finite."""
    if isinstance(value, dict | list):
        return depth > 0 and all(
            _is_plain(each, depth - 1) for each in (value.values() if isinstance(value, dict) else value)
        )
    return value is None or isinstance(value, str | bool) or abs(value) < 1e15


def _words(records: Any) -> tuple[Word, ...]:
    try:
        words = tuple(Word(r["text"], r["start_sample"], r["end_sample"], r["quality"]) for r in records)
    except (TypeError, KeyError, IndexError):
        raise ValueError(f"invalid words: {records!r:.60}") from None
    for word in words:
        texts, samples = (word.text, word.quality), (word.start_sample, word.end_sample)
        if not (
            all(type(text) is str for text in texts)
            and all(type(sample) is int and 0 <= sample <= _MOST_SAMPLES for sample in samples)
        ):
            raise ValueError(f"invalid word: {word!r:.80}")
    return words


def _voices(records: Any) -> tuple[Voice, ...]:
    try:
        voices = tuple(Voice(r["start_sample"], r["end_sample"], r["speaker"]) for r in records)
    except (TypeError, KeyError, IndexError):
        raise ValueError(f"invalid voices: {records!r:.60}") from None
    for voice in voices:
        samples = (voice.start_sample, voice.end_sample)
        if not (
            all(type(sample) is int and 0 <= sample <= _MOST_SAMPLES for sample in samples)
            and type(voice.speaker) is int
            and 0 <= voice.speaker < _MOST_SPEAKERS
        ):
            raise ValueError(f"invalid voice: {voice!r:.80}")
    return voices


def _labels(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(label, str) for label in value):
        raise ValueError(f"invalid tracks: {value!r:.40}")
    return tuple(value)


def _is_moment(text: str) -> bool:
    """True for ISO 8601 with an offset to UTC, far enough from the first and last year for any session."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return False
    return moment.tzinfo is not None and 1900 <= moment.year <= 9000

"""TranscribedDocument: the text of a recording as exports take it, in paragraphs that begin after pauses."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

from livecap.archive.clock import SessionClock
from livecap.archive.recorded import Fact, Utterance
from livecap.text.scripts import AFTER_SENTENCE, SENTENCE_ENDS, joined
from livecap.transcribe.result import STOP, Segment, Timings, Transcription
from livecap.transcript import SAMPLE_RATE, SessionStarted, UtteranceEnded
from livecap.version import VERSION

PAUSE_SAMPLES = 3 * SAMPLE_RATE // 2
"""A pause of this length ends a paragraph."""
LONG_SAMPLES = 20 * SAMPLE_RATE
"""A paragraph of this length ends with its sentence."""
LONGEST_SAMPLES = 60 * SAMPLE_RATE
"""A longer paragraph ends anyway."""


class TranscribedDocument:
    """One recording, or the tracks of one session."""

    def __init__(
        self,
        name: str,
        source: str,
        model: str,
        tracks: Mapping[str, Transcription],
        started: SessionStarted | datetime,
        language: str | None = None,
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        """
        Args:
            name: of the recording, without its suffix.
            source: name of its file.
            tracks: label to text; the label is "" for a recording.
            started: when the sound began; what a session's log says, or the time of a file.
            language: the forced language.
            settings: the options that decide the text, for JSON.
        """
        self._tracks = tracks
        self.name = name
        self.title = name
        when = started.wall_time if isinstance(started, SessionStarted) else started.isoformat(timespec="milliseconds")
        live = isinstance(started, SessionStarted) and started.live
        self.started = SessionStarted(
            name, source, model, when, live, language, VERSION, settings=settings or {}, tracks=tuple(tracks)
        )
        self.clock = SessionClock.from_started(self.started)
        self.kept_sounds: dict[str, Path] = {}

    @property
    def seconds(self) -> float:
        return max((text.duration_seconds for text in self._tracks.values()), default=0.0)

    @property
    def tracks(self) -> list[str]:
        return [label for label, text in self._tracks.items() if text.segments]

    @property
    def speakers(self) -> list[str]:
        return list(dict.fromkeys(speaker for text in self._tracks.values() for speaker in text.speakers))

    @property
    def languages(self) -> list[str]:
        found = (segment.language for text in self._tracks.values() for segment in text.segments)
        return list(dict.fromkeys(language for language in found if language))

    @property
    def damages(self) -> list[str]:
        return [notice for text in self._tracks.values() for notice in text.notices]

    @property
    def details(self) -> dict[str, Any]:
        texts = self._tracks.values()
        timings = sum((text.timings for text in texts), Timings())
        return {
            "text": "\n".join(text.text for text in texts if text.text),
            "language": next((text.language for text in texts if text.language), None),
            "finish_reason": next((text.finish_reason for text in texts if text.finish_reason != STOP), STOP),
            "truncated": any(text.truncated for text in texts),
            "segments": [
                ({"label": label} if label else {})
                | ({"speaker": segment.speaker} if segment.speaker else {})
                | _as_json(segment)
                for label, text in self._tracks.items()
                for segment in text.segments
            ],
            "timings": {name: round(value, 3) for name, value in asdict(timings).items()}
            | {"real_time_factor": round(timings.real_time_factor, 4)},
        }

    def utterances(self) -> Iterator[Utterance]:
        """The paragraphs of all tracks, by their start."""
        found = [
            UtteranceEnded(
                label,
                number,
                joined(segment.text for segment in some),
                some[0].start_sample,
                max(some[-1].end_sample, some[0].start_sample),
                some[0].language,
                tuple(word for segment in some for word in segment.words),
                some[0].speaker,
            )
            for label, text in self._tracks.items()
            for number, some in enumerate(paragraphs(text.segments))
        ]
        yield from sorted(found, key=lambda each: each.start_sample)

    def facts(self) -> Iterator[Fact]:
        """The same as `utterances`."""
        yield from self.utterances()


def paragraphs(segments: Sequence[Segment]) -> Iterator[list[Segment]]:
    """Segments that are read as one paragraph: it ends at a pause, when another speaker or language begins, or when it
    is long."""
    paragraph: list[Segment] = []
    for segment in segments:
        if paragraph and _ends(paragraph, segment):
            yield paragraph
            paragraph = []
        paragraph.append(segment)
    if paragraph:
        yield paragraph


def _ends(paragraph: Sequence[Segment], following: Segment) -> bool:
    first, last = paragraph[0], paragraph[-1]
    length = last.end_sample - first.start_sample
    at_sentence = last.text.rstrip(AFTER_SENTENCE).endswith(tuple(SENTENCE_ENDS))
    return (
        following.start_sample - last.end_sample >= PAUSE_SAMPLES
        or (following.language, following.speaker) != (last.language, last.speaker)
        or (length >= LONG_SAMPLES and at_sentence)
        or length >= LONGEST_SAMPLES
    )


def _as_json(segment: Segment) -> dict[str, Any]:
    return {
        "start": round(segment.start_seconds, 3),
        "end": round(segment.end_seconds, 3),
        "text": segment.text,
        "language": segment.language,
        "finish_reason": segment.finish_reason,
        "margin": round(segment.margin, 2),
    }

"""Track: one source on its way to text, and the account of its samples.

    captured = decoded + recognised as silence + gaps

holds after every step for all sound that was taken, and at the end for all there was.
"""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from livecap.archive.steps import Step
from livecap.audio_in.source import AudioBlock, AudioSource
from livecap.session.status import TrackStatus
from livecap.stream.transcriber import StreamingTranscriber
from livecap.transcript import SAMPLE_RATE, AudioGap, Jumped, TranscriptUpdate

GAPS_SAMPLES = 120 * SAMPLE_RATE
"""Gaps are remembered for so long: more than an utterance may last and a chunk may hold."""


@dataclass(frozen=True, slots=True)
class TrackSource:
    """Sound, and what it is called in the log and on the screen."""

    label: str
    """"me", "them"; "" where there is one track."""
    source: AudioSource
    steps: tuple[Step, ...] = ()
    """That were made when this sound was recorded; they are made again."""


@dataclass(frozen=True, slots=True)
class Account:
    """Where the samples of a track went, up to now."""

    captured: int
    """Of the sound that was taken, gaps included."""
    decoded: int
    """In utterances."""
    silence: int
    """Heard, and nobody spoke."""
    gaps: int
    waiting: int
    """Taken, and not looked at to the end yet."""

    @property
    def balanced(self) -> bool:
        """Nothing is missing and nothing is counted twice."""
        parts = (self.decoded, self.silence, self.gaps, self.waiting)
        return min(parts) >= 0 and sum(parts) == self.captured


class Track:
    """Of the decode thread; what is only read may be read by any."""

    def __init__(self, given: TrackSource) -> None:
        self.label = given.label
        self.source = given.source
        self.transcriber: StreamingTranscriber | None = None
        """None until the model is loaded."""
        self.end_sample = given.source.first_sample
        """Of what was taken."""
        self._begin_sample = self.end_sample  # of what was heard without a jump
        self._jumped = 0  # samples, forward above 0, in all
        self._accepted_from = self.end_sample  # with the last chunk, and the gap before it
        self._steps = given.steps
        self.n_gaps = 0
        self.gap_samples = 0
        self._heard = 0  # samples handed to the transcriber
        self._in_utterances = 0  # of those that are closed
        self._open: tuple[int, int] | None = None  # [start, end) of the utterance that is not closed
        self._last_end = self.end_sample
        self._gaps: list[tuple[int, int]] = []  # that an utterance may still reach over

    def accept(self, chunk: AudioBlock) -> AudioGap | None:
        """Hand sound to the transcriber; returns what is missing before it."""
        assert self.transcriber is not None and chunk.start_sample >= self.end_sample, "sound given twice"
        self._accepted_from = self.end_sample
        gap = self.close_gap(chunk.start_sample)
        self.end_sample = chunk.end_sample
        self._heard += len(chunk.samples)
        self.transcriber.accept(chunk)
        return gap

    def pieces(self, chunk: AudioBlock) -> Iterator[AudioBlock]:
        """The chunk, and before it the lost sound alone where a step was made when that was all that was known."""
        if self.end_sample < chunk.start_sample and self._recorded(self.end_sample, chunk.start_sample):
            yield AudioBlock(chunk.start_sample, np.zeros(0, np.float32))
        yield chunk

    def due(self, chunk: AudioBlock) -> Sequence[Step]:
        """What to ask the transcriber for, now that it has accepted `chunk`: what it was asked for when this sound was
        recorded, and where nobody knows that, a step if one is worth its cost, or the end at a pause."""
        if self._steps and self._accepted_from < self._steps[-1].end_sample:
            return self._recorded(self._accepted_from, self.end_sample)
        assert self.transcriber is not None
        pauses = not len(chunk.samples)  # see AudioSource
        return [self.step(closes=pauses)] if pauses or self.transcriber.ready else []

    def step(self, closes: bool = False) -> Step:
        """What may be asked for now."""
        assert self.transcriber is not None
        return Step(self.end_sample, self.transcriber.chunk_samples, closes)

    def _recorded(self, start_sample: int, end_sample: int) -> Sequence[Step]:
        """Of (start_sample, end_sample]."""
        ends = (bisect_right(self._steps, at, key=lambda step: step.end_sample) for at in (start_sample, end_sample))
        return self._steps[slice(*ends)]

    def close_gap(self, end_sample: int) -> AudioGap | None:
        """Sound from where it was taken last up to here is missing; None where that is nothing."""
        start, self.end_sample = self.end_sample, max(end_sample, self.end_sample)
        if start == self.end_sample:
            return None
        self.n_gaps += 1
        self.gap_samples += self.end_sample - start
        self._gaps = [gap for gap in self._gaps if start - gap[1] < GAPS_SAMPLES]
        self._gaps.append((start, self.end_sample))
        return AudioGap(self.label, start, self.end_sample)

    def jump(self, sample: int) -> Jumped:
        """Sound goes on at another place, for a transcriber that has heard nothing yet."""
        jumped = Jumped(self.label, self.end_sample, sample)
        self._jumped += sample - self.end_sample
        self.end_sample = self._begin_sample = self._accepted_from = self._last_end = sample
        self._open = None
        self._gaps.clear()
        return jumped

    @property
    def heard_samples(self) -> int:
        """Of the sound that arrived, gaps included; what was jumped over is none."""
        return self.source.arrived_samples - self.source.first_sample - self._jumped

    def note(self, update: TranscriptUpdate) -> None:
        """Learn how far the sound of an utterance goes. A gap inside it is no sound."""
        span = (max(update.start_sample, self._last_end), update.end_sample)  # the margins of two may overlap
        self._open = span
        if update.final:
            self._in_utterances += self._sound_in(*span)
            self._last_end = max(self._last_end, span[1])
            self._open = None

    def account(self) -> Account:
        """Up to now."""
        assert self.transcriber is not None
        captured = self.end_sample - self.source.first_sample - self._jumped
        decoded = self._in_utterances + (self._sound_in(*self._open) if self._open else 0)
        looked_at = max(self.transcriber.decoded_samples, self._begin_sample)
        waiting = self._sound_in(looked_at, self.end_sample)
        return Account(
            captured=captured,
            decoded=decoded,
            silence=self._heard - decoded - waiting,
            gaps=self.gap_samples,
            waiting=waiting,
        )

    @property
    def status(self) -> TrackStatus:
        """A snapshot, from any thread."""
        transcriber, arrived = self.transcriber, self.source.arrived_samples
        return TrackStatus(
            label=self.label,
            source=self.source.name,
            arrived_samples=arrived,
            decoded_samples=self._decoded_until(transcriber, arrived),
            level=self.source.level,
            speaking=transcriber.speaking if transcriber else False,
            language=transcriber.language if transcriber else None,
            trouble=self.source.trouble,
        )

    def _decoded_until(self, transcriber: StreamingTranscriber | None, arrived: int) -> int:
        """Sound up to here is decoded, or need not be yet; lag is counted from it.

        Sound of a recorded session is handed over where a step was made: until that is due, nothing is late.
        """
        decoded = max(transcriber.due_until if transcriber else 0, self._begin_sample)
        due = bisect_right(self._steps, arrived, key=lambda step: step.end_sample)
        waits = 0 < len(self._steps) and due < len(self._steps)
        return arrived if waits and (due == 0 or self._steps[due - 1].end_sample <= decoded) else decoded

    def _sound_in(self, start: int, end: int) -> int:
        """Samples in [start, end) that were heard."""
        lost = sum(max(0, min(end, gap_end) - max(start, gap_start)) for gap_start, gap_end in self._gaps)
        return max(0, end - start) - lost

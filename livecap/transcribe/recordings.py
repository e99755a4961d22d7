"""Transcribes recordings of any length: read, cut at pauses, decode in batches, and assemble in order.

Memory holds the pieces of a few batches and the text, whatever the length of the recording.
"""

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from livecap.audio_in.recording import Recording
from livecap.audio_in.vad import DetectorConfig, SpeechDetector
from livecap.engine import Engine
from livecap.errors import LivecapError
from livecap.transcribe.cutter import Cutter, Piece
from livecap.transcribe.decoding import DecodingOptions
from livecap.transcribe.drafts import KnownText
from livecap.transcribe.result import Segment, Timings, Transcription, assembled
from livecap.transcribe.units import Decodes, Here, Result, Stopped, Unit
from livecap.transcript import SAMPLE_RATE

BLOCK_SAMPLES = 4 * SAMPLE_RATE

Known = dict[tuple[int, int], Segment | None]
"""[start, end) of a piece in samples to its segment, or to None if it has no text."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the transcription of one recording is."""

    done_seconds: float
    """Sound that has its text."""
    duration_seconds: float | None
    """Length of the recording; None where its file does not say."""
    text: str
    """The newest text, for people to read."""
    number: int = 0
    """Which of several recordings this is, from 0."""

    @property
    def share(self) -> float:
        """0 to 1; 0 where the length is not known."""
        return min(1.0, self.done_seconds / self.duration_seconds) if self.duration_seconds else 0.0


@dataclass(frozen=True, slots=True)
class Options:
    """How recordings are transcribed."""

    batch: int = 4
    """Pieces that are decoded together. Changes the time and the memory it takes, not the text; in half precision
    not the text except at ties."""
    decoding: DecodingOptions = DecodingOptions()


@dataclass(frozen=True, slots=True)
class Hooks:
    """What the caller wants to know and to say while a recording is transcribed."""

    on_progress: Callable[[Progress], None] = lambda progress: None
    """Called after each batch."""
    on_piece: Callable[[Piece, Segment | None], None] = lambda piece, segment: None
    """Called for each newly decoded piece, in the order in which they are ready."""
    is_stopped: Callable[[], bool] = lambda: False
    """Asked before each batch, and where `meanwhile` is called; True ends the work with `Stopped`."""
    meanwhile: Callable[[], None] = lambda: None
    """Called after each block of sound that is read, and often while a file is converted, so that the caller can do
    other work."""

    def look(self) -> None:
        """Let the caller do other work.

        Raises:
            Stopped: `is_stopped` returned True.
        """
        self.meanwhile()
        if self.is_stopped():
            raise Stopped("Stopped.")


NO_HOOKS = Hooks()

Blocks = Iterable[NDArray[np.float32]]
"""Sound at 16 kHz in blocks [n] of any length."""


def transcribe_file(
    engine: Engine | Decodes,
    path: Path,
    options: Options,
    hooks: Hooks = NO_HOOKS,
    known: Known | None = None,
    said: KnownText | None = None,
) -> Transcription:
    """The transcription of a file: sound or video, whatever libsndfile or ffmpeg reads.

    Args:
        known: segments of an earlier run, which are not decoded again.
        said: text of it that is known from elsewhere, which is offered as drafts.

    Raises:
        AudioError: the file cannot be read.
        Stopped: `hooks.is_stopped` returned True.
    """
    recording = Recording(path, meanwhile=hooks.look)
    try:
        seconds = recording.duration_seconds
        transcription = transcribe_blocks(engine, recording.blocks(BLOCK_SAMPLES), options, hooks, seconds, known, said)
    finally:
        recording.close()
    return replace(transcription, notices=tuple(recording.notices))


def transcribe_samples(engine: Engine, samples: NDArray[np.float32], options: Options) -> Transcription:
    """The transcription of [n] float32 samples at 16 kHz."""
    return transcribe_blocks(engine, blocks_of_samples(samples), options, NO_HOOKS, len(samples) / SAMPLE_RATE)


def transcribe_blocks(
    engine: Engine | Decodes,
    blocks: Blocks,
    options: Options,
    hooks: Hooks,
    duration_seconds: float | None,
    known: Known | None = None,
    said: KnownText | None = None,
) -> Transcription:
    """The transcription of one sound; the other arguments are those of `transcribe_file`."""
    [(_, result)] = transcribe_many(engine, [blocks], options, hooks, [duration_seconds], known, said)
    if isinstance(result, LivecapError):
        raise result
    return result


def transcribe_many(
    engine: Engine | Decodes,
    sounds: Iterable[Blocks],
    options: Options,
    hooks: Hooks = NO_HOOKS,
    durations: Sequence[float | None] = (),
    known: Known | None = None,
    said: KnownText | None = None,
) -> Iterator[tuple[int, Transcription | LivecapError]]:
    """The number and the transcription of each sound, or what is wrong with it, in order.

    Pieces of several sounds go into the same batches, so that short sounds are as quick as long ones.

    Args:
        durations: the length of each sound in seconds, for progress.
        known: segments of an earlier run, where there is only one sound.
        said: text that is known from elsewhere, where there is only one sound.

    Raises:
        Stopped: `hooks.is_stopped` returned True.
    """
    decodes = Here(engine) if isinstance(engine, Engine) else engine
    reader = _Reader(sounds, decodes.settings.stream.detector, hooks)
    waiting: deque[_Sound] = deque()
    begun: deque[_Begun] = deque()
    newest = ""

    def finish(group: _Begun) -> None:
        nonlocal newest
        n_done, n_all = 0, sum(len(piece.samples) for batch in group.batches for _, piece in batch)
        for batch, (segments, spent) in zip(group.batches, group.results, strict=True):
            for (sound, piece), segment in zip(batch, segments, strict=True):
                hooks.on_piece(piece, segment)
                if segment is not None:
                    sound.segments[piece.start_sample] = segment
                    newest = segment.text
            _share(spent, batch)
            n_done += sum(len(piece.samples) for _, piece in batch)
            sound, first = group.pieces[0]
            last = max((piece for other, piece in group.pieces if other is sound), key=lambda piece: piece.end_sample)
            done = first.start_sample + n_done / n_all * (last.end_sample - first.start_sample)
            seconds = durations[sound.number] if sound.number < len(durations) else None
            hooks.on_progress(Progress(done / SAMPLE_RATE, seconds, newest, sound.number))
        for sound, _ in group.pieces:
            sound.n_undecoded -= 1

    for pieces in _groups(reader.pieces(waiting), options.batch * decodes.n_batches(options.batch)):
        unknown = []
        for sound, piece in pieces:
            place = piece.start_sample, piece.end_sample
            if known is None or place not in known:
                unknown.append((sound, piece))
            elif segment := known[place]:
                sound.segments[piece.start_sample] = segment
        batches = list(_batches(unknown, options.batch))
        unit = _unit(batches, said)
        results = decodes.begin(unit, options.decoding, hooks.is_stopped) if batches else iter(())
        begun.append(_Begun(pieces, batches, results))
        while len(begun) > decodes.most_waiting:
            finish(begun.popleft())
        while waiting and waiting[0].is_read and waiting[0].n_undecoded == 0:
            yield _finished(waiting.popleft(), hooks, newest)
    for group in begun:
        finish(group)
    while waiting:
        yield _finished(waiting.popleft(), hooks, newest)


@dataclass(frozen=True, slots=True)
class _Begun:
    """Pieces that are being decoded."""

    pieces: "list[tuple[_Sound, Piece]]"
    """All of them, those with known segments too."""
    batches: "list[list[tuple[_Sound, Piece]]]"
    """Those without."""
    results: Iterator[Result]


def _unit(batches: "Sequence[Sequence[tuple[_Sound, Piece]]]", said: KnownText | None) -> Unit:
    pieces = [[piece for _, piece in batch] for batch in batches]
    drafts = [[said.between(p.start_sample, p.end_sample) if said else None for p in batch] for batch in pieces]
    return Unit(pieces, drafts)


@dataclass(slots=True)
class _Sound:
    """One of the sounds that are being transcribed."""

    number: int
    segments: dict[int, Segment] = field(default_factory=dict)
    """First sample of its piece to each segment."""
    n_undecoded: int = 0
    """Pieces that were cut and have no text yet."""
    is_read: bool = False
    n_samples: int = 0
    timings: Timings = field(default_factory=Timings)
    error: LivecapError | None = None


class _Reader:
    """Reads sounds one after the other and cuts them into pieces."""

    def __init__(self, sounds: Iterable[Blocks], detector: DetectorConfig, hooks: Hooks) -> None:
        self._sounds, self._detector, self._hooks = sounds, detector, hooks

    def pieces(self, waiting: "deque[_Sound]") -> Iterator[tuple[_Sound, Piece]]:
        """All pieces with their sounds, which join `waiting` when they are begun."""
        for number, blocks in enumerate(self._sounds):
            sound = _Sound(number)
            waiting.append(sound)
            cutter = Cutter(SpeechDetector(self._detector))
            try:
                for pieces in _timed(_cut(cutter, blocks), sound):
                    self._hooks.look()
                    for piece in pieces:
                        sound.n_undecoded += 1
                        yield sound, piece
            except Stopped:
                raise
            except LivecapError as error:
                sound.error = error
            sound.n_samples, sound.is_read = cutter.heard_samples, True


def _timed(cut: Iterator[list[Piece]], sound: _Sound) -> Iterator[list[Piece]]:
    """The pieces; the time that they take to come is counted for the sound."""
    while True:
        began = time.perf_counter()
        pieces = next(cut, None)
        sound.timings += Timings(read_seconds=time.perf_counter() - began)
        if pieces is None:
            return
        yield pieces


def _share(spent: Timings, batch: Sequence[tuple[_Sound, Piece]]) -> None:
    """Count what a batch cost for the sounds in it, by the length of their pieces."""
    total = sum(len(piece.samples) for _, piece in batch)
    for sound, piece in batch:
        share = len(piece.samples) / total
        sound.timings += Timings(
            encoder_seconds=spent.encoder_seconds * share,
            prefill_and_generate_seconds=spent.prefill_and_generate_seconds * share,
            n_pieces=1,
            draft_seconds=spent.draft_seconds * share,
        )


def _finished(sound: _Sound, hooks: Hooks, newest: str) -> tuple[int, Transcription | LivecapError]:
    if sound.error is not None:
        return sound.number, sound.error
    seconds = sound.n_samples / SAMPLE_RATE
    hooks.on_progress(Progress(seconds, seconds, newest, sound.number))
    segments = [sound.segments[start] for start in sorted(sound.segments)]
    n_tokens = sum(segment.n_tokens for segment in segments)
    n_accepted = sum(segment.n_accepted for segment in segments)
    timings = sound.timings + Timings(sound_seconds=seconds, n_tokens=n_tokens, n_accepted=n_accepted)
    return sound.number, assembled(segments, seconds, timings)


def blocks_of_samples(samples: NDArray[np.float32]) -> Iterator[NDArray[np.float32]]:
    """[n] samples in blocks."""
    return (samples[at : at + BLOCK_SAMPLES] for at in range(0, len(samples), BLOCK_SAMPLES))


def _cut(cutter: Cutter, blocks: Blocks) -> Iterator[list[Piece]]:
    """The pieces that each block completes."""
    for block in blocks:
        yield list(cutter.hear(block))
    yield list(cutter.rest())


def _groups(pieces: Iterator[tuple[_Sound, Piece]], n: int) -> Iterator[list[tuple[_Sound, Piece]]]:
    group: list[tuple[_Sound, Piece]] = []
    for piece in pieces:
        group.append(piece)
        if len(group) == n:
            yield group
            group = []
    if group:
        yield group


def _batches(pieces: list[tuple[_Sound, Piece]], n: int) -> Iterator[list[tuple[_Sound, Piece]]]:
    """Batches of pieces of similar length, the longest first."""
    by_length = sorted(pieces, key=lambda each: len(each[1].samples), reverse=True) if n > 1 else pieces
    for at in range(0, len(by_length), n):
        yield by_length[at : at + n]

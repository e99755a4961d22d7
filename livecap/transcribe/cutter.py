"""Cutter: a recording of any length becomes pieces of at most 16 s, cut at pauses. Memory holds one piece.

A pause is a place where the speech detector hears no voice and the level agrees. Where there is none, the cut is at the
quietest moment. Long silence belongs to no piece: decoding it takes time, and a model may invent words for it.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from livecap.audio_in.source import AudioBlock
from livecap.audio_in.vad import SpeechDetector
from livecap.stream.loud_sound import LoudSound
from livecap.transcript import SAMPLE_RATE

MOST_SAMPLES = 16 * SAMPLE_RATE
"""The longest piece."""
LEAST_SAMPLES = 4 * SAMPLE_RATE
"""The shortest piece in unbroken speech."""
AROUND_SAMPLES = SAMPLE_RATE // 2
"""Silence that a piece keeps before its first and behind its last sound."""
UNKNOWN_SAMPLES = SAMPLE_RATE // 25
"""The detector and the levels may lack a frame at the end of the sound."""
STEP_SAMPLES = SAMPLE_RATE // 50
"""Levels are compared in steps of 20 ms."""
QUIET_STEPS = 5
"""The quietest moment is a mean over this many steps."""

Span = tuple[int, int]
"""[start, end) in samples."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Sound that is decoded by itself."""

    start_sample: int
    samples: NDArray[np.float32]
    """[n] at 16 kHz."""
    voiced: tuple[Span, ...]
    """Where a voice is, by the detector, or where the sound is loud if the detector finds no voice; in order."""
    is_doubtful: bool
    """The detector finds no voice; only the level says that this may be speech."""

    @property
    def end_sample(self) -> int:
        return self.start_sample + len(self.samples)


class Cutter:
    """Cuts one recording. Which blocks the sound comes in changes nothing."""

    def __init__(self, detector: SpeechDetector, loud: LoudSound | None = None) -> None:
        """
        Args:
            detector: a new one.
            loud: a new one, which is the default.
        """
        self._detector = detector
        self._loud = loud or LoudSound()
        self._waiting = np.zeros(0, np.float32)
        """Sound that was given, but not to the detector yet."""
        self._sound = np.zeros(0, np.float32)
        """Sound from `_start` on that belongs to no piece yet."""
        self._start = 0

    @property
    def heard_samples(self) -> int:
        """The end of the sound so far."""
        return self._start + len(self._sound) + len(self._waiting)

    def hear(self, samples: NDArray[np.float32]) -> Iterator[Piece]:
        """The pieces that [n] float32 samples complete, in order."""
        self._waiting = np.concatenate([self._waiting, samples])
        while len(self._waiting) >= (room := MOST_SAMPLES - len(self._sound)):
            self._take(room)
            yield from self._cut(is_end=False)

    def rest(self) -> Iterator[Piece]:
        """The last pieces; nothing follows."""
        self._take(len(self._waiting))
        yield from self._cut(is_end=True)

    def _take(self, n: int) -> None:
        """Pass the next `n` waiting samples on to the detector."""
        new, self._waiting = self._waiting[:n], self._waiting[n:]
        end = self._start + len(self._sound)
        self._detector.accept(AudioBlock(end, new))
        self._loud.append(end, new)
        self._sound = np.concatenate([self._sound, new])

    def _cut(self, is_end: bool) -> Iterator[Piece]:
        """The next piece of the sound so far, which is as long as a piece may be, or the last."""
        end = self._start + len(self._sound)
        busy = self._busy(self._start, end)
        if not busy:
            self._forget(end if is_end else max(self._start + 1, end - AROUND_SAMPLES))
            return
        if busy[0][0] - AROUND_SAMPLES > self._start:
            self._forget(busy[0][0] - AROUND_SAMPLES)
            if not is_end:
                return  # there is space for more sound in this piece
        stop, following = self._place(busy, end) if not is_end else (min(end, busy[-1][1] + AROUND_SAMPLES), end)
        yield self._piece(stop)
        self._forget(following)

    def _place(self, busy: list[Span], end: int) -> Span:
        """Where a piece ends, and where the next one begins: in the longest pause, or at the quietest moment."""
        first = min(self._start + LEAST_SAMPLES, (self._start + end) // 2)
        known = end - UNKNOWN_SAMPLES
        edges = [self._start, *(edge for span in busy for edge in span), max(known, busy[-1][1])]
        pauses = [(b - max(a, first), a, b) for a, b in zip(edges[::2], edges[1::2], strict=True) if b > max(a, first)]
        if not pauses:
            middle = first + _quietest(self._sound[first - self._start : end - self._start])
            return middle, middle
        _, start, stop = max(pauses)
        middle = (max(start, first) + stop) // 2
        return min(middle, start + AROUND_SAMPLES), max(middle, stop - AROUND_SAMPLES)

    def _busy(self, start: int, end: int) -> list[Span]:
        """Where there may be speech, by the detector or by the level; joined, in order."""
        spans = sorted([*self._detector.voiced_spans(start, end), *self._loud_spans(start, end)])
        joined: list[Span] = []
        for a, b in spans:
            if joined and a <= joined[-1][1]:
                joined[-1] = (joined[-1][0], max(b, joined[-1][1]))
            else:
                joined.append((a, b))
        return joined

    def _loud_spans(self, start: int, end: int) -> list[Span]:
        """Loud stretches that may hold a word; clicks are left out."""
        groups = self._loud.groups(start, end)
        return [span for span in self._loud.spans(start, end) if any(a <= span[0] < b for a, b in groups)]

    def _piece(self, stop: int) -> Piece:
        samples = self._sound[: stop - self._start].copy()
        voiced = tuple(self._detector.voiced_spans(self._start, stop))
        loud = voiced or tuple(self._loud.spans(self._start, stop))
        return Piece(self._start, samples, loud, is_doubtful=not voiced)

    def _forget(self, sample: int) -> None:
        """Sound before this position belongs to a piece, or is silence."""
        self._sound = self._sound[sample - self._start :].copy()
        self._start = sample


def halves_of(piece: Piece) -> tuple[Piece, Piece]:
    """The piece, cut at the longest pause in its middle half, or at the quietest moment there."""
    start, n = piece.start_sample, len(piece.samples)
    first, last = start + n // 4, start + 3 * n // 4
    edges = [start, *(edge for span in piece.voiced for edge in span), piece.end_sample]
    pauses = [(max(a, first), min(b, last)) for a, b in zip(edges[::2], edges[1::2], strict=True)]
    a, b = max(pauses, key=lambda pause: pause[1] - pause[0])
    middle = (a + b) // 2 if a < b else first + _quietest(piece.samples[first - start : last - start])

    def part(begin: int, end: int) -> Piece:
        voiced = tuple((max(a, begin), min(b, end)) for a, b in piece.voiced if max(a, begin) < min(b, end))
        return Piece(begin, piece.samples[begin - start : end - start], voiced, piece.is_doubtful)

    return part(start, middle), part(middle, piece.end_sample)


def _quietest(sound: NDArray[np.float32]) -> int:
    """The middle of the quietest 100 ms of [n] samples."""
    n = len(sound) // STEP_SAMPLES
    power = np.square(sound[: n * STEP_SAMPLES].reshape(n, STEP_SAMPLES)).sum(axis=1)
    smooth = np.convolve(power, np.ones(QUIET_STEPS), mode="valid") if n >= QUIET_STEPS else power
    return round((int(np.argmin(smooth)) + QUIET_STEPS / 2) * STEP_SAMPLES)

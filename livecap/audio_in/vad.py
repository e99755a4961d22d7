"""SpeechDetector: where speech starts, pauses and ends. It reports, and never removes sound.

A frame of 20 ms is voiced when it passes two tests:

    webrtcvad (mode 2)   it sounds like a voice, after a slow gain that lifts quiet microphones
    noise floor          it is well above the quietest of the last seconds, so that a fan is not speech for ever

Speech starts with 3 voiced frames of 5, pauses when there were no such 5 for a moment, and ends when there were none
for longer. Frames lie on a fixed grid of absolute samples and are judged in order: how sound is cut into blocks changes
nothing.
"""

import math
from collections import deque
from dataclasses import dataclass

import numpy as np
import webrtcvad
from numpy.typing import NDArray

from livecap.audio_in.source import AudioBlock
from livecap.transcript import SAMPLE_RATE

FRAME_SAMPLES = SAMPLE_RATE // 50
"""20 ms, a length that webrtcvad accepts; 10 ms frames give seven times as many false alarms."""

FRAME_BYTES = 2 * FRAME_SAMPLES
"""A frame as 16-bit samples."""

_BLOCK_FRAMES = 25
"""The noise floor is remembered in blocks of half a second."""

_WINDOW = np.hanning(FRAME_SAMPLES).astype(np.float32)
_POWER_SCALE = 2 / (FRAME_SAMPLES * float((_WINDOW**2).sum()))
_FIRST_BIN, _LAST_BIN = 200 // 50, 4000 // 50 + 1
"""The bins of 200..4000 Hz; each is 50 Hz wide."""

_NOTHING_DB = -200.0
"""The level of digital silence."""


@dataclass(frozen=True, slots=True)
class SpeechStarted:
    """Speech started at about `sample`, which lies a pre-roll before the first voiced frame."""

    sample: int


@dataclass(frozen=True, slots=True)
class SpeechPaused:
    """There was no speech for a moment, up to `sample`; speech may go on, or end."""

    sample: int
    quiet_samples: int
    """Length of the pause so far."""


@dataclass(frozen=True, slots=True)
class SpeechEnded:
    """The pause was long enough to end speech; `sample` lies a little behind the last voiced frame."""

    sample: int


SpeechEvent = SpeechStarted | SpeechPaused | SpeechEnded


@dataclass(frozen=True, slots=True)
class DetectorConfig:
    """What counts as speech.

    Measured on four espeak-ng voices, with 12 s of pauses in 29 s (bounds in tests/audio_in/test_vad.py):

        speech missed, of frames that carry it
            clean, -24, -44 and -60 dBFS           0.0 %
            -24 and -44 dBFS; 20, 10 and 5 dB      0.0 %
            above white noise, pink noise, or a
            fan with mains hum
        noise or hum alone, -70..-20 dBFS          at most 1.2 s taken for speech at first, then 0..1.2 %
    """

    mode: int = 2
    """webrtcvad's strictness, 0..3: 3 misses quiet speech, 1 takes noise for speech."""

    # Events.
    start_frames: int = 3
    """Speech starts when this many of the last `start_window` frames are voiced; fewer are a click."""
    start_window: int = 5
    """Number of frames in which `start_frames` are counted."""
    pre_roll_seconds: float = 0.3
    """How far before its first voiced frame speech is said to start: soft consonants are not voiced."""
    pauses_seconds: tuple[float, ...] = (0.06, 0.12, 0.2)
    """Lengths at which a pause is reported: those of a stop consonant, a gap between words, a breath."""
    end_seconds: float = 0.7
    """Speech ends after this long without a voiced frame."""
    tail_seconds: float = 0.2
    """How far behind its last voiced frame speech is said to end."""
    history_seconds: float = 40.0
    """How far back `voiced_spans` and `longest_pause` remember."""

    # The noise floor.
    margin_db: float = 6.0
    """A voiced frame is at least this far above the noise floor."""
    floor_seconds: float = 10.0
    """The noise floor is the quietest 100 ms of this time; even continuous speech has such a moment."""
    first_floor_db: float = -60.0
    """Highest noise floor, in dBFS, during `first_floor_seconds`: a recording may begin with a word."""
    first_floor_seconds: float = 1.0
    """How long `first_floor_db` holds."""
    lowest_floor_db: float = -75.0
    """Lowest noise floor, in dBFS: after digital silence, faint background noise is not speech."""

    # The gain before webrtcvad.
    target_db: float = -24.0
    """Level, in dBFS, to which the loudest 100 ms of the last seconds are lifted."""
    most_gain_db: float = 30.0
    """Highest gain."""


class SpeechDetector:
    """Finds speech in one stream of sound, on one thread. A new stream needs a new detector."""

    def __init__(self, config: DetectorConfig | None = None) -> None:
        self.config = config = config or DetectorConfig()
        self.speaking = False
        """True from `SpeechStarted` to `SpeechEnded`."""
        self.last_voiced_sample: int | None = None
        """The end of the last voiced frame that belonged to speech; None before any."""
        self._vad = webrtcvad.Vad(config.mode)
        self._levels = _LevelMemory(config)
        self._waiting = np.zeros(0, np.float32)  # less than a frame, from _frame_start
        self._frame_start = 0  # the first sample of the next frame, on the grid
        self._started = False
        self._ended_at = 0  # no two stretches of speech overlap
        self._n_reported = 0  # how many of `pauses_seconds` were reported of this pause
        self._voiced: deque[bool] = deque(maxlen=_n_frames(config.history_seconds))  # up to _frame_start
        self._window: deque[bool] = deque(maxlen=config.start_window)

    def accept(self, block: AudioBlock) -> list[SpeechEvent]:
        """The events of the frames that `block` completes, in order. A gap before it counts as silence."""
        if not self._started:
            self._started = True
            self._frame_start = block.start_sample // FRAME_SAMPLES * FRAME_SAMPLES
            self._ended_at = block.start_sample
        heard = self._frame_start + len(self._waiting)
        gap = block.start_sample - heard
        assert gap >= 0, "sound given twice"
        events: list[SpeechEvent] = []
        if gap:
            # Silence beyond the length of the history changes nothing more: step over it.
            most = _n_frames(self.config.history_seconds) * FRAME_SAMPLES
            stepped_over = max(0, gap - most) // FRAME_SAMPLES * FRAME_SAMPLES
            events += self._hear(np.zeros(gap - stepped_over, np.float32))
            self._frame_start += stepped_over
        return events + self._hear(block.samples)

    def voiced_spans(self, start_sample: int, end_sample: int) -> list[tuple[int, int]]:
        """The voiced stretches of [start_sample, end_sample), in order; none further back than the history."""
        flags, first = self._flags(start_sample, end_sample)
        spans: list[tuple[int, int]] = []
        for i, voiced in enumerate(flags):
            start = max(first + i * FRAME_SAMPLES, start_sample)
            end = min(first + (i + 1) * FRAME_SAMPLES, end_sample)
            if voiced and spans and spans[-1][1] == start:
                spans[-1] = (spans[-1][0], end)
            elif voiced:
                spans.append((start, end))
        return spans

    def longest_pause(self, start_sample: int, end_sample: int) -> tuple[int, int] | None:
        """The longest stretch of [start_sample, end_sample) without a voiced frame; the later one of equals. None where
        everything is voiced, not heard yet, or further back than the history."""
        flags, first = self._flags(start_sample, end_sample)
        best: tuple[int, int] | None = None
        run = 0
        for i, voiced in enumerate(flags):
            run = 0 if voiced else run + 1
            if run and (best is None or run >= best[1] - best[0]):
                best = (i + 1 - run, i + 1)
        if best is None:
            return None
        start, end = (first + i * FRAME_SAMPLES for i in best)
        return max(start, start_sample), min(end, end_sample)

    def _flags(self, start_sample: int, end_sample: int) -> tuple[list[bool], int]:
        """The remembered flags of the frames that overlap the samples, and where the first frame starts."""
        oldest = self._frame_start - len(self._voiced) * FRAME_SAMPLES
        first = max(0, (start_sample - oldest) // FRAME_SAMPLES)
        last = -(-(end_sample - oldest) // FRAME_SAMPLES) if end_sample > start_sample else 0
        return list(self._voiced)[first : max(0, last)], oldest + first * FRAME_SAMPLES

    def _hear(self, samples: NDArray[np.float32]) -> list[SpeechEvent]:
        sound = np.concatenate([self._waiting, samples])
        n_frames = len(sound) // FRAME_SAMPLES
        self._waiting = sound[n_frames * FRAME_SAMPLES :].copy()
        frames = sound[: n_frames * FRAME_SAMPLES].reshape(n_frames, FRAME_SAMPLES)
        levels_db = _band_levels_db(frames)
        known_db = [self._levels.add(level_db) for level_db in levels_db]
        loud = self._lifted(frames, [loudest_db for _, loudest_db in known_db])
        events: list[SpeechEvent] = []
        for i, (level_db, (floor_db, _)) in enumerate(zip(levels_db, known_db, strict=True)):
            # For every frame, since webrtcvad adapts to the noise with each.
            like_a_voice: bool = self._vad.is_speech(loud[i * FRAME_BYTES : (i + 1) * FRAME_BYTES], SAMPLE_RATE)
            self._voiced.append(like_a_voice and level_db > floor_db + self.config.margin_db)
            self._frame_start += FRAME_SAMPLES
            self._window.append(self._voiced[-1])
            if event := self._judge():
                events.append(event)
        return events

    def _lifted(self, frames: NDArray[np.float32], loudest_db: list[float]) -> bytes:
        """The frames as 16-bit samples, each with the gain for the loudest level that was known at it."""
        config = self.config
        gains_db = [min(max(config.target_db - db, 0.0), config.most_gain_db) for db in loudest_db]
        gains = np.array([32767 * 10 ** (db / 20) for db in gains_db], np.float32)
        lifted: bytes = np.clip(frames * gains[:, None], -32768, 32767).astype("<i2").tobytes()
        return lifted

    def _judge(self) -> SpeechEvent | None:
        """The event of the frame that ends at `_frame_start`, if any."""
        config = self.config
        if sum(self._window) >= config.start_frames:
            behind = next(i for i, voiced in enumerate(reversed(self._window)) if voiced)
            self.last_voiced_sample = self._frame_start - behind * FRAME_SAMPLES
            self._n_reported = 0
            if self.speaking:
                return None
            self.speaking = True
            ahead = next(i for i, voiced in enumerate(self._window) if voiced)
            first_voiced = self._frame_start - (len(self._window) - ahead) * FRAME_SAMPLES
            return SpeechStarted(max(self._ended_at, first_voiced - _n_samples(config.pre_roll_seconds)))
        if self.speaking:
            assert self.last_voiced_sample is not None
            quiet_samples = self._frame_start - self.last_voiced_sample
            if quiet_samples >= _n_samples(config.end_seconds):
                self.speaking = False
                tail_samples = min(_n_samples(config.tail_seconds), _n_samples(config.end_seconds))
                self._ended_at = self.last_voiced_sample + tail_samples
                return SpeechEnded(self._ended_at)
            if self._n_reported < len(config.pauses_seconds):
                least_samples = _n_samples(config.pauses_seconds[self._n_reported])
                if quiet_samples >= least_samples:
                    self._n_reported += 1
                    return SpeechPaused(self._frame_start, quiet_samples)
        return None


class _LevelMemory:
    """The quietest and the loudest 100 ms of the last seconds, remembered as a pair for each half second."""

    def __init__(self, config: DetectorConfig) -> None:
        self._config = config
        n_blocks = max(1, _n_frames(config.floor_seconds) // _BLOCK_FRAMES)
        self._blocks: deque[tuple[float, float]] = deque(maxlen=n_blocks)
        self._last: deque[float] = deque(maxlen=5)
        self._quietest_block, self._loudest_block = math.inf, _NOTHING_DB  # of all blocks
        self._quietest, self._loudest = math.inf, _NOTHING_DB  # of the block being filled
        self._n_frames = 0

    def add(self, level_db: float) -> tuple[float, float]:
        """The noise floor and the loudest level, in dBFS, after one more frame of level `level_db`."""
        self._last.append(level_db)
        smooth_db = sum(self._last) / len(self._last)
        self._loudest = max(self._loudest, smooth_db)
        if len(self._last) == self._last.maxlen:
            self._quietest = min(self._quietest, smooth_db)
        floor_db = min(self._quietest, self._quietest_block)
        loudest_db = max(self._loudest, self._loudest_block)
        self._n_frames += 1
        if self._n_frames % _BLOCK_FRAMES == 0:
            self._blocks.append((self._quietest, self._loudest))
            self._quietest_block = min(quiet for quiet, _ in self._blocks)
            self._loudest_block = max(loud for _, loud in self._blocks)
            self._quietest, self._loudest = math.inf, _NOTHING_DB
        if self._n_frames <= _n_frames(self._config.first_floor_seconds):
            floor_db = min(floor_db, self._config.first_floor_db)
        return max(floor_db, self._config.lowest_floor_db), loudest_db


def _band_levels_db(frames: NDArray[np.float32]) -> list[float]:
    """The level of each frame, [n, 320] float32, within 200..4000 Hz, in dBFS; a full-scale sine has -3.

    Mains hum, fans and DC lie below. NumPy transforms row by row, so a level does not depend on other frames.
    """
    spectrum = np.fft.rfft(frames * _WINDOW, axis=1)
    power = spectrum.real**2 + spectrum.imag**2
    mean_square = power[:, _FIRST_BIN:_LAST_BIN].sum(axis=1) * _POWER_SCALE
    levels: list[float] = (10 * np.log10(np.maximum(mean_square, 1e-20))).tolist()
    return levels


def _n_samples(seconds: float) -> int:
    return round(seconds * SAMPLE_RATE)


def _n_frames(seconds: float) -> int:
    return _n_samples(seconds) // FRAME_SAMPLES

"""SpeechDetector: where speech starts, pauses and ends. It reports, and never removes sound.

Sound is lifted by a slow gain, so that quiet microphones are heard too, and cut into frames that are voiced or not:

    silero   32 ms; the network of silero.py finds speech in it
    webrtc   20 ms; webrtcvad (mode 2) says that it sounds like a voice, and it is well above the quietest of the last
             seconds, since webrtcvad by itself takes a fan for speech for ever. The network must agree
             that speech starts, and every few seconds that it goes on, since both take typing and music for speech

Speech starts with a few voiced frames, pauses when there were none for a moment, and ends when there were none for
longer. Frames lie on a fixed grid of absolute samples and are judged in order: how sound is cut into blocks changes
nothing.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

import numpy as np
import webrtcvad
from numpy.typing import NDArray

from livecap.audio_in.levels import LevelMemory, speech_band_levels_db
from livecap.audio_in.silero import FRAME_SAMPLES, SileroNetwork
from livecap.audio_in.source import AudioBlock
from livecap.transcript import SAMPLE_RATE

PAUSES_SECONDS = (0.06, 0.12, 0.2)
"""Lengths at which a pause is reported: those of a stop consonant, a gap between words, a breath."""


class Vad(StrEnum):
    """What tells speech from other sound (voice activity detection)."""

    SILERO = "silero"
    """A network; is wrong less often beside typing, music and rumble."""
    WEBRTC = "webrtc"
    """webrtcvad and the noise floor; the network is asked only whether speech starts or goes on."""


AGREED_SECONDS, MOST_DOUBT_SECONDS = 2.0, 4.0
"""Within speech the judge is asked again after the first time. If it has not agreed for the second, speech is over."""
DOUBT_SECONDS = 0.2
"""How long after its last voiced frame the judge may still agree that speech has started."""
MOST_LATE_SECONDS = 0.5
"""How far back the first voiced frame may lie when the judge agrees."""
END_SECONDS = {Vad.SILERO: 0.5, Vad.WEBRTC: 0.7}
"""The pause that ends speech. Shorter ones make text stable sooner; without the network they cost words."""


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
    """What counts as speech. docs/measuring.md has what is missed and what is taken for speech."""

    vad: Vad = Vad.WEBRTC
    pre_roll_seconds: float = 0.3
    """How far before its first voiced frame speech is said to start: soft consonants are not voiced."""
    end_seconds: float | None = None
    """Speech ends after this long without a voice; None: what suits the detector."""
    tail_seconds: float = 0.2
    """How far behind its last voiced frame speech is said to end."""
    history_seconds: float = 40.0
    """How far back `voiced_spans` and `longest_pause` remember."""
    target_db: float = -30.0
    """Level, in dBFS, to which the loudest 100 ms of the last seconds are lifted."""
    most_gain_db: float = 30.0
    """Highest gain."""

    @property
    def pause_seconds(self) -> float:
        """The length of the pause that ends speech."""
        return END_SECONDS[self.vad] if self.end_seconds is None else self.end_seconds


class _Judge(Protocol):
    """Tells voiced frames from others. Frames follow one another."""

    frame_samples: int
    start_frames: int
    """Speech starts when this many of the last `start_window` frames are voiced; fewer are a click."""
    start_window: int
    late_samples: int
    """How long after the end of a voice frames are still voiced, at least."""

    def agrees(self) -> bool:
        """Whether the voiced frames just before are speech. Asked before speech starts, and now and then within it."""

    def voiced(self, frames: NDArray[np.float32], above_floor_db: Sequence[float]) -> Iterator[bool]:
        """Whether each frame is voiced, in order. The judge hears a frame when its answer is taken.

        Args:
            frames: [n, frame_samples] float32, with the gain applied.
            above_floor_db: the level of each before the gain, above the noise floor.
        """


class _Silero:
    """The network, which sleeps while nothing rises above the noise floor: silence costs almost nothing."""

    frame_samples = FRAME_SAMPLES
    start_frames, start_window = 1, 2
    late_samples = SAMPLE_RATE * 6 // 100  # measured in 439 pauses: 40 to 120 ms
    voiced_score = 0.5
    asleep_db = 3.0
    """No frame of steady noise is further above its own floor."""
    asleep_frames = 156
    """The network sleeps after 5 s in which no frame was above `asleep_db`. Waking costs it some accuracy."""
    warm_up_frames = 8
    """When it wakes, it hears this many frames of what came before."""

    def __init__(self) -> None:
        self._network = SileroNetwork()
        self._missed: deque[NDArray[np.float32]] = deque(maxlen=self.warm_up_frames)
        self._n_quiet = 0

    def voiced(self, frames: NDArray[np.float32], above_floor_db: Sequence[float]) -> Iterator[bool]:
        for frame, level_db in zip(frames, above_floor_db, strict=True):
            yield self._is_voiced(frame, level_db)

    def _is_voiced(self, frame: NDArray[np.float32], above_floor_db: float) -> bool:
        self._n_quiet = self._n_quiet + 1 if above_floor_db <= self.asleep_db else 0
        if self._n_quiet > self.asleep_frames:
            self._missed.append(frame)
            return False
        if self._missed:
            self._network.reset()
            for missed in self._missed:
                self._network.score(missed)
            self._missed.clear()
        return self._network.score(frame) > self.voiced_score

    def agrees(self) -> bool:
        return True


class _WebRtc:
    frame_samples = SAMPLE_RATE // 50  # 10 ms frames give seven times as many false alarms
    start_frames, start_window = 3, 5
    late_samples = 0
    margin_db = 6.0
    agreed_score = 0.7
    """Higher than the score of a voiced frame: typing and music alone reach 0.5 now and then."""
    n_unheard = 32
    """The network hears at most this many frames that came before it was asked. They warm it up."""

    def __init__(self) -> None:
        self._vad = webrtcvad.Vad(2)  # mode 3 misses quiet speech, 1 takes noise for speech
        self._network = SileroNetwork()
        self._unheard: deque[NDArray[np.float32]] = deque(maxlen=self.n_unheard)  # by the network
        self._rest = np.zeros(0, np.float32)  # of them, less than a frame of the network

    def voiced(self, frames: NDArray[np.float32], above_floor_db: Sequence[float]) -> Iterator[bool]:
        as_int16 = np.clip(frames * 32767, -32768, 32767).astype("<i2")
        for frame, sound, level_db in zip(frames, as_int16, above_floor_db, strict=True):
            # For every frame, since webrtcvad adapts to the noise with each.
            self._unheard.append(frame)
            like_a_voice: bool = self._vad.is_speech(sound.tobytes(), SAMPLE_RATE)
            yield like_a_voice and level_db > self.margin_db

    def agrees(self) -> bool:
        if len(self._unheard) == self.n_unheard:  # the network missed some sound: it starts again
            self._network.reset()
            self._rest = np.zeros(0, np.float32)
        sound = np.concatenate([self._rest, *self._unheard])
        self._unheard.clear()
        n = len(sound) // FRAME_SAMPLES
        self._rest = sound[n * FRAME_SAMPLES :]
        scores = [self._network.score(part) for part in sound[: n * FRAME_SAMPLES].reshape(n, FRAME_SAMPLES)]
        return max(scores, default=0.0) > self.agreed_score


_JUDGES: dict[Vad, type[_Judge]] = {Vad.SILERO: _Silero, Vad.WEBRTC: _WebRtc}


class SpeechDetector:
    """Finds speech in one stream of sound, on one thread. A new stream needs a new detector."""

    def __init__(self, config: DetectorConfig | None = None) -> None:
        self.config = config = config or DetectorConfig()
        self.speaking = False
        """True from `SpeechStarted` to `SpeechEnded`."""
        self.last_voiced_sample: int | None = None
        """The end of the last voiced frame that belonged to speech; None before any."""
        self._judge = _JUDGES[config.vad]()
        self.frame_samples = self._judge.frame_samples
        """The grid: frames begin at multiples of this."""
        self._levels = LevelMemory(self.frame_samples)
        self._waiting = np.zeros(0, np.float32)  # less than a frame, from _frame_start
        self._frame_start = 0  # the first sample of the next frame, on the grid
        self._started = False
        self._ended_at = 0  # no two stretches of speech overlap
        self._n_reported = 0  # how many of PAUSES_SECONDS were reported of this pause
        self._agreed_at = 0  # where the judge last agreed that this is speech
        self._seeming: tuple[int, int] | None = None  # the first and the last voiced frame of what may be speech
        self._n_history_frames = _n_samples(config.history_seconds) // self.frame_samples
        self._voiced: deque[bool] = deque(maxlen=self._n_history_frames)  # up to _frame_start
        self._window: deque[bool] = deque(maxlen=self._judge.start_window)

    def accept(self, block: AudioBlock) -> list[SpeechEvent]:
        """The events of the frames that `block` completes, in order. A gap before it counts as silence."""
        if not self._started:
            self._started = True
            self._frame_start = block.start_sample // self.frame_samples * self.frame_samples
            self._ended_at = block.start_sample
        heard = self._frame_start + len(self._waiting)
        gap = block.start_sample - heard
        assert gap >= 0, "sound given twice"
        events: list[SpeechEvent] = []
        if gap:
            # Silence beyond the length of the history changes nothing more: step over it.
            most = self._n_history_frames * self.frame_samples
            stepped_over = max(0, gap - most) // self.frame_samples * self.frame_samples
            events += self._hear(np.zeros(gap - stepped_over, np.float32))
            self._frame_start += stepped_over
        return events + self._hear(block.samples)

    def voiced_spans(self, start_sample: int, end_sample: int) -> list[tuple[int, int]]:
        """The voiced stretches of [start_sample, end_sample), in order; none further back than the history."""
        flags, first = self._flags(start_sample, end_sample)
        spans: list[tuple[int, int]] = []
        for i, voiced in enumerate(flags):
            start = max(first + i * self.frame_samples, start_sample)
            end = min(first + (i + 1) * self.frame_samples, end_sample)
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
        start, end = (first + i * self.frame_samples for i in best)
        return max(start, start_sample), min(end, end_sample)

    def _flags(self, start_sample: int, end_sample: int) -> tuple[list[bool], int]:
        """The remembered flags of the frames that overlap the samples, and where the first frame starts."""
        oldest = self._frame_start - len(self._voiced) * self.frame_samples
        first = max(0, (start_sample - oldest) // self.frame_samples)
        last = -(-(end_sample - oldest) // self.frame_samples) if end_sample > start_sample else 0
        return list(self._voiced)[first : max(0, last)], oldest + first * self.frame_samples

    def _hear(self, samples: NDArray[np.float32]) -> list[SpeechEvent]:
        sound = np.concatenate([self._waiting, samples])
        n_frames = len(sound) // self.frame_samples
        self._waiting = sound[n_frames * self.frame_samples :].copy()
        frames = sound[: n_frames * self.frame_samples].reshape(n_frames, self.frame_samples)
        events: list[SpeechEvent] = []
        gains: list[float] = []
        above_floor_db: list[float] = []
        for level_db in speech_band_levels_db(frames):
            floor_db, loudest_db = self._levels.add(level_db)
            gains.append(10 ** (min(max(self.config.target_db - loudest_db, 0.0), self.config.most_gain_db) / 20))
            above_floor_db.append(level_db - floor_db)
        lifted = frames * np.array(gains, np.float32)[:, None]
        for voiced in self._judge.voiced(lifted, above_floor_db):
            self._voiced.append(voiced)
            self._frame_start += self.frame_samples
            self._window.append(voiced)
            if event := self._event():
                events.append(event)
        return events

    def _event(self) -> SpeechEvent | None:
        """The event of the frame that ends at `_frame_start`, if any."""
        config = self.config
        if sum(self._window) >= self._judge.start_frames:
            behind = next(i for i, voiced in enumerate(reversed(self._window)) if voiced)
            ahead = next(i for i, voiced in enumerate(self._window) if voiced)
            first_voiced = self._frame_start - (len(self._window) - ahead) * self.frame_samples
            end = self._frame_start - behind * self.frame_samples - self._judge.late_samples
            self._seeming = (self._seeming or (first_voiced, 0))[0], max(end, self._ended_at)
            if self.speaking and self._still_agrees():
                self.last_voiced_sample, self._n_reported = self._seeming[1], 0
                return None
        if not self.speaking and self._seeming is not None:
            first_voiced, end = self._seeming
            if self._frame_start - end > _n_samples(DOUBT_SECONDS):
                self._seeming = None
            elif self._judge.agrees():
                self.speaking, self.last_voiced_sample, self._n_reported = True, end, 0
                self._agreed_at = self._frame_start
                first_voiced = max(first_voiced, self._frame_start - _n_samples(MOST_LATE_SECONDS))
                return SpeechStarted(max(self._ended_at, first_voiced - _n_samples(config.pre_roll_seconds)))
        if self.speaking:
            assert self.last_voiced_sample is not None
            quiet_samples = self._frame_start - self.last_voiced_sample
            if quiet_samples >= _n_samples(config.pause_seconds):
                self.speaking, self._seeming = False, None
                tail_samples = min(_n_samples(config.tail_seconds), _n_samples(config.pause_seconds))
                self._ended_at = self.last_voiced_sample + tail_samples
                return SpeechEnded(self._ended_at)
            if self._n_reported < len(PAUSES_SECONDS):
                least_samples = _n_samples(PAUSES_SECONDS[self._n_reported])
                if quiet_samples >= least_samples:
                    self._n_reported += 1
                    return SpeechPaused(self._frame_start, quiet_samples)
        return None

    def _still_agrees(self) -> bool:
        """Whether the judge has agreed lately that voiced frames are speech; it is asked again after a while."""
        since = self._frame_start - self._agreed_at
        if since > _n_samples(AGREED_SECONDS) and self._judge.agrees():
            self._agreed_at, since = self._frame_start, 0
        return since <= _n_samples(MOST_DOUBT_SECONDS)


def _n_samples(seconds: float) -> int:
    return round(seconds * SAMPLE_RATE)

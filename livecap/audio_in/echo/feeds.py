"""Two tracks taken together, so that one can be freed from the echo of the other.

played:      source ─▶ Played ─────────────▶ its track
                         │ the same sound
microphone:  source ─▶ EchoFree ───────────▶ its track

EchoFree compares the two sounds. Without an echo it passes on the very blocks that it got. Once there is one, frames go
through the canceller. What it decides depends on the sound at fixed positions only, never on when it arrived, so a
replay of the session decides the same.
"""

import math
from collections import deque
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from livecap.audio_in.echo.canceller import DELAY, FRAME, PARTS, EchoCanceller
from livecap.audio_in.echo.finder import EARLIEST, LATEST, REACH, WINDOW, EchoFinder
from livecap.audio_in.echo.history import History
from livecap.audio_in.source import AudioBlock, AudioSource, OnNotice
from livecap.errors import AudioError
from livecap.transcript import SAMPLE_RATE

HOP = SAMPLE_RATE // 2
"""The sounds are compared at multiples of this position, and what follows counts from the next one on."""
FIRST_SAMPLES = 5 * SAMPLE_RATE // 2
"""When something is played for the first time, the microphone's sound waits until so much of it was compared."""
HOPS = 2
"""After that the sounds are compared once a second."""
LEAD = SAMPLE_RATE // 200
"""The learned path begins 5 ms before the delay that was found: clocks drift apart."""
TRAINING = 4 * SAMPLE_RATE
"""Sound from which the path is learned when an echo is found; it goes through twice."""
WAIT = SAMPLE_RATE
"""Sound of the microphone waits at most this long for what was played at the same time."""
MEASURED = 60
"""Number of measures of a delay that count."""
DRIFT_SAMPLES, DRIFT_MEASURES = 4 * SAMPLE_RATE, 5
"""A drift is known after this time and from so many measures."""
HEARD = 3e-3
"""Peak from which played sound can be heard: -50 dB."""
INTERRUPTED = SAMPLE_RATE // 5
"""A gap of this length is a device that was opened again, perhaps another one."""
KEPT_PLAYED = 45 * SAMPLE_RATE
"""More than the longest block, and what is looked at behind it."""

Sound = NDArray[np.float32]


class Feed(Protocol):
    """What a track takes its sound from: its source, or something that the source's sound goes through."""

    @property
    def ended(self) -> bool:
        """See `AudioSource`."""

    def take(self) -> AudioBlock | None:
        """See `AudioSource`."""

    def seek(self, sample: int) -> int:
        """See `AudioSource`."""


class Lag:
    """The delay of an echo, which grows or shrinks where two devices have clocks of their own."""

    def __init__(self, lag: float) -> None:
        self._lag, self._drift = lag, 0.0
        self._measured: deque[tuple[int, float]] = deque(maxlen=MEASURED)

    def at(self, sample: int) -> float:
        """In samples, for this sample of the microphone's sound."""
        return self._lag + self._drift * sample

    def measure(self, sample: int, lag: float) -> None:
        """Learn that the delay is `lag` at this sample: the median line through the last minute (Theil and Sen)."""
        self._measured.append((sample, lag))
        samples, lags = np.array(self._measured).T
        if samples[-1] - samples[0] >= DRIFT_SAMPLES and len(lags) >= DRIFT_MEASURES:
            first, second = np.triu_indices(len(lags), 1)
            self._drift = float(np.median((lags[second] - lags[first]) / (samples[second] - samples[first])))
            self._lag = float(np.median(lags - self._drift * samples))


class Played:
    """The feed of the track that is played. Keeps its sound for an `EchoFree`, which may read ahead."""

    def __init__(self, source: AudioSource) -> None:
        self.source = source
        self._ahead: deque[AudioBlock] = deque()
        """Blocks that were read and not taken yet."""
        self._error: AudioError | None = None
        self.history = History(KEPT_PLAYED)
        self.history.clear(source.first_sample)
        self.n_interruptions = 0
        """How often the sound went on elsewhere, or perhaps from another device."""

    @property
    def ended(self) -> bool:
        """See `AudioSource`."""
        return self.source.ended and not self._ahead and self._error is None

    def take(self) -> AudioBlock | None:
        """See `AudioSource`."""
        if self._ahead:
            return self._ahead.popleft()
        if self._error is not None:
            error, self._error = self._error, None
            raise error
        return self._read()

    def seek(self, sample: int) -> int:
        """See `AudioSource`."""
        sample = self.source.seek(sample)
        self._ahead.clear()
        self.history.clear(sample)
        self.n_interruptions += 1
        return sample

    def read_until(self, sample: int) -> None:
        """Read what has arrived, up to this position or a little behind it."""
        while self.history.end_sample < sample and self._error is None:
            try:
                block = self._read()
            except AudioError as error:
                self._error = error
                return
            if block is None:
                return
            self._ahead.append(block)

    def comes(self) -> bool:
        """More sound may arrive soon."""
        return not (self.source.ended or self.source.trouble == "away" or self._error is not None)

    def _read(self) -> AudioBlock | None:
        block = self.source.take()
        if block is not None:
            self.n_interruptions += block.start_sample - self.history.end_sample >= INTERRUPTED
            self.history.append(block)
        return block


class EchoFree:
    """The feed of the microphone's track: its sound without the echo of what is played."""

    def __init__(self, source: AudioSource, played: Played, on_notice: OnNotice) -> None:
        self.source = source
        self._played = played
        self._on_notice = on_notice
        self._is_told = False
        self._error: AudioError | None = None
        self._finder = EchoFinder()
        self._canceller = EchoCanceller()
        self._history = History(max(TRAINING, 2 * REACH))
        self._blocks: deque[AudioBlock] = deque()
        """What was taken and not passed on or cancelled yet."""
        self._out: deque[AudioBlock] = deque()
        self._offset: int | None = None
        """Position in the played sound less the position in the microphone's, at the same time."""
        self._n_interruptions = played.n_interruptions
        self._restart(source.first_sample)

    def _restart(self, sample: int) -> None:
        """Sound goes on at this position, perhaps from another device."""
        self._blocks.clear()
        self._history.clear(sample)
        self._passed = sample
        """Sound before this was passed on."""
        self._next = sample // HOP * HOP
        """Where the sounds are compared next."""
        self._frame = sample
        """The next frame of the canceller."""
        self._open(sample)

    def _open(self, sample: int) -> None:
        """Nothing is known of an echo from this position on."""
        self._finder.forget()
        self._lag: Lag | None = None
        """The delay for which sound is cancelled; None without an echo."""
        self._is_decided = False
        self._searched = sample
        """What was played at the time of the sound before this cannot be heard."""
        self._is_heard = False
        """What is played from there on can."""

    @property
    def ended(self) -> bool:
        """See `AudioSource`."""
        return self.source.ended and not self._blocks and not self._out and self._error is None

    def seek(self, sample: int) -> int:
        """See `AudioSource`. Sound that waits here is skipped."""
        sample = self.source.seek(sample)
        self._out.clear()
        self._restart(sample)
        return sample

    def take(self) -> AudioBlock | None:
        """See `AudioSource`."""
        if not self._out:
            self._take()
        if not self._out and self._error is not None:
            error, self._error = self._error, None
            raise error
        return self._out.popleft() if self._out else None

    def _take(self) -> None:
        try:
            block = None if self._error is not None else self.source.take()
        except AudioError as error:  # what waits here comes first
            block, self._error = None, error
        if block is not None:
            self._accept(block)
        else:
            self._advance(to_end=self.source.ended or self._error is not None)

    def _accept(self, block: AudioBlock) -> None:
        n_lost = block.start_sample - self._history.end_sample
        if n_lost or not len(block.samples):  # sound is interrupted here: nothing waits over that
            self._advance(to_end=True)
        if n_lost >= INTERRUPTED:
            self._restart(block.start_sample)
        elif n_lost:
            self._history.append(AudioBlock(block.start_sample, block.samples[:0]))
            self._passed = block.start_sample
            self._begin_frames()
        if not len(block.samples):  # the devices do not go on at the same moment
            self._out.append(block)
            self._restart(block.start_sample)
            self._finder.earliest = EARLIEST
            return
        self._history.append(block)
        self._blocks.append(block)
        self._advance(to_end=False)

    def _advance(self, to_end: bool) -> None:
        """Pass on as much as can be decided now.

        Args:
            to_end: everything, since no sound follows for now.
        """
        end = self._history.end_sample
        self._played.read_until(self._played_at(end) + HOP)
        if self._n_interruptions != self._played.n_interruptions:
            self._n_interruptions = self._played.n_interruptions
            self._open(self._passed)
        while True:
            limit = min(end, self._next + HOP)
            if not (self._is_decided or to_end):
                limit = max(self._passed, min(limit, self._unheard_until(limit)))
            if self._lag is not None:
                self._cancel(limit, to_end and limit == end)
            if end < self._next + HOP or (self._must_wait(self._next + HOP) and not to_end):
                break
            if self._compare(self._next):
                self._pass(limit)
                self._follow(self._next + HOP)
            self._next += HOP
        self._pass(limit)

    def _played_at(self, sample: int) -> int:
        """The position in the played sound at the time of this sample: the devices did not start at once."""
        if self._offset is None:
            began, played_began = self.source.started_wall, self._played.source.started_wall
            known = began is not None and played_began is not None
            offset = round((began - played_began) * SAMPLE_RATE) if known else 0  # type: ignore[operator]
            if not (self.source.arrived_samples and self._played.source.arrived_samples):
                return sample + offset  # a device says for certain when it began once it has delivered sound
            self._offset = offset
            if known:
                self._finder.earliest = -SAMPLE_RATE // 5  # the latencies of two devices differ
        return sample + self._offset

    def _must_wait(self, sample: int) -> bool:
        """What was played at the time of this sample has not arrived, and is worth waiting for."""
        is_late = self.source.arrived_samples - sample > WAIT
        return self._played.history.end_sample < self._played_at(sample) and self._played.comes() and not is_late

    def _unheard_until(self, limit: int) -> int:
        """Where the sound ends with which nothing was played that can be heard, looked at up to `limit`."""
        if not self._is_heard:
            first = self._played_at(self._searched)
            arrived = min(self._played_at(limit), self._played.history.end_sample)
            loud = np.flatnonzero(np.abs(self._played.history.read(first, max(0, arrived - first))) > HEARD)
            self._is_heard = bool(len(loud))
            if self._is_heard:
                self._searched += int(loud[0])
            elif self._must_wait(limit):
                self._searched = max(self._searched, self._searched + arrived - first)
            else:
                self._searched = limit
        return self._searched

    def _pass(self, limit: int) -> None:
        """Without an echo: pass on sound up to `limit` as it came."""
        while self._lag is None and self._blocks and self._blocks[0].start_sample < limit:
            block = self._blocks.popleft()
            if block.end_sample > limit:
                n = limit - block.start_sample
                self._blocks.appendleft(AudioBlock(limit, block.samples[n:]))
                block = AudioBlock(block.start_sample, block.samples[:n])
            self._out.append(block)
            self._passed = block.end_sample

    def _compare(self, sample: int) -> bool:
        """Compare the sounds up to this position, once a second. True if an echo was found, has moved or is gone."""
        is_new = False
        if not self._is_decided or sample // HOP % HOPS == 0:
            window = sample + EARLIEST - WINDOW
            near = self._history.read(window, WINDOW)
            if self._lag is not None:
                self._finder.lag = self._lag.at(window)
            is_new = self._finder.compare(
                window, near, self._played.history.read(self._played_at(window) - LATEST, REACH)
            )
            if self._lag is not None and self._finder.measured is not None:
                before = self._lag.at(self._frame)
                self._lag.measure(window, self._finder.measured)
                self._canceller.shift_path(self._lag.at(self._frame) - before)
        waited = self._is_heard and sample >= self._searched + FIRST_SAMPLES
        self._is_decided = self._is_decided or waited or is_new
        return is_new

    def _follow(self, limit: int) -> None:
        """Go on with what was found in the sound before `limit`, from where sound was passed on up to."""
        self._lag = None if self._finder.lag is None else Lag(self._finder.lag)
        if self._lag is None:
            return
        self._tell()
        self._canceller.forget_path()
        first = max(limit - TRAINING, self.source.first_sample)
        for _ in range(2):
            self._canceller.forget_sound()
            for frame in range(first, limit - FRAME + 1, FRAME):
                self._process(frame)
        self._begin_frames()

    def _begin_frames(self) -> None:
        """Frames begin where sound was passed on up to. Some before that are heard first."""
        self._canceller.forget_sound()
        self._frame = self._passed
        if self._lag is not None:
            for frame in range(self._passed - (PARTS + 1) * FRAME, self._passed, FRAME):
                self._process(frame)

    def _process(self, frame: int) -> Sound:
        at = self._echoed_at(frame + FRAME)
        end = math.ceil(at)
        played = self._played.history.read(end - 2 * FRAME, 2 * FRAME)
        return self._canceller.process(self._history.read(frame, FRAME), played, end - at)

    def _echoed_at(self, sample: int) -> float:
        """The position in the played sound whose echo begins to arrive at this sample."""
        assert self._lag is not None
        return self._played_at(sample) - self._lag.at(sample) + LEAD

    def _cancel(self, limit: int, to_end: bool) -> None:
        """Pass on sound without echo: of the frames that end by `limit`, or all up to there if nothing follows for
        now."""
        first, pieces = self._passed, []
        while self._passed < limit and (to_end or self._frame + FRAME <= limit):
            needed = math.ceil(self._echoed_at(self._frame + FRAME)) - self._played_at(0)
            if not to_end and self._must_wait(needed):
                break
            start = self._frame - DELAY
            sound = self._process(self._frame)[max(0, self._passed - start) : max(0, limit - start)]
            pieces.append(sound)
            self._passed += len(sound)
            self._frame += FRAME
        if self._passed > first:
            self._out.append(AudioBlock(first, np.concatenate(pieces)))
            self._drop(self._passed)
            if to_end:  # frames behind the end were taken for silence
                self._begin_frames()

    def _drop(self, sample: int) -> None:
        """Blocks before this were passed on."""
        while self._blocks and self._blocks[0].start_sample < sample:
            block = self._blocks.popleft()
            if block.end_sample > sample:
                self._blocks.appendleft(AudioBlock(sample, block.samples[sample - block.start_sample :]))
                return

    def _tell(self) -> None:
        if self._is_told:
            return
        self._is_told = True
        self._on_notice(
            f'"{self.source.name}" hears what "{self._played.source.name}" plays. livecap removes this echo, so that '
            "no words are written twice. Headphones are better; --echo off leaves the sound as it is.",
            "info",
        )

"""Replay: a recording heard as if it were live, at a chosen pace, or as fast as it can be read.

The file is read a second at a time, and at most `MAX_AHEAD_SAMPLES` wait in memory: an hour costs no more memory than a
minute.
"""

import math
import threading
import time
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from livecap.audio_in.recording import Recording
from livecap.audio_in.source import LEVEL_SAMPLES, WAKE_SECONDS, AudioBlock, AudioSource
from livecap.errors import AudioError, SettingsError
from livecap.transcript import SAMPLE_RATE

MAX_AHEAD_SAMPLES = 30 * SAMPLE_RATE
"""The most sound in memory, and in one block: a later reader gets the rest in its next blocks."""
UNPACED_BLOCK_SAMPLES = 2 * SAMPLE_RATE
"""Length of a block of a recording that is heard as fast as it can be read."""
LIVE_BLOCK_SAMPLES = SAMPLE_RATE // 20
"""The same where steps have to be those of a live session."""


class PlayClock:
    """How far a recording has played, by the clock. Guarded by the lock of its `Replay`."""

    def __init__(self, pace: float, now: Callable[[], float], sample: int) -> None:
        """Stands still at `sample`."""
        self._samples_a_second = pace * SAMPLE_RATE
        self._now = now
        self._begin_sample = sample
        self._ran_seconds = 0.0  # since then, without the time since _running_since
        self._running_since: float | None = None

    @property
    def running(self) -> bool:
        return self._running_since is not None

    @property
    def sample(self) -> int:
        """May lie beyond the end of the file."""
        seconds = self._ran_seconds
        if self._running_since is not None:
            seconds += self._now() - self._running_since
        return self._begin_sample + int(seconds * self._samples_a_second)

    def start(self) -> None:
        """Run. Twice is harmless."""
        if self._running_since is None:
            self._running_since = self._now()

    def stop(self) -> None:
        """Stand still. Twice is harmless."""
        if self._running_since is not None:
            self._ran_seconds += self._now() - self._running_since
            self._running_since = None

    def jump(self, sample: int) -> None:
        """Go on from `sample`."""
        self._begin_sample, self._ran_seconds = sample, 0.0
        if self._running_since is not None:
            self._running_since = self._now()


class Replay(AudioSource):
    """An `AudioSource` over a file. Used from several threads; a lock guards it."""

    seekable = True

    def __init__(
        self,
        path: str | Path,
        pace: float | None = 1.0,
        *,
        start_seconds: float = 0.0,
        end_seconds: float | None = None,
        cuts: Sequence[int] = (),
        gaps: Sequence[tuple[int, int]] = (),
        on_notice: Callable[[str], None] | None = None,
        unpaced_block_samples: int = UNPACED_BLOCK_SAMPLES,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """Opens the file and reads its first second. The clock starts with the first `take`.

        Args:
            path: WAV, FLAC, OGG, MP3, AIFF or another format that libsndfile reads; M4A and MP4 through a converter.
            pace: times real time; None is as fast as the file can be read: sound arrives when it is taken.
            start_seconds, end_seconds: the part to hear; positions stay those of the whole file.
            cuts: samples at which blocks end, ascending: those of a recorded session, so that it is heard in the same
                pieces.
            gaps: [start, end) of sound that was lost when it was recorded, ascending: it is left out again.
            on_notice: called on the reader's thread with what the user should know, such as that the file is cut short.
            unpaced_block_samples: length of a block without a pace.
            now: seconds, never falling.

        Raises:
            AudioError: no such file, a folder, empty, not audio, no samples, NaN in the first second.
            SettingsError: the pace is not above zero, or the file has no such part.
        """
        if end_seconds is not None and end_seconds <= start_seconds:
            raise SettingsError(f"Cannot replay from {start_seconds:g} s to {end_seconds:g} s: the end comes first.")
        if pace is not None and not (math.isfinite(pace) and pace > 0):
            raise SettingsError(f"Cannot replay at pace {pace}: give a number above 0, or max.")
        path = Path(path)
        self.name = path.name
        self.first_sample = round(start_seconds * SAMPLE_RATE)
        self._end = None if end_seconds is None else round(end_seconds * SAMPLE_RATE)
        self._pace = pace
        self._unpaced_block_samples = unpaced_block_samples
        self._on_notice = on_notice or (lambda message: None)
        self._wakes = threading.Event()
        self._cuts = list(cuts)
        self._gaps = list(gaps)
        self._lock = threading.Lock()
        # Guarded by it:
        self._started = self._closed = self._paused = False
        self._pauses: deque[int] = deque()  # where listening paused, for pauses that the reader does not know of yet
        self._clock = PlayClock(pace or 1.0, now, self.first_sample)
        self._arrived = self._taken = self.first_sample  # the end of what was due, and of what was taken
        self._recording = Recording(path, self._end)
        try:
            self._recording.read_to(1)
            if self.first_sample:
                # Not by `seek`: reading from the beginning notices a file that is shorter than its header says.
                self._recording.skip_to(self.first_sample)
                if self._recording.read_samples <= self.first_sample:
                    seconds = self._recording.read_samples / SAMPLE_RATE
                    raise SettingsError(f"{self.name} is {seconds:.1f} s long: it has no sound at {start_seconds:g} s.")
            if self._recording.failure is not None:
                raise self._recording.failure
            if self._recording.read_samples == 0:
                raise AudioError(f"Cannot read {path}: there is not a single sample in it.")
        except BaseException:
            self._recording.close()
            raise

    @property
    def duration_seconds(self) -> float | None:
        """Length by the file's header; None where it does not say. A file that was cut short is shorter."""
        return self._recording.duration_seconds

    @property
    def end_sample(self) -> int | None:
        """See `AudioSource`."""
        seconds = self.duration_seconds
        ends = [self._end, None if seconds is None else int(seconds * SAMPLE_RATE)]
        return min((end for end in ends if end is not None), default=None)

    @property
    def arrived_samples(self) -> int:
        """Where the sound that is due by the clock ends. Without a pace: what was taken."""
        with self._lock:
            due = self._read_due()
            if self._recording.at_end:
                due = min(due, self._recording.read_samples)
            elif (end := self.end_sample) is not None:  # the clock may be far ahead of a reader that is late
                due = min(due, end)
            self._arrived = max(self._arrived, due)
            return self._arrived

    @property
    def level(self) -> float:
        """Peak of the last 100 ms that were due, however late the reader is; 0 while paused, and at the end."""
        with self._lock:
            if not self._clock.running:
                return 0.0
            due = self._read_due()
            return float(np.abs(self._recording.sound(due - LEVEL_SAMPLES, due)).max(initial=0.0))

    @property
    def ended(self) -> bool:
        """At the end of the file or of the wanted part, or closed and everything that was due is taken."""
        with self._lock:
            return self._finished and self._recording.failure is None

    def take(self) -> AudioBlock | None:
        """See `AudioSource`. The file is closed at the end."""
        with self._lock:
            if not self._started:
                self._started = True
                if not (self._paused or self._closed):
                    self._clock.start()
            block = self._take()
            notices, self._recording.notices = self._recording.notices, []
            failure = None
            if block is None and self._pauses and (self._taken >= self._pauses[0] or self._recording.at_end):
                self._pauses.popleft()
                block = AudioBlock(self._taken, np.zeros(0, np.float32))
            elif block is None and self._finished:
                failure, self._recording.failure = self._recording.failure, None
            if self._finished:
                self._clock.stop()
                self._recording.close()
        for notice in notices:
            self._on_notice(notice)
        if failure is not None:
            raise failure
        return block

    def wake(self, event: threading.Event) -> None:
        """See `AudioSource`."""
        self._wakes = event

    def seek(self, sample: int) -> int:
        """See `AudioSource`."""
        with self._lock:
            if self._closed:
                return self._taken
            end = self.end_sample
            sample = max(self.first_sample, sample if end is None else min(sample, end))
            self._recording.seek(sample)
            self._taken = self._arrived = min(sample, self._recording.read_samples)
            self._clock.jump(self._taken)
            if self._started and not self._paused:  # it may have ended
                self._clock.start()
            self._pauses.clear()
        self._wakes.set()
        return self._taken

    def pause(self) -> None:
        """The recording stands still."""
        with self._lock:
            was_paused, self._paused = self._paused, True
            self._clock.stop()
            if not was_paused:
                self._pauses.append(self._taken if self._next_cut() is not None else self._due())
        self._wakes.set()

    def resume(self) -> None:
        """The recording goes on where it stood."""
        with self._lock:
            self._paused = False
            if self._started and not self._closed:
                self._clock.start()
        self._wakes.set()

    def close(self) -> None:
        """What is due by now can still be taken."""
        with self._lock:
            self._closed = True
            self._clock.stop()
            if not self._started:
                self._recording.close()
        self._wakes.set()

    # Below: with the lock held.

    @property
    def _finished(self) -> bool:
        at_end = self._recording.at_end and self._taken >= self._recording.read_samples
        return at_end or (self._closed and self._taken >= self._due())

    def _due(self) -> int:
        """Sound up to here should have been heard by now; may lie beyond the end of the file."""
        return self._taken if self._pace is None else self._clock.sample

    def _read_due(self) -> int:
        """As `_due`; that sound is in memory now, as far as it may be."""
        due = self._due()
        self._recording.read_to(min(due, self._taken + MAX_AHEAD_SAMPLES))
        return due

    def _take(self) -> AudioBlock | None:
        """The block that is due, or None."""
        if self._pace is None:
            if self._paused or self._closed:
                return None
            return self._take_to(self._next_cut() or self._taken + self._unpaced_block_samples)
        due = self._due()
        at_most = self._taken + MAX_AHEAD_SAMPLES
        if self._pauses:
            return self._take_to(min(self._pauses[0], at_most))
        cut = self._next_cut()
        if cut is not None and cut <= due:
            return self._take_to(cut)
        at_end = self._closed or self._recording.at_end
        if cut is not None and not (self._closed or (at_end and cut > self._recording.read_samples)):
            return None
        least_samples = max(1, int(WAKE_SECONDS * self._pace * SAMPLE_RATE))
        return self._take_to(min(due, at_most)) if at_end or due - self._taken >= least_samples else None

    def _next_cut(self) -> int | None:
        """Where the next block must end, if anywhere."""
        i = bisect_right(self._cuts, self._taken)
        return self._cuts[i] if i < len(self._cuts) else None

    def _take_to(self, end: int) -> AudioBlock | None:
        """Sound up to `end`, the end of the file or the next gap; gaps before it are passed over."""
        recording = self._recording
        gap = self._next_gap()
        while gap is not None and gap[0] <= self._taken:
            recording.read_to(gap[1])
            if recording.read_samples <= self._taken:
                return None  # the file ends in the gap
            self._taken = min(gap[1], recording.read_samples)
            gap = self._next_gap()
        end = end if gap is None else min(end, gap[0])
        recording.read_to(end)
        start, end = self._taken, min(end, recording.read_samples)
        if end <= start:
            return None
        block = AudioBlock(start, recording.sound(start, end).copy())
        recording.forget(end - LEVEL_SAMPLES)
        self._taken = end
        self._arrived = max(self._arrived, end)
        return block

    def _next_gap(self) -> tuple[int, int] | None:
        """The first gap that ends behind what was taken."""
        i = bisect_right(self._gaps, self._taken, key=lambda gap: gap[1])
        return self._gaps[i] if i < len(self._gaps) else None

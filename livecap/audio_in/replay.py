"""A recording heard as if it were live, at a chosen pace, or as fast as it can be read.

The file is read a second at a time, and at most `MAX_AHEAD_SAMPLES` wait in memory: an hour costs what a
minute does.
"""

import math
import threading
import time
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from livecap.audio_in.recorded_seconds import RecordedSeconds
from livecap.audio_in.source import LEVEL_SAMPLES, WAKE_SECONDS, AudioBlock, SourceDefaults
from livecap.errors import AudioError, SettingsError
from livecap.transcript import SAMPLE_RATE

MAX_AHEAD_SAMPLES = 30 * SAMPLE_RATE
"""The most sound in memory, and in one chunk: a reader later than this gets the rest in its next chunks."""

PAUSED_WAIT_SECONDS = 1.0
"""Only a bound: `resume` and `close` wake a paused reader at once."""


class Replay(SourceDefaults):
    """An `AudioSource` over a file. One thread takes, any may ask, pause, close; a lock guards it all."""

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
        max_chunk_samples: int = 2 * SAMPLE_RATE,
        on_notice: Callable[[str], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] | None = None,
    ) -> None:
        """Opens the file and reads its first second. The clock starts with the first `take`.

        Args:
            path: WAV, FLAC, OGG, MP3, AIFF and what else libsndfile reads; M4A and MP4 through a converter.
            pace: times real time; None is as fast as it can be read: sound arrives when it is handed over.
            start_seconds, end_seconds: the part that is heard; positions stay those of the whole.
            cuts: where chunks end, ascending: those of a recorded session, so that it is heard in the same pieces.
            gaps: [start, end) of sound that was lost when it was recorded, ascending: it is lost again.
            max_chunk_samples: length of a chunk where `pace` is None.
            on_notice: told, on the reader's thread, what a person should know: that the file is cut short.
            clock: seconds, never falling.
            sleep: in place of waiting so many seconds, for tests.

        Raises:
            AudioError: no such file, a folder, empty, not audio, no samples, a first second with NaN.
            SettingsError: a pace that is not above zero, or a part that is not there.
        """
        if end_seconds is not None and end_seconds <= start_seconds:
            raise SettingsError(f"Cannot replay from {start_seconds:g} s to {end_seconds:g} s: the end comes first.")
        if pace is not None and not (math.isfinite(pace) and pace > 0):
            raise SettingsError(f"Cannot replay at pace {pace}: give a number above 0, or max.")
        assert max_chunk_samples > 0
        self._path = Path(path)
        self.name = self._path.name
        self._pace = pace
        self._max_chunk_samples = max_chunk_samples
        self._on_notice = on_notice or (lambda message: None)
        self._clock = clock
        self._wakes = threading.Event()
        self._sleep = sleep or (lambda seconds: self._wakes.wait(seconds))
        self._lock = threading.Lock()

        self._cuts = list(cuts)
        self._gaps = list(gaps)
        self._started = self._closed = self._paused = self._at_end = False
        self._pauses: deque[int] = deque()  # where the reader was not told of yet
        self._running_since: float | None = None  # None: the clock stands
        self._ran_seconds = 0.0  # before that
        self.first_sample = round(start_seconds * SAMPLE_RATE)
        self._end = None if end_seconds is None else round(end_seconds * SAMPLE_RATE)
        self._went_on_at = self.first_sample  # where the clock began to count
        self._arrived = self._handed = self.first_sample  # end of what was handed over
        self._read = 0  # end of what was read, >= _handed
        self._recent = np.zeros(0, np.float32)  # up to _read: 100 ms that were handed over, and what waits

        self._file = RecordedSeconds(self._path)
        try:
            self._read_to(1)
            if self.first_sample:
                # From the beginning: so a file that is shorter than its header says is told.
                self._skip_to(self.first_sample)
                if self._read <= self.first_sample:
                    raise SettingsError(
                        f"{self.name} is {self._read / SAMPLE_RATE:.1f} s long: it has no sound at {start_seconds:g} s."
                    )
            if self._file.failure is not None:
                raise self._file.failure
            if self._read == 0:
                raise AudioError(f"Cannot replay {self._path}: there is not one sample in it.")
        except BaseException:
            self._file.close()
            raise

    @property
    def duration_seconds(self) -> float | None:
        """What the file's header says; None where it does not. A file cut short is shorter."""
        return self._file.duration_seconds

    @property
    def end_sample(self) -> int | None:
        """Where the part that is heard ends, as far as that is known before."""
        seconds = self.duration_seconds
        ends = [self._end, None if seconds is None else int(seconds * SAMPLE_RATE)]
        return min((end for end in ends if end is not None), default=None)

    @property
    def arrived_samples(self) -> int:
        """Where the sound that is due by the clock ends. With no pace: what was handed over."""
        with self._lock:
            due = self._due()
            self._read_to(min(due, self._handed + MAX_AHEAD_SAMPLES))
            if self._at_end:
                due = min(due, self._read)
            self._arrived = max(self._arrived, due)
            return self._arrived

    @property
    def level(self) -> float:
        """Peak of the last 100 ms that were due, however late the reader; 0 while paused, and at the end."""
        with self._lock:
            if self._running_since is None:
                return 0.0
            due = self._due()
            self._read_to(min(due, self._handed + MAX_AHEAD_SAMPLES))
            first = self._read - len(self._recent)
            heard = self._recent[max(0, due - LEVEL_SAMPLES - first) : max(0, due - first)]
            return float(np.abs(heard).max(initial=0.0))

    def __iter__(self) -> Iterator[AudioBlock]:
        """All chunks, as they are due. A chunk is at most 30 s long; a later reader is given the next one at once."""
        try:
            while not self.ended:
                self._wakes.clear()
                chunk = self.take()
                if chunk is not None:
                    yield chunk
                elif not self.ended:
                    self._sleep(self._wait_seconds())
        finally:
            with self._lock:
                self._stop_clock()
                self._file.close()

    @property
    def ended(self) -> bool:
        """At the end of the file or of the wanted part, or closed and all that was due taken."""
        with self._lock:
            return self._finished and self._file.failure is None

    def take(self) -> AudioBlock | None:
        """See `AudioSource`."""
        with self._lock:
            if not self._started:
                self._started = True
                if not (self._paused or self._closed):
                    self._running_since = self._clock()
            chunk = self._take()
            notices, self._file.notices = self._file.notices, []
            paused_at = None
            if chunk is None and self._pauses and (self._handed >= self._pauses[0] or self._at_end):
                paused_at = self._handed
                self._pauses.popleft()
            failure = self._file.failure if chunk is None and self._finished else None
            if failure is not None:
                self._file.failure = None
            if self._finished:
                self._stop_clock()
                self._file.close()
        for notice in notices:
            self._on_notice(notice)
        if failure is not None:
            raise failure
        return chunk if paused_at is None else AudioBlock(paused_at, np.zeros(0, np.float32))

    def wake(self, event: threading.Event) -> None:
        """See `AudioSource`."""
        self._wakes = event

    def seek(self, sample: int) -> int:
        """Go on at another place of the part that is heard, paused or not. Not during a `take`.

        Returns:
            Where that is: within the part, and within the file.

        Raises:
            AudioError: the file cannot be read there.
        """
        with self._lock:
            if self._closed:
                return self._handed
            end = self.end_sample
            sample = max(self.first_sample, sample if end is None else min(sample, end))
            second = max(0, sample // SAMPLE_RATE - 1)  # before it: the filter of the resampler hears its way in
            self._file.seek(second)
            self._read, self._recent, self._at_end = second * SAMPLE_RATE, np.zeros(0, np.float32), False
            self._skip_to(sample)
            self._handed = self._arrived = self._went_on_at = min(sample, self._read)
            self._ran_seconds = 0.0
            if self._running_since is not None:
                self._running_since = self._clock()
            elif self._started and not self._paused:  # it had ended
                self._running_since = self._clock()
            self._pauses.clear()
        self._wakes.set()
        return self._handed

    def pause(self) -> None:
        """The recording stands still."""
        with self._lock:
            was_paused, self._paused = self._paused, True
            self._stop_clock()
            if not was_paused:
                self._pauses.append(self._handed if self._next_cut() is not None else self._due())
        self._wakes.set()

    def resume(self) -> None:
        """The recording goes on where it stood."""
        with self._lock:
            self._paused = False
            if self._started and not self._closed and self._running_since is None:
                self._running_since = self._clock()
        self._wakes.set()

    def close(self) -> None:
        """What is due by now is still handed over, then iteration ends."""
        with self._lock:
            self._closed = True
            self._stop_clock()
            if not self._started:
                self._file.close()
        self._wakes.set()

    # Below: with the lock held, or before a second thread knows this object.

    @property
    def _finished(self) -> bool:
        due = self._due()
        return (self._at_end and self._handed >= self._read) or (self._closed and self._handed >= due)

    def _stop_clock(self) -> None:
        if self._running_since is not None:
            self._ran_seconds += self._clock() - self._running_since
            self._running_since = None

    def _due(self) -> int:
        """Samples that should have been heard by now; may lie beyond the end of the file."""
        if self._pace is None:
            return self._handed
        seconds = self._ran_seconds
        if self._running_since is not None:
            seconds += self._clock() - self._running_since
        return self._went_on_at + int(seconds * self._pace * SAMPLE_RATE)

    def _take(self) -> AudioBlock | None:
        """The chunk that is due, or None."""
        if self._pace is None:
            if self._paused or self._closed:
                return None
            return self._hand_over(self._next_cut() or self._handed + self._max_chunk_samples)
        due = self._due()
        if self._pauses:
            return self._hand_over(min(self._pauses[0], self._handed + MAX_AHEAD_SAMPLES))
        cut = self._next_cut()
        if cut is not None and cut <= due:
            return self._hand_over(cut)
        if cut is not None and not (self._closed or (self._at_end and cut > self._read)):
            return None
        if due - self._handed >= self._step_samples or self._closed or self._at_end:
            return self._hand_over(min(due, self._handed + MAX_AHEAD_SAMPLES))
        return None

    @property
    def _step_samples(self) -> int:
        """Who keeps up gets so much at once."""
        return max(1, int(WAKE_SECONDS * (self._pace or 1.0) * SAMPLE_RATE))

    def _wait_seconds(self) -> float:
        """Until there may be a chunk."""
        if self._paused or self._pace is None:
            return PAUSED_WAIT_SECONDS
        with self._lock:
            missing_samples = (self._next_cut() or self._handed + self._step_samples) - self._due()
        return max(0.001, missing_samples / (self._pace * SAMPLE_RATE))

    def _next_cut(self) -> int | None:
        """Where the next chunk must end, if anywhere."""
        i = bisect_right(self._cuts, self._handed)
        return self._cuts[i] if i < len(self._cuts) else None

    def _hand_over(self, end: int) -> AudioBlock | None:
        """Sound up to `end`, the file's end or the next gap; what was lost is passed over."""
        gap = self._next_gap()
        while gap is not None and gap[0] <= self._handed:
            self._read_to(gap[1])
            if self._read <= self._handed:
                return None  # the file ends in it
            self._handed = min(gap[1], self._read)
            gap = self._next_gap()
        end = end if gap is None else min(end, gap[0])
        self._read_to(end)
        start, end = self._handed, min(end, self._read)
        if end <= start:
            return None
        first = self._read - len(self._recent)
        chunk = AudioBlock(start, self._recent[start - first : end - first].copy())
        self._recent = self._recent[max(0, end - LEVEL_SAMPLES - first) :]
        self._handed = end
        self._arrived = max(self._arrived, end)
        return chunk

    def _next_gap(self) -> tuple[int, int] | None:
        """The first one that ends behind what was handed over."""
        i = bisect_right(self._gaps, self._handed, key=lambda gap: gap[1])
        return self._gaps[i] if i < len(self._gaps) else None

    def _skip_to(self, sample: int) -> None:
        """Read and forget what is before it. The resampler hears it too, so that what follows is the same as ever."""
        while self._read <= sample and not self._at_end:
            self._read_to(self._read + SAMPLE_RATE)
            self._recent = self._recent[-2 * SAMPLE_RATE :]

    def _read_to(self, end: int) -> None:
        """Read until `end` is in memory, or the file ends. Faults are kept for the reader's thread."""
        pieces = [self._recent]
        while self._read < end and not self._at_end and not self._file.closed:
            piece = self._file.read()
            self._at_end = self._file.ended
            if self._end is not None and self._read + len(piece) >= self._end:
                self._at_end = True
                piece = piece[: max(0, self._end - self._read)]
            pieces.append(piece)
            self._read += len(piece)
        if len(pieces) > 1:
            self._recent = np.concatenate(pieces)

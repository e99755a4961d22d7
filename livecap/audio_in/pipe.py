"""Pipe: WAV or raw samples on standard input, heard while they come. The pipe may stay open for ever.

    another program ─▶ pipe ─▶ capture thread: PcmFormat, Resampler ─▶ Spool ─▶ the reader's thread

A program that delivers sound as it happens never has to wait. One that delivers a whole file at once may be half a
minute ahead of what was taken, and waits while listening is paused. A file on standard input is read at the pace of the
reader, and is not copied to the spool's disk.
"""

import os
import select
import stat
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from livecap.audio_in.live_source import LiveSource
from livecap.audio_in.pcm import PcmFormat, PcmStream
from livecap.audio_in.resample import Resampler
from livecap.audio_in.spool import Spool
from livecap.errors import AudioError
from livecap.transcript import SAMPLE_RATE

READ_BYTES = 64 * 1024
LOOK_SECONDS = 0.2
"""How often to look whether this source was closed, while nothing comes through the pipe."""
AHEAD_SECONDS = 30.0
"""How far the other program may be ahead of both real time and the reader."""
CLOSE_SECONDS = 1.0


class Pipe(LiveSource):
    """An `AudioSource` for a file descriptor. Used from several threads."""

    def __init__(
        self,
        descriptor: int,
        raw: PcmFormat | None = None,
        *,
        name: str = "standard input",
        spool: Spool | None = None,
        on_notice: Callable[[str], None] | None = None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """Reads from now on. What comes while listening is paused is read and forgotten; a file, and a program that is
        ahead of real time, stand still.

        Args:
            descriptor: of the pipe; stays open.
            raw: the format where it is not WAV; by default 16 bit, 16 kHz, mono.
            spool: where sound waits; a new one in memory where None is given.
            on_notice: called on the capture thread with what the user should know.
            now: seconds, never falling.
        """
        super().__init__(name, spool, CLOSE_SECONDS, on_notice)
        self._descriptor = descriptor
        mode = os.fstat(descriptor).st_mode
        # A file, or a device such as /dev/zero, can wait for ever.
        self.spool.repeatable = stat.S_ISREG(mode) or (stat.S_ISCHR(mode) and not os.isatty(descriptor))
        self._raw = raw or PcmFormat()
        self._on_notice = on_notice or (lambda message: None)
        self._now, self._began = now, now()
        self.forgotten_samples = 0
        """How many samples came while listening was paused."""
        self.start()

    def fill(self) -> None:
        """Read the pipe to its end. On the capture thread."""
        try:
            self._read()
        except OSError as error:
            raise AudioError(f"Cannot read from {self.name}: {error.strerror or error}.") from error

    def _read(self) -> None:
        stream = PcmStream(self._raw)
        form: PcmFormat | None = None
        resampler: Resampler | None = None
        n_bytes, n_heard = 0, 0
        at_end = False
        while not at_end:
            data = self._next_bytes()
            if self.closed:
                break
            at_end = not data
            n_bytes += len(data)
            if at_end and not n_bytes:
                raise AudioError(f"Nothing came through {self.name}: it was closed before the first sample.")
            for piece_format, piece in stream.feed(data, at_end):
                if resampler is None or piece_format is not form:
                    if resampler is not None:
                        self._hear(resampler.flush())
                    form, resampler = piece_format, Resampler(piece_format.rate, piece_format.n_channels)
                samples = form.samples(piece)
                bad = np.flatnonzero(~np.isfinite(samples).all(axis=1))
                samples = samples[: bad[0]] if len(bad) else samples
                n_heard += len(samples)
                self._hear(resampler.process(samples))
                if len(bad):
                    self._hear(resampler.flush())
                    raise AudioError(f"A sample from {self.name} is not a number (NaN or infinite).")
            while stream.notices:
                self._on_notice(stream.notices.pop(0))
            self._wait_for_reader()
        if resampler is not None:
            self.append(resampler.flush())
        if n_heard == 0 and not self.closed:
            raise AudioError(f"Nothing came through {self.name}: there is not a single sample in it.")

    def _hear(self, samples: NDArray[np.float32]) -> None:
        if self.paused and self._can_wait:
            while self.paused and not self.closed:
                self.attention.wait()
                self.attention.clear()
        if self.paused:
            self.forgotten_samples += len(samples)
        else:
            self.append(samples)

    def _next_bytes(self) -> bytes:
        """Waits for bytes; b"" at the end, or when this source was closed."""
        while not self.closed:
            ready, _, _ = select.select([self._descriptor], [], [], LOOK_SECONDS)
            if ready:
                return os.read(self._descriptor, READ_BYTES)
        return b""

    @property
    def _can_wait(self) -> bool:
        """Sound does not come as it happens: nothing is lost if it is read later."""
        came = self.arrived_samples + self.forgotten_samples
        return self.spool.repeatable or came > self._real_time_samples + AHEAD_SECONDS / 2 * SAMPLE_RATE

    @property
    def _real_time_samples(self) -> float:
        return (self._now() - self._began) * SAMPLE_RATE

    def _wait_for_reader(self) -> None:
        """Stop reading while what is read is more than `AHEAD_SECONDS` ahead. A file waits for the reader alone."""
        ahead_samples = AHEAD_SECONDS * SAMPLE_RATE
        while not self.closed:
            is_ahead = self.spool.waiting_samples > ahead_samples
            if not self.spool.repeatable:
                is_ahead &= self.arrived_samples > self._real_time_samples + ahead_samples
            if not is_ahead:
                return
            time.sleep(LOOK_SECONDS / 10)

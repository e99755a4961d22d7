"""Pipe: WAV or raw samples on standard input, heard while they come. The pipe may stay open for ever.

    another program ─▶ pipe ─▶ capture thread: PcmFormat, Resampler ─▶ Spool ─▶ the reader's thread

A program that delivers sound as it happens never has to wait. One that delivers a whole file at once may be half a
minute ahead of what was taken, so that its file is not copied to the spool's disk.
"""

import os
import select
import time
from collections.abc import Callable

import numpy as np

from livecap.audio_in.live_source import LiveSource
from livecap.audio_in.pcm import PcmFormat, parse_header
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
        """Reads from now on. What comes while listening is paused is read and forgotten.

        Args:
            descriptor: of the pipe; stays open.
            raw: the format where it is not WAV; by default 16 bit, 16 kHz, mono.
            spool: where sound waits; a new one in memory where None is given.
            on_notice: called on the capture thread with what the user should know.
            now: seconds, never falling.
        """
        super().__init__(name, spool, CLOSE_SECONDS)
        self._descriptor = descriptor
        self._raw = raw or PcmFormat()
        self._on_notice = on_notice or (lambda message: None)
        self._now = now
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
        head = b""
        found = None
        while found is None:
            data = self._next_bytes()
            head += data
            if not head:
                if self.closed:
                    return
                raise AudioError(f"Nothing came through {self.name}: it was closed before the first sample.")
            found = parse_header(head, self._raw, at_end=not data)
            if self.closed:
                return
        form, first = found
        resampler = Resampler(form.rate, form.n_channels)
        began, n_heard, left = self._now(), 0, form.n_bytes
        rest = head[first:]
        while True:
            if left is not None:
                rest = rest[:left]
            n_whole = len(rest) - len(rest) % form.frame_bytes
            whole, rest = rest[:n_whole], rest[n_whole:]
            if whole:
                left = None if left is None else left - n_whole
                samples = form.samples(whole)
                if not np.isfinite(samples).all():
                    raise AudioError(f"A sample from {self.name} is not a number (NaN or infinite).")
                n_heard += len(samples)
                heard = resampler.process(samples)
                if self.paused:
                    self.forgotten_samples += len(heard)
                else:
                    self.append(heard)
            if left is not None and left < form.frame_bytes:
                break
            self._wait_for_reader(began)
            data = self._next_bytes()
            if not data:
                break
            rest += data
        if rest and not self.closed and left is None:
            self._on_notice(f"{self.name} ended in the middle of a sample; the last {len(rest)} bytes were ignored.")
        self.append(resampler.flush())
        if n_heard == 0 and not self.closed:
            raise AudioError(f"Nothing came through {self.name}: there is not a single sample in it.")

    def _next_bytes(self) -> bytes:
        """Waits for bytes; b"" at the end, or when this source was closed."""
        while not self.closed:
            ready, _, _ = select.select([self._descriptor], [], [], LOOK_SECONDS)
            if ready:
                return os.read(self._descriptor, READ_BYTES)
        return b""

    def _wait_for_reader(self, began: float) -> None:
        """Stop reading while the other program is more than `AHEAD_SECONDS` ahead."""
        ahead_samples = AHEAD_SECONDS * SAMPLE_RATE
        while not self.closed and self.spool.waiting_samples > ahead_samples:
            if self.arrived_samples <= (self._now() - began) * SAMPLE_RATE + ahead_samples:
                return
            time.sleep(LOOK_SECONDS / 10)

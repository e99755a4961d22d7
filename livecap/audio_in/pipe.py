"""Sound from a pipe: WAV or raw samples on standard input, heard while they come. The pipe may never close.

    a program ─▶ pipe ─▶ reader thread: PcmFormat, Resampler ─▶ Spool ─▶ whoever takes

A program that delivers sound as it happens never has to wait. One that delivers a whole file at once is let run half a
minute ahead of what was taken, so that its file does not land on the disk a second time.
"""

import os
import select
import threading
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from livecap.audio_in.handover import Handover
from livecap.audio_in.pcm import PcmFormat, parse_header
from livecap.audio_in.resample import Resampler
from livecap.audio_in.source import AudioBlock, Level
from livecap.audio_in.spool import Spool
from livecap.errors import AudioError
from livecap.transcript import SAMPLE_RATE

READ_BYTES = 64 * 1024
LOOK_SECONDS = 0.2
"""Nothing comes through the pipe for so long: look whether somebody closed the source."""
AHEAD_SECONDS = 30.0
CLOSE_SECONDS = 1.0


class Pipe:
    """An `AudioSource` over a file descriptor. Used from several threads; a lock guards what they share."""

    live = False
    first_sample = 0
    started_wall = None
    trouble = None

    def __init__(
        self,
        descriptor: int,
        raw: PcmFormat | None = None,
        *,
        name: str = "standard input",
        spool: Spool | None = None,
        on_notice: Callable[[str], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Reads from now on.

        Args:
            descriptor: of the pipe; stays open.
            raw: what it holds where it is no WAV; by default 16 bit, 16 kHz, mono.
            spool: where sound waits; a new one in memory where None is given.
            on_notice: told, on the reader thread, what a person should know.
            clock: seconds, never falling.
        """
        self.name = name
        self._descriptor = descriptor
        self._raw = raw or PcmFormat()
        self.spool = spool or Spool()
        self._handover = Handover(self.spool)
        self._on_notice = on_notice or (lambda message: None)
        self._clock = clock
        self._level = Level()
        self._lock = threading.Lock()
        # Guarded by it:
        self._paused = self._closed = self._drained = False
        self.forgotten_samples = 0
        """Came while listening paused."""
        self._arrival = threading.Event()
        self._thread = threading.Thread(target=self._run, name="pipe", daemon=True)
        self._thread.start()

    @property
    def arrived_samples(self) -> int:
        """What came through the pipe."""
        return self.spool.end_sample

    @property
    def level(self) -> float:
        """Peak of the last 100 ms that came; 0 while paused."""
        return 0.0 if self._paused else self._level.value

    @property
    def ended(self) -> bool:
        """The pipe was closed at either end, and all that came is taken."""
        with self._lock:
            return self._handover.is_over(self._drained)

    def take(self) -> AudioBlock | None:
        """See `AudioSource`."""
        with self._lock:
            drained = self._drained
        return self._handover.take(drained)

    def wake(self, event: threading.Event) -> None:
        """See `AudioSource`."""
        self._arrival = event
        event.set()

    def pause(self) -> None:
        """What comes through the pipe from now on is not heard: it is read and forgotten."""
        with self._lock:
            was_paused, self._paused = self._paused, True
        if not was_paused:
            self._handover.pause()
        self._arrival.set()

    def resume(self) -> None:
        """What comes from now on is heard."""
        with self._lock:
            self._paused = False
        self._arrival.set()

    def close(self) -> None:
        """Read no more."""
        self._closed = True
        if threading.current_thread() is not self._thread:
            self._thread.join(CLOSE_SECONDS)
        with self._lock:
            self._drained = True
        self._arrival.set()

    # The reader thread.

    def _run(self) -> None:
        try:
            self._read()
        except AudioError as error:
            self._handover.failure = error
        except OSError as error:
            self._handover.failure = AudioError(f"Cannot read from {self.name}: {error.strerror or error}.")
        except Exception as error:  # a mistake of ours: the session must not take it for the end
            self._handover.failure = AudioError(f"Reading {self.name} failed: {error!r}")
            self._handover.failure.__cause__ = error
        finally:
            with self._lock:
                self._drained = True
            self._arrival.set()

    def _read(self) -> None:
        head = b""
        found = None
        while found is None:
            data = self._next_bytes()
            head += data
            if not head:
                if self._closed:
                    return
                raise AudioError(f"Nothing came through {self.name}: it was closed before the first sample.")
            found = parse_header(head, self._raw, at_end=not data)
            if self._closed:
                return
        form, first = found
        resampler = Resampler(form.rate, form.n_channels)
        began, n_heard, left = self._clock(), 0, form.n_bytes
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
                self._hear(resampler, samples)
                n_heard += len(samples)
            if left is not None and left < form.frame_bytes:
                break
            self._wait_for_reader(began)
            data = self._next_bytes()
            if not data:
                break
            rest += data
        if rest and not self._closed and left is None:
            self._on_notice(f"{self.name} ended inside a sample; the last {len(rest)} bytes were left out.")
        self._append(resampler.flush())
        if n_heard == 0 and not self._closed:
            raise AudioError(f"Nothing came through {self.name}: there is not one sample in it.")

    def _next_bytes(self) -> bytes:
        """What is there; b"" at the end, or when somebody closed this source."""
        while not self._closed:
            ready, _, _ = select.select([self._descriptor], [], [], LOOK_SECONDS)
            if ready:
                return os.read(self._descriptor, READ_BYTES)
        return b""

    def _hear(self, resampler: Resampler, samples: NDArray[np.float32]) -> None:
        heard = resampler.process(samples)
        with self._lock:
            paused = self._paused
        if paused:
            self.forgotten_samples += len(heard)
        else:
            self._append(heard)

    def _append(self, samples: NDArray[np.float32]) -> None:
        self.spool.append(samples)
        self._level.hear(samples)
        self._arrival.set()

    def _wait_for_reader(self, began: float) -> None:
        """Let sound that comes as it happens pass, and hold back what comes faster."""
        while not self._closed:
            live_seconds = self._clock() - began + AHEAD_SECONDS
            if (
                self.spool.waiting_samples <= AHEAD_SECONDS * SAMPLE_RATE
                or self.spool.end_sample <= live_seconds * SAMPLE_RATE
            ):
                return
            time.sleep(LOOK_SECONDS / 10)

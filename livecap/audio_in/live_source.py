"""LiveSource: a source that a thread of its own fills with sound as it comes; the base of Microphone and Pipe.

the source's thread: fill() ─▶ append() ─▶ Spool ─▶ take(): the reader's thread
"""

import threading
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from livecap.audio_in.source import LEVEL_SAMPLES, AudioBlock, AudioSource
from livecap.audio_in.spool import Spool
from livecap.errors import AudioError


class LiveSource(AudioSource, ABC):
    """An `AudioSource` whose subclass implements `fill` and calls `start`. Used from several threads."""

    first_sample = 0

    def __init__(
        self, name: str, spool: Spool | None, close_seconds: float, on_notice: Callable[[str], None] | None
    ) -> None:
        """
        Args:
            spool: where sound waits for the reader; None is a new one in memory.
            close_seconds: how long `pause` and `close` wait for the thread of the source; then they return without it.
            on_notice: called on the source's thread when the file of a new spool cannot grow any more.
        """
        self.name = name
        self._spool = spool or Spool(on_notice=on_notice)
        self._close_seconds = close_seconds
        self.attention = threading.Event()
        """Set when the source was paused, resumed or closed: its thread may wait for this."""
        self.changed = threading.Condition()
        """Guards what follows; notified when it changes."""
        self.paused = False
        self.closed = False
        self.drained = False
        self.is_open = False
        """A device is open."""
        self.failure: AudioError | None = None
        """What ended the thread; raised by `take` once all sound before it was taken."""
        self._pauses: deque[int] = deque()
        """Where listening paused, for pauses that the reader does not know of yet."""
        self._given_until = 0
        """End of the sound that the reader has."""
        self._recent = np.zeros(0, np.float32)  # the last 100 ms
        self._arrival = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"capture {name}", daemon=True)

    # The reader, and anybody else.

    @property
    def spool(self) -> Spool:
        """Where sound waits for the reader."""
        return self._spool

    @property
    def arrived_samples(self) -> int:
        """How much sound came, gaps included. A gap counts once its end is known."""
        return self._spool.end_sample

    @property
    def level(self) -> float:
        """Peak of the last 100 ms that came; 0 while paused and while a device is away."""
        return 0.0 if self.paused else float(np.abs(self._recent).max(initial=0.0))

    @property
    def ended(self) -> bool:
        """Closed or failed, and the reader took all sound and knows of the failure."""
        with self.changed:
            return self.drained and self.failure is None and not self._spool.waiting_samples

    def take(self) -> AudioBlock | None:
        """See `AudioSource`."""
        with self.changed:
            drained = self.drained
        paused_at = self._pauses[0] if self._pauses else None
        taken = self._spool.take(paused_at)
        if taken is not None:
            block = AudioBlock(*taken)
            self._given_until = block.end_sample
            return block
        if paused_at is not None:
            self._pauses.popleft()
            # sound that came in the moment of the pause may have been taken already
            return AudioBlock(max(paused_at, self._given_until), np.zeros(0, np.float32))
        if drained and self.failure is not None:
            failure, self.failure = self.failure, None
            raise failure
        return None

    def wake(self, event: threading.Event) -> None:
        """See `AudioSource`."""
        self._arrival = event
        event.set()

    def pause(self) -> None:
        """Stop listening; what was heard until now still arrives. Twice is harmless."""
        with self.changed:
            was_paused, self.paused = self.paused, True
            self.attention.set()
            self.changed.wait_for(lambda: not self.is_open or self.drained, self._close_seconds)
            if not was_paused:
                self.end_loss()
                self._pauses.append(self._spool.end_sample)
        self._arrival.set()

    def end_loss(self) -> None:
        """Listening pauses: append the gap that lasts until now, if there is one. Under `changed`."""

    def resume(self) -> None:
        """Hear what comes from now on. Twice is harmless."""
        with self.changed:
            self.paused = False
        self.attention.set()
        self.announce()

    def close(self) -> None:
        """Stop listening for good. Returns soon, even when a device hangs. Twice is harmless."""
        self.closed = True
        self.attention.set()
        if threading.current_thread() is not self._thread:
            self._thread.join(self._close_seconds)
        self._drain()

    # The source's own thread.

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    @abstractmethod
    def fill(self) -> None:
        """Append sound until there is no more, or `closed`. What this raises is the source's failure."""

    def append(self, samples: NDArray[np.float32]) -> None:
        """Sound that follows what is in the spool: [n] float32 at 16 kHz."""
        self._spool.append(samples)
        self._recent = np.concatenate([self._recent, samples])[-LEVEL_SAMPLES:]
        self.announce()

    def forget_level(self) -> None:
        """Nothing is heard now."""
        self._recent = np.zeros(0, np.float32)

    def announce(self) -> None:
        """Wake the reader, and whoever waits for this source to open or close."""
        with self.changed:
            self.changed.notify_all()
        self._arrival.set()

    def _run(self) -> None:
        try:
            self.fill()
        except AudioError as error:
            self.failure = error
        except Exception as error:  # a fault of livecap: the reader must not take it for the end
            self.failure = AudioError(f"Capture failed: {error!r}")
            self.failure.__cause__ = error
        finally:
            self._drain()

    def _drain(self) -> None:
        with self.changed:
            self.drained = True
        self.announce()

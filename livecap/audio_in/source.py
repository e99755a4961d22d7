"""Where sound comes from: the one interface of microphone, file and pipe, and the sound they hand over."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from livecap.transcript import SAMPLE_RATE

WAKE_SECONDS = 0.05
"""Who waits for sound looks again after so long at the latest: a recording goes by the clock and wakes nobody."""

LEVEL_SAMPLES = SAMPLE_RATE // 10
"""The level is the peak of the last 100 ms."""


@dataclass(frozen=True, slots=True)
class AudioBlock:
    """Sound that arrived. A `start_sample` beyond the end of the chunk before it is a gap: sound was lost."""

    start_sample: int
    """At 16 kHz, counted from the start of the session; paused time does not count."""
    samples: NDArray[np.float32]
    """[n] float32 mono, -1..1."""

    @property
    def end_sample(self) -> int:
        return self.start_sample + len(self.samples)


class AudioSource(Protocol):
    """Sound, in order, once. Take it on one thread; everything else may be called from any thread."""

    @property
    def name(self) -> str:
        """What a person calls it: the device's or the file's name."""
        ...

    @property
    def live(self) -> bool:
        """True for a device: its times are wall times."""
        ...

    @property
    def started_wall(self) -> float | None:
        """Unix time of sample 0 of a device that was heard before now; None where the session's start is it."""
        ...

    @property
    def first_sample(self) -> int:
        """Where the sound begins: 0, or where a recording is begun."""
        ...

    @property
    def arrived_samples(self) -> int:
        """Where the sound there is up to now ends, handed over or not. Lag is counted from it.
        Never falls, but where a person goes back in a recording."""
        ...

    @property
    def level(self) -> float:
        """Peak of the last 100 ms that arrived, 0..1; 0 while paused."""
        ...

    @property
    def trouble(self) -> str | None:
        """What is wrong now, in a few words, such as "away"; None where all is well."""
        ...

    @property
    def ended(self) -> bool:
        """Nothing will come any more, and all there was is taken."""
        ...

    def take(self) -> AudioBlock | None:
        """All that has arrived since the last time, so that a late reader gets more at once, up to the next gap and
        at most 30 s; None where there is nothing now. An empty chunk tells, once, that listening paused here: all sound
        before that was taken, and what follows came after it.

        Raises:
            AudioError: the source failed; what arrived before was handed over.
        """
        ...

    def wake(self, event: threading.Event) -> None:
        """Before the first `take`: `event` is set when there may be something to take, or the source ended. A source
        that goes by the clock sets it only when it is paused, resumed or closed: look again after `WAKE_SECONDS`."""
        ...

    def pause(self) -> None:
        """Stop listening; the sample clock stands still. Twice is harmless."""
        ...

    def resume(self) -> None:
        """Go on listening. Twice is harmless."""
        ...

    def close(self) -> None:
        """Hear no more. Returns soon, even when the device hangs. Twice is harmless."""
        ...


def blocks(source: AudioSource) -> Iterator[AudioBlock]:
    """Everything from a source, as it comes, on the calling thread.

    Raises:
        AudioError: the source failed; what arrived before was handed over.
    """
    event = threading.Event()
    source.wake(event)
    while not source.ended:
        event.clear()
        chunk = source.take()
        if chunk is not None:
            yield chunk
        elif not source.ended:
            event.wait(WAKE_SECONDS)


class Level:
    """The peak of the last 100 ms. One thread hears, any asks."""

    def __init__(self) -> None:
        self._recent = np.zeros(0, np.float32)

    @property
    def value(self) -> float:
        """0..1."""
        return float(np.abs(self._recent).max(initial=0.0))

    def hear(self, samples: NDArray[np.float32]) -> None:
        """[n] float32 at 16 kHz."""
        self._recent = np.concatenate([self._recent, samples])[-LEVEL_SAMPLES:]

    def forget(self) -> None:
        """Nothing is heard now."""
        self._recent = np.zeros(0, np.float32)

"""Where sound comes from: the one interface of microphone, file and pipe, and the sound they hand over."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class AudioChunk:
    """Sound that arrived. A `start_sample` beyond the end of the chunk before it is a gap: sound was lost."""

    start_sample: int
    """At 16 kHz, counted from the start of the session; paused time does not count."""
    samples: NDArray[np.float32]
    """[n] float32 mono, -1..1."""

    @property
    def end_sample(self) -> int:
        return self.start_sample + len(self.samples)


class AudioSource(Protocol):
    """Sound, in order, once. Iterate on one thread; everything else may be called from any thread."""

    @property
    def name(self) -> str:
        """What a person calls it: the device's or the file's name."""
        ...

    @property
    def live(self) -> bool:
        """True for a device: its times are wall times."""
        ...

    @property
    def arrived_samples(self) -> int:
        """How much sound there is up to now, handed over or not. Never falls. Lag is counted from it."""
        ...

    @property
    def level(self) -> float:
        """Peak of the last 100 ms that arrived, 0..1; 0 while paused."""
        ...

    def __iter__(self) -> Iterator[AudioChunk]:
        """Each chunk holds all that has arrived since the last one (a late reader gets more at once), and
        waits until there is some. Ends when the source does, or after `close` once all that had arrived is
        handed over.

        Raises:
            AudioError: the source failed; what arrived before was handed over.
        """
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

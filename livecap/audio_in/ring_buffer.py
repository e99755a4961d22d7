"""Where the audio callback and our own thread meet."""

import numpy as np
from numpy.typing import NDArray


class RingBuffer:
    """Used from two threads, one that writes and one that reads, without a lock: neither waits for the other.

    Each thread changes only integers of its own, and one store of an integer is atomic. The writer says which
    samples it is about to replace (`_claimed`) before it does, and what is complete (`_written`) after. The
    reader copies what is complete, then looks at `_claimed`: what was replaced meanwhile lies in front, and
    is dropped. So a late reader loses the oldest samples, and knows which.
    """

    def __init__(self, capacity_samples: int, n_channels: int) -> None:
        assert capacity_samples > 0 and n_channels > 0
        self._samples = np.zeros((capacity_samples, n_channels), np.float32)
        self._claimed = 0  # the writer's: samples before this may be in flight
        self._written = 0  # the writer's: samples before this are complete
        self._read = 0  # the reader's: samples before this were handed over or lost

    @property
    def written_samples(self) -> int:
        """Samples written so far, counted from 0, lost ones too. Any thread."""
        return self._written

    def write(self, block: NDArray[np.float32]) -> None:
        """Copy [n, n_channels] float32 in, over the oldest where there is no room. The writer's thread.

        Neither waits nor fails: a block of any length fits, its last samples winning.
        """
        capacity = len(self._samples)
        end = self._written + len(block)
        kept = block[-capacity:] if len(block) > capacity else block
        self._claimed = end
        at = (end - len(kept)) % capacity
        n_first = min(len(kept), capacity - at)
        self._samples[at : at + n_first] = kept[:n_first]
        self._samples[: len(kept) - n_first] = kept[n_first:]
        self._written = end

    def read(self) -> tuple[int, NDArray[np.float32]]:
        """The index of the first unread sample, and a copy of all, [n, n_channels]. The reader's thread.

        An index beyond the end of the last read means that the samples between were lost.
        """
        capacity = len(self._samples)
        end = self._written
        start = max(self._read, end - capacity)
        at = start % capacity
        n_first = min(end - start, capacity - at)
        copy = np.concatenate([self._samples[at : at + n_first], self._samples[: end - start - n_first]])
        n_replaced = min(max(0, self._claimed - capacity - start), len(copy))
        self._read = end
        return start + n_replaced, copy[n_replaced:]

"""RingBuffer: between the audio callback and the capture thread. Holds bytes and does not import numpy: capture begins
before that is loaded."""

from typing import Any

SAMPLE_BYTES = 4
"""Size of a float32."""


class RingBuffer:
    """Used from two threads, one that writes and one that reads, without a lock: neither waits for the other.

    Each thread changes only integers of its own, and one store of an integer is atomic. The writer says which
    samples it is about to replace (`_claimed`) before it does, and which are complete (`_written`) afterwards. The
    reader copies the complete ones, then looks at `_claimed`: those that were replaced meanwhile are the oldest, and
    are dropped. So a late reader loses the oldest samples, and knows which.
    """

    def __init__(self, capacity_samples: int, n_channels: int) -> None:
        assert capacity_samples > 0 and n_channels > 0
        self._capacity = capacity_samples
        self._frame_bytes = n_channels * SAMPLE_BYTES
        self._bytes = memoryview(bytearray(capacity_samples * self._frame_bytes))
        self._claimed = 0  # the writer's: samples before this may be in flight
        self._written = 0  # the writer's: samples before this are complete
        self._read = 0  # the reader's: samples before this were handed over or lost

    def write(self, block: Any) -> None:
        """Copy in a float32 buffer [n, n_channels], over the oldest samples where there is no space. Writer's thread.

        Never waits and never fails: of a block that is longer than the ring buffer, the last samples are kept.
        """
        size, capacity = self._frame_bytes, self._capacity
        data = memoryview(block).cast("B") if memoryview(block).nbytes else memoryview(b"")
        n_samples = len(data) // size
        end = self._written + n_samples
        n_kept = min(n_samples, capacity)
        kept = data[(n_samples - n_kept) * size :]
        self._claimed = end
        at = (end - n_kept) % capacity
        n_first = min(n_kept, capacity - at)
        self._bytes[at * size : (at + n_first) * size] = kept[: n_first * size]
        self._bytes[: (n_kept - n_first) * size] = kept[n_first * size :]
        self._written = end

    def read(self) -> tuple[int, bytes]:
        """The index of the first unread sample, and a copy of all unread, float32 [n, n_channels]. Reader's thread.

        An index beyond the end of the last read means that the samples in between were lost.
        """
        size, capacity = self._frame_bytes, self._capacity
        end = self._written
        start = max(self._read, end - capacity)
        at = start % capacity
        n_first = min(end - start, capacity - at)
        copy = self._copy(at * size, n_first * size, (end - start - n_first) * size)
        n_replaced = min(max(0, self._claimed - capacity - start), end - start)
        self._read = end
        return start + n_replaced, copy[n_replaced * size :]

    def _copy(self, at: int, n_first: int, n_rest: int) -> bytes:
        return b"".join([self._bytes[at : at + n_first], self._bytes[:n_rest]])

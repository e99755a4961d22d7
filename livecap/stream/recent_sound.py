"""RecentSound: the samples that later steps may still need."""

from bisect import bisect_right
from itertools import islice
from operator import itemgetter

import numpy as np
from numpy.typing import NDArray


class RecentSound:
    """Samples by their position in the session. Lost sound is silence of the same length."""

    def __init__(self) -> None:
        self._pieces: list[tuple[int, NDArray[np.float32]]] = []
        """(start_sample, samples), in order, with gaps where sound was lost."""
        self._start_sample = 0
        self.end_sample = 0

    def append(self, start_sample: int, samples: NDArray[np.float32]) -> None:
        """Add sound that starts at `start_sample`, at or after `end_sample`."""
        assert start_sample >= self.end_sample, "sound given twice"
        self._pieces.append((start_sample, samples))
        self.end_sample = start_sample + len(samples)

    def between(self, start_sample: int, end_sample: int) -> NDArray[np.float32]:
        """The samples [end_sample - start_sample] float32. They must not have been released by `forget`."""
        assert self._start_sample <= start_sample <= end_sample <= self.end_sample, "this sound is not here"
        out = np.zeros(end_sample - start_sample, np.float32)
        first = max(0, bisect_right(self._pieces, start_sample, key=itemgetter(0)) - 1)
        for piece_start, samples in islice(self._pieces, first, None):
            if piece_start >= end_sample:
                break
            low, high = max(start_sample, piece_start), min(end_sample, piece_start + len(samples))
            if low < high:
                out[low - start_sample : high - start_sample] = samples[low - piece_start : high - piece_start]
        return out

    def forget(self, before_sample: int) -> None:
        """Release samples before this one."""
        self._start_sample = max(self._start_sample, min(before_sample, self.end_sample))
        n = 0
        while n < len(self._pieces) and self._pieces[n][0] + len(self._pieces[n][1]) <= self._start_sample:
            n += 1
        del self._pieces[:n]

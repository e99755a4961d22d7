"""History: the newest sound of a track by its position."""

import numpy as np
from numpy.typing import NDArray

from livecap.audio_in.source import AudioBlock


class History:
    """The newest sound of a track by its position: silence where there is none."""

    def __init__(self, kept_samples: int) -> None:
        self._kept = kept_samples
        self._buffer = np.zeros(2 * kept_samples, np.float32)
        self._n = 0
        self.end_sample = 0

    def clear(self, sample: int) -> None:
        """Sound goes on here, and nothing is known of what was before."""
        self._n, self.end_sample = 0, sample

    def append(self, block: AudioBlock) -> None:
        """Sound at or behind `end_sample`; what lies between is silence."""
        n_lost = min(block.start_sample - self.end_sample, self._kept)
        n_new = n_lost + len(block.samples)
        if self._n + n_new > len(self._buffer):
            kept = self._buffer[max(0, self._n - self._kept) : self._n]
            bigger = max(2 * self._kept, len(kept) + n_new)
            self._buffer = np.concatenate([kept, np.zeros(bigger - len(kept), np.float32)])
            self._n = len(kept)
        self._buffer[self._n : self._n + n_lost] = 0
        self._buffer[self._n + n_lost : self._n + n_new] = block.samples
        self._n += n_new
        self.end_sample = block.end_sample

    def read(self, start_sample: int, n_samples: int) -> NDArray[np.float32]:
        """[n_samples] from there on."""
        first = start_sample - (self.end_sample - self._n)
        low, high = max(0, first), min(self._n, first + n_samples)
        if low == first and high == first + n_samples:
            return self._buffer[low:high].copy()
        out = np.zeros(n_samples, np.float32)
        if low < high:
            out[low - first : high - first] = self._buffer[low:high]
        return out

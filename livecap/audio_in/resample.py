"""Resampler: from any rate and number of channels to 16 kHz mono, which the model hears.

soxr's HQ stream keeps the state of its filter between calls, so there are no seams: the output does not depend on how
the input was cut. It holds back up to 40 ms (0.1 s at 8 kHz), which `flush` returns.
"""

import numpy as np
import soxr
from numpy.typing import NDArray

from livecap.audio_in.downmix import Downmix
from livecap.transcript import SAMPLE_RATE


class Resampler:
    """Resamples one stream of sound. After `flush` it cannot be used any more."""

    def __init__(self, rate_in: int, n_channels: int) -> None:
        assert rate_in > 0 and n_channels > 0
        self.rate_in = rate_in
        self.n_channels = n_channels
        self._flushed = False
        self._downmix = Downmix(rate_in, n_channels)
        self._stream: soxr.ResampleStream | None = None  # made for the first sound

    def renewed(self) -> "Resampler":
        """A new one for another part of the same sound, which knows which channels have a voice."""
        resampler = Resampler(self.rate_in, self.n_channels)
        resampler._downmix = self._downmix
        resampler.learn(np.zeros((0, self.n_channels), np.float32))
        return resampler

    def learn(self, sound: NDArray[np.float32]) -> None:
        """Find out which channels have a voice from sound that comes again in `process`."""
        self._downmix.learn(np.clip(sound, -1.0, 1.0))

    def process(self, sound: NDArray[np.float32]) -> NDArray[np.float32]:
        """The next 16 kHz mono samples, [n] float32 within -1..1; n may be 0.

        Args:
            sound: [n_samples, n_channels] float32 at `rate_in`, finite. Louder than 1 is clipped.
        """
        assert not self._flushed, "process after flush"
        assert sound.ndim == 2 and sound.shape[1] == self.n_channels, sound.shape
        bounded = np.clip(sound, -1.0, 1.0)
        return self._resample(np.ascontiguousarray(self._downmix.process(bounded)), last=False)

    def rest(self) -> NDArray[np.float32]:
        """What was held back, [n] float32, because a part of the sound ends here; more may follow."""
        rest = self._resample(np.zeros(0, np.float32), last=True)
        self._stream = None  # soxr prints a warning about streams that live until exit
        self.learn(np.zeros((0, self.n_channels), np.float32))
        return rest

    def flush(self) -> NDArray[np.float32]:
        """The end of the stream, which was held back: [n] float32."""
        assert not self._flushed, "flush twice"
        self._flushed = True
        return self.rest()

    def _resample(self, mono: NDArray[np.float32], last: bool) -> NDArray[np.float32]:
        if self.rate_in == SAMPLE_RATE:
            return mono  # untouched, bit for bit
        if self._stream is None:
            self._stream = soxr.ResampleStream(self.rate_in, SAMPLE_RATE, 1, dtype="float32")
        # The filter overshoots a little at edges; a sample stays within -1..1.
        resampled: NDArray[np.float32] = np.clip(self._stream.resample_chunk(mono, last=last), -1.0, 1.0)
        return resampled

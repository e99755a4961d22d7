"""Sound in arrays of any kind, as it comes from other Python programs."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from livecap.audio_in.resample import Resampler
from livecap.audio_in.sound_files import MOST_CHANNELS, RATES
from livecap.errors import AudioError, one_line


class ArraySound:
    """Arrays of any rate, type and number of channels to 16 kHz mono."""

    def __init__(self, rate: int) -> None:
        """
        Raises:
            AudioError: sound has no such rate.
        """
        if rate not in RATES or int(rate) != rate:
            raise AudioError(f"The sample rate must be from {RATES.start} to {RATES.stop - 1} Hz, not {rate}.")
        self._rate = int(rate)
        self._resampler: Resampler | None = None

    def hear_all(self, sound: ArrayLike) -> NDArray[np.float32]:
        return np.concatenate([self.hear(sound), self.rest()])

    def hear(self, sound: ArrayLike) -> NDArray[np.float32]:
        """[n] float32 at 16 kHz; the resampler may hold back up to 40 ms (0.1 s at 8 kHz)."""
        try:
            array = np.asarray(sound)
        except (ValueError, TypeError, RuntimeError) as error:  # rows of several lengths, or what another library says
            raise AudioError(
                "Sound must be an array [n] or [n, n_channels] of numbers, or a pair of samples and a whole rate: "
                f"{one_line(error)}."
            ) from error
        if array.ndim == 1:
            array = array[:, None]
        if (
            array.ndim != 2
            or not np.issubdtype(array.dtype, np.number)
            or np.issubdtype(array.dtype, np.complexfloating)
            or not 0 < array.shape[1] <= MOST_CHANNELS
        ):
            raise AudioError(
                f"Sound must be an array [n] or [n, n_channels] of numbers, not {array.dtype} {array.shape}."
            )
        if np.issubdtype(array.dtype, np.integer):
            least, most = np.iinfo(array.dtype).min, np.iinfo(array.dtype).max
            middle = (int(most) + 1) // 2 if least == 0 else 0  # unsigned samples are silent there
            array = (array - float(middle)) / float(middle or -int(least))
        with np.errstate(over="ignore"):
            samples = array.astype(np.float32)
        if not np.isfinite(samples).all():
            raise AudioError("The array holds samples that are not finite numbers.")
        if self._resampler is None:
            self._resampler = Resampler(self._rate, samples.shape[1])
        if samples.shape[1] != self._resampler.n_channels:
            raise AudioError(f"A stream of {self._resampler.n_channels} channels was fed {samples.shape[1]}.")
        return self._resampler.process(samples)

    def rest(self) -> NDArray[np.float32]:
        """See `Resampler.rest`. A second call has nothing."""
        return self._resampler.rest() if self._resampler else np.zeros(0, np.float32)

"""EchoFinder: whether one sound is heard again in another, and how much later. It compares sounds, never text.

The correlation of both sounds has a peak at the delay of an echo. All frequencies count the same (PHAT), so that the
peak is sharp in a room that reverberates and where another voice speaks. Its height is given over the root mean square
of the correlation.
"""

from collections import deque

import numpy as np
from numpy.typing import NDArray

from livecap.audio_in.echo.canceller import SILENT
from livecap.transcript import SAMPLE_RATE

EARLIEST = -SAMPLE_RATE // 2
"""Two devices do not start at the same moment, so an echo may seem to come before what was played, by this much."""
LATEST = 3 * SAMPLE_RATE // 2
WINDOW = SAMPLE_RATE
"""Sound of the microphone that is compared at once."""
REACH = WINDOW + LATEST - EARLIEST
"""Played sound that it is compared with. The microphone's window ends `-EARLIEST` before its end."""
LOW_HZ, HIGH_HZ = 250, 3750
SAME_LAG = SAMPLE_RATE // 500
"""Two delays within 2 ms are the same."""
CLEAR = 16.0
"""A peak this high in two windows that share no sound is an echo. Single windows of unrelated voices reach 26, but not
twice at one delay; an echo alone has 20 to 40."""
VERY_CLEAR = 28.0
"""A peak this high is an echo at once."""
SUMMED = 12.5
"""A peak this high in the sum of `SUMMED_WINDOWS` or more is an echo, under another voice, too. Sums of unrelated
voices reach 10.4 (1,641 windows of 30 pairs)."""
SUMMED_WINDOWS = 8
MEMORY = 0.85
"""Weight of a window in the next sum."""
SUPPORT = 6.0
"""A peak at the known delay that says that the echo is still there."""
MEASURES = 10.0
"""One that measures the delay again."""
LOST_WINDOWS = 30
"""Windows in a row without support after which there is no echo any more."""
SAME_SOUND, SAME_GAIN = 0.9, 0.7
"""Sounds that are more alike than the first number, and nearly as loud (-3 dB), come from one microphone: a room and a
loudspeaker change a sound more."""
NEAR_SILENT, PLAYED_SILENT = 3e-4, 1e-3
"""Root mean squares below which nothing can be heard: -70 dB and -60 dB."""

Sound = NDArray[np.float32]


class EchoFinder:
    """Gets windows of both sounds, in order. Used from one thread."""

    def __init__(self) -> None:
        bins = np.arange(REACH // 2 + 1) * (SAMPLE_RATE / REACH)
        self._inside = ((bins >= LOW_HZ) & (bins <= HIGH_HZ)).astype(np.float32)
        self.earliest = EARLIEST
        """No echo comes before this, in samples: the remote side may send this voice back later, which is none."""
        self._n_kept = REACH // 4 + 1  # bins up to 4 kHz: correlations at 8 kHz are sharp enough
        self.forget()

    def forget(self) -> None:
        """A device was switched: all is open again."""
        self._sum = np.zeros((LATEST - EARLIEST) // 2 + 1, np.float32)
        self._n_summed = 0
        self._best = 0.0
        self._peaks: deque[tuple[int, float]] = deque(maxlen=4)
        """(sample, delay) of the last windows with a clear peak."""
        self._n_missing = 0
        self.lag: float | None = None
        """Samples from played sound to its echo; None where there is none. Who knows that it drifts moves it."""
        self.measured: float | None = None
        """The same as the last window says, where it is clear there."""

    def compare(self, sample: int, near: Sound, played: Sound) -> bool:
        """Look at one window. True if an echo was found, has moved or is gone.

        Args:
            sample: where the window begins.
            near: [WINDOW] of the microphone.
            played: [REACH] of what was played; it begins LATEST before the microphone's window.
        """
        self.measured = None
        if _rms(played) < PLAYED_SILENT or float(np.abs(near).max()) < SILENT:
            return False  # nothing is played, or the microphone is muted: the echo may still be there
        if _rms(near) < NEAR_SILENT:
            return self._miss()
        correlation = self._correlation(near, played)
        found = self._found(sample, correlation)
        if self.lag is not None and self._supported(correlation, self.lag):
            return False
        if found is None or (self.lag is not None and abs(found - self.lag) <= SAME_LAG):
            return self._miss()
        gain = _gain(near, played, found)
        if gain > 1:  # the other device is a microphone, too, and hears this voice more quietly
            return False
        if gain > SAME_GAIN and _likeness(near, played, found) > SAME_SOUND:  # the same microphone, heard twice
            return False
        self.lag, self._n_missing = found, 0
        self._sum, self._n_summed = correlation, 1
        return True

    def _found(self, sample: int, correlation: Sound) -> float | None:
        """The delay of an echo by what this window adds; None if nothing is sure."""
        clear, clear_lag = _peak(correlation)
        is_repeated = any(sample - before >= WINDOW and abs(lag - clear_lag) <= SAME_LAG for before, lag in self._peaks)
        self._sum = MEMORY * self._sum + correlation
        self._n_summed += 1
        summed, lag = _peak(self._sum / np.sqrt(np.mean(self._sum**2)))
        is_same, self._best = abs(lag - self._best) <= SAME_LAG, lag
        if clear >= CLEAR:
            self._peaks.append((sample, clear_lag))
            if is_repeated or clear >= VERY_CLEAR:
                return clear_lag
        return lag if summed >= SUMMED and is_same and self._n_summed >= SUMMED_WINDOWS else None

    def _supported(self, correlation: Sound, lag: float) -> bool:
        """The window has a peak at this delay; one that is clear measures the delay."""
        first = max(0, round((lag - SAME_LAG - EARLIEST) / 2))
        height, found = _peak(correlation[first : first + SAME_LAG + 1])
        if height < SUPPORT:
            return False
        self._n_missing = 0
        self.measured = found + 2 * first if height >= MEASURES else None
        return True

    def _miss(self) -> bool:
        """Count a window without support. True if the echo is gone by that."""
        self._n_missing += 1
        if self.lag is None or self._n_missing < LOST_WINDOWS:
            return False
        self.forget()
        return True

    def _correlation(self, near: Sound, played: Sound) -> Sound:
        """[(LATEST - EARLIEST) / 2 + 1] for each second delay from EARLIEST on; the root mean square is 1."""
        product = np.fft.rfft(near, REACH) * np.fft.rfft(played).conj()
        product *= self._inside / (np.abs(product) + 1e-12)
        correlation = np.fft.irfft(product[: self._n_kept], REACH // 2)
        # A delay of LATEST is at place 0, shorter ones before it, from the end.
        by_lag = np.concatenate([correlation[-(LATEST - EARLIEST) // 2 :], correlation[:1]])
        by_lag[: (self.earliest - EARLIEST) // 2] = 0
        scaled: Sound = (by_lag / (np.sqrt(np.mean(by_lag**2)) + 1e-12)).astype(np.float32)
        return scaled


def _peak(by_lag: Sound) -> tuple[float, float]:
    """The highest value and its delay in samples, finer than the grid: by a parabola through it and its neighbours."""
    place = int(np.argmax(by_lag))
    height, finer = float(by_lag[place]), 0.0
    if 0 < place < len(by_lag) - 1:
        before, after = float(by_lag[place - 1]), float(by_lag[place + 1])
        finer = 0.5 * (before - after) / min(before - 2 * height + after, -1e-9)
    return height, EARLIEST + 2 * (place + finer)


def _gain(near: Sound, played: Sound, lag: float) -> float:
    """How loud the played sound is in the microphone, as a factor, at least."""
    start = LATEST - round(lag)
    echoed = played[start : start + WINDOW]
    return abs(float(near @ echoed)) / (float(echoed @ echoed) + 1e-9)


def _likeness(near: Sound, played: Sound, lag: float) -> float:
    """The correlation coefficient of both sounds at this delay."""
    echoed = played[LATEST - round(lag) :][:WINDOW]
    return abs(float(near @ echoed)) / (float(np.sqrt((near @ near) * (echoed @ echoed))) + 1e-9)


def _rms(sound: Sound) -> float:
    return float(np.sqrt(np.mean(sound**2)))

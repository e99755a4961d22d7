"""Downmix: several channels to one, so that a voice in any of them is heard.

Usually the mean of the channels that have sound. Two things make that wrong, and are looked for in blocks of 20 ms:

- Channels in opposite phase cancel each other. Then the loudest one is heard alone.
- A channel of steady noise covers the voice in another one. Then it is left out until it is no longer steady.
"""

import numpy as np
from numpy.typing import NDArray

from livecap.transcript import SAMPLE_RATE

LIVE_PEAK = 0.001
"""A channel is live from its first sample louder than this (-60 dBFS): channels with nothing plugged in stay below."""
BLOCKS_A_SECOND = 50
MOST_CHANNELS = 32
"""With more channels the mean of the live ones is used: comparing all with all is too expensive."""
HISTORY_BLOCKS = 3 * BLOCKS_A_SECOND
"""The noise of a channel is its least power in this time."""
RECENT_BLOCKS = BLOCKS_A_SECOND
"""Whether a channel is steady is judged by this time."""
PHASE_BLOCKS, PHASE_LEAST = 5, 10
"""Channels that cancel each other entirely are noticed within the first number of blocks, so that no syllable is lost;
those that do in part, after the second number of blocks with sound."""
LEAST_POWER = 1e-9
"""Mean square of sound that is worth a decision: -90 dBFS."""
STEADY, STEADY_AT_ONCE = 4.0, 1.5
"""The power of a steady channel stays below this multiple of its least power; that of speech varies a hundredfold, but
not in a vowel, so that the first half second needs the second number."""
ACTIVE = 10.0
"""A channel that is at times this much above its least power has a voice, or another sound that is not noise."""
HARM = 0.03
"""Steady noise of this share of the voice's power, or more, is left out: 15 dB below the voice it does no harm."""
CANCELLED, CANCELLED_AT_ONCE = 0.8, 0.1
"""Channels cancel each other where their mean has less than this share of the power that it has if only one of them has
sound: in four of five blocks, and in every block. Two voices cancel each other in some blocks by chance."""
ALONE_AGAIN = 1.2
"""From this share on, the mean is heard again."""


class Downmix:
    """Mixes one stream of sound. The result depends on the sound alone, not on how it is cut."""

    def __init__(self, rate: int, n_channels: int) -> None:
        """
        Args:
            rate: samples a second of the sound.
        """
        self._n_channels = n_channels
        self._block = max(1, round(rate / BLOCKS_A_SECOND))
        self._group = max(1, rate // SAMPLE_RATE)  # samples that are averaged before powers are compared
        self._heard: list[NDArray[np.float32]] = []  # the pieces of the block that is not complete
        self._n_heard = 0
        self._is_live = np.zeros(n_channels, bool)
        self._kept = self._kept_before = np.ones(n_channels, bool)  # channels that are mixed, in this block and before
        self._left_out = np.zeros(n_channels, bool)
        self._alone: int | None = None  # the channel that is heard alone
        # Mean products of the channels with each other, one row a block; the newest are those before `_end`.
        n_compared = n_channels if n_channels <= MOST_CHANNELS else 0
        self._products = np.zeros((2 * HISTORY_BLOCKS, n_compared, n_compared))
        self._end = 0

    def learn(self, sound: NDArray[np.float32]) -> None:
        """Find out what is in the channels from sound that will be processed later: a recording is known beforehand."""
        is_live = self._is_live
        self.process(sound)
        self._is_live, self._kept_before = is_live, self._kept
        self._heard, self._n_heard = [], 0

    def process(self, sound: NDArray[np.float32]) -> NDArray[np.float32]:
        """[n] float32 from the next samples, [n, n_channels] float32. What is found out in a block counts from the next
        one on, so nothing is held back."""
        if self._n_channels == 1:
            return sound[:, 0]
        if self._n_channels > MOST_CHANNELS:
            return self._mean(sound, self._kept)
        mixed = []
        while len(sound):
            piece, sound = sound[: self._block - self._n_heard], sound[self._block - self._n_heard :]
            mixed.append(self._mix(piece))
            self._heard.append(piece)
            self._n_heard += len(piece)
            if self._n_heard == self._block:
                self._end_block(np.concatenate(self._heard))
                self._heard, self._n_heard = [], 0
        return np.concatenate(mixed) if mixed else np.zeros(0, np.float32)

    def _mix(self, piece: NDArray[np.float32]) -> NDArray[np.float32]:
        """A part of a block; a change of the channels is spread over the block."""
        if (self._kept == self._kept_before).all():
            return self._mean(piece, self._kept)
        is_live = self._is_live.copy()
        before = self._mean(piece, self._kept_before)
        self._is_live = is_live
        ramp = (np.arange(len(piece), dtype=np.float32) + self._n_heard) / np.float32(self._block)
        return before * (1 - ramp) + self._mean(piece, self._kept) * ramp

    def _mean(self, sound: NDArray[np.float32], kept: NDArray[np.bool_]) -> NDArray[np.float32]:
        """[n]: the mean of the live channels that are kept. A channel becomes live at a sample, not at a block."""
        if self._is_live.all() and kept.all():
            mean: NDArray[np.float32] = sound.mean(axis=1, dtype=np.float32)
            return mean
        live = np.logical_or.accumulate(np.abs(sound) > LIVE_PEAK, axis=0) | self._is_live  # [n, n_channels]
        if len(sound):
            self._is_live = live[-1].copy()
        heard = live & kept
        heard[~heard.any(axis=1)] = kept  # while none is live, average all
        total: NDArray[np.float32] = (sound * heard).sum(axis=1, dtype=np.float32)
        n_heard: NDArray[np.float32] = heard.sum(axis=1, dtype=np.float32)
        return total / n_heard

    def _end_block(self, block: NDArray[np.float32]) -> None:
        self._kept_before = self._kept
        if self._alone is None and not self._left_out.any() and (block == block[:, :1]).all():
            return  # as most stereo microphones are: there is nothing to choose
        self._note(block)
        self._decide()
        kept = ~self._left_out
        self._kept = kept if self._alone is None else np.arange(self._n_channels) == self._alone

    def _note(self, block: NDArray[np.float32]) -> None:
        """Keep the mean products of the channels with each other. Differences of neighbours weigh a rumble less."""
        n = len(block) // self._group
        if n < 2:
            return
        coarse = block[: n * self._group].reshape(n, self._group, -1).mean(axis=1, dtype=np.float64)
        steps = np.diff(coarse, axis=0)
        if self._end == len(self._products):
            self._products[:HISTORY_BLOCKS] = self._products[HISTORY_BLOCKS:]
            self._end = HISTORY_BLOCKS
        self._products[self._end] = steps.T @ steps / len(steps)
        self._end += 1

    def _decide(self) -> None:
        """Which channels are left out, and which one is heard alone, if any."""
        products = self._products[max(0, self._end - HISTORY_BLOCKS) : self._end]
        if not len(products):
            return
        powers = np.diagonal(products, axis1=1, axis2=2)  # [n_blocks, n_channels]
        noise, recent = _least(powers), powers[-RECENT_BLOCKS:]
        loud = np.sort(recent, axis=0)[-max(1, len(recent) // 10)]  # power of the loudest tenth
        recent_noise = _least(recent)
        loudest = (recent[1:] + recent[:-1]).max(axis=0, initial=0.0) / 2
        is_steady = loudest < (STEADY if len(recent) >= RECENT_BLOCKS // 2 else STEADY_AT_ONCE) * recent_noise
        has_voice = (loud > ACTIVE * noise + LEAST_POWER) & ~is_steady  # so that one channel stays
        voice = np.where(has_voice, loud, 0.0).max()
        if voice and len(recent) >= PHASE_BLOCKS:
            self._left_out |= is_steady & (recent_noise > HARM * voice)
        self._left_out &= is_steady
        latest_power = recent[-PHASE_BLOCKS:].max(axis=0)
        is_dead = (latest_power <= LEAST_POWER) & (latest_power > loud / 10).any()  # while another one has sound
        kept = np.flatnonzero(~self._left_out & (loud > LEAST_POWER) & ~is_dead)
        if len(kept) < 2:
            self._alone = None
            return
        mean_powers = products[:, kept][:, :, kept].mean(axis=(1, 2))
        mean_noise = _least(mean_powers[:, None])[0]
        own = powers[-RECENT_BLOCKS:, kept].mean(axis=0) - noise[kept]  # power without that of the noise
        best = int(own.argmax())
        of_best = powers[-RECENT_BLOCKS:, kept[best]]
        speaks = of_best > max(LEAST_POWER, STEADY * noise[kept[best]], of_best.max() / 10)
        shares = (mean_powers[-RECENT_BLOCKS:] - mean_noise)[speaks] / of_best[speaks] * len(kept) ** 2
        latest = shares[-PHASE_BLOCKS:]
        if (len(shares) >= PHASE_LEAST and (shares < CANCELLED).mean() > 0.8) or (
            speaks[-1] and latest.max() < CANCELLED_AT_ONCE
        ):
            if self._alone not in kept or own[best] > STEADY * own[kept == self._alone][0]:
                self._alone = int(kept[best])
        elif len(shares) >= PHASE_LEAST and shares.mean() > ALONE_AGAIN:
            self._alone = None


def _least(powers: NDArray[np.float64]) -> NDArray[np.float64]:
    """[n_channels]: the least power of three blocks in a row."""
    if len(powers) < 3:
        return np.zeros(powers.shape[1])
    least: NDArray[np.float64] = ((powers[:-2] + powers[1:-1] + powers[2:]) / 3).min(axis=0)
    return least

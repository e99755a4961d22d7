"""EchoCanceller: removes from a microphone's sound what a loudspeaker plays into it, and leaves every other voice.

near ─▶ minus (played sound through the learned path) ─▶ gains ─▶ output
                          ▲ learned from what is left, as far as nothing else explains it

The path from loudspeaker to microphone is a filter of 160 ms in the frequency domain that a Kalman filter learns, block
by block (Enzner and Vary, "Frequency-domain adaptive Kalman filter for acoustic echo control in hands-free
telephones", 2006). It knows how wrong it may be, so it stops learning by itself while a second voice speaks. What it
cannot model, such as distortion, is lowered band by band, and whole frames are silenced in which nothing but echo is
left.
"""

import numpy as np
from numpy.typing import NDArray

from livecap.transcript import SAMPLE_RATE

FRAME = 512
"""Samples that are processed at once: 32 ms."""
DELAY = 2 * FRAME
"""How far the output is behind the input, in samples."""
PARTS = 5
"""Length of the learned path, in frames."""
BANDS = 24
VOICE_BANDS = 18
"""Number of bands below 4.4 kHz: they show whether there is anything but echo."""
PATH_VARIANCE = 0.3 * 0.4 ** np.arange(PARTS)
"""What is known of the path before it is learned: its energy falls with time."""
PERSISTENCE = 0.999**2
"""How much of the path stays the same from one frame to the next."""
NOISE_MEMORY = 0.6
NEAR_SHARE = 0.45
"""A frame in which this much of the sound is not echo, on average over the bands, has another voice in it."""
ABOVE_NOISE = 4
"""Power of a band over the background noise from which it counts as sound."""
NEAR_FRAMES = 7
"""A voice is taken to go on for this many frames: 0.2 s."""
NOISE_RISE = 1.01
"""How fast the estimate of the background noise rises from its last minimum: 1.3 dB a second."""
WORSE_FRAMES = 4
"""The path is learned from the start again when the output was louder than the input in so many frames: something
moved, or a device was switched."""
SILENT = 1e-4
"""Peak below which a sound is none, -80 dB: nothing is played, or the microphone is muted."""

Frame = NDArray[np.float32]
Spectrum = NDArray[np.complex64]


class EchoCanceller:
    """Frames of both sounds in order; a value of its own for each pair of tracks. Used from one thread."""

    def __init__(self) -> None:
        window = np.sqrt(np.hanning(2 * FRAME + 1)[:-1]).astype(np.float32)
        self._window = window
        self._rise, self._fall = window[:FRAME] ** 2, window[FRAME:] ** 2
        mel = np.log10(1 + np.arange(FRAME + 1) * (SAMPLE_RATE / 2 / FRAME) / 700)
        band = np.minimum(mel / mel[-1] * BANDS, BANDS - 1).astype(int)
        self._band = band
        self._turn = (-1j * np.pi / FRAME * np.arange(FRAME + 1)).astype(np.complex64)
        """Phases of a delay of one sample."""
        self._band_starts = np.searchsorted(band, np.arange(BANDS))
        self.forget_path()
        self.forget_sound()

    def forget_path(self) -> None:
        """Learn from the start."""
        self._path = np.zeros((PARTS, FRAME + 1), np.complex64)
        self._variance = np.repeat(PATH_VARIANCE[:, None], FRAME + 1, axis=1).astype(np.float32)
        self._rest_power = np.full(FRAME + 1, 1e-6 * FRAME, np.float32)
        self._n_worse = 0
        self._part = 0
        self._noise: Frame | None = None

    def forget_sound(self) -> None:
        """The next frame does not follow the last one; what was learned stays."""
        self._played = np.zeros((PARTS, FRAME + 1), np.complex64)
        self._last_rest = self._last_echo = self._tail = np.zeros(FRAME, np.float32)
        self._quiet_frames = PARTS + 1
        self._gain = np.ones(BANDS, np.float32)
        self._near_for = 0
        """Frames for which a voice is still taken to go on."""
        self._waiting: tuple[Spectrum, Frame, Frame] | None = None
        """Spectrum, gains with a voice and gains without one, of the window before the last."""
        self._waiting_plain = np.zeros(2 * FRAME, np.float32)

    def shift_path(self, n_samples: float) -> None:
        """From here on, played sound is given so much later: the learned path begins so much earlier."""
        self._path *= np.exp(-self._turn * np.float32(n_samples))

    def process(self, near: Frame, played: Frame, shift: float = 0.0) -> Frame:
        """The sound of `DELAY` samples before this frame without echo: [FRAME].

        Args:
            near: [FRAME] of the microphone.
            played: [2 * FRAME] of what the loudspeaker played, up to the sample whose echo begins to arrive at the end
                of the frame.
            shift: that the echo is later by this part of a sample.
        """
        is_quiet = float(np.abs(played).max()) < SILENT
        self._quiet_frames = self._quiet_frames + 1 if is_quiet else 0
        self._played[1:] = self._played[:-1]
        self._played[0] = np.fft.rfft(played) * np.exp(self._turn * np.float32(shift)) if not is_quiet else 0
        if self._quiet_frames > PARTS or float(np.abs(near).max()) < SILENT:  # a muted microphone teaches nothing
            rest, echo = near, np.zeros(FRAME, np.float32)
            window: tuple[Spectrum, Frame, Frame] | None = None
        else:
            rest, echo, doubt = self._subtract(near)
            window = self._lower(rest, echo, doubt)
        out = self._synthesise()
        self._waiting = window
        self._waiting_plain = np.concatenate([self._last_rest, rest])
        self._last_rest, self._last_echo = rest, echo
        return out

    def _subtract(self, near: Frame) -> tuple[Frame, Frame, Frame]:
        """What is left of the frame, the echo in it, and the power that the echo may be wrong by; learns the path."""
        echo = np.fft.irfft((self._played * self._path).sum(0))[FRAME:].astype(np.float32)
        rest = near - echo
        spectrum = _spectrum(np.concatenate([np.zeros(FRAME, np.float32), rest]))
        power = _power(self._played)
        doubt = (power * self._variance).sum(0)
        self._rest_power += (1 - NOISE_MEMORY) * (_power(spectrum) - self._rest_power)
        step = self._variance / (0.5 * doubt + self._rest_power + 1e-9)
        self._path += step * self._played.conj() * spectrum
        self._part = (self._part + 1) % PARTS
        part = np.fft.irfft(self._path[self._part])
        part[FRAME:] = 0  # the path has no more in this part; one part a frame is set right, which is enough
        self._path[self._part] = np.fft.rfft(part)
        kept = PERSISTENCE * (1 - 0.5 * step * power) * self._variance
        self._variance = np.maximum(kept + (1 - PERSISTENCE) * _power(self._path), 1e-10).astype(np.float32)
        is_worse = float(rest @ rest) > 1.3 * float(near @ near)
        self._n_worse = self._n_worse + 1 if is_worse else 0
        if self._n_worse >= WORSE_FRAMES:
            self.forget_path()
        return (near, echo, doubt) if is_worse else (rest, echo, doubt)

    def _lower(self, rest: Frame, echo: Frame, doubt: Frame) -> tuple[Spectrum, Frame, Frame]:
        """The spectrum of the last two frames; its gains if a voice is in it, and if not."""
        spectrum = _spectrum(np.concatenate([self._last_rest, rest]) * self._window)
        left = self._by_band(_power(spectrum)) + 1e-9
        echo_power = self._by_band(_power(_spectrum(np.concatenate([self._last_echo, echo]) * self._window)))
        doubt_power = self._by_band(doubt) * 0.5
        self._noise = left if self._noise is None else np.minimum(self._noise * NOISE_RISE, left)
        sure = np.clip(1 - 3 * (0.05 * echo_power + doubt_power) / left, 0, 1) * (left > ABOVE_NOISE * self._noise)
        if float(sure[:VOICE_BANDS].mean()) >= NEAR_SHARE:
            self._near_for = NEAR_FRAMES
        self._gain = 0.3 * self._gain + 0.7 * np.clip(1 - 1.5 * (0.02 * echo_power + doubt_power) / left, 0, 1)
        to_noise = np.sqrt(np.minimum(1, self._noise / left))
        return spectrum, np.maximum(self._gain, to_noise).astype(np.float32), to_noise.astype(np.float32)

    def _synthesise(self) -> Frame:
        """The next frame of output, now that the frame after its window is known: words begin softly."""
        if self._waiting is None:
            first, second = self._waiting_plain[:FRAME] * self._rise, self._waiting_plain[FRAME:] * self._fall
        else:
            spectrum, with_voice, without = self._waiting
            gains = with_voice if self._near_for > 0 else without
            sound = np.fft.irfft(spectrum * gains[self._band]).astype(np.float32) * self._window
            first, second = sound[:FRAME], sound[FRAME:]
        self._near_for -= 1
        out, self._tail = self._tail + first, second
        return out

    def _by_band(self, power: Frame) -> Frame:
        summed: Frame = np.add.reduceat(power, self._band_starts)
        return summed


def _spectrum(sound: Frame) -> Spectrum:
    return np.fft.rfft(sound).astype(np.complex64, copy=False)


def _power(spectrum: Spectrum) -> Frame:
    power: Frame = spectrum.real**2 + spectrum.imag**2
    return power

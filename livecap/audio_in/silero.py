"""SileroNetwork: how likely it is that a frame of sound holds speech, by Silero VAD 6.2 in NumPy.

silero.npz has the weights of `silero_vad_16k_op15.onnx` from the package silero-vad 6.2.3 (MIT, see silero.LICENSE),
rounded to float16. The Fourier transform, a layer there, is NumPy's here.
"""

from functools import cache
from importlib.resources import files

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

FRAME_SAMPLES = 512
"""32 ms at 16 kHz, the length that the network was trained on."""
CONTEXT_SAMPLES = 64
"""The end of the frame before, which the network sees again."""

_N_HIDDEN = 128
_GATE_SCALE = np.repeat(np.array([0.5, 0.5, 1.0, 0.5], np.float32), _N_HIDDEN)
_HANN = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(256) / 256)).astype(np.float32)

Weights = dict[str, NDArray[np.float32]]


class SileroNetwork:
    """A network with the memory of one stream of sound. A frame costs about 0.08 ms."""

    def __init__(self) -> None:
        self._weights = _weights()
        self.reset()

    def reset(self) -> None:
        """Forget the sound so far."""
        self._sound = np.zeros(CONTEXT_SAMPLES + FRAME_SAMPLES + 64, np.float32)  # context, frame, reflected end
        self._pieces = as_strided(self._sound, (4, 256), (128 * 4, 4))
        # Each convolution sees three neighbours, with zeros beyond the ends: 4 columns, then 2, then 1.
        self._spectra, self._features = np.zeros((6, 129), np.float32), np.zeros((5, 128), np.float32)
        self._neighbours1 = as_strided(self._spectra, (4, 3 * 129), (129 * 4, 4))
        self._neighbours2 = as_strided(self._features, (2, 3 * 128), (2 * 128 * 4, 4))
        self._input = np.zeros(2 * _N_HIDDEN, np.float32)  # of the LSTM: features, then its output for the last frame
        self._cell = np.zeros(_N_HIDDEN, np.float32)

    def score(self, frame: NDArray[np.float32]) -> float:
        """The probability, 0..1, that the frame holds speech. Frames follow one another.

        Args:
            frame: [512] float32 within -1..1.
        """
        sound, weights = self._sound, self._weights
        sound[:CONTEXT_SAMPLES] = sound[FRAME_SAMPLES : FRAME_SAMPLES + CONTEXT_SAMPLES]
        sound[CONTEXT_SAMPLES : CONTEXT_SAMPLES + FRAME_SAMPLES] = frame
        sound[-64:] = sound[-66:-130:-1]
        np.abs(np.fft.rfft(self._pieces * _HANN), out=self._spectra[1:5])
        np.maximum(self._neighbours1 @ weights["conv1"] + weights["conv1_bias"], 0, out=self._features[1:])
        features = np.maximum(self._neighbours2 @ weights["conv2"] + weights["conv2_bias"], 0).reshape(128)
        features = np.maximum(features @ weights["conv3"] + weights["conv3_bias"], 0)
        self._input[:_N_HIDDEN] = np.maximum(features @ weights["conv4"] + weights["conv4_bias"], 0)
        # tanh of all gates; those of 3 of the 4 are halved before and after, which makes them logistic functions.
        gates = np.tanh((self._input @ weights["lstm"] + weights["lstm_bias"]) * _GATE_SCALE)
        candidate = gates[2 * _N_HIDDEN : 3 * _N_HIDDEN].copy()
        gates *= 0.5
        gates += 0.5
        enter, keep, _, leave = gates.reshape(4, _N_HIDDEN)
        self._cell = keep * self._cell + enter * candidate
        self._input[_N_HIDDEN:] = hidden = leave * np.tanh(self._cell)
        return float(_sigmoid(np.maximum(hidden, 0) @ weights["out"] + weights["out_bias"]))


def _sigmoid(x: NDArray[np.float32]) -> NDArray[np.float32]:
    return 0.5 + 0.5 * np.tanh(0.5 * x)  # type: ignore[no-any-return]


@cache
def _weights() -> Weights:
    """The weights of each layer as [n_in, n_out], float32; a convolution's inputs are in order of time."""
    with files(__package__).joinpath("silero.npz").open("rb") as file, np.load(file) as arrays:
        return {name: arrays[name].astype(np.float32) for name in arrays}

"""VoiceNetworks: what the pipeline asks of the two networks, whatever computes them.

    10 s of sound ─▶ segment ─▶ who of at most three people speaks in each frame of 17 ms
    sound of one speaker ─▶ log_mel ─▶ embed ─▶ a vector that is alike for the same voice

`segment` is pyannote segmentation-3.0, `embed` is CAM++. Two classes implement them: `numpy_networks.NumpyNetworks` for
processors and `mlx_networks.MLXNetworks` for GPUs. Arrays at this interface are NumPy's in both cases.
"""

from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from livecap.model.backend import mx

Numbers = NDArray[np.float32]
Weights = dict[str, Numbers]

LARGEST_SINC = 251
"""Samples of the first filters of `segment`."""
FRAME_HOP = 270
"""Samples from one frame of `segment` to the next: strides of 10, 3, 3 and 3."""
FRAME_MIDDLE = 495
"""The sample in the middle of what the first frame depends on (991 samples)."""
EMBEDDING_SIZE = 192
FEWEST_FRAMES = 10
"""`embed` needs this many frames of `log_mel`, 115 ms."""
EPSILON = 1e-5
"""Epsilon of all normalisations in both networks."""
CONTEXT_FRAMES = 100
"""Frames, after the stride of 2, whose mean CAM++ looks at together."""
BLOCKS = ((12, 1), (24, 2), (16, 2))
"""Layers and dilation of the dense blocks of CAM++."""


class VoiceNetworks(Protocol):
    """The two networks. They hold no state of a sound."""

    def segment(self, windows: Numbers) -> Numbers:
        """Log probabilities [B, n_frames, 7] of the classes in `speaker_sets`.

        Args:
            windows: [B, n] sound at 16 kHz. The network was trained on 10 s; each window is normalised alone.
        """

    def embed(self, frames: Numbers) -> Numbers:
        """The voice in `log_mel` frames [n, 80], n >= 10, as a vector [192] of any length."""


def n_frames(n_samples: int) -> int:
    """Frames that `segment` returns for a window of this length, at least 991 samples."""
    pooled = ((n_samples - LARGEST_SINC) // 10 + 1) // 3
    return ((pooled - 4) // 3 - 4) // 3


def read_weights(name: str) -> Weights:
    """The arrays of `segmentation` or `voices` by name, as float32."""
    arrays = mx.load(str(Path(__file__).with_name(f"{name}.safetensors")))
    assert isinstance(arrays, dict)
    return {key: np.array(array.astype(mx.float32)) for key, array in arrays.items()}


def scale_and_shift(weights: Weights, name: str) -> tuple[Numbers, Numbers]:
    """What a batch normalisation multiplies each channel by, and what it adds: two arrays [channels]."""
    root = np.sqrt(weights[f"{name}.running_var"] + np.float32(EPSILON))
    scale = weights.get(f"{name}.weight", np.ones_like(root)) / root
    return scale, weights.get(f"{name}.bias", np.zeros_like(root)) - scale * weights[f"{name}.running_mean"]


def folded(weights: Weights, layer: str, norm: str) -> tuple[Numbers, Numbers]:
    """The weights and bias of a layer without bias together with the batch normalisation that follows it."""
    scale, shift = scale_and_shift(weights, norm)
    matrix = weights[f"{layer}.weight"]
    return matrix * scale.reshape(-1, *[1] * (matrix.ndim - 1)), shift

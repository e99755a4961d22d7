"""EncoderWindows: the sound of one prompt to named audio embeddings, computing again only what has changed.

    samples ─▶ log-mel frames ─▶ conv blocks of 1 s ─▶ encoder windows of 8 s ─▶ embeddings, each with a name

A frame is final once 200 samples follow its centre, a conv block once all its frames are, and a window once all its
blocks are, since attention never leaves it. Only one value reaches further: the mel's floor, 8 below the loudest frame
in the prompt. A block that lies above the floor does not depend on it. A block that is clipped by it has the floor in
its name, so when the floor moves, that block gets another name and is encoded again. Equal names mean equal embeddings,
and embeddings are never compared.
"""

from collections.abc import Hashable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from livecap.model.backend import mx, start
from livecap.model.mel import HOP_LENGTH, MEL_DYNAMIC_RANGE, PAD_SAMPLES, clamp_and_scale, log_mel_slice
from livecap.model.network import Network, convolve_mel, encode_windows

CONTEXT_FRAMES = 2
"""Frames of earlier sound that new frames depend on: they cover `PAD_SAMPLES`."""
MIN_SAMPLES = 1600
"""Shorter sound is padded with silence to this length: the front end needs 201 samples."""


@dataclass(frozen=True, slots=True)
class MelFrames:
    """The log-mel frames of all sound in a prompt."""

    frames: NDArray[np.float32]
    """[n, n_mels], not yet clamped."""
    n_final: int
    """The first frames, which later sound will not change."""
    pad_samples: int
    """Silence after the sound."""


@dataclass(frozen=True, slots=True)
class EncodedAudio:
    """The audio part of a prompt."""

    names: list[Hashable]
    """One per embedding. Equal names mean equal embeddings."""
    embeddings: mx.array
    """[n, output_dim]"""


class EncoderWindows:
    """The sound of one prompt and what has been computed from it. Positions are samples of the session."""

    def __init__(self, network: Network, start_sample: int, reuse: bool = True) -> None:
        """
        Args:
            reuse: keep what will not change. False computes everything at each call, to prove that nothing changes.
        """
        self._network = network
        self._sizes = network.config.audio
        self._reuse = reuse
        self._samples: NDArray[np.float32] = np.zeros(0, np.float32)
        self._final_frames: NDArray[np.float32] = np.zeros((0, self._sizes.num_mel_bins), np.float32)
        """[n_final, n_mels]"""
        self._blocks: dict[Hashable, mx.array] = {}
        """Conv tokens of final blocks."""
        self._windows: dict[Hashable, mx.array] = {}
        """Embeddings of final windows."""
        self.start_sample = start_sample

    @property
    def end_sample(self) -> int:
        return self.start_sample + len(self._samples)

    def append(self, samples: NDArray[np.float32]) -> None:
        """Add sound that starts at `end_sample`."""
        self._samples = np.concatenate([self._samples, samples])

    def log_mel(self, pad_samples: int = 0) -> MelFrames:
        """The mel frames of all sound in the prompt, followed by `pad_samples` of silence."""
        n_sound = len(self._samples)
        pad_samples = max(pad_samples, MIN_SAMPLES - n_sound)
        sound = self._samples
        if pad_samples > 0:
            sound = np.concatenate([sound, np.zeros(pad_samples, np.float32)])
        n_frames = (n_sound + pad_samples) // HOP_LENGTH
        n_final = max(0, (n_sound - PAD_SAMPLES) // HOP_LENGTH + 1) if n_sound >= PAD_SAMPLES else 0
        n_final = min(n_final, n_frames)
        n_known = len(self._final_frames) if self._reuse else 0
        if n_known >= n_frames:
            return MelFrames(self._final_frames[:n_frames], n_final, pad_samples)
        first = max(0, n_known - CONTEXT_FRAMES)
        # Sound after the last wanted frame is passed too, so that only the true end of the sound is reflected.
        new = np.array(log_mel_slice(sound[first * HOP_LENGTH :], n_known - first, n_frames - first))
        frames = np.concatenate([self._final_frames[:n_known], new]) if n_known else new
        self._final_frames = frames[:n_final]
        return MelFrames(frames, n_final, pad_samples)

    def encode(self, mel: MelFrames) -> EncodedAudio:
        """The named embeddings of `mel`, which was made from all sound so far."""
        floor = float(mel.frames.max()) - MEL_DYNAMIC_RANGE
        n_blocks = mel.n_final // self._sizes.conv_frames
        block_names = self._name_blocks(mel.frames, n_blocks, floor)
        tokens = self._convolve(mel.frames, block_names, floor)
        return self._encode_windows(tokens, block_names, (self.end_sample, mel.pad_samples, floor))

    def _name_blocks(self, frames: NDArray[np.float32], n_blocks: int, floor: float) -> list[Hashable]:
        """A name for each final conv block: its first sample, and the floor if the floor clips it."""
        size = self._sizes.conv_frames
        lowest = frames[: n_blocks * size].reshape(n_blocks, -1).min(axis=1) if n_blocks else np.zeros(0)
        samples = size * HOP_LENGTH
        return [(self.start_sample + i * samples, floor if low < floor else None) for i, low in enumerate(lowest)]

    def _convolve(self, frames: NDArray[np.float32], names: list[Hashable], floor: float) -> list[mx.array]:
        """Conv tokens of each final block, then of the rest. Blocks that are not cached and the rest go in one call."""
        size = self._sizes.conv_frames
        known = self._blocks if self._reuse else {}
        missing = [i for i, name in enumerate(names) if name not in known]
        n_rest = len(frames) - len(names) * size
        pieces = [frames[i * size : (i + 1) * size] for i in missing]
        if n_rest:
            pieces.append(frames[len(names) * size :])
        made: list[mx.array] = []
        if pieces:
            mel = clamp_and_scale(mx.array(np.concatenate(pieces)), floor + MEL_DYNAMIC_RANGE)
            tokens = convolve_mel(self._network, mel, pad_tail=len(names) > 0 or n_rest > size)
            made = _split(tokens, self._sizes.conv_tokens, len(missing))
        new = dict(zip([names[i] for i in missing], made, strict=False))
        self._blocks = {name: known[name] if name in known else new[name] for name in names}
        return [*self._blocks.values(), *made[len(missing) :]]

    def _encode_windows(self, tokens: list[mx.array], block_names: list[Hashable], rest_name: Hashable) -> EncodedAudio:
        """Embeddings of each final window and of the rest. Windows that are not cached and the rest go in one call.

        Args:
            tokens: of each final conv block, then of the rest.
            rest_name: what the embeddings of the rest depend on, besides the final blocks in it.
        """
        known = self._windows if self._reuse else {}
        size = self._sizes.window_blocks
        n_windows = len(block_names) // size
        names: list[Hashable] = [tuple(block_names[i * size : (i + 1) * size]) for i in range(n_windows)]
        missing = [i for i, name in enumerate(names) if name not in known]
        pieces = [block for i in missing for block in tokens[i * size : (i + 1) * size]] + tokens[n_windows * size :]
        made: list[mx.array] = []
        if pieces:
            embeddings = encode_windows(self._network, mx.concatenate(pieces, axis=0))
            made = _split(embeddings, self._sizes.window_tokens, len(missing))
        new = dict(zip([names[i] for i in missing], made, strict=False))
        self._windows = {name: known[name] if name in known else new[name] for name in names}
        rest = made[len(missing) :]
        named: list[Hashable] = [(name, i) for name in names for i in range(self._sizes.window_tokens)]
        rest_blocks = tuple(block_names[n_windows * size :])
        named += [(rest_name, rest_blocks, i) for part in rest for i in range(part.shape[0])]
        embeddings = mx.concatenate([*self._windows.values(), *rest], axis=0)
        # Started here, so that a GPU works while the host describes the decoder's pass, and so that cached arrays do
        # not keep the graph of this step alive.
        start(embeddings, *self._blocks.values(), *self._windows.values())
        return EncodedAudio(named, embeddings)


def _split(x: mx.array, size: int, n: int) -> list[mx.array]:
    """The first `n` parts of `size` rows, and the rest if there is any."""
    parts = [x[i * size : (i + 1) * size] for i in range(n)]
    return [*parts, x[n * size :]] if x.shape[0] > n * size else parts

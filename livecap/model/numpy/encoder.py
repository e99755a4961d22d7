"""The audio encoder with NumPy, feature-major: [features, positions]. `livecap.model.audio_encoder` describes it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from livecap.model import nn
from livecap.model.audio_encoder import AudioEncoder, EncoderLayer
from livecap.model.config import AudioConfig
from livecap.model.numpy.cores import share_out
from livecap.model.numpy.functions import FEWEST_SHARED, attend, gelu, layer_norm
from livecap.model.numpy.products import Numbers, Scratch, column, own, product


@dataclass(frozen=True, slots=True)
class Affine:
    """Weights [N, K] and bias [N, 1]. For a convolution K is (3, 3, channels in)."""

    weight: Numbers
    bias: Numbers

    @classmethod
    def from_mlx(cls, *layers: nn.Linear | nn.Conv2d) -> "Affine":
        """A copy of MLX's layers, stacked."""
        weight = own(*(layer["weight"] for layer in layers))
        return cls(weight.reshape(len(weight), -1), own(*(layer["bias"] for layer in layers))[:, None])

    def __call__(self, x: Numbers, out: Numbers) -> Numbers:
        """Write weight times x [K, n] plus bias into out [N, n], and return it."""
        product(self.weight, x, out)
        out += self.bias
        return out


@dataclass(frozen=True, slots=True)
class Norm:
    """A LayerNorm: weight and bias [K, 1]."""

    weight: Numbers
    bias: Numbers
    eps: float

    @classmethod
    def from_mlx(cls, layer: nn.LayerNorm) -> "Norm":
        return cls(column(layer["weight"]), column(layer["bias"]), layer.eps)

    def __call__(self, x: Numbers, out: Numbers) -> Numbers:
        return layer_norm(x, self.weight, self.bias, self.eps, out)


@dataclass(frozen=True, slots=True)
class Layer:
    """The weights of one layer of the transformer."""

    attention_norm: Norm
    query_key_value: Affine
    out: Affine
    mlp_norm: Norm
    fc1: Affine
    fc2: Affine

    @classmethod
    def from_mlx(cls, layer: EncoderLayer) -> "Layer":
        """A copy of MLX's layer."""
        attention = layer.self_attn
        return cls(
            attention_norm=Norm.from_mlx(layer.self_attn_layer_norm),
            query_key_value=Affine.from_mlx(attention.q_proj, attention.k_proj, attention.v_proj),
            out=Affine.from_mlx(attention.out_proj),
            mlp_norm=Norm.from_mlx(layer.final_layer_norm),
            fc1=Affine.from_mlx(layer.fc1),
            fc2=Affine.from_mlx(layer.fc2),
        )


class NumpyEncoder:
    """Convolutions, transformer over windows, projection. Used by one thread at a time: buffers are reused."""

    def __init__(self, encoder: AudioEncoder, config: AudioConfig) -> None:
        """
        Args:
            encoder: loses its layers while they are copied, so that memory need not hold both.
        """
        self._config = config
        self.positions = encoder.positions
        """[conv_tokens, d_model]"""
        self._convolutions = [Affine.from_mlx(conv) for conv in (encoder.conv2d1, encoder.conv2d2, encoder.conv2d3)]
        self._conv_out = own(encoder.conv_out.weight)
        self._layers: list[Layer] = []
        while encoder.layers:
            self._layers.append(Layer.from_mlx(encoder.layers.pop(0)))
        self._norm, self._proj1, self._proj2 = (
            Norm.from_mlx(encoder.ln_post),
            Affine.from_mlx(encoder.proj1),
            Affine.from_mlx(encoder.proj2),
        )
        self._scratch = Scratch()

    def convolve(self, blocks: Numbers) -> Numbers:
        """See `Network.convolve`."""
        stems = [self._stem(block) for block in blocks]
        n_steps = stems[0].shape[1]
        features = np.concatenate(stems, axis=1)
        tokens = np.empty((len(self._conv_out), features.shape[1]), np.float32)
        product(self._conv_out, features, tokens)
        tokens += np.tile(self.positions[:n_steps].T, len(stems))
        return tokens.T

    def encode(self, tokens: Numbers, lengths: Sequence[int] | None = None) -> Numbers:
        """See `Network.encode`.

        Args:
            lengths: numbers of tokens of several sounds that follow one another; None for one sound.
        """
        scratch, windows = self._scratch, self._windows(lengths or [len(tokens)])
        x = tokens.T.copy()  # a copy, to add to
        width, n = x.shape
        for layer in self._layers:
            normed = layer.attention_norm(x, scratch.take("normed", width, n))
            all_three = layer.query_key_value(normed, scratch.take("qkv", 3 * width, n))
            x += layer.out(self._attention(all_three, windows), scratch.take("added", width, n))
            normed = layer.mlp_norm(x, scratch.take("normed", width, n))
            hidden = product(layer.fc1.weight, normed, scratch.take("hidden", len(layer.fc1.weight), n))
            gelu(hidden, layer.fc1.bias)
            x += layer.fc2(hidden, scratch.take("added", width, n))
        normed = self._norm(x, scratch.take("normed", width, n))
        hidden = product(self._proj1.weight, normed, scratch.take("hidden", width, n))
        gelu(hidden, self._proj1.bias)
        return self._proj2(hidden, np.empty((len(self._proj2.weight), n), np.float32)).T

    def _windows(self, lengths: Sequence[int]) -> list[slice]:
        """The encoder windows of sounds with these numbers of tokens; the last one of each may be incomplete."""
        size, windows, end = self._config.window_tokens, [], 0
        for length in lengths:
            start, end = end, end + length
            windows += [slice(at, min(at + size, end)) for at in range(start, end, size)]
        return windows

    def _attention(self, all_three: Numbers, windows: Sequence[slice]) -> Numbers:
        """What each position sees in its window, [d_model, n], from queries, keys and values [3 d_model, n]."""
        scratch, n_heads, n = self._scratch, self._config.encoder_attention_heads, all_three.shape[1]
        queries, keys, values = all_three.reshape(3, n_heads, -1, n)
        width = queries.shape[1]
        queries *= np.float32(width**-0.5)
        out = scratch.take("all seen", n_heads, 1, width, n)
        for window in windows:
            q, k, v = queries[:, None, :, window], keys[:, :, window], values[:, :, window]
            out[..., window] = attend(q, k, v, scratch, causal=False)
        return out.reshape(-1, n)

    def _stem(self, block: Numbers) -> Numbers:
        """Features [channels * 16, n_steps], channel-major, of one mel block [n_frames, n_mels]."""
        x = block.T[None]  # [channels, n_mels, n_frames]
        for convolution in self._convolutions:
            patches, height, width = self._patches(x)
            x = product(
                convolution.weight, patches, self._scratch.take("convolved", len(convolution.weight), height * width)
            )
            gelu(x, convolution.bias)
            x = x.reshape(-1, height, width)
        return x.reshape(-1, width).copy()

    def _patches(self, x: Numbers) -> tuple[Numbers, int, int]:
        """The inputs of a 3x3 convolution with stride 2 over x [C, H, W], which is padded with zeros.

        Returns:
            [(3, 3, C), height * width], and the height and width of the output.
        """
        n_channels, high, wide = x.shape
        height, width = (high + 1) // 2, (wide + 1) // 2
        around = self._scratch.take("around", n_channels, high + 2, wide + 2)
        patches = self._scratch.take("patches", 3, 3, n_channels, height, width)

        def channels(first: int, last: int) -> None:
            mine = around[first:last]
            mine[:, 0] = mine[:, -1] = mine[:, :, 0] = mine[:, :, -1] = 0
            mine[:, 1:-1, 1:-1] = x[first:last]
            for row in range(3):
                for place in range(3):
                    seen = mine[:, row : row + 2 * height - 1 : 2, place : place + 2 * width - 1 : 2]
                    patches[row, place, first:last] = seen

        share_out(channels, n_channels, 1, FEWEST_SHARED // (high * wide) + 1)
        return patches.reshape(-1, height * width), height, width

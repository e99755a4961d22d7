"""The audio encoder with MLX: mel frames to audio embeddings, 13 per second.

    mel ─▶ conv blocks of 100 frames ─▶ 3 x (conv 3x3 stride 2, GELU) ─▶ conv_out ─▶ + positions 0..12 ─▶ conv tokens
    conv tokens ─▶ windows of 8 blocks ─▶ [ LayerNorm ─▶ attention ─▶ + ─▶ LayerNorm ─▶ GELU MLP ─▶ + ] x 18
                ─▶ LayerNorm ─▶ proj1, GELU, proj2 ─▶ audio embeddings

Three properties to know. Each conv block is convolved on its own, and positions restart in it. The incomplete last
block is padded with zeros if a complete one precedes it, but a clip shorter than a block is not padded. Attention never
leaves its window of 8 s. So the tokens of a complete block and the embeddings of a complete window never change, and a
stream can keep them.
"""

import math
from collections.abc import Sequence
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from livecap.model import nn
from livecap.model.backend import mx
from livecap.model.config import AudioConfig, halved_three_times

MOST_FLOAT16 = 64504.0
"""The residual stream is limited to this in float16, as in the official code, so that it does not become infinite."""


class EncoderAttention(nn.Module):
    """Full attention within each window."""

    def __init__(self, config: AudioConfig) -> None:
        super().__init__()
        self.n_heads = config.encoder_attention_heads
        self.head_dim = config.d_model // self.n_heads
        self.window_tokens = config.window_tokens
        self.q_proj = nn.Linear(config.d_model, config.d_model)
        self.k_proj = nn.Linear(config.d_model, config.d_model)
        self.v_proj = nn.Linear(config.d_model, config.d_model)
        self.out_proj = nn.Linear(config.d_model, config.d_model)

    def __call__(self, x: mx.array, mask: mx.array | None) -> mx.array:
        """What each of x [n_tokens, d_model] sees in its window.

        Args:
            mask: [n_windows, 1, 1, window], False where a window has no token; n_tokens fill all windows then.
        """
        if "qkv_proj" in self:
            queries, keys, values = mx.split(self.qkv_proj(x), 3, axis=-1)  # [n_tokens, d_model]
        else:
            queries, keys, values = self.q_proj(x), self.k_proj(x), self.v_proj(x)
        complete = x.shape[0] // self.window_tokens * self.window_tokens
        parts = []
        if complete:
            parts.append(self._attend(queries[:complete], keys[:complete], values[:complete], self.window_tokens, mask))
        if complete < x.shape[0]:
            tail = x.shape[0] - complete
            parts.append(self._attend(queries[complete:], keys[complete:], values[complete:], tail, None))
        return self.out_proj(parts[0] if len(parts) == 1 else mx.concatenate(parts))

    def join(self) -> None:
        """Compute queries, keys and values in one product, where they are packed alike."""
        nn.join(self, ["q_proj", "k_proj", "v_proj"], "qkv_proj")

    def _attend(
        self, queries: mx.array, keys: mx.array, values: mx.array, window: int, mask: mx.array | None
    ) -> mx.array:
        """Attention [n, d_model] within windows of `window` tokens; n is a multiple of `window`."""

        def heads(x: mx.array) -> mx.array:
            return x.reshape(-1, window, self.n_heads, self.head_dim).transpose(0, 2, 1, 3)

        q, k, v = heads(queries), heads(keys), heads(values)
        out = mx.fast.scaled_dot_product_attention(q, k, v, scale=self.head_dim**-0.5, mask=mask)
        return out.transpose(0, 2, 1, 3).reshape(queries.shape)


class EncoderLayer(nn.Module):
    """Attention and MLP, each with a LayerNorm before it and a residual around it."""

    def __init__(self, config: AudioConfig) -> None:
        super().__init__()
        self.self_attn = EncoderAttention(config)
        self.self_attn_layer_norm = nn.LayerNorm(config.d_model, eps=1e-5)
        self.fc1 = nn.Linear(config.d_model, config.encoder_ffn_dim)
        self.fc2 = nn.Linear(config.encoder_ffn_dim, config.d_model)
        self.final_layer_norm = nn.LayerNorm(config.d_model, eps=1e-5)

    def __call__(self, x: mx.array, mask: mx.array | None) -> mx.array:
        x = x + self.self_attn(self.self_attn_layer_norm(x), mask)
        x = x + self.fc2(nn.gelu(self.fc1(self.final_layer_norm(x))))
        return mx.clip(x, -MOST_FLOAT16, MOST_FLOAT16) if x.dtype == mx.float16 else x


class AudioEncoder(nn.Module):
    """Convolutions, transformer over windows, projection to the decoder's width."""

    def __init__(self, config: AudioConfig) -> None:
        super().__init__()
        channels = config.downsample_hidden_size
        self.conv2d1 = nn.Conv2d(1, channels, kernel_size=3, stride=2, padding=1)
        self.conv2d2 = nn.Conv2d(channels, channels, kernel_size=3, stride=2, padding=1)
        self.conv2d3 = nn.Conv2d(channels, channels, kernel_size=3, stride=2, padding=1)
        features = channels * halved_three_times(config.num_mel_bins)
        self.conv_out = nn.Linear(features, config.d_model, bias=False)
        self.layers = [EncoderLayer(config) for _ in range(config.encoder_layers)]
        self.ln_post = nn.LayerNorm(config.d_model, eps=1e-5)
        self.proj1 = nn.Linear(config.d_model, config.d_model)
        self.proj2 = nn.Linear(config.d_model, config.output_dim)
        self.window_tokens = config.window_tokens
        self.positions = sinusoids(config.conv_tokens, config.d_model)
        """[conv_tokens, d_model]. As a NumPy array it is not a parameter, and any thread can use it."""

    def convolve(self, blocks: mx.array) -> mx.array:
        """See `Network.convolve`."""
        x = blocks.swapaxes(1, 2)[..., None].astype(self.conv2d1.weight.dtype)  # [n_blocks, n_mels, n_frames, 1]
        for conv in (self.conv2d1, self.conv2d2, self.conv2d3):
            x = nn.gelu(conv(x))
        # [n_blocks, 16, n_steps, channels] to [n_blocks, n_steps, channels, 16]: channel-major
        x = x.transpose(0, 2, 3, 1).flatten(2)
        x = self.conv_out(x)
        x = x + mx.array(self.positions[: x.shape[1]]).astype(x.dtype)
        return x.flatten(0, 1)

    def encode(self, tokens: mx.array) -> mx.array:
        """See `Network.encode`."""
        return self._transform(tokens, None)

    def encode_sounds(self, sounds: Sequence[mx.array]) -> list[mx.array]:
        """See `Network.encode_sounds`. The last window of each sound is filled up, and nothing sees the filling."""
        size = self.window_tokens
        n_windows = [-(-sound.shape[0] // size) for sound in sounds]
        filled = [
            mx.pad(sound, [(0, n * size - sound.shape[0]), (0, 0)]) for sound, n in zip(sounds, n_windows, strict=True)
        ]
        in_use = [min(size, sound.shape[0] - at) for sound in sounds for at in range(0, sound.shape[0], size)]
        mask = (mx.arange(size) < mx.array(in_use)[:, None])[:, None, None]  # [n_windows, 1, 1, size]
        x = self._transform(mx.concatenate(filled), mask if min(in_use) < size else None)
        ends = accumulate(n * size for n in n_windows)
        return [
            x[end - n * size : end - n * size + sound.shape[0]]
            for sound, n, end in zip(sounds, n_windows, ends, strict=True)
        ]

    def _transform(self, x: mx.array, mask: mx.array | None) -> mx.array:
        for layer in self.layers:
            x = layer(x, mask)
        return self.proj2(nn.gelu(self.proj1(self.ln_post(x))))


def sinusoids(length: int, width: int) -> NDArray[np.float32]:
    """Position table [length, width]: the first half of the columns sines, the second half cosines."""
    step = math.log(10_000) / (width // 2 - 1)
    angles = np.arange(length)[:, None] * np.exp(-step * np.arange(width // 2))[None, :]
    return np.concatenate([np.sin(angles), np.cos(angles)], axis=1).astype(np.float32)

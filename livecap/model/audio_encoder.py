"""The audio encoder: mel frames to audio embeddings, 13 a second.

    mel ─▶ chunks of 100 frames ─▶ 3 x (conv 3x3 stride 2, GELU) ─▶ conv_out ─▶ + positions 0..12 ─▶ tokens
    tokens ─▶ windows of 8 chunks ─▶ [ LayerNorm ─▶ attention ─▶ + ─▶ LayerNorm ─▶ GELU MLP ─▶ + ] x 18
           ─▶ LayerNorm ─▶ proj1, GELU, proj2 ─▶ audio embeddings

Three surprises. Each chunk is convolved alone, and positions restart in it. A tail after a complete chunk
sees zeros behind its end, but a clip shorter than a chunk sees its own end. Attention never leaves its window
of 8 s. So a complete chunk's tokens and a complete window's embeddings never change, and a stream may keep
them.
"""

import math

import numpy as np
from numpy.typing import NDArray

from livecap.model import nn
from livecap.model.backend import mx
from livecap.model.config import AudioConfig, halved_three_times
from livecap.model.numpy.encoder import CPUEncoder

CHUNKS_PER_PASS = 8
"""Chunks convolved at once: bounds memory, changes nothing."""
WINDOWS_PER_PASS = 8
"""Windows attended at once: bounds memory, changes nothing."""


def n_audio_tokens(n_frames: int, chunk_frames: int = 100) -> int:
    """Audio embeddings of `n_frames` mel frames: 13 for each complete chunk, and the tail's."""
    chunks, tail = divmod(n_frames, chunk_frames)
    return chunks * halved_three_times(chunk_frames) + halved_three_times(tail)


class EncoderAttention(nn.Module):
    """Full attention inside each window."""

    def __init__(self, config: AudioConfig) -> None:
        super().__init__()
        self.n_heads = config.encoder_attention_heads
        self.head_dim = config.d_model // self.n_heads
        self.window_tokens = config.window_tokens
        self.q_proj = nn.Linear(config.d_model, config.d_model)
        self.k_proj = nn.Linear(config.d_model, config.d_model)
        self.v_proj = nn.Linear(config.d_model, config.d_model)
        self.out_proj = nn.Linear(config.d_model, config.d_model)

    def __call__(self, x: mx.array) -> mx.array:
        queries, keys, values = self.q_proj(x), self.k_proj(x), self.v_proj(x)  # [n_tokens, d_model]
        complete = x.shape[0] // self.window_tokens * self.window_tokens
        parts = []
        if complete:
            parts.append(self._attend(queries[:complete], keys[:complete], values[:complete], self.window_tokens))
        if complete < x.shape[0]:
            tail = x.shape[0] - complete
            parts.append(self._attend(queries[complete:], keys[complete:], values[complete:], tail))
        return self.out_proj(parts[0] if len(parts) == 1 else mx.concatenate(parts))

    def _attend(self, queries: mx.array, keys: mx.array, values: mx.array, window: int) -> mx.array:
        """Attention [n, d_model] inside windows of `window` tokens, of which there is a whole number."""

        def heads(x: mx.array) -> mx.array:
            return x.reshape(-1, window, self.n_heads, self.head_dim).transpose(0, 2, 1, 3)

        q, k, v = heads(queries), heads(keys), heads(values)
        out = mx.fast.scaled_dot_product_attention(q, k, v, scale=self.head_dim**-0.5)
        return out.transpose(0, 2, 1, 3).reshape(queries.shape)


class EncoderLayer(nn.Module):
    def __init__(self, config: AudioConfig) -> None:
        super().__init__()
        self.self_attn = EncoderAttention(config)
        self.self_attn_layer_norm = nn.LayerNorm(config.d_model, eps=1e-5)
        self.fc1 = nn.Linear(config.d_model, config.encoder_ffn_dim)
        self.fc2 = nn.Linear(config.encoder_ffn_dim, config.d_model)
        self.final_layer_norm = nn.LayerNorm(config.d_model, eps=1e-5)

    def __call__(self, x: mx.array) -> mx.array:
        x = x + self.self_attn(self.self_attn_layer_norm(x))
        return x + self.fc2(nn.gelu(self.fc1(self.final_layer_norm(x))))


class AudioEncoder(nn.Module):
    """Conv stem, windowed transformer, projection to the decoder's width."""

    def __init__(self, config: AudioConfig) -> None:
        super().__init__()
        self.config = config
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
        # the underscore keeps it out of the parameters; made from NumPy, it is usable from any thread
        self._positions = mx.array(sinusoids(config.chunk_tokens, config.d_model))
        self._cpu: CPUEncoder | None = None

    def to_cpu(self) -> None:
        """For good: from now on NumPy computes, in float32, with copies of the weights. MLX's own are let go."""
        self._cpu = CPUEncoder(self, self.config)
        for name in self.children():  # type: ignore[no-untyped-call]
            del self[name]

    @property
    def window_frames(self) -> int:
        """Mel frames in an encoder window."""
        return self.config.window_frames

    @property
    def tokens_per_chunk(self) -> int:
        """Audio embeddings of a complete conv chunk."""
        return self.config.chunk_tokens

    def __call__(self, mel: mx.array) -> mx.array:
        """Audio embeddings [n_tokens, output_dim] of a whole clip's scaled mel [n_frames, n_mels]."""
        return self.windows(self.conv_tokens(mel))

    def conv_tokens(self, mel: mx.array, pad_tail: bool = False) -> mx.array:
        """The first layer's input [n_tokens, d_model] for mel [n_frames, n_mels] that starts on a chunk.

        Args:
            pad_tail: whether a complete chunk lies before these frames. It matters to a tail alone: after a
                complete chunk it sees zeros up to a chunk's length, else it is convolved at its own width.
        """
        n_frames, n_mels = mel.shape
        size = self.config.chunk_frames
        complete = n_frames // size
        parts = []
        for first in range(0, complete, CHUNKS_PER_PASS):
            last = min(first + CHUNKS_PER_PASS, complete)
            parts.append(self._convolved(mel[first * size : last * size].reshape(last - first, size, n_mels)))
        if n_frames > complete * size:
            tail = mel[complete * size :]
            parts.append(self._tail(tail, padded=pad_tail or complete > 0))
        if not parts:
            return mx.zeros((0, self.config.d_model))
        return parts[0] if len(parts) == 1 else mx.concatenate(parts)

    def windows(self, tokens: mx.array) -> mx.array:
        """Audio embeddings [n_tokens, output_dim] of tokens [n_tokens, d_model] that start on a window."""
        size = WINDOWS_PER_PASS * self.config.window_tokens
        if tokens.shape[0] <= size:
            return self._transformed(tokens)
        return mx.concatenate([self._transformed(tokens[n : n + size]) for n in range(0, tokens.shape[0], size)])

    def _tail(self, mel: mx.array, padded: bool) -> mx.array:
        """Tokens [n_tokens, d_model] of fewer frames than a chunk has."""
        n_tokens = halved_three_times(mel.shape[0])
        if padded:
            # a token sees no further than 8 n_tokens frames, so zeros beyond would be computed for nothing
            width = min(8 * n_tokens, self.config.chunk_frames)
            mel = mx.pad(mel, [(0, width - mel.shape[0]), (0, 0)])
        return self._convolved(mel[None])[:n_tokens]

    def _convolved(self, chunks: mx.array) -> mx.array:
        """Tokens [n_chunks * n_steps, d_model] of chunks [n_chunks, n_frames, n_mels] of one length."""
        if self._cpu is not None:
            table = np.array(self._positions, copy=False)
            return mx.array(self._cpu.convolved(np.array(chunks, copy=False), table))
        x = chunks.swapaxes(1, 2)[..., None].astype(self.conv2d1.weight.dtype)  # [n_chunks, n_mels, n_frames, 1]
        for conv in (self.conv2d1, self.conv2d2, self.conv2d3):
            x = nn.gelu(conv(x))
        # [n_chunks, 16, n_steps, channels] to [n_chunks, n_steps, channels, 16]: channel major
        x = x.transpose(0, 2, 3, 1).flatten(2)
        x = self.conv_out(x)
        x = x + self._positions[: x.shape[1]].astype(x.dtype)
        return x.flatten(0, 1)

    def _transformed(self, tokens: mx.array) -> mx.array:
        if self._cpu is not None:
            return mx.array(self._cpu.transformed(np.array(tokens, copy=False)))
        x = tokens
        for layer in self.layers:
            x = layer(x)
        return self.proj2(nn.gelu(self.proj1(self.ln_post(x))))


def sinusoids(length: int, width: int) -> NDArray[np.float32]:
    """Position table [length, width]: the first half sines, the second half cosines."""
    step = math.log(10_000) / (width // 2 - 1)
    angles = np.arange(length)[:, None] * np.exp(-step * np.arange(width // 2))[None, :]
    return np.concatenate([np.sin(angles), np.cos(angles)], axis=1).astype(np.float32)

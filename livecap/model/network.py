"""Network: what the rest of the program asks of a loaded model, whatever computes it.

    mel ─▶ convolve_mel ─▶ conv tokens ─▶ encode_windows ─▶ audio embeddings ─┐
    token ids ─▶ embed ───────────────────────────────────────────────────────┴─▶ network(...) ─▶ hidden ─▶ logits

Two classes implement it: `qwen3_asr.Qwen3ASR` with MLX, and `numpy.network.NumpyQwen3ASR` with NumPy for machines
without a GPU. `checkpoint.load` chooses between them. Arrays at this interface are MLX's in both cases.
"""

from collections.abc import Sequence
from typing import Protocol

from livecap.model.backend import mx
from livecap.model.cache import PromptCache
from livecap.model.config import ModelConfig, halved_three_times

CONV_BLOCKS_PER_PASS = 8
"""Conv blocks convolved at once. Bounds memory; does not change the result."""
WINDOWS_PER_PASS = 8
"""Encoder windows computed at once. Bounds memory; does not change the result."""


class Rows(Protocol):
    """Several sequences that grow by one position at a time, together: a product reads the weights once for all."""

    def __call__(self, embeddings: mx.array) -> mx.array:
        """Hidden states [R, hidden] of one new position in each sequence, from its embeddings [R, hidden]."""

    def keep(self, rows: Sequence[int]) -> None:
        """Drop all sequences but these, which are numbers of rows in ascending order."""


class Network(Protocol):
    """A loaded Qwen3-ASR. Holds weights and no state of a stream: caches are arguments."""

    config: ModelConfig
    """All sizes: mel bins, conv blocks, encoder windows, vocabulary."""

    def convolve(self, blocks: mx.array) -> mx.array:
        """Conv tokens [n_blocks * n_steps, d_model] of mel blocks [n_blocks, n_frames, n_mels], each on its own."""

    def encode(self, tokens: mx.array) -> mx.array:
        """Audio embeddings [n, output_dim] of conv tokens [n, d_model] that start at an encoder window."""

    def encode_sounds(self, sounds: Sequence[mx.array]) -> list[mx.array]:
        """What `encode` returns for the conv tokens of each sound, computed together."""

    def embed(self, token_ids: mx.array) -> mx.array:
        """Embeddings [n, hidden] of token ids [n]."""

    def __call__(self, embeddings: mx.array, cache: PromptCache, n_last: int | None = None) -> mx.array:
        """The decoder: hidden states [1, n_last, hidden] of embeddings [1, L, hidden] that follow what `cache` holds.

        The layers of `cache` hold all L positions afterwards; the caller adds their keys.

        Args:
            cache: made by this network's `new_cache`.
            n_last: compute only the last positions; None for all L.
        """

    def attention(self, embeddings: mx.array, cache: PromptCache, layers: Sequence[int]) -> list[mx.array]:
        """Where the decoder looks: attention weights [n_heads, L, S] of each of these layers, in their order.

        Args:
            embeddings: [1, L, hidden], which follow what `cache` holds; S positions in all. The caller removes the L
                positions with `cache.trim_layers`.
            layers: numbers of layers, rising. Layers after the last one are not computed.
        """

    def logits(self, hidden: mx.array, rows: slice = slice(None)) -> mx.array:
        """Logits [..., vocab] of hidden states [..., hidden]. Expensive: ask only for the positions you need.

        Args:
            rows: a stretch of the vocabulary; by default all of it.
        """

    def head_rows(self, ids: mx.array) -> mx.array:
        """Rows [..., hidden] of the output head: the weights of the logits of these ids [...]."""

    def new_cache(self) -> PromptCache:
        """An empty cache for one sequence."""

    def rows(self, caches: Sequence[PromptCache]) -> Rows:
        """The sequences in these caches, to be continued together. The caches still hold what they have keys for."""


def convolve_mel(network: Network, mel: mx.array, pad_tail: bool = False) -> mx.array:
    """Conv tokens [n_tokens, d_model] of scaled mel frames [n_frames, n_mels] that start at a conv block.

    Args:
        pad_tail: whether a complete block precedes these frames. Only the incomplete last block depends on it: after a
            complete block it is padded with zeros, otherwise it is convolved at its own length.
    """
    n_frames, n_mels = mel.shape
    size = network.config.audio.conv_frames
    complete = n_frames // size
    parts = []
    for first in range(0, complete, CONV_BLOCKS_PER_PASS):
        last = min(first + CONV_BLOCKS_PER_PASS, complete)
        parts.append(network.convolve(mel[first * size : last * size].reshape(last - first, size, n_mels)))
    if n_frames > complete * size:
        parts.append(_convolved_tail(network, mel[complete * size :], padded=pad_tail or complete > 0))
    return _joined(parts) if parts else mx.zeros((0, network.config.audio.d_model))


def encode_windows(network: Network, tokens: mx.array) -> mx.array:
    """Audio embeddings [n_tokens, output_dim] of conv tokens [n_tokens, d_model] that start at an encoder window."""
    size = WINDOWS_PER_PASS * network.config.audio.window_tokens
    return _joined([network.encode(tokens[start : start + size]) for start in range(0, max(1, tokens.shape[0]), size)])


def _convolved_tail(network: Network, mel: mx.array, padded: bool) -> mx.array:
    """Conv tokens [n_tokens, d_model] of an incomplete conv block [n_frames, n_mels]."""
    n_tokens = halved_three_times(mel.shape[0])
    if padded:
        # A token depends on no more than the first 8 * n_tokens frames, so further zeros need not be computed.
        width = min(8 * n_tokens, network.config.audio.conv_frames)
        mel = mx.pad(mel, [(0, width - mel.shape[0]), (0, 0)])
    return network.convolve(mel[None])[:n_tokens]


def _joined(parts: list[mx.array]) -> mx.array:
    return parts[0] if len(parts) == 1 else mx.concatenate(parts)

"""Qwen3-ASR with MLX: an audio encoder whose embeddings stand in the prompt of a text decoder.

Qwen3-ForcedAligner is the same network; its head has segments of time instead of tokens.

The attributes have the checkpoint's names, so that `sanitize` only drops and transposes.
"""

from collections.abc import Sequence

from livecap.errors import ModelError
from livecap.model import nn
from livecap.model.audio_encoder import AudioEncoder
from livecap.model.backend import mx
from livecap.model.cache import KVCache, KVRows, PromptCache
from livecap.model.checkpoint.layouts import network_name
from livecap.model.config import ModelConfig
from livecap.model.text_decoder import TextDecoder


class Qwen3ASR(nn.Module):
    """A `Network`; the methods are described there."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.audio_tower = AudioEncoder(config.audio)
        self.model = TextDecoder(config.text)
        if not config.text.tie_word_embeddings:
            self.lm_head = nn.Linear(config.text.hidden_size, config.n_logits, bias=False)

    def join(self) -> None:
        """Compute products that have the same input as one: fewer and longer kernels. The function stays the same.

        Parameters have other names than in a checkpoint afterwards.
        """
        for encoder_layer in self.audio_tower.layers:
            encoder_layer.self_attn.join()
        for layer in self.model.layers:
            layer.self_attn.join()
            layer.mlp.join()

    @property
    def dtype(self) -> mx.Dtype:
        """The type it computes in; packed weights have another one."""
        return self.model.norm.weight.dtype

    def convolve(self, blocks: mx.array) -> mx.array:
        return self.audio_tower.convolve(blocks)

    def encode(self, tokens: mx.array) -> mx.array:
        return self.audio_tower.encode(tokens)

    def encode_sounds(self, sounds: Sequence[mx.array]) -> list[mx.array]:
        return self.audio_tower.encode_sounds(sounds)

    def embed(self, token_ids: mx.array) -> mx.array:
        embeddings: mx.array = self.model.embed_tokens(token_ids)
        return embeddings

    def __call__(self, embeddings: mx.array, cache: PromptCache, n_last: int | None = None) -> mx.array:
        return self.model(embeddings, cache.layers_of(KVCache), n_last)

    def attention(self, embeddings: mx.array, cache: PromptCache, layers: Sequence[int]) -> list[mx.array]:
        return self.model.attention(embeddings, cache.layers_of(KVCache), layers)

    def logits(self, hidden: mx.array, rows: slice = slice(None)) -> mx.array:
        return nn.times_rows(self._head, hidden, rows)

    def head_rows(self, ids: mx.array) -> mx.array:
        return nn.rows_of(self._head, ids)

    @property
    def _head(self) -> nn.Embedding | nn.Linear:
        return self.model.embed_tokens if self.config.text.tie_word_embeddings else self.lm_head

    def new_cache(self) -> PromptCache:
        return PromptCache([KVCache() for _ in range(self.config.text.num_hidden_layers)])

    def rows(self, caches: Sequence[PromptCache]) -> "DecoderRows":
        return DecoderRows(self.model, [cache.layers_of(KVCache) for cache in caches])


class DecoderRows:
    """`Rows` of this network."""

    def __init__(self, decoder: TextDecoder, caches: Sequence[Sequence[KVCache]]) -> None:
        self._decoder = decoder
        self._layers = [KVRows(layers) for layers in zip(*caches, strict=True)]

    def __call__(self, embeddings: mx.array) -> mx.array:
        return self._decoder(embeddings[:, None], self._layers)[:, 0]

    def keep(self, rows: Sequence[int]) -> None:
        for layer in self._layers:
            layer.keep(rows)


def sanitize(weights: dict[str, mx.array], tied: bool) -> dict[str, mx.array]:
    """The weights under this network's names and with MLX's convolutions, from any layout (`checkpoint.layouts`).

    Convolutions are stored as (out, in, kh, kw) or, by MLX, as (out, kh, kw, in). The shape of the first one tells
    which, because it has one input channel.

    Args:
        tied: the embedding table is the output head too, so a stored head is dropped.

    Raises:
        ModelError: an array is there under the names of two layouts.
    """
    named = {network_name(name): array for name, array in weights.items()}
    if len(named) < len(weights):
        raise ModelError("The checkpoint has arrays twice, under names of two layouts.")
    weights = named
    if tied:
        weights = {name: array for name, array in weights.items() if not name.startswith("lm_head.")}
    first = weights.get("audio_tower.conv2d1.weight")
    if first is not None and first.ndim == 4 and first.shape[1] == 1:
        for name, array in weights.items():
            if array.ndim == 4:
                weights[name] = mx.contiguous(array.transpose(0, 2, 3, 1))  # a kernel would copy it at each call
    return weights

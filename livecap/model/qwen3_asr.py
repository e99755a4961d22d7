"""Qwen3-ASR with MLX: an audio encoder whose embeddings stand in the prompt of a text decoder.

The attributes have the checkpoint's names, so that `sanitize` only drops and transposes.
"""

from livecap.model import nn
from livecap.model.audio_encoder import AudioEncoder
from livecap.model.backend import mx
from livecap.model.cache import KVCache, PromptCache
from livecap.model.config import ModelConfig
from livecap.model.text_decoder import TextDecoder

OFFICIAL_PREFIX = "thinker."


class Qwen3ASR(nn.Module):
    """A `Network`; the methods are described there."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.audio_tower = AudioEncoder(config.audio)
        self.model = TextDecoder(config.text)
        if not config.text.tie_word_embeddings:
            self.lm_head = nn.Linear(config.text.hidden_size, config.text.vocab_size, bias=False)

    @property
    def dtype(self) -> mx.Dtype:
        """The type it computes in; packed weights have another one."""
        return self.model.norm.weight.dtype

    def convolve(self, blocks: mx.array) -> mx.array:
        return self.audio_tower.convolve(blocks)

    def encode(self, tokens: mx.array) -> mx.array:
        return self.audio_tower.encode(tokens)

    def embed(self, token_ids: mx.array) -> mx.array:
        embeddings: mx.array = self.model.embed_tokens(token_ids)
        return embeddings

    def __call__(self, embeddings: mx.array, cache: PromptCache, n_last: int | None = None) -> mx.array:
        return self.model(embeddings, cache.layers_of(KVCache), n_last)

    def logits(self, hidden: mx.array) -> mx.array:
        if self.config.text.tie_word_embeddings:
            return nn.as_linear(self.model.embed_tokens, hidden)
        return self.lm_head(hidden)

    def new_cache(self) -> PromptCache:
        return PromptCache([KVCache() for _ in range(self.config.text.num_hidden_layers)])


def sanitize(weights: dict[str, mx.array], tied: bool) -> dict[str, mx.array]:
    """The weights under this network's names and in MLX's layout, from the official or the MLX community's layout.

    The official files prefix every name with `thinker.` and store convolutions as (out, in, kh, kw); the community's
    files do neither. The shape of the first convolution tells which it is, because it has one input channel.

    Args:
        tied: the embedding table is the output head too, so a stored head is dropped.
    """
    weights = {name.removeprefix(OFFICIAL_PREFIX): array for name, array in weights.items()}
    if tied:
        weights = {name: array for name, array in weights.items() if not name.startswith("lm_head.")}
    first = weights.get("audio_tower.conv2d1.weight")
    if first is not None and first.ndim == 4 and first.shape[1] == 1:
        for name, array in weights.items():
            if array.ndim == 4:
                weights[name] = array.transpose(0, 2, 3, 1)
    return weights

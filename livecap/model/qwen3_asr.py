"""Qwen3-ASR: an audio encoder whose embeddings stand in a text decoder's prompt.

    mel ─▶ audio_tower ─▶ audio embeddings ─┐
    token ids ─▶ model.embed_tokens ────────┴─▶ model ─▶ hidden ─▶ logits

The attributes have the checkpoint's names, so that `sanitize` only drops and transposes.
"""

import numpy as np

from livecap.model import nn
from livecap.model.audio_encoder import AudioEncoder
from livecap.model.backend import mx
from livecap.model.cache import KVCache, PromptCache
from livecap.model.config import ModelConfig
from livecap.model.numpy.decoder import CPUDecoder
from livecap.model.text_decoder import TextDecoder

OFFICIAL_PREFIX = "thinker."


class Qwen3ASR(nn.Module):
    """The whole network. Holds weights and no state: caches are arguments. By NumPy it is one thread's at a time."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.audio_tower = AudioEncoder(config.audio)
        self.model = TextDecoder(config.text)
        if not config.text.tie_word_embeddings:
            self.lm_head = nn.Linear(config.text.hidden_size, config.text.vocab_size, bias=False)
        self._cpu: CPUDecoder | None = None

    def to_cpu(self) -> None:
        """For good: from now on NumPy computes, in float32, with copies of the weights. MLX's own are let go."""
        self.audio_tower.to_cpu()
        head = None if self.config.text.tie_word_embeddings else self.lm_head
        self._cpu = CPUDecoder(self.model, head, self.config.text)
        for part in ("model", "lm_head"):
            self.pop(part, None)

    def __call__(self, embeddings: mx.array, cache: PromptCache, n_last: int | None = None) -> mx.array:
        """Hidden states [1, n_last, hidden] of the last of embeddings [1, L, hidden] that follow what `cache` holds.

        Args:
            n_last: None for all L.
        """
        if self._cpu is None:
            return self.model(embeddings, cache.layers, n_last)
        hidden = self._cpu(np.array(embeddings, copy=False)[0], cache.layers, n_last)
        return mx.array(hidden)[None]

    def embed(self, token_ids: mx.array) -> mx.array:
        """Embeddings [n, hidden] of token ids [n]."""
        if self._cpu is not None:
            return mx.array(self._cpu.embeddings[np.array(token_ids)])
        embeddings: mx.array = self.model.embed_tokens(token_ids)
        return embeddings

    def logits(self, hidden: mx.array) -> mx.array:
        """Logits [..., vocab] of hidden states [..., hidden]; ask only for the positions you need."""
        if self._cpu is not None:
            rows = np.array(hidden, copy=False).reshape(-1, hidden.shape[-1])
            return mx.array(self._cpu.logits(rows)).reshape(*hidden.shape[:-1], -1)
        if self.config.text.tie_word_embeddings:
            return nn.as_linear(self.model.embed_tokens, hidden)
        return self.lm_head(hidden)

    def new_cache(self) -> PromptCache:
        """An empty cache of the right depth."""
        if self._cpu is not None:
            return PromptCache(self._cpu.new_layers())
        return PromptCache([KVCache() for _ in range(self.config.text.num_hidden_layers)])


def sanitize(weights: dict[str, mx.array], tied: bool) -> dict[str, mx.array]:
    """The weights under this network's names and in MLX's layout, from the official or the community layout.

    The official files prefix every name with `thinker.` and hold convolutions as (out, in, kh, kw); the
    community's have neither. Which it is, the first convolution's shape says: it has one input channel.
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

"""Qwen3-ASR with NumPy, in float32: the faster arithmetic on machines without a GPU (docs/decisions/0009-cpu.md)."""

import numpy as np

from livecap.model.backend import mx
from livecap.model.cache import PromptCache
from livecap.model.numpy.decoder import KVColumns, NumpyDecoder
from livecap.model.numpy.encoder import NumpyEncoder
from livecap.model.qwen3_asr import Qwen3ASR


class NumpyQwen3ASR:
    """A `Network`; the methods are described there. Used by one thread at a time, because it reuses its buffers."""

    def __init__(self, model: Qwen3ASR) -> None:
        """
        Args:
            model: the same network in float32. It is used up: each layer is freed once it is copied, so that memory
                need not hold both networks.
        """
        self.config = model.config
        self.audio_tower = NumpyEncoder(model.audio_tower, model.config.audio)
        model.pop("audio_tower")
        head = None if model.config.text.tie_word_embeddings else model.lm_head
        self.decoder = NumpyDecoder(model.model, head, model.config.text)
        for part in ("model", "lm_head"):
            model.pop(part, None)

    def convolve(self, blocks: mx.array) -> mx.array:
        return mx.array(self.audio_tower.convolve(np.array(blocks, copy=False)))

    def encode(self, tokens: mx.array) -> mx.array:
        return mx.array(self.audio_tower.encode(np.array(tokens, copy=False)))

    def embed(self, token_ids: mx.array) -> mx.array:
        return mx.array(self.decoder.embeddings[np.array(token_ids)])

    def __call__(self, embeddings: mx.array, cache: PromptCache, n_last: int | None = None) -> mx.array:
        hidden = self.decoder(np.array(embeddings, copy=False)[0], cache.layers_of(KVColumns), n_last)
        return mx.array(hidden)[None]

    def logits(self, hidden: mx.array) -> mx.array:
        rows = np.array(hidden, copy=False).reshape(-1, hidden.shape[-1])
        return mx.array(self.decoder.logits(rows)).reshape(*hidden.shape[:-1], -1)

    def new_cache(self) -> PromptCache:
        return PromptCache(self.decoder.new_layers())

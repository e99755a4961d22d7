"""Qwen3-ASR with NumPy, in float32: the faster arithmetic on machines without a GPU (docs/decisions/0009-cpu.md)."""

from collections.abc import Sequence
from itertools import accumulate

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

    def encode_sounds(self, sounds: Sequence[mx.array]) -> list[mx.array]:
        tokens = np.concatenate([np.array(sound, copy=False) for sound in sounds])
        lengths = [sound.shape[0] for sound in sounds]
        together = mx.array(self.audio_tower.encode(tokens, lengths))
        return [together[end - n : end] for n, end in zip(lengths, accumulate(lengths), strict=True)]

    def embed(self, token_ids: mx.array) -> mx.array:
        return mx.array(self.decoder.embeddings[np.array(token_ids)])

    def __call__(self, embeddings: mx.array, cache: PromptCache, n_last: int | None = None) -> mx.array:
        hidden = self.decoder(np.array(embeddings, copy=False)[0], cache.layers_of(KVColumns), n_last)
        return mx.array(hidden)[None]

    def attention(self, embeddings: mx.array, cache: PromptCache, layers: Sequence[int]) -> list[mx.array]:
        rows = np.array(embeddings, copy=False)[0]
        return [mx.array(weights) for weights in self.decoder.attention(rows, cache.layers_of(KVColumns), layers)]

    def logits(self, hidden: mx.array, rows: slice = slice(None)) -> mx.array:
        flat = np.array(hidden, copy=False).reshape(-1, hidden.shape[-1])
        return mx.array(self.decoder.logits(flat, rows)).reshape(*hidden.shape[:-1], -1)

    def head_rows(self, ids: mx.array) -> mx.array:
        return mx.array(self.decoder.head[np.array(ids)])

    def new_cache(self) -> PromptCache:
        return PromptCache(self.decoder.new_layers())

    def rows(self, caches: Sequence[PromptCache]) -> "NumpyRows":
        return NumpyRows(self.decoder, [cache.layers_of(KVColumns) for cache in caches])


class NumpyRows:
    """`Rows`: each sequence keeps its own keys and values, of any length."""

    def __init__(self, decoder: NumpyDecoder, caches: list[list[KVColumns]]) -> None:
        self._decoder = decoder
        self._caches = caches

    def __call__(self, embeddings: mx.array) -> mx.array:
        return mx.array(self._decoder.step(np.array(embeddings, copy=False), self._caches))

    def keep(self, rows: Sequence[int]) -> None:
        self._caches = [self._caches[row] for row in rows]

"""The text decoder with NumPy, for machines without a GPU. The network is described in `livecap.model.text_decoder`.

MLX is made for Macs and CUDA. Its CPU build computes exp and erf one number at a time, copies what it reshapes, and
plans every small array: at the 0.6B's size, two fifths of a pass were not spent in products. Here activations are
feature-major, [features, positions], so that the output of a product is the input of the next; buffers are reused;
weights lie in large pages; work is divided among the cores. The fixtures of the official code hold for both.

One product computes queries, keys and values, another one gate and up. Keys and values are stored as [D, positions] per
head: a new position is a new column, and both products of attention use them as they are.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from livecap.model import nn
from livecap.model.cache import GROWTH, LayerCache
from livecap.model.config import TextConfig
from livecap.model.numpy.functions import attend, rms_norm, swiglu
from livecap.model.numpy.products import Numbers, Scratch, column, own, product
from livecap.model.text_decoder import DecoderLayer, TextDecoder


class KVColumns(LayerCache):
    """Keys and values of one layer, for one sequence. Written in place."""

    def __init__(self, n_heads: int, width: int) -> None:
        """
        Args:
            n_heads: key/value heads, H_kv.
            width: of one head, D.
        """
        super().__init__()
        self.keys = np.empty((n_heads, width, 0), np.float32)
        """[H_kv, D, capacity]; only the first `offset` positions are in use."""
        self.values = self.keys

    @property
    def capacity(self) -> int:
        """Positions that fit into the storage."""
        return self.keys.shape[2]

    def append(self, n: int) -> tuple[Numbers, Numbers]:
        """Add `n` positions; returns their keys and values [H_kv, D, n], which the caller has to write."""
        start, self.offset = self.offset, self.offset + n
        if self.offset > self.capacity:
            self.keys, self.values = (self._grown(held, start) for held in (self.keys, self.values))
        return self.keys[:, :, start : self.offset], self.values[:, :, start : self.offset]

    def held(self) -> tuple[Numbers, Numbers]:
        """All keys and values [H_kv, D, offset]."""
        return self.keys[:, :, : self.offset], self.values[:, :, : self.offset]

    def _grown(self, held: Numbers, n_held: int) -> Numbers:
        grown = np.empty((*held.shape[:2], -(-self.offset // GROWTH) * GROWTH), np.float32)
        grown[:, :, :n_held] = held[:, :, :n_held]
        return grown


@dataclass(frozen=True, slots=True)
class Layer:
    """The weights of one layer, as matrices [out, in]. The weight of a norm is multiplied into the matrix after it."""

    query_key_value: Numbers
    head_norms: Numbers
    """[H + H_kv, D, 1]: of query heads, times the scale of attention, then of key heads."""
    out: Numbers
    gate_up: Numbers
    down: Numbers

    @classmethod
    def from_mlx(cls, layer: DecoderLayer) -> "Layer":
        """A copy of MLX's layer."""
        attention, mlp = layer.self_attn, layer.mlp
        query_norm = column(attention.q_norm.weight) * np.float32(attention.head_dim**-0.5)
        norms = [query_norm] * attention.n_heads + [column(attention.k_norm.weight)] * attention.n_kv_heads
        query_key_value = own(attention.q_proj.weight, attention.k_proj.weight, attention.v_proj.weight)
        query_key_value *= own(layer.input_layernorm.weight)
        gate_up = own(mlp.gate_proj.weight, mlp.up_proj.weight)
        gate_up *= own(layer.post_attention_layernorm.weight)
        return cls(
            query_key_value=query_key_value,
            head_norms=np.stack(norms),
            out=own(attention.o_proj.weight),
            gate_up=gate_up,
            down=own(mlp.down_proj.weight),
        )


class NumpyDecoder:
    """All layers, the embedding table, the final norm and the head. Used by one thread at a time: it reuses buffers."""

    def __init__(self, decoder: TextDecoder, head: nn.Linear | None, config: TextConfig) -> None:
        """
        Args:
            decoder: loses its layers while they are copied, so that memory need not hold both.
            head: None if the embedding table is the head too.
        """
        self._config = config
        self.layers: list[Layer] = []
        while decoder.layers:
            self.layers.append(Layer.from_mlx(decoder.layers.pop(0)))
        self.embeddings = own(decoder.embed_tokens.weight)
        """[vocab, hidden]"""
        self._norm = column(decoder.norm.weight)
        self._head = self.embeddings if head is None else own(head.weight)
        self._scratch = Scratch()

    def new_layers(self) -> list[KVColumns]:
        """An empty cache for each layer."""
        config = self._config
        return [KVColumns(config.num_key_value_heads, config.head_dim) for _ in self.layers]

    def __call__(self, embeddings: Numbers, caches: Sequence[KVColumns], n_last: int | None = None) -> Numbers:
        """Hidden states [n_last, hidden] of embeddings [L, hidden] that follow what `caches` hold.

        The caches hold all L positions afterwards.

        Args:
            n_last: compute only the last positions; None for all L.
        """
        config, scratch, eps = self._config, self._scratch, self._config.rms_norm_eps
        x = embeddings.T.copy()  # a copy, to add to
        n = x.shape[1]
        angles = angles_of(caches[0].offset, n, config.head_dim, config.rope_theta)
        for layer, cache in zip(self.layers, caches, strict=True):
            normed = rms_norm(x, eps, scratch.take("normed", *x.shape))
            n_asked = n if n_last is None or layer is not self.layers[-1] else n_last
            seen = self._attention(layer, normed, cache, angles, n_asked)
            if n_asked < n:
                x = np.ascontiguousarray(x[:, n - n_asked :])
            x += product(layer.out, seen, scratch.take("added", *x.shape))
            normed = rms_norm(x, eps, scratch.take("normed", *x.shape))
            gate_up = product(layer.gate_up, normed, scratch.take("gate_up", len(layer.gate_up), n_asked))
            x += product(layer.down, swiglu(gate_up), scratch.take("added", *x.shape))
        return (rms_norm(x, eps, x) * self._norm).T

    def logits(self, hidden: Numbers) -> Numbers:
        """Logits [n, vocab] of hidden states [n, hidden]."""
        x = np.ascontiguousarray(hidden.T)
        return product(self._head, x, self._scratch.take("logits", len(self._head), x.shape[1])).T

    def _attention(
        self, layer: Layer, x: Numbers, cache: KVColumns, angles: tuple[Numbers, Numbers], n_last: int
    ) -> Numbers:
        """What the last `n_last` positions of x [hidden, n] see, [H * D, n_last]. The cache takes all n of them."""
        config, scratch, eps = self._config, self._scratch, self._config.rms_norm_eps
        n, D, n_heads, n_kv_heads = x.shape[1], config.head_dim, config.num_attention_heads, config.num_key_value_heads
        all_three = product(layer.query_key_value, x, scratch.take("qkv", len(layer.query_key_value), n))
        heads = all_three.reshape(-1, D, n)
        turning = heads[: n_heads + n_kv_heads]
        rms_norm(turning, eps, turning)
        turning *= layer.head_norms
        rotated = rotate(turning, *angles, scratch.take("rotated", *turning.shape))
        new_keys, new_values = cache.append(n)
        new_keys[:] = rotated[n_heads:]
        new_values[:] = heads[n_heads + n_kv_heads :]
        queries = rotated[:n_heads, :, n - n_last :].reshape(n_kv_heads, -1, D, n_last)
        seen = attend(queries, *cache.held(), scratch, causal=True)
        return seen.reshape(-1, n_last)


def rotate(x: Numbers, cos: Numbers, sin: Numbers, out: Numbers) -> Numbers:
    """RoPE of heads x [H, D, n], where (x[i], x[i + D/2]) is a pair; `cos` and `sin` as `angles_of` returns them.

    Args:
        out: another array of the shape of x; it is returned.
    """
    n_heads, D, n = x.shape
    other = x.reshape(n_heads, 2, D // 2, n)[:, ::-1] * sin.reshape(2, D // 2, n)
    np.multiply(x, cos, out=out)
    out += other.reshape(x.shape)
    return out


def angles_of(offset: int, length: int, width: int, base: float) -> tuple[Numbers, Numbers]:
    """Cosines and sines [width, length] of positions [offset, offset + length) times base**(-2i/width).

    Rows i and i + width/2 have the same angle. The sines of the first half are negated, as the rotation needs them.
    """
    frequencies = base ** -(np.arange(width // 2, dtype=np.float64) / (width // 2))
    angles = np.outer(frequencies, np.arange(offset, offset + length))
    cos, sin = np.cos(angles), np.sin(angles)
    return np.concatenate([cos, cos]).astype(np.float32), np.concatenate([-sin, sin]).astype(np.float32)

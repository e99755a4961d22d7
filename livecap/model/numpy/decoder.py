"""The text decoder with NumPy, for machines without a GPU. The network is described in `livecap.model.text_decoder`.

MLX is made for Macs and CUDA. Its CPU build computes exp and erf one number at a time, copies what it reshapes, and
plans every small array: at the 0.6B's size, two fifths of a pass were not spent in products. Here activations are
feature-major, [features, positions], so that the output of a product is the input of the next; buffers are reused;
weights lie in large pages; work is divided among the cores. The fixtures of the official code hold for both.

One product computes queries, keys and values, another one gate and up. Keys and values are stored as [D, positions] per
head: a new position is a new column, and both products of attention use them as they are.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from livecap.model import nn
from livecap.model.cache import GROWTH, LayerCache
from livecap.model.config import TextConfig
from livecap.model.numpy.functions import attend, attention_weights, rms_norm, swiglu
from livecap.model.numpy.products import Numbers, Scratch, column, own, product
from livecap.model.text_decoder import DecoderLayer, TextDecoder

Look = Callable[[int, Numbers, Numbers], None]
"""Gets the number of a layer, its queries [H_kv, G, D, n] and its keys [H_kv, D, S]; valid only during the call."""


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
        self.head = self.embeddings if head is None else own(head.weight)
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
        x = self._passed(embeddings, caches, n_last, None)
        return (rms_norm(x, self._config.rms_norm_eps, x) * self._norm).T

    def attention(self, embeddings: Numbers, caches: Sequence[KVColumns], layers: Sequence[int]) -> list[Numbers]:
        """See `Network.attention`; of embeddings [L, hidden]."""
        found: list[Numbers] = []

        def look(layer: int, queries: Numbers, keys: Numbers) -> None:
            if layer in layers:
                found.append(attention_weights(queries, keys))

        self._passed(embeddings, caches[: max(layers) + 1], None, look)
        return found

    def _passed(
        self, embeddings: Numbers, caches: Sequence[KVColumns], n_last: int | None, look: Look | None
    ) -> Numbers:
        """What leaves the layers that `caches` belong to: [hidden, n_last] of embeddings [L, hidden]."""
        scratch, eps, config = self._scratch, self._config.rms_norm_eps, self._config
        x = embeddings.T.copy()  # a copy, to add to
        n, offset = x.shape[1], caches[0].offset
        angles = angles_at(np.arange(offset, offset + n), config.head_dim, config.rope_theta)
        for i, (layer, cache) in enumerate(zip(self.layers, caches, strict=False)):
            normed = rms_norm(x, eps, scratch.take("normed", *x.shape))
            n_asked = n if n_last is None or layer is not self.layers[-1] else n_last
            queries = self._attention_queries(layer, normed, cache, angles, n_asked)
            if look:
                look(i, queries, cache.held()[0])
            seen = attend(queries, *cache.held(), scratch, causal=True).reshape(-1, n_asked)
            if n_asked < n:
                x = np.ascontiguousarray(x[:, n - n_asked :])
            x += product(layer.out, seen, scratch.take("added", *x.shape))
            self._add_mlp(layer, x)
        return x

    def step(self, embeddings: Numbers, rows: Sequence[Sequence[KVColumns]]) -> Numbers:
        """Hidden states [R, hidden] of one new position in each of R sequences, from embeddings [R, hidden].

        Args:
            rows: the caches of all layers for each sequence; each takes one more position.
        """
        config, scratch, eps = self._config, self._scratch, self._config.rms_norm_eps
        D, n_heads, n_kv_heads = config.head_dim, config.num_attention_heads, config.num_key_value_heads
        x = embeddings.T.copy()  # a copy, to add to
        angles = angles_at(np.array([caches[0].offset for caches in rows]), D, config.rope_theta)
        for number, layer in enumerate(self.layers):
            rotated, values = self._heads(layer, rms_norm(x, eps, scratch.take("normed", *x.shape)), angles)
            seen = scratch.take("seen by rows", n_heads * D, len(rows))
            for row, caches in enumerate(rows):
                new_keys, new_values = caches[number].append(1)
                new_keys[..., 0] = rotated[n_heads:, :, row]
                new_values[..., 0] = values[..., row]
                queries = rotated[:n_heads, :, row].reshape(n_kv_heads, -1, D, 1)
                seen[:, row] = attend(queries, *caches[number].held(), scratch, causal=True).reshape(-1)
            x += product(layer.out, seen, scratch.take("added", *x.shape))
            self._add_mlp(layer, x)
        return (rms_norm(x, eps, x) * self._norm).T

    def _add_mlp(self, layer: Layer, x: Numbers) -> None:
        """Add what the layer's MLP computes to x [hidden, n], in place."""
        scratch = self._scratch
        normed = rms_norm(x, self._config.rms_norm_eps, scratch.take("normed", *x.shape))
        gate_up = product(layer.gate_up, normed, scratch.take("gate_up", len(layer.gate_up), x.shape[1]))
        x += product(layer.down, swiglu(gate_up), scratch.take("added", *x.shape))

    def logits(self, hidden: Numbers, rows: slice = slice(None)) -> Numbers:
        """Logits [n, vocab] of hidden states [n, hidden], or those of some rows of the head."""
        x, head = np.ascontiguousarray(hidden.T), self.head[rows]
        return product(head, x, self._scratch.take("logits", len(head), x.shape[1])).T

    def _attention_queries(
        self, layer: Layer, x: Numbers, cache: KVColumns, angles: tuple[Numbers, Numbers], n_last: int
    ) -> Numbers:
        """The queries [H_kv, G, D, n_last] of the last positions of x [hidden, n]. The cache takes all n of them."""
        n, config = x.shape[1], self._config
        n_heads = config.num_attention_heads
        rotated, values = self._heads(layer, x, angles)
        new_keys, new_values = cache.append(n)
        new_keys[:] = rotated[n_heads:]
        new_values[:] = values
        queries = rotated[:n_heads, :, n - n_last :]
        return queries.reshape(config.num_key_value_heads, -1, config.head_dim, n_last)

    def _heads(self, layer: Layer, x: Numbers, angles: tuple[Numbers, Numbers]) -> tuple[Numbers, Numbers]:
        """Rotated query and key heads [H + H_kv, D, n], and value heads [H_kv, D, n], of x [hidden, n]."""
        config, scratch, eps, n = self._config, self._scratch, self._config.rms_norm_eps, x.shape[1]
        n_turning = config.num_attention_heads + config.num_key_value_heads
        all_three = product(layer.query_key_value, x, scratch.take("qkv", len(layer.query_key_value), n))
        heads = all_three.reshape(-1, config.head_dim, n)
        turning = heads[:n_turning]
        rms_norm(turning, eps, turning)
        turning *= layer.head_norms
        return rotate(turning, *angles, scratch.take("rotated", *turning.shape)), heads[n_turning:]


def rotate(x: Numbers, cos: Numbers, sin: Numbers, out: Numbers) -> Numbers:
    """RoPE of heads x [H, D, n], where (x[i], x[i + D/2]) is a pair; `cos` and `sin` as `angles_at` returns them.

    Args:
        out: another array of the shape of x; it is returned.
    """
    n_heads, D, n = x.shape
    other = x.reshape(n_heads, 2, D // 2, n)[:, ::-1] * sin.reshape(2, D // 2, n)
    np.multiply(x, cos, out=out)
    out += other.reshape(x.shape)
    return out


def angles_at(positions: NDArray[np.int_], width: int, base: float) -> tuple[Numbers, Numbers]:
    """Cosines and sines [width, n] of positions [n] times base**(-2i/width).

    Rows i and i + width/2 have the same angle. The sines of the first half are negated, as the rotation needs them.
    """
    frequencies = base ** -(np.arange(width // 2, dtype=np.float64) / (width // 2))
    angles = np.outer(frequencies, positions)
    cos, sin = np.cos(angles), np.sin(angles)
    return np.concatenate([cos, cos]).astype(np.float32), np.concatenate([-sin, sin]).astype(np.float32)

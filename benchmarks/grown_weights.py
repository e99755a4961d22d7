"""The weights of a small model, grown into a larger shape that computes the same function.

A benchmark can then run a model of the released size, at its real cost, with the text and errors of the small one.

    text      x [d] becomes [s x, 0] in X [D], with s = sqrt(D/d): the root mean square stays the same, and so the
              norm's epsilon means the same. Layers that write into the residual stream are multiplied by s. A norm's
              weight is divided by s, the final norm's by s squared, since the tied head contributes another s.
    heads     grow from h to H dimensions. Queries and keys are multiplied by t = sqrt(H/h), which keeps their norm;
              the keys' norm is divided by t for the attention's scale. RoPE's pair j moves to dimension j H/h, which
              has the same frequency.
    encoder   LayerNorm subtracts the mean, so layers that write into its input are centred first; the rest is as
              above. The table of positions is not a weight and depends on the width: `positions` computes it, and
              `load_grown` puts it into the model.
    spare     channels, heads and inner units are zero; spare layers write zero; spare rows of the vocabulary are the
              mean of the real rows and never win.
"""

import math
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from livecap.model.audio_encoder import sinusoids
from livecap.model.config import AudioConfig, ModelConfig, TextConfig

Array = NDArray[np.float32]
Weights = dict[str, Array]
"""Arrays by the names of the network; convolutions are (out, height, width, in)."""

SPARE_SCALE = 0.02
"""Standard deviation of weights whose result is not used: ordinary numbers, so that they cost as much as others."""


def grown(small: Weights, old: ModelConfig, new: ModelConfig, new_ids: Sequence[int]) -> Iterator[tuple[str, Array]]:
    """The name and array of every weight of the large model, one by one, so that few are in memory at once.

    Args:
        new_ids: for each token id of the small model, its id in the large model.
    """
    assert old.text.tie_word_embeddings and new.text.tie_word_embeddings, "the head is the embedding table"
    assert old.audio.num_mel_bins == new.audio.num_mel_bins
    assert old.audio.encoder_layers <= new.audio.encoder_layers
    assert old.text.num_hidden_layers <= new.text.num_hidden_layers
    assert (old.audio.n_window, old.audio.n_window_infer) == (new.audio.n_window, new.audio.n_window_infer)
    yield from _Encoder(small, old, new).weights()
    yield from _Decoder(small, old.text, new.text, new_ids).weights()


def positions(old: AudioConfig, new: AudioConfig) -> Array:
    """The encoder's table of positions [conv_tokens, d_model] for the grown weights."""
    return _padded(_scale(old, new) * _centred(sinusoids(old.conv_tokens, old.d_model).T).T, -1, new.d_model)


class _Decoder:
    def __init__(self, small: Weights, old: TextConfig, new: TextConfig, new_ids: Sequence[int]) -> None:
        assert new.head_dim % old.head_dim == 0 and new.hidden_size >= old.hidden_size
        self.small, self.old, self.new, self.new_ids = small, old, new, new_ids
        self.s = math.sqrt(new.hidden_size / old.hidden_size)
        self.t = math.sqrt(new.head_dim / old.head_dim)
        self.heads, self.kv_heads = head_places(old, new)
        factor, half = new.head_dim // old.head_dim, old.head_dim // 2
        pairs = np.arange(half) * factor
        self.rotated = np.concatenate([pairs, new.head_dim // 2 + pairs])
        """The new dimension of each dimension of a head: RoPE's pair j goes to a pair of the same frequency."""
        self.plain = np.arange(old.head_dim)

    def weights(self) -> Iterator[tuple[str, Array]]:
        new = self.new
        yield "model.embed_tokens.weight", self._embedding()
        chance = np.random.default_rng(0)
        for n in range(new.num_hidden_layers):
            name = f"model.layers.{n}."
            layer = self._layer(name) if n < self.old.num_hidden_layers else self._spare(chance)
            for part, array in layer:
                yield name + part, array
        yield "model.norm.weight", _padded(self.small["model.norm.weight"] / self.s**2, 0, new.hidden_size)

    def _embedding(self) -> Array:
        rows = self.small["model.embed_tokens.weight"] * self.s
        table = np.zeros((self.new.vocab_size, self.new.hidden_size), np.float32)
        table[:, : rows.shape[1]] = rows.mean(axis=0)
        table[np.array(self.new_ids), : rows.shape[1]] = rows
        return table

    def _layer(self, name: str) -> Iterator[tuple[str, Array]]:
        old, new, s, t = self.old, self.new, self.s, self.t
        width = new.hidden_size

        def small(part: str) -> Array:
            return self.small[name + part]

        yield "input_layernorm.weight", _padded(small("input_layernorm.weight") / s, 0, width)
        yield "post_attention_layernorm.weight", _padded(small("post_attention_layernorm.weight") / s, 0, width)
        q, k, v = (small(f"self_attn.{x}_proj.weight") for x in "qkv")
        query_rows = _head_rows(self.heads, self.rotated, old.head_dim, new.head_dim)
        key_rows = _head_rows(self.kv_heads, self.rotated, old.head_dim, new.head_dim)
        value_rows = _head_rows(self.kv_heads, self.plain, old.head_dim, new.head_dim)
        kv_width = new.num_key_value_heads * new.head_dim
        query_width = new.num_attention_heads * new.head_dim
        yield "self_attn.q_proj.weight", _rows(_padded(q * t, 1, width), query_rows, query_width)
        yield "self_attn.k_proj.weight", _rows(_padded(k * t, 1, width), key_rows, kv_width)
        yield "self_attn.v_proj.weight", _rows(_padded(v, 1, width), value_rows, kv_width)
        plain_rows = _head_rows(self.heads, self.plain, old.head_dim, new.head_dim)
        out = _padded(small("self_attn.o_proj.weight") * s, 0, width)
        yield "self_attn.o_proj.weight", _rows(out.T, plain_rows, query_width).T
        norm = np.zeros(new.head_dim, np.float32)
        for part, divisor in (("q_norm", 1.0), ("k_norm", t)):
            grown_norm = norm.copy()
            grown_norm[self.rotated] = small(f"self_attn.{part}.weight") / divisor
            yield f"self_attn.{part}.weight", grown_norm
        inner = new.intermediate_size
        for part in ("gate_proj", "up_proj"):
            yield f"mlp.{part}.weight", _padded(_padded(small(f"mlp.{part}.weight"), 1, width), 0, inner)
        yield "mlp.down_proj.weight", _padded(_padded(small("mlp.down_proj.weight") * s, 0, width), 1, inner)

    def _spare(self, chance: np.random.Generator) -> Iterator[tuple[str, Array]]:
        """A layer that costs as much as others and writes zero."""
        new = self.new
        width, inner = new.hidden_size, new.intermediate_size
        query_width, kv_width = new.num_attention_heads * new.head_dim, new.num_key_value_heads * new.head_dim
        for part in ("input_layernorm", "post_attention_layernorm"):
            yield f"{part}.weight", np.ones(width, np.float32)
        for part in ("q_norm", "k_norm"):
            yield f"self_attn.{part}.weight", np.ones(new.head_dim, np.float32)
        for part, rows in (("q_proj", query_width), ("k_proj", kv_width), ("v_proj", kv_width)):
            yield f"self_attn.{part}.weight", _noise(chance, rows, width)
        yield "self_attn.o_proj.weight", np.zeros((width, query_width), np.float32)
        yield "mlp.gate_proj.weight", _noise(chance, inner, width)
        yield "mlp.up_proj.weight", _noise(chance, inner, width)
        yield "mlp.down_proj.weight", np.zeros((width, inner), np.float32)


class _Encoder:
    def __init__(self, small: Weights, old: ModelConfig, new: ModelConfig) -> None:
        self.small, self.old, self.new = small, old.audio, new.audio
        self.s = _scale(old.audio, new.audio)
        self.text_s = math.sqrt(new.text.hidden_size / old.text.hidden_size)

    def weights(self) -> Iterator[tuple[str, Array]]:
        old, new, s = self.old, self.new, self.s
        width, channels = new.d_model, new.downsample_hidden_size

        def small(part: str) -> Array:
            return self.small[f"audio_tower.{part}"]

        for n in (1, 2, 3):
            kernel = _padded(small(f"conv2d{n}.weight"), 0, channels)
            yield f"audio_tower.conv2d{n}.weight", kernel if n == 1 else _padded(kernel, 3, channels)
            yield f"audio_tower.conv2d{n}.bias", _padded(small(f"conv2d{n}.bias"), 0, channels)
        features = channels * (small("conv_out.weight").shape[1] // old.downsample_hidden_size)
        conv_out = _padded(_centred(small("conv_out.weight")) * s, 0, width)
        yield "audio_tower.conv_out.weight", _padded(conv_out, 1, features)
        chance = np.random.default_rng(1)
        for n in range(new.encoder_layers):
            name = f"layers.{n}."
            layer = self._layer(name) if n < old.encoder_layers else self._spare(chance)
            for part, array in layer:
                yield f"audio_tower.{name}{part}", array
        yield "audio_tower.ln_post.weight", _padded(small("ln_post.weight") / s, 0, width)
        yield "audio_tower.ln_post.bias", _padded(small("ln_post.bias"), 0, width)
        yield "audio_tower.proj1.weight", _padded(_padded(small("proj1.weight"), 0, width), 1, width)
        yield "audio_tower.proj1.bias", _padded(small("proj1.bias"), 0, width)
        projection = _padded(small("proj2.weight") * self.text_s, 0, new.output_dim)
        yield "audio_tower.proj2.weight", _padded(projection, 1, width)
        yield "audio_tower.proj2.bias", _padded(small("proj2.bias") * self.text_s, 0, new.output_dim)

    def _layer(self, name: str) -> Iterator[tuple[str, Array]]:
        old, new, s = self.old, self.new, self.s
        width, inner = new.d_model, new.encoder_ffn_dim
        old_head, new_head = old.d_model // old.encoder_attention_heads, width // new.encoder_attention_heads
        places = [(i, i) for i in range(old.encoder_attention_heads)]
        rows = _head_rows(places, np.arange(old_head), old_head, new_head)

        def small(part: str) -> Array:
            return self.small[f"audio_tower.{name}{part}"]

        for part in ("self_attn_layer_norm", "final_layer_norm"):
            yield f"{part}.weight", _padded(small(f"{part}.weight") / s, 0, width)
            yield f"{part}.bias", _padded(small(f"{part}.bias"), 0, width)
        for part, factor in (("q_proj", math.sqrt(new_head / old_head)), ("k_proj", 1.0), ("v_proj", 1.0)):
            weight = _padded(small(f"self_attn.{part}.weight") * factor, 1, width)
            yield f"self_attn.{part}.weight", _rows(weight, rows, width)
            yield f"self_attn.{part}.bias", _rows(small(f"self_attn.{part}.bias") * factor, rows, width)
        out = _padded(_centred(small("self_attn.out_proj.weight")) * s, 0, width)
        yield "self_attn.out_proj.weight", _rows(out.T, rows, width).T
        yield "self_attn.out_proj.bias", _padded(_centred(small("self_attn.out_proj.bias")) * s, 0, width)
        yield "fc1.weight", _padded(_padded(small("fc1.weight"), 0, inner), 1, width)
        yield "fc1.bias", _padded(small("fc1.bias"), 0, inner)
        yield "fc2.weight", _padded(_padded(_centred(small("fc2.weight")) * s, 0, width), 1, inner)
        yield "fc2.bias", _padded(_centred(small("fc2.bias")) * s, 0, width)

    def _spare(self, chance: np.random.Generator) -> Iterator[tuple[str, Array]]:
        width, inner = self.new.d_model, self.new.encoder_ffn_dim
        for part in ("self_attn_layer_norm", "final_layer_norm"):
            yield f"{part}.weight", np.ones(width, np.float32)
            yield f"{part}.bias", np.zeros(width, np.float32)
        for part in ("q_proj", "k_proj", "v_proj"):
            yield f"self_attn.{part}.weight", _noise(chance, width, width)
            yield f"self_attn.{part}.bias", np.zeros(width, np.float32)
        yield "fc1.weight", _noise(chance, inner, width)
        yield "fc1.bias", np.zeros(inner, np.float32)
        for part, columns in (("self_attn.out_proj", width), ("fc2", inner)):
            yield f"{part}.weight", np.zeros((width, columns), np.float32)
            yield f"{part}.bias", np.zeros(width, np.float32)


def head_places(old: TextConfig, new: TextConfig) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """(small head, its place in the large model), for query heads and for key/value heads.

    A large key/value head serves a fixed number of query heads, so a small head that serves more is repeated.
    """
    old_group = old.num_attention_heads // old.num_key_value_heads
    new_group = new.num_attention_heads // new.num_key_value_heads
    heads, kv_heads = [], []
    place = 0
    for kv in range(old.num_key_value_heads):
        for first in range(0, old_group, new_group):
            kv_heads.append((kv, place))
            some = range(first, min(first + new_group, old_group))
            heads += [(kv * old_group + i, place * new_group + i - first) for i in some]
            place += 1
    assert place <= new.num_key_value_heads, "the large model has too few key/value heads"
    return heads, kv_heads


def _head_rows(
    places: Sequence[tuple[int, int]], dimensions: NDArray[np.int_], old_size: int, new_size: int
) -> tuple[NDArray[np.int_], NDArray[np.int_]]:
    """(rows of the small matrix, their rows in the large one)."""
    old = np.concatenate([head * old_size + np.arange(old_size) for head, _ in places])
    new = np.concatenate([place * new_size + dimensions for _, place in places])
    return old, new


def _rows(small: Array, rows: tuple[NDArray[np.int_], NDArray[np.int_]], n: int) -> Array:
    out = np.zeros((n, *small.shape[1:]), np.float32)
    out[rows[1]] = small[rows[0]]
    return out


def _padded(array: NDArray[np.floating], axis: int, n: int) -> Array:
    """The array with zeros appended up to `n` along `axis`."""
    widths = [(0, 0)] * array.ndim
    widths[axis] = (0, n - array.shape[axis])
    return np.pad(array, widths).astype(np.float32, copy=False)


def _centred(writer: NDArray[np.floating]) -> NDArray[np.floating]:
    """The weights with outputs of mean 0; LayerNorm gives the same result."""
    mean: NDArray[np.floating] = writer.mean(axis=0, keepdims=True)
    centred: NDArray[np.floating] = np.subtract(writer, mean)
    return centred


def _noise(chance: np.random.Generator, rows: int, columns: int) -> Array:
    return chance.standard_normal((rows, columns), np.float32) * np.float32(SPARE_SCALE)


def _scale(old: AudioConfig, new: AudioConfig) -> float:
    return math.sqrt(new.d_model / old.d_model)

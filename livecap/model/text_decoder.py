"""The text decoder with MLX: Qwen3, as in every Qwen3-ASR.

    embeddings ─▶ [ RMSNorm ─▶ attention ─▶ + ─▶ RMSNorm ─▶ SwiGLU ─▶ + ] x 28 ─▶ RMSNorm ─▶ hidden

Attention has 16 query and 8 key/value heads of width 128, and normalises the queries and keys of each head before it
rotates them. The checkpoint speaks of MRoPE with three position axes. For speech all three are the plain index, which
makes it ordinary half-rotation RoPE. The output head is not part of this: it is expensive, and applied only to the
positions whose logits are needed.
"""

from collections.abc import Sequence

from livecap.model import nn
from livecap.model.backend import mx
from livecap.model.cache import KVCache, KVRows
from livecap.model.config import TextConfig


class Attention(nn.Module):
    """Causal grouped-query attention over the cache and the new positions."""

    def __init__(self, config: TextConfig) -> None:
        super().__init__()
        self.n_heads = config.num_attention_heads
        self.n_kv_heads = config.num_key_value_heads
        self.head_dim = config.head_dim
        query_width = self.n_heads * self.head_dim
        kv_width = self.n_kv_heads * self.head_dim
        self.q_proj = nn.Linear(config.hidden_size, query_width, bias=False)
        self.k_proj = nn.Linear(config.hidden_size, kv_width, bias=False)
        self.v_proj = nn.Linear(config.hidden_size, kv_width, bias=False)
        self.o_proj = nn.Linear(query_width, config.hidden_size, bias=False)
        self.rope_theta = config.rope_theta
        self.q_norm = nn.RMSNorm(self.head_dim, eps=config.rms_norm_eps)
        self.k_norm = nn.RMSNorm(self.head_dim, eps=config.rms_norm_eps)
        self._norm_weights: mx.array | None = None

    def __call__(self, x: mx.array, cache: KVCache | KVRows, n_last: int) -> mx.array:
        """What the last positions of x [B, L, hidden] see, [B, n_last, hidden]. The cache takes all L of them."""
        B, L, _ = x.shape
        turned, values = self._heads(x, cache.position)
        keys, values = cache.update_and_fetch(turned[:, self.n_heads :], values)
        queries = turned[:, : self.n_heads, L - n_last :]
        scale, mask = self.head_dim**-0.5, cache.mask(n_last)
        out = mx.fast.scaled_dot_product_attention(queries, keys, values, scale=scale, mask=mask)
        return self.o_proj(out.transpose(0, 2, 1, 3).reshape(B, n_last, -1))

    def weights(self, x: mx.array, cache: KVCache) -> mx.array:
        """Attention weights [n_heads, L, S] of x [1, L, hidden], the last L of the S positions that `cache` holds."""
        assert cache.keys is not None
        L, S = x.shape[1], cache.offset
        turned, _ = self._heads(x, S - L)
        queries = turned[0, : self.n_heads].reshape(self.n_kv_heads, -1, L, self.head_dim)
        keys = cache.keys[0, :, None, :S].swapaxes(2, 3)
        scores = (queries @ keys).astype(mx.float32) * self.head_dim**-0.5
        is_later = mx.arange(S) > mx.arange(S - L, S)[:, None]
        return mx.softmax(mx.where(is_later, -mx.inf, scores), axis=-1).reshape(self.n_heads, L, S)

    def join(self) -> None:
        """Compute queries, keys and values in one product, where they are packed alike."""
        self._norm_weights = self._both_norm_weights()
        mx.eval(self._norm_weights)
        nn.join(self, ["q_proj", "k_proj", "v_proj"], "qkv_proj")

    def _heads(self, x: mx.array, offset: int | mx.array) -> tuple[mx.array, mx.array]:
        """Heads of x [B, L, hidden] at positions [offset, offset + L): queries and keys [B, n_heads + n_kv_heads, L, D]
        (normalised, their pairs (x[i], x[i + D/2]) turned by theta**(-2i/D)), and values [B, n_kv_heads, L, D].

        The norm reads values too, whose result is not used: their rows lie between those of the keys, and leaving them
        out would cost a copy.

        Args:
            offset: one for all B sequences, or [B].
        """
        B, L, _ = x.shape
        n_turned, D = self.n_heads + self.n_kv_heads, self.head_dim
        if "qkv_proj" in self:
            heads = self.qkv_proj(x)
        else:
            heads = mx.concatenate([self.q_proj(x), self.k_proj(x), self.v_proj(x)], axis=-1)
        heads = heads.reshape(B, L, n_turned + self.n_kv_heads, D)
        weights = self._both_norm_weights() if self._norm_weights is None else self._norm_weights
        turned = mx.fast.rms_norm(heads, None, self.q_norm.eps)[:, :, :n_turned] * weights
        turned = mx.fast.rope(
            turned.transpose(0, 2, 1, 3), D, traditional=False, base=self.rope_theta, scale=1.0, offset=offset
        )
        return turned, heads[:, :, n_turned:].transpose(0, 2, 1, 3)

    def _both_norm_weights(self) -> mx.array:
        """[n_heads + n_kv_heads, D]: the norm's weight for each head of queries and keys."""
        of_queries = mx.broadcast_to(self.q_norm.weight, (self.n_heads, self.head_dim))
        return mx.concatenate([of_queries, mx.broadcast_to(self.k_norm.weight, (self.n_kv_heads, self.head_dim))])


class MLP(nn.Module):
    """SwiGLU."""

    def __init__(self, config: TextConfig) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(config.hidden_size, config.intermediate_size, bias=False)
        self.up_proj = nn.Linear(config.hidden_size, config.intermediate_size, bias=False)
        self.down_proj = nn.Linear(config.intermediate_size, config.hidden_size, bias=False)

    def __call__(self, x: mx.array) -> mx.array:
        if "gate_up_proj" in self:
            gate, up = mx.split(self.gate_up_proj(x), 2, axis=-1)
        else:
            gate, up = self.gate_proj(x), self.up_proj(x)
        return self.down_proj(nn.swiglu(gate, up))

    def join(self) -> None:
        """Compute gate and up in one product, where they are packed alike."""
        nn.join(self, ["gate_proj", "up_proj"], "gate_up_proj")


class DecoderLayer(nn.Module):
    def __init__(self, config: TextConfig) -> None:
        super().__init__()
        self.self_attn = Attention(config)
        self.mlp = MLP(config)
        self.input_layernorm = nn.RMSNorm(config.hidden_size, eps=config.rms_norm_eps)
        self.post_attention_layernorm = nn.RMSNorm(config.hidden_size, eps=config.rms_norm_eps)

    def __call__(self, x: mx.array, cache: KVCache | KVRows, n_last: int) -> mx.array:
        x = x[:, x.shape[1] - n_last :] + self.self_attn(self.input_layernorm(x), cache, n_last)
        return x + self.mlp(self.post_attention_layernorm(x))


class TextDecoder(nn.Module):
    """All layers, the embedding table and the final norm."""

    def __init__(self, config: TextConfig) -> None:
        super().__init__()
        self.embed_tokens = nn.Embedding(config.vocab_size, config.hidden_size)
        self.layers = [DecoderLayer(config) for _ in range(config.num_hidden_layers)]
        self.norm = nn.RMSNorm(config.hidden_size, eps=config.rms_norm_eps)

    def __call__(self, embeddings: mx.array, caches: Sequence[KVCache | KVRows], n_last: int | None = None) -> mx.array:
        """See `Network.__call__`. The last layer computes only the last `n_last` positions."""
        x, n = embeddings, embeddings.shape[1]
        for layer, cache in zip(self.layers, caches, strict=True):
            is_last = layer is self.layers[-1]
            x = layer(x, cache, n if n_last is None or not is_last else n_last)
        hidden: mx.array = self.norm(x)
        return hidden

    def attention(self, embeddings: mx.array, caches: Sequence[KVCache], layers: Sequence[int]) -> list[mx.array]:
        """See `Network.attention`."""
        x, found = embeddings, []
        for i, (layer, cache) in enumerate(zip(self.layers[: max(layers) + 1], caches, strict=False)):
            seen = layer(x, cache, x.shape[1])
            if i in layers:
                found.append(layer.self_attn.weights(layer.input_layernorm(x), cache))
            x = seen
        return found

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
from livecap.model.cache import KVCache
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

    def __call__(self, x: mx.array, cache: KVCache, n_last: int) -> mx.array:
        """What the last positions of x [B, L, hidden] see, [B, n_last, hidden]. The cache takes all L of them."""
        B, L, _ = x.shape
        offset = cache.offset
        queries = self.q_proj(x[:, L - n_last :]).reshape(B, n_last, self.n_heads, self.head_dim)
        queries = self.q_norm(queries).transpose(0, 2, 1, 3)
        keys = self.k_norm(self.k_proj(x).reshape(B, L, self.n_kv_heads, self.head_dim)).transpose(0, 2, 1, 3)
        values = self.v_proj(x).reshape(B, L, self.n_kv_heads, self.head_dim).transpose(0, 2, 1, 3)
        keys, values = cache.update_and_fetch(self._rotated(keys, offset), values)
        queries = self._rotated(queries, offset + L - n_last)
        mask = "causal" if n_last > 1 else None
        out = mx.fast.scaled_dot_product_attention(queries, keys, values, scale=self.head_dim**-0.5, mask=mask)
        return self.o_proj(out.transpose(0, 2, 1, 3).reshape(B, n_last, -1))

    def _rotated(self, heads: mx.array, offset: int) -> mx.array:
        """Heads [B, H, n, D] at positions [offset, offset + n): pairs (x[i], x[i + D/2]) turned by theta**(-2i/D)."""
        return mx.fast.rope(heads, self.head_dim, traditional=False, base=self.rope_theta, scale=1.0, offset=offset)


class MLP(nn.Module):
    """SwiGLU."""

    def __init__(self, config: TextConfig) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(config.hidden_size, config.intermediate_size, bias=False)
        self.up_proj = nn.Linear(config.hidden_size, config.intermediate_size, bias=False)
        self.down_proj = nn.Linear(config.intermediate_size, config.hidden_size, bias=False)

    def __call__(self, x: mx.array) -> mx.array:
        return self.down_proj(nn.silu(self.gate_proj(x)) * self.up_proj(x))


class DecoderLayer(nn.Module):
    def __init__(self, config: TextConfig) -> None:
        super().__init__()
        self.self_attn = Attention(config)
        self.mlp = MLP(config)
        self.input_layernorm = nn.RMSNorm(config.hidden_size, eps=config.rms_norm_eps)
        self.post_attention_layernorm = nn.RMSNorm(config.hidden_size, eps=config.rms_norm_eps)

    def __call__(self, x: mx.array, cache: KVCache, n_last: int) -> mx.array:
        x = x[:, x.shape[1] - n_last :] + self.self_attn(self.input_layernorm(x), cache, n_last)
        return x + self.mlp(self.post_attention_layernorm(x))


class TextDecoder(nn.Module):
    """All layers, the embedding table and the final norm."""

    def __init__(self, config: TextConfig) -> None:
        super().__init__()
        self.embed_tokens = nn.Embedding(config.vocab_size, config.hidden_size)
        self.layers = [DecoderLayer(config) for _ in range(config.num_hidden_layers)]
        self.norm = nn.RMSNorm(config.hidden_size, eps=config.rms_norm_eps)

    def __call__(self, embeddings: mx.array, caches: Sequence[KVCache], n_last: int | None = None) -> mx.array:
        """See `Network.__call__`. The last layer computes only the last `n_last` positions."""
        x, n = embeddings, embeddings.shape[1]
        for layer, cache in zip(self.layers, caches, strict=True):
            is_last = layer is self.layers[-1]
            x = layer(x, cache, n if n_last is None or not is_last else n_last)
        hidden: mx.array = self.norm(x)
        return hidden

"""What the text decoder remembers: keys and values of past positions, and what stands at each.

    KVCache       one layer: storage grown in steps, one integer `offset` that is the truth
    PromptCache   all layers, and a key naming what each position holds

Forgetting is moving an integer: `trim_to` frees nothing and copies nothing; what lies behind is written over.
"""

from collections.abc import Hashable, Sequence
from typing import Any, Protocol

from livecap.model.backend import mx

STEP = 256
"""Positions by which storage grows: few buffer shapes, so MLX's buffer cache stays small."""


class KVCache:
    """Keys and values of one layer, for one sequence."""

    def __init__(self) -> None:
        self.keys: mx.array | None = None
        """[1, n_kv_heads, capacity, head_dim]; only the first `offset` positions mean anything."""
        self.values: mx.array | None = None
        self.offset = 0

    @property
    def capacity(self) -> int:
        """Positions there is storage for."""
        return 0 if self.keys is None else self.keys.shape[2]

    def update_and_fetch(self, keys: mx.array, values: mx.array) -> tuple[mx.array, mx.array]:
        """All keys and values [1, n_kv_heads, offset, head_dim], after these [1, n_kv_heads, L, head_dim]."""
        start, stop = self.offset, self.offset + keys.shape[2]
        self.keys = _write(_grown(self.keys, stop, keys), start, stop, keys)
        self.values = _write(_grown(self.values, stop, values), start, stop, values)
        self.offset = stop
        return self.keys[:, :, :stop], self.values[:, :, :stop]

    def trim_to(self, n: int) -> None:
        """Forgets all positions from `n` on. Costs nothing."""
        assert 0 <= n <= self.offset, (n, self.offset)
        self.offset = n

    def arrays(self) -> list[mx.array]:
        """The storage, to evaluate."""
        return [array for array in (self.keys, self.values) if array is not None]


class LayerCache(Protocol):
    """What one layer remembers: a KVCache, or whatever else its arithmetic writes into."""

    offset: int

    def trim_to(self, n: int) -> None: ...

    def arrays(self) -> list[mx.array]: ...


class PromptCache:
    """The KV caches of all layers, and the names of the positions in them.

    A key is a token id, or any other hashable that names an audio embedding. `keys` and the layers' offsets
    agree whenever nobody is inside a forward pass.
    """

    def __init__(self, layers: Sequence[LayerCache]) -> None:
        self.layers: Sequence[Any] = layers
        """Of one kind, which the arithmetic that writes into them knows."""
        self.keys: list[Hashable] = []

    @property
    def offset(self) -> int:
        """Positions held."""
        return len(self.keys)

    def common_prefix(self, keys: Sequence[Hashable]) -> int:
        """How many of the first positions hold what `keys` asks for."""
        for n, (held, wanted) in enumerate(zip(self.keys, keys, strict=False)):
            if held != wanted:
                return n
        return min(len(self.keys), len(keys))

    def trim_to(self, n: int) -> None:
        """Forgets all positions from `n` on, in every layer."""
        assert 0 <= n <= len(self.keys), (n, len(self.keys))
        del self.keys[n:]
        for layer in self.layers:
            layer.trim_to(n)

    def trim_layers(self) -> None:
        """Forgets, in every layer, positions that have no key: those of a pass whose result nobody took."""
        for layer in self.layers:
            layer.trim_to(len(self.keys))

    def arrays(self) -> list[mx.array]:
        """The storage of all layers, to evaluate."""
        return [array for layer in self.layers for array in layer.arrays()]


def _grown(storage: mx.array | None, n: int, like: mx.array) -> mx.array:
    """Storage for at least `n` positions that begins with `storage`."""
    capacity = 0 if storage is None else storage.shape[2]
    if storage is not None and n <= capacity:
        return storage
    B, H, _, D = like.shape
    wanted = (n + STEP - 1) // STEP * STEP
    blank = mx.zeros((B, H, wanted - capacity, D), dtype=like.dtype)
    return blank if storage is None else mx.concatenate([storage, blank], axis=2)


def _write(storage: mx.array, start: int, stop: int, new: mx.array) -> mx.array:
    storage[:, :, start:stop] = new
    return storage

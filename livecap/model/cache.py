"""The text decoder's memory: keys and values of past positions, and the name of what each position holds.

    KVCache       one layer with MLX: storage that grows in blocks, and the number of positions in use
    PromptCache   all layers of one sequence, and a key that names each position

Trimming only lowers a number: nothing is freed or copied, and later positions are overwritten.
"""

from collections.abc import Hashable, Sequence
from typing import TypeVar

from livecap.model.backend import mx

GROWTH = 256
"""Positions by which storage grows. Few buffer shapes keep MLX's buffer cache small."""


class LayerCache:
    """The cache of one layer: `KVCache`, or NumPy's `KVColumns`."""

    def __init__(self) -> None:
        self.offset = 0
        """Positions in use."""

    def trim_to(self, n: int) -> None:
        """Forget all positions from `n` on. Costs nothing."""
        assert 0 <= n <= self.offset, (n, self.offset)
        self.offset = n

    def arrays(self) -> list[mx.array]:
        """The storage, for `mx.eval`; empty where MLX has nothing to evaluate."""
        return []


class KVCache(LayerCache):
    """Keys and values of one layer, for one sequence."""

    def __init__(self) -> None:
        super().__init__()
        self.keys: mx.array | None = None
        """[1, n_kv_heads, capacity, head_dim]; only the first `offset` positions are in use."""
        self.values: mx.array | None = None

    @property
    def capacity(self) -> int:
        """Positions that fit into the storage."""
        return 0 if self.keys is None else self.keys.shape[2]

    def update_and_fetch(self, keys: mx.array, values: mx.array) -> tuple[mx.array, mx.array]:
        """Append keys and values [1, n_kv_heads, L, head_dim]; all of them are returned, L then being `offset`."""
        start, stop = self.offset, self.offset + keys.shape[2]
        self.keys = _write(_grown(self.keys, stop, keys), start, stop, keys)
        self.values = _write(_grown(self.values, stop, values), start, stop, values)
        self.offset = stop
        return self.keys[:, :, :stop], self.values[:, :, :stop]

    def arrays(self) -> list[mx.array]:
        return [array for array in (self.keys, self.values) if array is not None]


Kind = TypeVar("Kind")


class PromptCache:
    """The caches of all layers, and the names of the positions in them. Made by `Network.new_cache`.

    A key is a token id, or any other hashable that names an audio embedding. There are as many keys as positions in
    each layer, except during a forward pass.
    """

    def __init__(self, layers: Sequence[LayerCache]) -> None:
        self.layers = layers
        self.keys: list[Hashable] = []

    def layers_of(self, kind: type[Kind]) -> list[Kind]:
        """All layers, checked to be of the kind that the calling network writes into."""
        layers: list[Kind] = [layer for layer in self.layers if isinstance(layer, kind)]
        assert len(layers) == len(self.layers), "this cache was made by another network"
        return layers

    def common_prefix(self, keys: Sequence[Hashable]) -> int:
        """How many of the first positions already hold what `keys` names."""
        return n_common(self.keys, keys)

    def trim_to(self, n: int) -> None:
        """Forget all positions from `n` on, in every layer."""
        assert 0 <= n <= len(self.keys), (n, len(self.keys))
        del self.keys[n:]
        for layer in self.layers:
            layer.trim_to(n)

    def trim_layers(self) -> None:
        """Forget positions that have no key, in every layer: those of a pass whose result was not used."""
        for layer in self.layers:
            layer.trim_to(len(self.keys))

    def arrays(self) -> list[mx.array]:
        """The storage of all layers, for `mx.eval`."""
        return [array for layer in self.layers for array in layer.arrays()]


def n_common(a: Sequence[Hashable], b: Sequence[Hashable]) -> int:
    """The length of the common beginning."""
    return next((n for n, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))


def _grown(storage: mx.array | None, n: int, like: mx.array) -> mx.array:
    """Storage for at least `n` positions that begins with the content of `storage`."""
    capacity = 0 if storage is None else storage.shape[2]
    if storage is not None and n <= capacity:
        return storage
    B, H, _, D = like.shape
    wanted = (n + GROWTH - 1) // GROWTH * GROWTH
    blank = mx.zeros((B, H, wanted - capacity, D), dtype=like.dtype)
    return blank if storage is None else mx.concatenate([storage, blank], axis=2)


def _write(storage: mx.array, start: int, stop: int, new: mx.array) -> mx.array:
    storage[:, :, start:stop] = new
    return storage

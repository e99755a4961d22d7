"""The text decoder's memory: keys and values of past positions, and the name of what each position holds.

    KVCache       one layer with MLX: storage that grows in blocks, and the number of positions in use
    KVRows        the same for several sequences that grow together
    PromptCache   all layers of one sequence, and a key that names each position

Trimming only lowers a number: nothing is freed or copied, and later positions are overwritten.
"""

from collections.abc import Hashable, Sequence
from copy import copy
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

    def put_back(self, arrays: Sequence[mx.array]) -> None:
        """Take the storage that `arrays` returned earlier, so that passes which were not started since never are."""


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

    @property
    def position(self) -> int:
        """The position that follows, for RoPE."""
        return self.offset

    def mask(self, n_last: int) -> str | None:
        """What the last `n_last` positions must not see: a mask for MLX's attention."""
        return "causal" if n_last > 1 else None

    def update_and_fetch(self, keys: mx.array, values: mx.array) -> tuple[mx.array, mx.array]:
        """Append keys and values [1, n_kv_heads, L, head_dim]; all of them are returned, L then being `offset`."""
        start, stop = self.offset, self.offset + keys.shape[2]
        self.keys = _write(_grown(self.keys, stop, keys), start, stop, keys)
        self.values = _write(_grown(self.values, stop, values), start, stop, values)
        self.offset = stop
        return self.keys[:, :, :stop], self.values[:, :, :stop]

    def arrays(self) -> list[mx.array]:
        return [array for array in (self.keys, self.values) if array is not None]

    def put_back(self, arrays: Sequence[mx.array]) -> None:
        self.keys, self.values = arrays


class KVRows(KVCache):
    """Keys and values of one layer for R sequences that grow together. They end at the same place in the storage: a
    shorter one begins later, and nothing sees what lies before its beginning.
    """

    def __init__(self, caches: Sequence[KVCache]) -> None:
        """
        Args:
            caches: of one layer, not empty; one for each sequence.
        """
        super().__init__()
        self.offset = max(cache.offset for cache in caches)
        self._begins = [self.offset - cache.offset for cache in caches]
        self.keys = mx.concatenate([_behind(cache.keys, cache.offset, self.offset) for cache in caches])
        self.values = mx.concatenate([_behind(cache.values, cache.offset, self.offset) for cache in caches])
        self._describe()

    @property
    def position(self) -> mx.array:  # type: ignore[override]
        """[R]"""
        return self.offset - self._begin

    def mask(self, n_last: int) -> mx.array | None:  # type: ignore[override]
        """[R, 1, 1, offset], True where a sequence has a position; None where all begin at once."""
        assert n_last == 1, "rows grow by one position"
        return (mx.arange(self.offset) >= self._begin[:, None])[:, None, None] if self._is_ragged else None

    def keep(self, rows: Sequence[int]) -> None:
        """Drop all sequences but these."""
        assert self.keys is not None and self.values is not None
        self.keys, self.values = (held[mx.array(list(rows))] for held in (self.keys, self.values))
        self._begins = [self._begins[row] for row in rows]
        self._describe()

    def _describe(self) -> None:
        self._begin = mx.array(self._begins)
        self._is_ragged = any(self._begins)


def _behind(held: mx.array | None, n_held: int, n: int) -> mx.array:
    """The first `n_held` positions of [1, H, capacity, D], behind zeros: [1, H, n, D]."""
    assert held is not None, "a sequence has at least one position"
    return mx.pad(held[:, :, :n_held], [(0, 0), (0, 0), (n - n_held, 0), (0, 0)])


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

    def storage(self) -> list[list[mx.array]]:
        """The storage of each layer as it is now, for `put_back`. While it is held, MLX cannot write in place."""
        return [[copy(array) for array in layer.arrays()] for layer in self.layers]

    def put_back(self, storage: Sequence[Sequence[mx.array]]) -> None:
        """Forget the passes since `storage` was taken, which were described and never started."""
        for layer, arrays in zip(self.layers, storage, strict=True):
            layer.put_back(arrays)
        self.trim_layers()


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

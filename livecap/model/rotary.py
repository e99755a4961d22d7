"""RoPE: positions as rotations of query and key pairs, (x[i], x[i + D/2]) by position times base**(-2i/D).

The checkpoint speaks of MRoPE with three position axes. For speech all three are the plain index, and what is left
is this. MLX has it as one kernel; its CPU build makes the sines anew in every call: there they are made once a pass.
"""

import numpy as np

from livecap.model.backend import mx, on_cpu


class Rotation:
    """The rotation of positions [offset, offset + length), for all layers of one pass."""

    def __init__(self, offset: int, length: int, width: int, base: float, dtype: mx.Dtype) -> None:
        """
        Args:
            width: D, of one head.
            dtype: of what will be rotated.
        """
        self.offset = offset
        self.length = length
        self.width = width
        self.base = base
        self._table = _sines(offset, length, width, base) if on_cpu and dtype == mx.float32 else None

    def __call__(self, x: mx.array) -> mx.array:
        """Heads [B, H, n, D] of the last n positions, each rotated by its own angles."""
        skipped = self.length - x.shape[2]
        if self._table is None:
            offset = self.offset + skipped
            return mx.fast.rope(x, self.width, traditional=False, base=self.base, scale=1.0, offset=offset)
        cos, sin = (table[skipped:] for table in self._table)
        return x * cos + mx.roll(x, self.width // 2, -1) * sin


def _sines(offset: int, length: int, width: int, base: float) -> tuple[mx.array, mx.array]:
    """Cosines and sines [length, D] of every angle; the sines of the first half are negated."""
    frequencies = base ** -(np.arange(width // 2, dtype=np.float64) / (width // 2))
    angles = np.outer(np.arange(offset, offset + length), frequencies)
    cos, sin = np.cos(angles), np.sin(angles)
    cos, sin = np.concatenate([cos, cos], axis=1), np.concatenate([-sin, sin], axis=1)
    return mx.array(cos.astype(np.float32)), mx.array(sin.astype(np.float32))

"""MLX's layers, as far as this network uses them, with the types that MLX's own package lacks.

`mlx.nn` gathers its classes by star imports and leaves methods untyped; strict type checking stops at both.
"""

from typing import cast

from livecap.model.backend import mx  # isort: skip - it comes before MLX
from mlx.nn.layers import base, convolution
from mlx.nn.layers import linear as mlx_linear
from mlx.nn.layers.activations import gelu
from mlx.nn.layers.embedding import Embedding
from mlx.nn.layers.normalization import LayerNorm, RMSNorm
from mlx.nn.layers.quantized import quantize
from mlx.utils import tree_flatten

from livecap.model.linear import by_numpy, linear


class Module(base.Module):
    """A part of the network. Attributes without a leading underscore are its parameters and parts."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]

    def parameter_arrays(self) -> dict[str, mx.array]:
        """All parameters, by the names they have in a checkpoint."""
        flat = tree_flatten(self.parameters())  # type: ignore[no-untyped-call]
        return dict(cast(list[tuple[str, mx.array]], flat))

    def parts(self) -> dict[str, base.Module]:
        """All layers at any depth, by name."""
        named = self.named_modules()  # type: ignore[no-untyped-call]
        return dict(cast(list[tuple[str, base.Module]], named))


class Linear(mlx_linear.Linear):
    """MLX's layer with our product; quantising makes MLX's quantised layer of it."""

    def __call__(self, x: mx.array) -> mx.array:
        return linear(x, self["weight"], self.get("bias"))


class Conv2d(convolution.Conv2d):
    """MLX's layer; where its weights are for NumPy, as a product of patches and weights."""

    def __call__(self, x: mx.array) -> mx.array:
        weight = self["weight"]  # [channels out, height, width, channels in]
        if not by_numpy(weight):
            return cast(mx.array, super().__call__(x))  # type: ignore[no-untyped-call]
        (pad_rows, pad_columns), (down, right) = self.padding, self.stride
        x = mx.contiguous(mx.pad(x, [(0, 0), (pad_rows, pad_rows), (pad_columns, pad_columns), (0, 0)]))
        B, H, W, C = x.shape
        rows, columns = weight.shape[1:3]
        shape = (B, (H - rows) // down + 1, (W - columns) // right + 1, rows, columns, C)
        patches = mx.as_strided(x, shape, (H * W * C, down * W * C, right * C, W * C, C, 1))
        return linear(patches.flatten(3), weight.reshape(len(weight), -1), self.get("bias"))


def as_linear(embedding: base.Module, x: mx.array) -> mx.array:
    """`x` [..., width] times the embedding table: logits [..., vocab] of a tied head, quantised or not."""
    if isinstance(embedding, Embedding):
        return linear(x, embedding["weight"])
    return cast(mx.array, embedding.as_linear(x))


__all__ = [
    "Conv2d",
    "Embedding",
    "LayerNorm",
    "Linear",
    "Module",
    "RMSNorm",
    "as_linear",
    "gelu",
    "quantize",
]

"""The layers of MLX that this network uses, with the types that MLX's own package lacks.

`mlx.nn` collects its classes with star imports and leaves methods untyped, which strict type checking rejects.
"""

from typing import cast

from livecap.model.backend import mx  # isort: skip - it comes before MLX
from mlx.nn.layers import base
from mlx.nn.layers.activations import gelu, silu
from mlx.nn.layers.convolution import Conv2d
from mlx.nn.layers.embedding import Embedding
from mlx.nn.layers.linear import Linear
from mlx.nn.layers.normalization import LayerNorm, RMSNorm
from mlx.nn.layers.quantized import quantize
from mlx.utils import tree_flatten


class Module(base.Module):
    """A part of the network. Its array attributes without a leading underscore are its parameters."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]

    def parameter_arrays(self) -> dict[str, mx.array]:
        """All parameters by their names in a checkpoint."""
        flat = tree_flatten(self.parameters())  # type: ignore[no-untyped-call]
        return dict(cast(list[tuple[str, mx.array]], flat))

    def parts(self) -> dict[str, base.Module]:
        """All layers at any depth, by name."""
        named = self.named_modules()  # type: ignore[no-untyped-call]
        return dict(cast(list[tuple[str, base.Module]], named))


def as_linear(embedding: base.Module, x: mx.array) -> mx.array:
    """`x` [..., width] times the embedding table: logits [..., vocab] of a tied head, quantised or not."""
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
    "silu",
]

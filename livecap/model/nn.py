"""The layers of MLX that this network uses, with the types that MLX's own package lacks.

`mlx.nn` collects its classes with star imports and leaves methods untyped, which strict type checking rejects.
"""

from collections.abc import Sequence
from functools import partial
from typing import cast

from livecap.model.backend import mx  # isort: skip - it comes before MLX
from mlx.nn.layers import base
from mlx.nn.layers.activations import gelu
from mlx.nn.layers.convolution import Conv2d
from mlx.nn.layers.embedding import Embedding
from mlx.nn.layers.linear import Linear
from mlx.nn.layers.normalization import LayerNorm, RMSNorm
from mlx.nn.layers.quantized import QuantizedLinear, quantize
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


def times_rows(layer: base.Module, x: mx.array, rows: slice) -> mx.array:
    """`x` [..., width] times these rows of an embedding table or of a linear layer without bias, quantised or not."""
    weight = layer["weight"][rows]
    if "scales" not in layer:
        return cast(mx.array, x @ weight.T)
    biases = layer.get("biases")
    return mx.quantized_matmul(
        x,
        weight,
        layer["scales"][rows],
        None if biases is None else biases[rows],
        group_size=layer.group_size,
        bits=layer.bits,
        mode=layer.mode,
    )


def rows_of(layer: base.Module, ids: mx.array) -> mx.array:
    """Rows [..., width] of the matrix of an embedding table or a linear layer, unpacked where it is quantised."""
    if "scales" not in layer:
        return cast(mx.array, layer["weight"][ids])
    biases = layer.get("biases")
    return mx.dequantize(
        layer["weight"][ids],
        layer["scales"][ids],
        None if biases is None else biases[ids],
        group_size=layer.group_size,
        bits=layer.bits,
        mode=layer.mode,
    )


def join(owner: Module, names: Sequence[str], name: str) -> None:
    """Replace linear layers of `owner` that get the same input by one, whose output is theirs one after the other.

    One product takes the place of several. Layers that are not packed alike, as in files that mix widths, stay.
    """
    layers = [owner[each] for each in names]
    packings = {(layer.bits, layer.group_size, layer.mode) if "scales" in layer else None for layer in layers}
    if len(packings) > 1:
        return
    (packing,) = packings
    width = layers[0]["weight"].shape[1]
    together: base.Module
    if packing is None:
        together = Linear(width, 1, bias="bias" in layers[0])
    else:
        bits, group_size, mode = packing
        width = 32 * width // bits
        together = QuantizedLinear(width, 1, bias="bias" in layers[0], group_size=group_size, bits=bits, mode=mode)
    for array in together:
        together[array] = mx.concatenate([layer[array] for layer in layers])
    mx.eval([together[array] for array in together])
    owner[name] = together
    for each in names:
        owner.pop(each)


@partial(mx.compile, shapeless=True)
def swiglu(gate: mx.array, up: mx.array) -> mx.array:
    """silu(gate) * up, as one kernel."""
    return gate * mx.sigmoid(gate) * up


__all__ = [
    "Conv2d",
    "Embedding",
    "LayerNorm",
    "Linear",
    "Module",
    "RMSNorm",
    "gelu",
    "join",
    "quantize",
    "rows_of",
    "swiglu",
    "times_rows",
]

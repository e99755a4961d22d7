"""Quantised layers: packed numbers with a scale, and in the affine mode an offset, for each group of a row.

A layer is quantised if the file has `.scales` for it. Bits and group size follow from the shapes and the known width of
the layer, so config.json is not needed, and a file may mix widths.
"""

from dataclasses import dataclass

from livecap.errors import ModelError
from livecap.model import nn
from livecap.model.backend import mx

GROUP_SIZES = (32, 64, 128)
BITS = (2, 3, 4, 5, 6, 8)
MODES_WITHOUT_OFFSETS = {(32, 4): "mxfp4", (32, 8): "mxfp8", (16, 4): "nvfp4"}
"""MLX's packings of small floating-point numbers, whose groups have a scale but no offset, by (group size, bits)."""


@dataclass(frozen=True)
class Quantization:
    """How one layer is packed."""

    bits: int
    group_size: int
    mode: str = "affine"
    """MLX's name of the packing."""


def find_quantized(model: nn.Module, weights: dict[str, mx.array]) -> dict[str, Quantization]:
    """The quantised layers of `weights` by name.

    Raises:
        ModelError: scales for something that is not a linear layer or an embedding, or shapes that fit no packing.
    """
    widths = {name: _width(module) for name, module in model.parts().items()}
    found: dict[str, Quantization] = {}
    for scales_name in weights:
        if not scales_name.endswith(".scales"):
            continue
        name = scales_name.removesuffix(".scales")
        width = widths.get(name)
        packed, biases, scales = weights.get(f"{name}.weight"), weights.get(f"{name}.biases"), weights[scales_name]
        if width is None or packed is None or biases is None and scales.dtype != mx.uint8:
            raise ModelError(f"The checkpoint has {scales_name}, but no quantised layer for it.")
        fits = packed.ndim == scales.ndim == 2 and packed.dtype == mx.uint32
        fits = fits and packed.shape[0] == scales.shape[0] and scales.size > 0
        if biases is not None:
            fits = fits and scales.shape == biases.shape
            fits = fits and all(mx.issubdtype(array.dtype, mx.floating) for array in (scales, biases))
        if not fits:
            raise ModelError(f"{name} is not packed as MLX packs it: {packed.dtype} {packed.shape}.")
        bits, bits_left = divmod(32 * packed.shape[1], width)
        group_size, group_left = divmod(width, scales.shape[1])
        mode = "affine" if biases is not None else MODES_WITHOUT_OFFSETS.get((group_size, bits))
        is_affine = bits in BITS and group_size in GROUP_SIZES
        if bits_left or group_left or mode is None or mode == "affine" and not is_affine:
            raise ModelError(
                f"{name} cannot be unpacked: {packed.shape[1]} words and {scales.shape[1]} scales a row "
                f"for a width of {width}."
            )
        found[name] = Quantization(bits, group_size, mode)
    return found


def dequantize(weights: dict[str, mx.array], quantized: dict[str, Quantization]) -> dict[str, mx.array]:
    """The same weights, with float32 matrices in place of the packed ones."""
    plain = dict(weights)
    for name, layer in quantized.items():
        packed, scales = plain.pop(f"{name}.weight"), plain.pop(f"{name}.scales")
        offsets = plain.pop(f"{name}.biases", None)
        plain[f"{name}.weight"] = mx.dequantize(
            packed,
            scales if offsets is None else scales.astype(mx.float32),
            None if offsets is None else offsets.astype(mx.float32),
            group_size=layer.group_size,
            bits=layer.bits,
            mode=layer.mode,
            dtype=mx.float32,
        )
    return plain


def quantize_layers(model: nn.Module, quantized: dict[str, Quantization]) -> None:
    """Replace those layers of `model` by quantised ones, which take packed weights."""

    def packing(name: str, module: object) -> bool | dict[str, int | str]:
        layer = quantized.get(name)
        return {"group_size": layer.group_size, "bits": layer.bits, "mode": layer.mode} if layer else False

    nn.quantize(model, class_predicate=packing)


def _width(module: object) -> int | None:
    """The width of a layer's matrix; None for a layer that cannot be packed."""
    if isinstance(module, nn.Linear | nn.Embedding):
        return module.weight.shape[1]
    return None

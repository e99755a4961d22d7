"""From the name of a model to a network that is ready to run.

    name ─▶ folder ─▶ config ─▶ network ─▶ weights ─▶ sanitize ─▶ packed layers ─▶ check ─▶ dtype ─▶ evaluate

Any fault of a checkpoint ends in one ModelError that says what was tried and found.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from livecap.errors import ModelError
from livecap.model.backend import backend_report, mx, on_cpu
from livecap.model.checkpoint.find import read_config, resolve
from livecap.model.checkpoint.quantized import dequantize, find_quantized, quantize_layers
from livecap.model.checkpoint.weights import check_names_and_shapes, read_weights, with_known_tie
from livecap.model.chip import set_limits, this_chip
from livecap.model.config import ModelConfig
from livecap.model.network import Network
from livecap.model.numpy.network import NumpyQwen3ASR
from livecap.model.qwen3_asr import Qwen3ASR, sanitize
from livecap.model.text.tokenizer import Tokenizer
from livecap.text.safety import printable

logger = logging.getLogger(__name__)

TOO_LARGE = (
    "The numbers of this model are too large for float16, so it runs in bfloat16, which takes longer on this chip."
)


@dataclass(frozen=True)
class LoadedModel:
    """A model that is ready to run, on any thread."""

    model: Network
    tokenizer: Tokenizer
    config: ModelConfig
    path: Path
    """The folder it was read from."""
    name: str
    """The name that was passed to `load`."""
    dtype: mx.Dtype
    """The type it computes in."""
    notices: tuple[str, ...]
    """One line each, for the user."""
    most_guessed: int = 8
    """Tokens of a draft that are guessed after a new one."""


def load(name_or_path: str | Path, *, dtype: mx.Dtype | None = None, aligner: bool = False) -> LoadedModel:
    """Load a model: a folder, `tiny`, a short name such as `0.6b`, or a Hugging Face repository.

    Args:
        dtype: the type to compute in; None for float32 on the CPU, float16 instead of bfloat16 on an M1 or M2, and
            the checkpoint's own type elsewhere.
        aligner: load a forced aligner; otherwise a recogniser.

    Raises:
        ModelError: there is no such model, or it is damaged.
    """
    path = resolve(name_or_path, aligner=aligner)
    read_config(path, aligner)  # says what kind of model it is, before a detail of it is missed
    tokenizer = Tokenizer.from_folder(path)
    model = load_model(path, dtype=dtype, aligner=aligner)
    too_large: tuple[str, ...] = ()
    if dtype is None and model.dtype == mx.float16 and not _is_finite(model):
        model = load_model(path, dtype=mx.bfloat16, aligner=aligner)
        too_large = (TOO_LARGE,)
    config, computes_in = model.config, model.dtype
    packed = any(array.dtype == mx.uint32 for array in model.parameter_arrays().values())
    network: Network = model
    if on_cpu and computes_in == mx.float32:
        network = NumpyQwen3ASR(model)
    else:
        model.join()
    if tokenizer.vocab_size > config.text.vocab_size:
        n_ids, n_known = tokenizer.vocab_size, config.text.vocab_size
        raise ModelError(f"The tokenizer in {path} has {n_ids} ids, but its model has {n_known}.")
    blas_notice = backend_report().notice
    return LoadedModel(
        model=network,
        tokenizer=tokenizer,
        config=config,
        path=path,
        name=str(name_or_path),
        dtype=computes_in,
        notices=config.notices + too_large + ((blas_notice,) if blas_notice else ()),
        most_guessed=this_chip().most_guessed(packed),
    )


def _is_finite(model: Qwen3ASR) -> bool:
    """Whether the decoder computes numbers, not infinities, for a text. Its largest numbers belong to first tokens."""
    ids = mx.arange(min(64, model.config.text.vocab_size))
    hidden = model(model.embed(ids)[None], model.new_cache())
    return bool(mx.isfinite(hidden).all().item())


def load_model(
    folder: Path, *, dtype: mx.Dtype | None = None, unpack: bool = on_cpu, aligner: bool = False
) -> Qwen3ASR:
    """The MLX network in a checkpoint's folder. Needs no tokenizer.

    Args:
        dtype, aligner: as in `load`.
        unpack: convert quantised layers to float32, because quantised kernels are slow on the CPU.

    Raises:
        ModelError: a file is missing, damaged or contradictory.
    """
    chip = this_chip()
    set_limits(chip)
    config = read_config(folder, aligner)
    for notice in config.notices:
        logger.warning("%s: %s", printable(str(folder)), printable(notice))
    weights = read_weights(folder)
    config = with_known_tie(config, weights)
    weights = sanitize(weights, tied=config.text.tie_word_embeddings)
    n_layers = config.audio.encoder_layers + config.text.num_hidden_layers
    if n_layers > len(weights):
        raise ModelError(
            f"The weights in {folder} do not fit its config.json: {len(weights)} arrays, {n_layers} layers."
        )
    model = Qwen3ASR(config)
    quantized = find_quantized(model, weights)
    if unpack:
        weights = dequantize(weights, quantized)
    else:
        quantize_layers(model, quantized)
    check_names_and_shapes(folder, weights, model.parameter_arrays())
    wanted = dtype or chip.dtype_for(main_dtype(weights))
    floats = {name: array for name, array in weights.items() if mx.issubdtype(array.dtype, mx.floating)}
    weights |= {name: array.astype(wanted) for name, array in floats.items()}
    model.load_weights(list(weights.items()), strict=True)
    model.eval()
    mx.eval(model.parameter_arrays())  # waits: damage shows now, and any thread may use evaluated arrays
    return model


def main_dtype(weights: Mapping[str, mx.array]) -> mx.Dtype:
    """The type that most numbers of a checkpoint have, without the scales of packed layers.

    One array of float32 would make all that is computed from it float32, at twice the time and memory.
    """
    sizes: dict[mx.Dtype, int] = {}
    for name, array in weights.items():
        if mx.issubdtype(array.dtype, mx.floating) and not name.endswith((".scales", ".biases")):
            sizes[array.dtype] = sizes.get(array.dtype, 0) + array.size
    return max(sizes, key=lambda dtype: sizes[dtype], default=mx.float32)


__all__ = ["LoadedModel", "load", "load_model", "read_config", "resolve"]

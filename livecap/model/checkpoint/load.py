"""From the name of a model to a network that is ready to run.

    name ─▶ folder ─▶ config ─▶ network ─▶ weights ─▶ sanitize ─▶ packed layers ─▶ check ─▶ dtype ─▶ evaluate

Any fault of a checkpoint ends in one ModelError that says what was tried and found.
"""

import importlib.resources
import logging
import os
from dataclasses import dataclass, replace
from pathlib import Path

from livecap.errors import ModelError
from livecap.model.backend import backend_report, mx, on_cpu
from livecap.model.checkpoint.catalogue import SHORT_NAMES, TINY, Progress, repository_of
from livecap.model.checkpoint.quantized import dequantize, find_quantized, quantize_layers
from livecap.model.checkpoint.weights import check_names_and_shapes, read_weights
from livecap.model.config import ModelConfig, eos_ids_of
from livecap.model.network import Network
from livecap.model.numpy.network import NumpyQwen3ASR
from livecap.model.qwen3_asr import Qwen3ASR, sanitize
from livecap.model.text.tokenizer import Tokenizer, read_json

logger = logging.getLogger(__name__)

BUFFER_CACHE_BYTES = {"cpu": 64 << 20, "gpu": 512 << 20}
"""How much freed memory MLX keeps. It keeps a buffer for each shape, and a stream has many shapes."""


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


def load(name_or_path: str | Path, *, dtype: mx.Dtype | None = None) -> LoadedModel:
    """Load a model: a folder, `tiny`, a short name such as `0.6b`, or a Hugging Face repository.

    Args:
        dtype: the type to compute in; None for float32 on the CPU and the checkpoint's own type elsewhere.

    Raises:
        ModelError: there is no such model, or it is damaged.
    """
    path = resolve(name_or_path)
    tokenizer = Tokenizer.from_folder(path)
    model = load_model(path, dtype=dtype)
    config, computes_in = model.config, model.dtype
    network: Network = NumpyQwen3ASR(model) if on_cpu and computes_in == mx.float32 else model
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
        notices=config.notices + ((blas_notice,) if blas_notice else ()),
    )


def load_model(folder: Path, *, dtype: mx.Dtype | None = None, unpack: bool = on_cpu) -> Qwen3ASR:
    """The MLX network in a checkpoint's folder. Needs no tokenizer.

    Args:
        dtype: as in `load`.
        unpack: convert quantised layers to float32, because quantised kernels are slow on the CPU.

    Raises:
        ModelError: a file is missing, damaged or contradictory.
    """
    mx.set_cache_limit(BUFFER_CACHE_BYTES["cpu" if on_cpu else "gpu"])
    config = read_config(folder)
    for notice in config.notices:
        logger.warning("%s: %s", folder, notice)
    model = Qwen3ASR(config)
    weights = sanitize(read_weights(folder), tied=config.text.tie_word_embeddings)
    if any(name.startswith("model.language_model.") for name in weights):
        raise ModelError(f"{folder} has the layout of transformers' -hf repositories, which livecap cannot read yet.")
    quantized = find_quantized(model, weights)
    if unpack:
        weights = dequantize(weights, quantized)
    else:
        quantize_layers(model, quantized)
    expected = {name: array.shape for name, array in model.parameter_arrays().items()}
    check_names_and_shapes(folder, weights, expected)
    wanted = dtype if dtype is not None else (mx.float32 if on_cpu else None)
    if wanted is not None:
        floats = {name: array for name, array in weights.items() if mx.issubdtype(array.dtype, mx.floating)}
        weights |= {name: array.astype(wanted) for name, array in floats.items()}
    model.load_weights(list(weights.items()), strict=True)
    model.eval()
    mx.eval(model.parameter_arrays())  # waits: damage shows now, and any thread may use evaluated arrays
    return model


def read_config(folder: Path) -> ModelConfig:
    """The configuration of a checkpoint, with the ids that end its texts.

    Raises:
        ModelError: there is no config.json, or it is damaged, or it does not describe a Qwen3-ASR.
    """
    said = read_json(folder / "config.json")
    try:
        config = ModelConfig.from_dict(said)
    except ModelError as error:
        raise ModelError(f"{folder} does not contain a model that livecap can read: {error}") from None
    generation = read_json(folder / "generation_config.json", required=False)
    return replace(config, eos_token_ids=eos_ids_of(generation))


def resolve(name_or_path: str | Path, *, progress: Progress | None = None) -> Path:
    """The folder of a model: a given folder, `tiny` in the package, or a repository, which is downloaded if necessary.

    Raises:
        ModelError: no such folder or repository, or neither a network nor a copy in the cache.
    """
    name = str(name_or_path)
    if isinstance(name_or_path, Path) or name.startswith((".", "/", "~")) or "\\" in name:
        folder = Path(os.path.expanduser(name))
        if folder.is_dir():
            return folder
        what = "is not a folder" if folder.exists() else "does not exist"
        raise ModelError(f"No model at {name}: it {what}. Give a folder, a repository, or `--model {TINY}`.")
    if name == TINY:
        return _packaged_tiny()
    if Path(name).is_dir():
        return Path(name)
    repository = repository_of(name)
    if repository.count("/") != 1 or not all(repository.split("/")):
        short = ", ".join(sorted(SHORT_NAMES))
        raise ModelError(f"No model named {name}. Known: {TINY}, {short}; or give a folder or a repository.")
    from livecap.model.checkpoint.hub import fetch  # late: slow to import, and `tiny` does not need it

    return fetch(repository, progress=progress)


def _packaged_tiny() -> Path:
    folder = Path(str(importlib.resources.files("livecap"))) / TINY
    if not (folder / "config.json").is_file():
        raise ModelError(
            f"The model {TINY} is missing in {folder}: this installation is damaged. Install livecap again."
        )
    return folder

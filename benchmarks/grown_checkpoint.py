"""Checkpoints with the shapes of the released models, grown from a small one, in the files of a released model."""

import hashlib
import json
import struct
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.grown_weights import Array, grown, positions
from livecap.errors import SettingsError
from livecap.model.backend import mx
from livecap.model.checkpoint.load import LoadedModel, load, load_model, read_config, resolve
from livecap.model.config import AudioConfig, ModelConfig, TextConfig
from livecap.model.files import read_json
from livecap.model.numpy.network import NumpyQwen3ASR
from livecap.model.qwen3_asr import Qwen3ASR

FIRST_ADDED_ID = 151643
"""The id of `<|endoftext|>` in the released models; the other added tokens follow in the same order in all of them."""
GEOMETRIES = {
    "0.6b": (
        AudioConfig(128, 896, 18, 14, 3584, 1024, 480),
        TextConfig(151936, 1024, 3072, 28, 16, 8, 128),
    ),
    "1.7b": (
        AudioConfig(128, 1024, 24, 16, 4096, 2048, 480),
        TextConfig(151936, 2048, 6144, 28, 16, 8, 128),
    ),
}
"""The shapes of the released models, from their config.json."""


def write_grown(folder: Path, geometry: str, model: str = "tiny") -> Path:
    """Write a checkpoint with the shape of `geometry` that computes the same function as `model`, in float32.

    A checkpoint in `folder` that was grown from the same weights into the same shape is kept.

    Raises:
        LivecapError: there is no such geometry or model.
    """
    if geometry not in GEOMETRIES:
        raise SettingsError(f"No geometry named {geometry}. Choose one of: {', '.join(GEOMETRIES)}.")
    audio, text = GEOMETRIES[geometry]
    small = resolve(model)
    if (folder / "model.safetensors").is_file() and _origin(folder) == {
        "sha256": _digest(small),
        **_shape(audio, text),
    }:
        return folder
    return write_checkpoint(folder, small, audio, text, FIRST_ADDED_ID)


def write_checkpoint(folder: Path, small: Path, audio: AudioConfig, text: TextConfig, first_added_id: int) -> Path:
    """Write a grown checkpoint of any shape. The added tokens of the small model get ids from `first_added_id`."""
    old = read_config(small)
    tokenizer = read_json(small / "tokenizer_config.json")
    added = tokenizer["added_tokens_decoder"]
    assert isinstance(added, dict)
    first = min(map(int, added))
    new_ids = [i if i < first else i - first + first_added_id for i in range(old.text.vocab_size)]
    new = replace(old, audio=audio, text=replace(text, rms_norm_eps=old.text.rms_norm_eps))
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer["added_tokens_decoder"] = {str(new_ids[int(i)]): token for i, token in added.items()}
    _write_json(folder / "tokenizer_config.json", tokenizer)
    for name in ("vocab.json", "merges.txt", "preprocessor_config.json"):
        (folder / name).write_bytes((small / name).read_bytes())
    generation = read_json(small / "generation_config.json")
    generation["eos_token_id"] = [new_ids[i] for i in old.eos_token_ids]
    generation.pop("pad_token_id", None)
    _write_json(folder / "generation_config.json", generation)
    network = load_model(small, dtype=mx.float32)
    weights = {name: np.array(array) for name, array in network.parameter_arrays().items()}
    _write_safetensors(folder / "model.safetensors", _official(grown(weights, old, new, new_ids)))
    # Last, so that an interrupted run leaves nothing that looks complete.
    config = _config(read_json(small / "config.json"), new, new_ids)
    config["grown_from"] = {"sha256": _digest(small), **_shape(audio, text)}
    _write_json(folder / "config.json", config)
    return folder


def load_grown(folder: Path, model: str = "tiny") -> LoadedModel:
    """Load a grown checkpoint, with the table of positions, which is not a weight."""
    loaded = load(folder, dtype=mx.float32)
    table = positions(read_config(resolve(model)).audio, loaded.config.audio)
    assert isinstance(loaded.model, Qwen3ASR | NumpyQwen3ASR)
    loaded.model.audio_tower.positions = table
    return loaded


def load_sized(model: str, geometry: str | None, keep: Path) -> LoadedModel:
    """Load a model, or with a geometry the checkpoint of that shape which is grown from it, in a folder of `keep`.

    Raises:
        LivecapError: there is no such geometry or model.
    """
    return load_grown(write_grown(keep / geometry, geometry, model), model) if geometry else load(model)


def _origin(folder: Path) -> object:
    """What a grown checkpoint was grown from; None for any other checkpoint."""
    return read_json(folder / "config.json", required=False).get("grown_from")


def _digest(small: Path) -> str:
    return hashlib.sha256((small / "model.safetensors").read_bytes()).hexdigest()


def _shape(audio: AudioConfig, text: TextConfig) -> dict[str, str]:
    return {"audio": repr(audio), "text": repr(text)}


def _official(weights: Iterator[tuple[str, Array]]) -> Iterator[tuple[str, Array]]:
    """Weights as in the official files: with a prefix, and convolutions as (out, in, height, width)."""
    for name, array in weights:
        yield f"thinker.{name}", array.transpose(0, 3, 1, 2) if array.ndim == 4 else array


def _config(config: dict[str, Any], new: ModelConfig, new_ids: list[int]) -> dict[str, Any]:
    """The small model's config.json with the new shape and ids."""
    thinker = config["thinker_config"]
    audio, text = new.audio, new.text
    thinker["audio_config"] |= {
        "d_model": audio.d_model,
        "encoder_layers": audio.encoder_layers,
        "num_hidden_layers": audio.encoder_layers,
        "encoder_attention_heads": audio.encoder_attention_heads,
        "encoder_ffn_dim": audio.encoder_ffn_dim,
        "output_dim": audio.output_dim,
        "downsample_hidden_size": audio.downsample_hidden_size,
    }
    sections = [text.head_dim * 3 // 16, text.head_dim * 5 // 32, text.head_dim * 5 // 32]
    thinker["text_config"] |= {
        "vocab_size": text.vocab_size,
        "hidden_size": text.hidden_size,
        "intermediate_size": text.intermediate_size,
        "num_hidden_layers": text.num_hidden_layers,
        "num_attention_heads": text.num_attention_heads,
        "num_key_value_heads": text.num_key_value_heads,
        "head_dim": text.head_dim,
    }
    if "rope_scaling" in thinker["text_config"]:
        thinker["text_config"]["rope_scaling"]["mrope_section"] = sections
    for key in ("audio_token_id", "audio_start_token_id", "audio_end_token_id"):
        thinker[key] = new_ids[thinker[key]]
    thinker["dtype"] = "float32"
    return config


def _write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _write_safetensors(path: Path, weights: Iterator[tuple[str, Array]]) -> None:
    """Write arrays one by one, so that a file of gigabytes needs little memory."""
    header: dict[str, Any] = {}
    at = 0
    body = path.with_suffix(".part")
    with body.open("wb") as file:
        for name, array in weights:
            data = np.ascontiguousarray(array, np.float32)
            header[name] = {"dtype": "F32", "shape": list(array.shape), "data_offsets": [at, at + data.nbytes]}
            file.write(data.data)
            at += data.nbytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as out, body.open("rb") as file:
        out.write(struct.pack("<Q", len(text)) + text)
        while block := file.read(1 << 24):
            out.write(block)
    body.unlink()

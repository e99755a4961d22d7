"""`tiny` in every layout that users have on their disks, made from its weights; no file of others is needed."""

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

from livecap.model.backend import mx
from livecap.model.checkpoint.load import load_model, resolve
from livecap.model.checkpoint.weights import read_weights
from livecap.model.qwen3_asr import sanitize

TINY = resolve("tiny")
Weights = dict[str, mx.array]


def official() -> Weights:
    """The arrays of `tiny`, which has the official layout: `thinker.` names, (out, in, kh, kw), a head."""
    return read_weights(TINY)


def mlx(dtype: mx.Dtype | None = None) -> Weights:
    """MLX's names and convolutions, without a head, in this type (None: as the file has them)."""
    weights = sanitize(official(), tied=True)
    return {name: mx.contiguous(a if dtype is None else a.astype(dtype)) for name, a in weights.items()}


def config() -> dict:
    return json.loads((TINY / "config.json").read_text())


def packed(weights: Weights, widths: Callable[[str], Mapping[str, object] | None]) -> Weights:
    """These weights with matrices packed as `widths` says for the name of a layer; None leaves it."""
    out: Weights = {}
    for name, array in weights.items():
        layer = name.removesuffix(".weight")
        how = widths(layer) if array.ndim == 2 and name.endswith(".weight") else None
        if how is None:
            out[name] = array
            continue
        parts = mx.quantize(array, **how)
        out |= {f"{layer}.{part}": value for part, value in zip(("weight", "scales", "biases"), parts, strict=False)}
    return out


def write(folder: Path, weights: Weights, said: dict | None = None, name: str = "model.safetensors") -> Path:
    """A checkpoint's folder with the tokenizer of `tiny`."""
    folder.mkdir(parents=True)
    for file in ("vocab.json", "merges.txt", "tokenizer_config.json", "generation_config.json"):
        shutil.copy(TINY / file, folder)
    (folder / "config.json").write_text(json.dumps(said or config()))
    mx.save_safetensors(str(folder / name), weights)
    return folder


def sharded(folder: Path) -> Path:
    weights = official()
    write(folder, weights).joinpath("model.safetensors").unlink()
    names = sorted(weights)
    files = {name: f"model-0000{1 + (n > 60)}-of-00002.safetensors" for n, name in enumerate(names)}
    for file in set(files.values()):
        mx.save_safetensors(str(folder / file), {n: weights[n] for n in names if files[n] == file})
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": files}))
    return folder


def hf_config() -> dict:
    """transformers' `-hf` config.json: flat sections, `rope_parameters`, ids that end a text at the top."""
    root = config()
    thinker = root["thinker_config"]
    text = dict(thinker["text_config"])
    theta = text.pop("rope_theta")
    text.pop("rope_scaling", None)
    text["rope_parameters"] = {"rope_theta": theta, "rope_type": "default"}
    audio = {key: value for key, value in thinker["audio_config"].items() if key != "num_hidden_layers"}
    ends = json.loads((TINY / "generation_config.json").read_text())["eos_token_id"]
    return {
        "architectures": ["Qwen3ASRForConditionalGeneration"],
        "audio_config": audio | {"model_type": "qwen3_asr_encoder"},
        "text_config": text | {"model_type": "qwen3"},
        "audio_token_id": thinker["audio_token_id"],
        "eos_token_id": ends,
        "model_type": "qwen3_asr",
        "tie_word_embeddings": True,
    }


def hf_name(name: str) -> str:
    """transformers' name of an official array."""
    name = name.removeprefix("thinker.")
    for start, instead in (
        ("audio_tower.proj1.", "model.multi_modal_projector.linear_1."),
        ("audio_tower.proj2.", "model.multi_modal_projector.linear_2."),
        ("audio_tower.", "model.audio_tower."),
        ("model.", "model.language_model."),
    ):
        if name.startswith(start):
            return instead + name.removeprefix(start)
    return name


def hf_weights() -> Weights:
    return {hf_name(name): array for name, array in official().items() if "lm_head" not in name}


def hf(folder: Path) -> Path:
    """A `-hf` repository: tokenizer.json alone, and no generation_config.json in this one."""
    write(folder, hf_weights(), hf_config())
    tokenizer_json(folder)
    for file in ("vocab.json", "merges.txt", "generation_config.json"):
        (folder / file).unlink()
    (folder / "tokenizer_config.json").write_text("{}")
    return folder


def tokenizer_json(folder: Path) -> None:
    """Write the tokenizer of this folder as transformers does, in one file."""
    vocabulary = json.loads((folder / "vocab.json").read_text())
    lines = (folder / "merges.txt").read_text().split("\n")
    added = json.loads((folder / "tokenizer_config.json").read_text())["added_tokens_decoder"]
    pattern = (
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
        r"|\s+(?!\S)|\s+"
    )
    spec = {
        "version": "1.0",
        "added_tokens": [{"id": int(key), **entry} for key, entry in added.items()],
        "normalizer": {"type": "NFC"},
        "pre_tokenizer": {
            "type": "Sequence",
            "pretokenizers": [
                {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False},
                {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False, "use_regex": False},
            ],
        },
        "post_processor": None,
        "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
        "model": {
            "type": "BPE",
            "vocab": vocabulary,
            "merges": [line for line in lines if line and not line.startswith("#version")],
        },
    }
    (folder / "tokenizer.json").write_text(json.dumps(spec))


def community(bits: int, group_size: int = 32, mode: str = "affine", layers: dict[str, dict] | None = None):
    """A conversion of the MLX community: the decoder packed, `layers` otherwise, the audio tower as it was."""
    how = {"group_size": group_size, "bits": bits, "mode": mode}

    def widths(layer: str) -> Mapping[str, object] | None:
        own = (layers or {}).get(layer)
        return own if own is not None else how if layer.startswith("model.") else None

    def make(folder: Path) -> Path:
        said = config() | {"quantization": how | (layers or {}), "quantization_config": how | (layers or {})}
        return write(folder, packed(mlx(mx.bfloat16), widths), said)

    return make


def moona3k(bits: int | None, head: bool = False):
    """weights.safetensors in float16 with quantization_config.json; the audio tower is packed too, at 8 bit.

    Args:
        bits: of the decoder; None for a plain float16 conversion.
        head: with a packed head, as older conversions have one.
    """

    def make(folder: Path) -> Path:
        weights = mlx(mx.float16)
        if head:
            weights["lm_head.weight"] = weights["model.embed_tokens.weight"]

        def widths(layer: str) -> Mapping[str, object] | None:
            return {"group_size": 32, "bits": 8 if layer.startswith("audio_tower.") else bits}

        write(folder, weights if bits is None else packed(weights, widths), name="weights.safetensors")
        if bits is not None:
            said = {"bits": bits, "group_size": 32, "audio_tower_bits": 8}
            (folder / "quantization_config.json").write_text(json.dumps(said))
        return folder

    return make


def untied(folder: Path) -> Path:
    """A fine-tune whose head is its own."""
    said = config()
    said["thinker_config"]["text_config"]["tie_word_embeddings"] = False
    weights = official()
    weights["thinker.lm_head.weight"] = weights["thinker.model.embed_tokens.weight"]
    return write(folder, weights, said)


def without_head(folder: Path) -> Path:
    """A fine-tune as transformers 4.57 saves it (also Confucius4-R2T2): no head, training files beside it."""
    weights = {name: array for name, array in official().items() if "lm_head" not in name}
    write(folder, weights)
    (folder / "training_args.bin").write_bytes(b"pickle")
    (folder / "added_tokens.json").write_text("{}")
    tokenizer_json(folder)
    return folder


def thinker_with_mlx_convolutions(folder: Path) -> Path:
    return write(folder, {f"thinker.{name}": array for name, array in mlx().items()})


def as_type(dtype: mx.Dtype):
    return lambda folder: write(folder, {name: array.astype(dtype) for name, array in official().items()})


MIXED = {"model.layers.0.mlp.down_proj": {"group_size": 64, "bits": 6}} | {
    name.removesuffix(".weight"): {"group_size": 32, "bits": 8}
    for name in load_model(TINY).parameter_arrays()
    if name.startswith("audio_tower.layers.") and name.endswith(("proj.weight", "fc1.weight", "fc2.weight"))
}

SAME: dict[str, Callable[[Path], Path]] = {
    "official": lambda folder: write(folder, official()),
    "official in two files": sharded,
    "float16": as_type(mx.float16),
    "float32": as_type(mx.float32),
    "transformers": hf,
    "MLX bf16": lambda folder: write(folder, mlx(mx.bfloat16)),
    "thinker names, MLX convolutions": thinker_with_mlx_convolutions,
    "fine-tune, own head": untied,
    "fine-tune, no head": without_head,
    "moona3k float16": moona3k(None),
}
"""Layouts with all of the numbers of `tiny`."""
PACKED: dict[str, Callable[[Path], Path]] = {
    "8 bit": community(8),
    "8 bit, groups of 64": community(8, 64),
    "8 bit, groups of 128": community(8, 128),
    "6 bit": community(6),
    "5 bit": community(5),
    "4 bit": community(4),
    "3 bit": community(3),
    "2 bit": community(2),
    "mixed widths": community(4, layers=MIXED),
    "moona3k 4 bit": moona3k(4),
    "moona3k 8 bit, packed head": moona3k(8, head=True),
    "mxfp4": community(4, 32, "mxfp4"),
    "mxfp8": community(8, 32, "mxfp8"),
    "nvfp4": community(4, 16, "nvfp4"),
}
"""Layouts with rounded numbers."""

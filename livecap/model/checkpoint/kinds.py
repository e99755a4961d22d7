"""Which kind of model a folder or a repository holds, from its config.json and the names of its files.

Judged before any weights are read or downloaded, so a wrong name costs kilobytes. Loads nothing heavy.
"""

from collections.abc import Collection, Mapping
from fnmatch import fnmatch

from livecap.errors import brief
from livecap.model.checkpoint.catalogue import ALIGNER
from livecap.model.checkpoint.weight_files import is_adapter, is_weights

CHOOSE = "Choose a Qwen3-ASR model: `livecap models` lists them."
UNPACKED = "Choose the model it was made from, or one that MLX packed: `livecap models` lists them."

PACKERS = {
    "gptq": "GPTQ",
    "awq": "AWQ",
    "bitsandbytes": "bitsandbytes",
    "compressed-tensors": "compressed-tensors",
    "fbgemm_fp8": "FBGEMM",
    "fp8": "FP8",
    "hqq": "HQQ",
    "auto-round": "AutoRound",
    "modelopt": "ModelOpt",
    "torchao": "torchao",
}
"""`quant_method` of packings that need PyTorch and other GPUs, and the name that people know."""
OTHER_FORMATS = {
    "*.gguf": "GGUF weights, for llama.cpp and its relatives",
    "ggml-*.bin": "GGML weights, for whisper.cpp",
    "*.onnx": "ONNX weights",
    "*.nemo": "a NeMo model",
    "*.mlmodelc*": "a Core ML model",
    "*.mlpackage*": "a Core ML model",
    "*.npz": "weights as .npz, an old format of MLX",
    "*.pt": "weights as a Python pickle",
    "*.pth": "weights as a Python pickle",
    "*.bin": "weights as a Python pickle",
}
"""Patterns of files with weights that are not safetensors, in the order in which they are looked for."""


def is_aligner(root: Mapping[str, object]) -> bool:
    """Whether a parsed config.json is that of a Qwen3-ForcedAligner, in any layout."""
    said = " ".join(_said(root)).lower()
    return "forced_aligner" in said or "forcedalign" in said or "tokenclassification" in said


def is_qwen3_asr(root: Mapping[str, object]) -> bool:
    """Whether a parsed config.json says that it is a Qwen3-ASR, or its aligner, in any layout."""
    said = " ".join(_said(root)).lower()
    return "qwen3_asr" in said or "qwen3asr" in said or is_aligner(root)


def complaint(root: Mapping[str, object] | None, names: Collection[str], aligner: bool = False) -> str | None:
    """Why livecap cannot run this model, in sentences for the user that follow its name; None if nothing speaks
    against it.

    Args:
        root: the parsed config.json; None if there is none.
        names: the files and folders at the top of the folder or repository.
        aligner: a forced aligner is wanted; otherwise a recogniser.
    """
    has_weights = any(map(is_weights, names))
    if not has_weights and any(map(is_adapter, names)):
        return (
            "is a LoRA adapter: changes to a model, not a model. Merge it into its base model (in PEFT: "
            "merge_and_unload, then save_pretrained; in mlx-lm: mlx_lm.fuse) and give that folder."
        )
    form = None if has_weights else other_format(names)
    if root is None:
        if form:
            return f"has {form}; livecap reads safetensors. {CHOOSE}"
        found = ", ".join(map(_shown, sorted(names)[:3])) or "nothing"
        return f"has no config.json, so it is not a model. Found: {found}. {CHOOSE}"
    return _complaint_of_config(root, aligner) or (f"has {form}; livecap reads safetensors. {CHOOSE}" if form else None)


def _complaint_of_config(root: Mapping[str, object], aligner: bool) -> str | None:
    said = " ".join(_said(root)).lower()
    kind = _shown(next(iter(_said(root)), ""))
    if is_aligner(root):
        return (
            None if aligner else f"is a forced aligner, not a recogniser: it finds the times of known words. {CHOOSE}"
        )
    if "omni" in said:
        return f"is a Qwen Omni model ({kind}), which answers speech. livecap cannot run it. {CHOOSE}"
    if "whisper" in said or "n_audio_ctx" in root:
        return f"is a Whisper model. livecap cannot run it. {CHOOSE}"
    if not is_qwen3_asr(root) and not _has_sound(root):
        if kind.startswith(("qwen3", "qwen2")):
            return f"is a text-only model ({kind}), which cannot take sound. {CHOOSE}"
        if kind:
            return f"is a model of another kind ({kind}). livecap runs only Qwen3-ASR. {CHOOSE}"
    packing = root.get("quantization_config")
    method = packing.get("quant_method") if isinstance(packing, Mapping) else None
    if isinstance(method, str) and method not in ("mlx", ""):
        packer = PACKERS.get(method, _shown(method))
        return f"is packed by {packer}, which MLX cannot read. {UNPACKED}"
    if aligner:
        return f"is a recogniser, not a forced aligner. Choose {ALIGNER}."
    return None


def _said(root: Mapping[str, object]) -> list[str]:
    """What a configuration calls itself: model types and architectures, its own and those of `thinker_config`."""
    thinker = root.get("thinker_config")
    said: list[str] = []
    for section in (root, thinker if isinstance(thinker, Mapping) else {}):
        architectures = section.get("architectures")
        names = [section.get("model_type"), *(architectures if isinstance(architectures, list) else ())]
        said += [name for name in names if isinstance(name, str) and name]
    return said


def _has_sound(root: Mapping[str, object]) -> bool:
    """Whether there is a section for an audio encoder."""
    thinker = root.get("thinker_config")
    return "audio_config" in root or isinstance(thinker, Mapping) and "audio_config" in thinker


def other_format(names: Collection[str]) -> str | None:
    """Which weights that are not safetensors are among these files, in words that follow "has"; None for none."""
    for pattern, what in OTHER_FORMATS.items():
        if found := sorted(name for name in names if fnmatch(name, pattern)):
            return f"{what} ({_shown(found[0])})"
    return None


def _shown(name: str) -> str:
    """A name from a file in a message: printable and short."""
    return brief(name).strip("'\"")

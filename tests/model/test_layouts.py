"""Every layout of a checkpoint loads and says the same text, in NumPy and in MLX, packed and unpacked."""

import json
import shutil
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import soundfile

from livecap.errors import ModelError
from livecap.model.backend import mx
from livecap.model.checkpoint import load as loading
from livecap.model.checkpoint.layouts import official_form
from livecap.model.checkpoint.load import load, load_model, read_config, resolve
from livecap.model.chip import Chip
from livecap.model.config import ModelConfig
from livecap.model.generate import prefill
from livecap.model.network import Network
from livecap.model.numpy.network import NumpyQwen3ASR
from livecap.model.text.prompt import Prompt
from livecap.model.text.tokenizer import Tokenizer
from livecap.shipped import demo_recording
from tests.model import layouts
from tests.model.parity import DATA, SHARED, encoded, farthest, official_mel
from tests.model.small_models import greedy

CHECKPOINTS = SHARED / "checkpoints"
needs_checkpoints = pytest.mark.skipif(not CHECKPOINTS.is_dir(), reason="this checkout has no ../shared/checkpoints")


@cache
def sound() -> np.ndarray:
    """The first sentence of the shipped recording."""
    samples, _ = soundfile.read(demo_recording(), dtype="float32", frames=5 * 16_000)
    return samples


def heard(network: Network, tokenizer: Tokenizer) -> tuple[np.ndarray, str]:
    """The logits of the first token, and the text, of that sound."""
    audio = encoded(network, official_mel(sound()))
    keys = [("audio", i) for i in range(audio.shape[0])]
    cache, prompt = network.new_cache(), Prompt.build(tokenizer, keys, audio, language="English")
    logits = network.logits(prefill(network, cache, prompt))
    text = tokenizer.decode([token.id for token in greedy(network, cache, prompt, 60)])
    return np.array(logits.astype(mx.float32)), text


@cache
def of_tiny(by_numpy: bool) -> tuple[np.ndarray, str]:
    model = load_model(layouts.TINY, dtype=mx.float32)
    return heard(NumpyQwen3ASR(model) if by_numpy else model, Tokenizer.from_folder(layouts.TINY))


def test_the_sound_has_text() -> None:
    assert of_tiny(True)[1] == of_tiny(False)[1]
    assert len(of_tiny(True)[1].split()) > 5


@pytest.mark.parametrize("by_numpy", [False, True], ids=["mlx", "numpy"])
@pytest.mark.parametrize("layout", layouts.SAME)
def test_a_layout_with_the_same_numbers_says_the_same(tmp_path: Path, layout: str, by_numpy: bool) -> None:
    folder = layouts.SAME[layout](tmp_path / "model")
    model = load_model(folder, dtype=mx.float32)
    logits, text = heard(NumpyQwen3ASR(model) if by_numpy else model, Tokenizer.from_folder(folder))
    expected, said = of_tiny(by_numpy)
    assert text == said
    assert farthest(logits, expected) < (0.1 if "float16" in layout else 1e-4)
    config = load(folder).config
    assert config.eos_token_ids == read_config(layouts.TINY).eos_token_ids
    assert config.notices == ()


@pytest.mark.parametrize("layout", layouts.PACKED)
def test_a_packed_layout_says_the_same_packed_and_unpacked(tmp_path: Path, layout: str) -> None:
    folder = layouts.PACKED[layout](tmp_path / "model")
    tokenizer = Tokenizer.from_folder(folder)
    packed = load_model(folder, dtype=mx.float32, unpack=False)
    assert any(array.dtype == mx.uint32 for array in packed.parameter_arrays().values())
    by_mlx = heard(packed, tokenizer)
    by_numpy = heard(NumpyQwen3ASR(load_model(folder, dtype=mx.float32, unpack=True)), tokenizer)
    assert farthest(by_mlx[0], by_numpy[0]) < 2e-3
    assert by_mlx[1] == by_numpy[1]
    if "8" in layout.split(",")[0] and "fp8" not in layout:
        assert farthest(by_numpy[0], of_tiny(True)[0]) < 0.15  # 6 bit: 0.2, 4 bit: 0.9


@pytest.mark.parametrize("layout", ["8 bit", "mixed widths", "mxfp4", "moona3k 4 bit"])
def test_one_float32_array_does_not_make_the_network_float32(
    tmp_path: Path, layout: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = layouts.PACKED[layout](tmp_path / "model")
    [file] = folder.glob("*.safetensors")
    weights = dict(mx.load(str(file)))
    wanted = {"moona3k 4 bit": mx.float16}.get(layout, mx.bfloat16)
    for name, array in weights.items():
        if name.endswith((".scales", ".biases", "norm.weight")) and mx.issubdtype(array.dtype, mx.floating):
            weights[name] = array.astype(mx.float32)
    mx.save_safetensors(str(file), weights)
    monkeypatch.setattr(loading, "this_chip", Chip)  # as on a GPU: the file's own type, packed
    model = load_model(folder, unpack=False)
    floats = {array.dtype for array in model.parameter_arrays().values() if mx.issubdtype(array.dtype, mx.floating)}
    assert floats == {wanted}
    hidden = model(model.embed(mx.array([1, 2, 3]))[None], model.new_cache())
    assert hidden.dtype == model.logits(hidden).dtype == wanted


def test_transformers_layout_of_an_aligner_is_the_same_network(tmp_path: Path) -> None:
    folder = shutil.copytree(DATA / "aligner", tmp_path / "model")
    said = json.loads((folder / "config.json").read_text())
    thinker = said["thinker_config"]
    flat = {
        "architectures": ["Qwen3ASRForTokenClassification"],
        "model_type": "qwen3_asr",
        "audio_config": thinker["audio_config"],
        "text_config": thinker["text_config"] | {"tie_word_embeddings": True},
        "tie_word_embeddings": True,
        "timestamp_token_id": said["timestamp_token_id"],
        "timestamp_segment_time": 80,
        "id2label": {str(n): f"LABEL_{n}" for n in range(thinker["classify_num"])},
    }
    (folder / "config.json").write_text(json.dumps(flat))
    weights = dict(mx.load(str(folder / "model.safetensors")))
    renamed = {layouts.hf_name(name).replace("lm_head.", "score."): array for name, array in weights.items()}
    mx.save_safetensors(str(folder / "model.safetensors"), renamed)
    ours, official = (load_model(path, dtype=mx.float32, aligner=True) for path in (folder, DATA / "aligner"))
    theirs = official.parameter_arrays()
    assert ours.config == official.config
    assert all(farthest(array, np.array(theirs[name])) == 0 for name, array in ours.parameter_arrays().items())


# ---- where the model is


def test_a_folder_around_the_model_is_good_enough(tmp_path: Path) -> None:
    root = tmp_path / "hub"
    snapshots = root / "models--Qwen--Qwen3-ASR-0.6B" / "snapshots"
    shutil.copytree(layouts.TINY, snapshots / "0123")
    for folder in (root, snapshots.parent, snapshots):
        assert resolve(folder) == resolve(str(folder)) == snapshots / "0123"
    (snapshots / "4567").mkdir()
    (snapshots / "4567" / "config.json").write_text("{}")
    (snapshots.parent / "refs").mkdir()
    (snapshots.parent / "refs" / "main").write_text("0123")
    assert resolve(snapshots.parent) == snapshots / "0123"
    (snapshots.parent / "refs" / "main").write_text("4567")
    assert resolve(snapshots.parent) == snapshots / "4567"


def test_a_folder_with_two_models_is_asked_about(tmp_path: Path) -> None:
    for name in ("checkpoint-100", "checkpoint-200"):
        shutil.copytree(layouts.TINY, tmp_path / "run" / name)
    with pytest.raises(ModelError, match="holds 2 models: checkpoint-100, checkpoint-200. Give the folder of one"):
        resolve(tmp_path / "run")


def test_a_model_behind_links_is_one_model(tmp_path: Path) -> None:
    model = shutil.copytree(layouts.TINY, tmp_path / "run" / "checkpoint-200")
    (tmp_path / "run" / "best").symlink_to("checkpoint-200")
    (tmp_path / "run" / "again").symlink_to(tmp_path / "run")
    assert resolve(tmp_path / "run") == model
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "asr").symlink_to(model)
    assert resolve(tmp_path / "mine") == tmp_path / "mine" / "asr", "a model on another disk"


def test_links_below_the_first_level_are_not_followed(tmp_path: Path) -> None:
    model = shutil.copytree(layouts.TINY, tmp_path / "mine" / "asr")
    shutil.copytree(layouts.TINY, tmp_path / "elsewhere" / "other")
    (tmp_path / "mine" / "notes").mkdir()
    (tmp_path / "mine" / "notes" / "data").symlink_to(tmp_path / "elsewhere")
    assert resolve(tmp_path / "mine") == model


def test_a_folder_of_other_things_stays_itself(tmp_path: Path) -> None:
    deep = tmp_path / "a" / "b" / "c" / "d" / "e" / "f"
    deep.mkdir(parents=True)
    (deep / "config.json").write_text("{}")
    assert resolve(tmp_path) == tmp_path
    with pytest.raises(ModelError, match="has no config.json, so it is not a model. Found: a. Choose"):
        load(tmp_path)


# ---- what is something else


def aligner() -> dict:
    said = layouts.config()
    said["thinker_config"] |= {"model_type": "qwen3_forced_aligner", "classify_num": 5000}
    return said


def omni() -> dict:
    said = layouts.config()
    said["thinker_config"] |= {"model_type": "qwen3_omni_moe_thinker"}
    return said | {"model_type": "qwen3_omni_moe", "architectures": ["Qwen3OmniMoeForConditionalGeneration"]}


def packed_by(method: str) -> dict:
    return layouts.config() | {"quantization_config": {"quant_method": method, "bits": 4}}


OTHERS: dict[str, tuple[dict | None, list[str], str]] = {
    "aligner": (aligner(), ["model.safetensors"], "is a forced aligner"),
    "aligner of MLX": (
        {"model_type": "qwen3_forced_aligner", "audio_config": {}, "text_config": {}},
        ["model.safetensors"],
        "is a forced aligner",
    ),
    "aligner, transformers": (
        layouts.hf_config() | {"architectures": ["Qwen3ASRForTokenClassification"]},
        ["model.safetensors"],
        "is a forced aligner",
    ),
    "Omni": (omni(), ["model.safetensors"], r"is a Qwen Omni model \(qwen3_omni_moe\)"),
    "Whisper": ({"model_type": "whisper"}, ["model.safetensors"], "is a Whisper model"),
    "Whisper of MLX": ({"n_mels": 80, "n_audio_ctx": 1500}, ["weights.npz"], "is a Whisper model"),
    "text-only": (
        {"model_type": "qwen3", "architectures": ["Qwen3ForCausalLM"]},
        ["model.safetensors"],
        r"is a text-only model \(qwen3\), which cannot take sound",
    ),
    "another": ({"model_type": "llama"}, ["model.safetensors"], r"is a model of another kind \(llama\)"),
    "LoRA": (None, ["adapter_config.json", "adapter_model.safetensors"], "is a LoRA adapter: .* merge_and_unload"),
    "LoRA with a config": (
        layouts.config(),
        ["adapter_config.json", "adapter_model.safetensors"],
        "is a LoRA adapter",
    ),
    "LoRA of MLX": (
        None,
        ["adapter_config.json", "adapters.safetensors", "0000100_adapters.safetensors"],
        "is a LoRA adapter: .* mlx_lm.fuse",
    ),
    "GPTQ": (packed_by("gptq"), ["model.safetensors"], "is packed by GPTQ, which MLX cannot read"),
    "bitsandbytes": (packed_by("bitsandbytes"), ["model.safetensors"], "is packed by bitsandbytes"),
    "compressed-tensors": (packed_by("compressed-tensors"), ["model.safetensors"], "by compressed-tensors"),
    "a packer of tomorrow": (packed_by("squeeze9"), ["model.safetensors"], "is packed by squeeze9"),
    "GGUF": (None, ["model-Q4_K_M.gguf"], "has GGUF weights, for llama.cpp.*; livecap reads safetensors"),
    "GGUF with a config": (layouts.config(), ["model-Q8_0.gguf"], "has GGUF weights"),
    "pickle": (layouts.config(), ["pytorch_model.bin"], "has weights as a Python pickle"),
    "something else": (None, ["IMG_1.jpg", "notes.txt"], "Found: IMG_1.jpg, notes.txt"),
    "nothing": (None, [], "Found: nothing"),
}


@pytest.mark.parametrize("kind", OTHERS)
def test_a_model_of_another_kind_is_named_before_its_weights_are_read(tmp_path: Path, kind: str) -> None:
    said, names, says = OTHERS[kind]
    for name in names:
        (tmp_path / name).write_text("{}")
    if said is not None:
        (tmp_path / "config.json").write_text(json.dumps(said))
    with pytest.raises(ModelError, match=says) as raised:
        load(tmp_path)
    assert str(raised.value).startswith(str(tmp_path)) and "\n" not in str(raised.value)
    assert "Choose" in str(raised.value) or "give that folder" in str(raised.value)


def test_a_single_file_of_another_format_is_named(tmp_path: Path) -> None:
    path = tmp_path / "qwen3-asr-Q8_0.gguf"
    path.write_bytes(b"GGUF")
    with pytest.raises(ModelError, match="holds GGUF weights, for llama.cpp .*; livecap reads safetensors. Choose"):
        resolve(str(path))


@pytest.mark.parametrize("beside", ["adapter_model.safetensors", "adapters.safetensors", "._weights.safetensors"])
def test_an_adapter_or_a_note_of_macos_beside_whole_weights_does_no_harm(tmp_path: Path, beside: str) -> None:
    folder = layouts.write(tmp_path / "model", layouts.official(), name="weights.safetensors")
    (folder / "adapter_config.json").write_text("{}")
    (folder / beside).write_bytes(bytes(4096))
    assert load(folder).config == load("tiny").config


def test_several_weight_files_need_an_index(tmp_path: Path) -> None:
    folder = layouts.write(tmp_path / "model", layouts.official(), name="a.safetensors")
    shutil.copy(folder / "a.safetensors", folder / "b.safetensors")
    with pytest.raises(ModelError, match="has 2 weight files and no model.safetensors.index.json"):
        load(folder)


def test_an_array_in_two_files_is_named(tmp_path: Path) -> None:
    folder = layouts.sharded(tmp_path / "model")
    first, second = sorted(folder.glob("*.safetensors"))
    name = min(mx.load(str(first)))
    mx.save_safetensors(str(second), dict(mx.load(str(second))) | {name: mx.ones(2)})
    with pytest.raises(ModelError, match=rf"has {name} in two files, one of them {second.name}"):
        load(folder)


# ---- the released texts, and the small checkpoints beside them


@needs_checkpoints
@pytest.mark.parametrize(
    ("name", "loads"),
    [
        ("ok_official", True),
        ("ok_mlx_8bit", True),
        ("moona3k_4bit", True),
        ("hf_native", True),
        ("mlx_mxfp4", True),
        ("qwen3_omni", "is a Qwen Omni model"),
        ("gptq", "is packed by GPTQ"),
        ("lora", "is a LoRA adapter"),
        ("whisper_hf", "is a Whisper model"),
    ],
)
def test_a_checkpoint_of_a_users_disk_loads_or_says_what_it_is(name: str, loads: bool | str) -> None:
    if isinstance(loads, str):
        with pytest.raises(ModelError, match=loads):
            load(CHECKPOINTS / name)
    else:
        logits, _ = heard(load(CHECKPOINTS / name).model, load(CHECKPOINTS / name).tokenizer)
        assert np.isfinite(logits).all()


@needs_checkpoints
@pytest.mark.parametrize("size", ["0.6B", "1.7B"])
def test_the_released_configurations_agree(size: str) -> None:
    released = CHECKPOINTS / "released"
    official = read_config_of(released / size)
    assert read_config_of(released / f"mlx-community-{size}-bf16") == official
    flat = read_config_of(released / f"{size}-hf")
    assert flat.audio == official.audio and flat.text == official.text and flat.notices == official.notices == ()


def read_config_of(folder: Path) -> ModelConfig:
    return ModelConfig.from_dict(official_form(json.loads((folder / "config.json").read_text())))


@needs_checkpoints
def test_the_released_aligner_is_named() -> None:
    with pytest.raises(ModelError, match="is a forced aligner"):
        read_config(CHECKPOINTS / "released" / "ForcedAligner-0.6B")

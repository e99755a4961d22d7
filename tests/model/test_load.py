"""Loading: both layouts, every dtype, and one clear line for every fault of a checkpoint."""

import json
import shutil
import struct
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from livecap.errors import ModelError
from livecap.model.backend import mx, on_cpu
from livecap.model.checkpoint import find as finding
from livecap.model.checkpoint.load import load, load_model, read_config, resolve
from livecap.model.generate import prefill
from livecap.model.numpy.network import NumpyQwen3ASR
from livecap.model.qwen3_asr import Qwen3ASR, sanitize
from tests.model.parity import DATA, Case, bits_of, encoded, farthest, network, official_mel
from tests.model.small_models import greedy

SOURCE = DATA / "asr"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return shutil.copytree(SOURCE, tmp_path / "model", ignore=shutil.ignore_patterns("*.npz"))


def edit_config(folder: Path, edit: Callable[[dict], object]) -> None:
    config = json.loads((folder / "config.json").read_text())
    edit(config)
    (folder / "config.json").write_text(json.dumps(config))


def edit_weights(folder: Path, edit: Callable[[dict[str, mx.array]], object]) -> None:
    weights = dict(mx.load(str(SOURCE / "model.safetensors")))
    edit(weights)
    mx.save_safetensors(str(folder / "model.safetensors"), weights)


def text(config: dict) -> dict:
    return config["thinker_config"]["text_config"]


def audio(config: dict) -> dict:
    return config["thinker_config"]["audio_config"]


def last_logits(model) -> np.ndarray:
    case = Case(DATA, "a_0p7s")
    embeddings = encoded(model, official_mel(case.samples))
    return np.array(model.logits(prefill(model, model.new_cache(), case.prompt("plain", embeddings))))


# ---- checkpoints that can be read


def test_a_loaded_model_says_what_it_is() -> None:
    loaded = load(SOURCE)
    assert loaded.path == SOURCE and loaded.name == str(SOURCE)
    assert loaded.config.eos_token_ids == (482, 480)
    assert loaded.config.notices == ()


def test_a_sharded_checkpoint_is_the_same_model(folder: Path) -> None:
    weights = dict(mx.load(str(SOURCE / "model.safetensors")))
    names = sorted(weights)
    files = {name: f"model-0000{n % 2 + 1}-of-00002.safetensors" for n, name in enumerate(names)}
    for file in set(files.values()):
        part = {name: weights[name] for name in names if files[name] == file}
        mx.save_safetensors(str(folder / file), part)
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": files}))
    model = load_model(folder, dtype=mx.float32)
    assert farthest(last_logits(load_model(SOURCE, dtype=mx.float32)), last_logits(model)) == 0


def test_a_whole_file_beside_an_index_of_missing_files_is_the_model(folder: Path) -> None:
    index = {"weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    model = load_model(folder, dtype=mx.float32)
    assert farthest(last_logits(load_model(SOURCE, dtype=mx.float32)), last_logits(model)) == 0
    (folder / "model.safetensors").rename(folder / "other.safetensors")
    with pytest.raises(ModelError, match="lacks model-00001-of-00002.safetensors: 0 of 2"):
        load_model(folder)


def test_a_byte_order_mark_is_no_damage(folder: Path) -> None:
    for name in ("config.json", "generation_config.json"):
        (folder / name).write_bytes(b"\xef\xbb\xbf" + (folder / name).read_bytes())
    assert read_config(folder) == read_config(SOURCE)


def test_the_communitys_plain_layout_is_the_same_model(folder: Path) -> None:
    def convert(weights: dict[str, mx.array]) -> None:
        for name in list(weights):
            array = weights.pop(name)
            if name != "thinker.lm_head.weight":
                array = array.transpose(0, 2, 3, 1) if array.ndim == 4 else array
                weights[name.removeprefix("thinker.")] = mx.contiguous(array)

    edit_weights(folder, convert)
    model = load_model(folder, dtype=mx.float32)
    assert farthest(last_logits(load_model(SOURCE, dtype=mx.float32)), last_logits(model)) == 0


def test_the_layout_is_recognised_whatever_the_number_of_channels() -> None:
    first = mx.arange(27.0).reshape(3, 1, 3, 3)
    second = mx.arange(81.0).reshape(3, 3, 3, 3)
    name = "audio_tower.conv2d{}.weight".format
    official = {f"thinker.{name(1)}": first, f"thinker.{name(2)}": second}
    ours = sanitize(official, tied=True)
    assert farthest(ours[name(2)], np.array(second).transpose(0, 2, 3, 1)) == 0
    again = sanitize(ours, tied=True)
    assert farthest(again[name(2)], np.array(ours[name(2)])) == 0


def test_an_untied_head_is_used(folder: Path) -> None:
    edit_config(folder, lambda config: text(config).update(tie_word_embeddings=False))
    same = load_model(folder, dtype=mx.float32)
    assert farthest(last_logits(same), last_logits(network())) < 1e-5  # the file's head is a copy
    edit_weights(folder, lambda w: w.update({"thinker.lm_head.weight": 2 * w["thinker.lm_head.weight"]}))
    doubled = load_model(folder, dtype=mx.float32)
    assert farthest(last_logits(doubled), 2 * last_logits(network())) < 1e-4


def test_a_stored_head_says_itself_whether_it_is_tied_where_the_configuration_does_not(folder: Path) -> None:
    edit_config(folder, lambda config: text(config).pop("tie_word_embeddings"))
    same = load_model(folder, dtype=mx.float32)
    assert same.config.text.tie_word_embeddings and same.config.notices == ()
    edit_weights(folder, lambda w: w.update({"thinker.lm_head.weight": 2 * w["thinker.lm_head.weight"]}))
    doubled = load_model(folder, dtype=mx.float32)
    assert not doubled.config.text.tie_word_embeddings
    assert farthest(last_logits(doubled), 2 * last_logits(network())) < 1e-4
    edit_weights(folder, lambda w: w.pop("thinker.lm_head.weight"))
    assert load_model(folder, dtype=mx.float32).config.text.tie_word_embeddings


def test_a_tied_head_may_be_missing(folder: Path) -> None:
    edit_weights(folder, lambda weights: weights.pop("thinker.lm_head.weight"))
    model = load_model(folder, dtype=mx.float32)
    assert farthest(last_logits(load_model(SOURCE, dtype=mx.float32)), last_logits(model)) == 0


def test_numpy_computes_float32_on_a_machine_without_a_gpu_and_mlx_all_else() -> None:
    by_numpy, by_mlx = load(SOURCE, dtype=mx.float32), load(SOURCE, dtype=mx.bfloat16)
    assert by_numpy.dtype == mx.float32 and by_mlx.dtype == mx.bfloat16
    assert isinstance(by_numpy.model, NumpyQwen3ASR if on_cpu else Qwen3ASR)
    assert isinstance(by_mlx.model, Qwen3ASR)


@pytest.mark.parametrize("dtype", [mx.float32, mx.bfloat16, mx.float16])
def test_the_whole_network_computes_in_the_dtype_asked_for(dtype: mx.Dtype) -> None:
    model = load_model(SOURCE, dtype=dtype)
    assert {array.dtype for array in model.parameter_arrays().values()} == {dtype}
    case = Case(DATA, "b_3p3s")
    embeddings = encoded(model, official_mel(case.samples))
    logits = model.logits(prefill(model, model.new_cache(), case.prompt("plain", embeddings), n_last=8))
    assert embeddings.dtype == logits.dtype == dtype
    exact = case.logits("plain")
    error = np.abs(np.array(logits.astype(mx.float32)) - exact).max()
    assert error < {mx.float32: 0.003, mx.float16: 0.4, mx.bfloat16: 2.0}[dtype]


def test_packed_layers_keep_their_scales_type() -> None:
    model = load_model(DATA / "asr_mlx_q4", dtype=mx.bfloat16, unpack=False)
    arrays = model.parameter_arrays()
    assert arrays["model.embed_tokens.weight"].dtype == mx.uint32
    assert arrays["model.embed_tokens.scales"].dtype == mx.bfloat16


def test_widths_of_packing_may_be_mixed(folder: Path) -> None:
    def pack(weights: dict[str, mx.array]) -> None:
        for part, bits, group in (("q_proj", 8, 32), ("k_proj", 4, 64), ("v_proj", 3, 32)):
            name = f"thinker.model.layers.0.self_attn.{part}"
            packed = mx.quantize(weights.pop(f"{name}.weight"), group_size=group, bits=bits)
            weights.update(zip((f"{name}.weight", f"{name}.scales", f"{name}.biases"), packed, strict=True))

    edit_weights(folder, pack)
    unpacked = load_model(folder, dtype=mx.float32)
    packed = load_model(folder, dtype=mx.float32, unpack=False)
    assert bits_of(folder) == {3, 4, 8}
    assert farthest(last_logits(packed), last_logits(unpacked)) < 1e-3


def test_a_model_runs_on_the_thread_that_loaded_it_and_on_another() -> None:
    case = Case(DATA, "b_3p3s")
    expected = case.arrays["plain.greedy_ids"].tolist()
    found: list[list[int]] = []

    def run(model) -> None:
        embeddings = encoded(model, official_mel(case.samples))
        cache = model.new_cache()
        found.append([token.id for token in greedy(model, cache, case.prompt("plain", embeddings), len(expected))])

    for work in (lambda: run(load(SOURCE).model), lambda: run(network())):
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    assert found == [expected, expected]


# ---- settings that may be missing


def test_a_missing_setting_takes_the_released_value_and_is_named(folder: Path, caplog) -> None:
    def forget(config: dict) -> None:
        for key in ("n_window", "n_window_infer"):
            del audio(config)[key]
        for key in ("rope_theta", "rms_norm_eps", "tie_word_embeddings"):
            del text(config)[key]

    edit_config(folder, forget)
    loaded = load(folder)
    (notice,) = loaded.config.notices
    for key in ("n_window = 50", "n_window_infer = 800", "rope_theta = 1", "rms_norm_eps = 1e-06"):
        assert key in notice
    assert len([record for record in caplog.records if "config.json" in record.message]) == 1
    assert farthest(last_logits(loaded.model), last_logits(load(SOURCE).model)) == 0


def test_what_ends_a_text_has_a_released_value_too(folder: Path) -> None:
    (folder / "generation_config.json").unlink()
    assert load_model(folder).config.eos_token_ids == (151643, 151645)


# ---- what cannot be read: one line each


def cut(folder: Path, n_bytes: int) -> None:
    data = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(data[:n_bytes])


def with_header(folder: Path, header: bytes, length: int | None = None) -> None:
    n = len(header) if length is None else length
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", n) + header + bytes(64))


def entry(dtype: str = "F32", shape: object = (2,), offsets: object = (0, 8)) -> bytes:
    return json.dumps({"x": {"dtype": dtype, "shape": shape, "data_offsets": offsets}}).encode()


def one_shard_missing(folder: Path) -> None:
    index = {"weight_map": {"a": "model.safetensors", "b": "model-00002-of-00002.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "no config": (lambda f: (f / "config.json").unlink(), "has no config.json"),
    "config no JSON": (lambda f: (f / "config.json").write_text("{,"), "config.json is damaged: not JSON"),
    "config no text": (lambda f: (f / "config.json").write_bytes(b"\xff\xfe\x00"), "not JSON"),
    "config a list": (lambda f: (f / "config.json").write_text("[1]"), "expected a JSON object, found list"),
    "config of another model": (
        lambda f: (f / "config.json").write_text('{"model_type": "llama"}'),
        r"is a model of another kind \(llama\)",
    ),
    "config that names no model": (
        lambda f: (f / "config.json").write_text("{}"),
        "not a Qwen3-ASR configuration: there is no section thinker_config",
    ),
    "no text section": (
        lambda f: edit_config(f, lambda c: c["thinker_config"].pop("text_config")),
        "no section text_config",
    ),
    "an aligner": (
        lambda f: edit_config(f, lambda c: c["thinker_config"].update(model_type="qwen3_forced_aligner")),
        "is a forced aligner, not a recogniser",
    ),
    "a dimension missing": (lambda f: edit_config(f, lambda c: audio(c).pop("d_model")), "audio_config.d_model"),
    "a dimension no number": (
        lambda f: edit_config(f, lambda c: text(c).update(hidden_size="64")),
        "hidden_size = '64'; expected a positive whole number",
    ),
    "a dimension wrong": (
        lambda f: edit_config(f, lambda c: text(c).update(intermediate_size=96)),
        "do not fit its config.json: model.layers.*mlp.* has shape",
    ),
    "heads wrong": (
        lambda f: edit_config(f, lambda c: audio(c).update(encoder_attention_heads=5)),
        "d_model is not a multiple",
    ),
    "widths apart": (
        lambda f: edit_config(f, lambda c: audio(c).update(output_dim=32)),
        "output_dim differs from hidden_size",
    ),
    "too many layers": (
        lambda f: edit_config(f, lambda c: text(c).update(num_hidden_layers=3)),
        r"model.layers.2.*is missing, and \d+ more",
    ),
    "too few layers": (
        lambda f: edit_config(f, lambda c: text(c).update(num_hidden_layers=1)),
        r"model.layers.1.*is not known, and \d+ more",
    ),
    "another activation": (
        lambda f: edit_config(f, lambda c: audio(c).update(activation_function="relu")),
        "activation_function = 'relu'; only 'gelu'",
    ),
    "epsilon negative": (
        lambda f: edit_config(f, lambda c: text(c).update(rms_norm_eps=-1)),
        "expected a positive number",
    ),
    "tied neither true nor false": (
        lambda f: edit_config(f, lambda c: text(c).update(tie_word_embeddings=1)),
        "expected true or false",
    ),
    "no weights": (lambda f: (f / "model.safetensors").unlink(), "has no model.safetensors"),
    "weights as a pickle": (
        lambda f: (f / "model.safetensors").rename(f / "pytorch_model.bin"),
        r"has weights as a Python pickle \(pytorch_model.bin\); livecap reads safetensors",
    ),
    "a shard missing": (one_shard_missing, "lacks model-00002-of-00002.safetensors: 1 of 2"),
    "index without a map": (
        lambda f: (f / "model.safetensors.index.json").write_text("{}"),
        "it has no weight_map",
    ),
    "index that leaves the folder": (
        lambda f: (f / "model.safetensors.index.json").write_text('{"weight_map": {"a": "../x"}}'),
        "outside its folder",
    ),
    "empty": (lambda f: cut(f, 0), "is cut off or not a safetensors file: 0 bytes"),
    "cut in the length": (lambda f: cut(f, 5), "is cut off"),
    "cut in the header": (lambda f: cut(f, 1000), "is cut off"),
    "cut in the numbers": (lambda f: cut(f, 400_000), "is cut off: 400000 of 463600 bytes"),
    "one byte short": (lambda f: cut(f, 463_599), "is cut off: 463599 of 463600 bytes"),
    "a web page": (
        lambda f: (f / "model.safetensors").write_text("<html>not found</html>" * 9),
        "is cut off or not a safetensors file",
    ),
    "header no JSON": (lambda f: with_header(f, b"{{{{"), "its header is not JSON"),
    "header no object": (lambda f: with_header(f, b"[1, 2]"), "its header is not a JSON object"),
    "header endless": (lambda f: with_header(f, b"{}", 1 << 60), "is cut off or not a safetensors"),
    "entry no object": (lambda f: with_header(f, b'{"x": 1}'), "entry for x is invalid"),
    "unknown type": (lambda f: with_header(f, entry(dtype="F8_E4M3")), "holds x as F8_E4M3"),
    "type no text": (lambda f: with_header(f, entry(dtype=[1])), "holds x as"),
    "shape no numbers": (lambda f: with_header(f, entry(shape="ab")), "is invalid"),
    "shape negative": (lambda f: with_header(f, entry(shape=[-2], offsets=[0, -8])), "is invalid"),
    "offsets backwards": (lambda f: with_header(f, entry(offsets=[8, 0])), "is invalid"),
    "offsets of another size": (lambda f: with_header(f, entry(offsets=[0, 4])), "is invalid"),
    "offsets past the end": (lambda f: with_header(f, entry(offsets=[800, 808])), "is cut off"),
    "a weight of the wrong shape": (
        lambda f: edit_weights(f, lambda w: w.update({"thinker.model.norm.weight": mx.ones((63,))})),
        r"model.norm.weight has shape \(63,\), expected \(64,\)",
    ),
    "a weight missing": (
        lambda f: edit_weights(f, lambda w: w.pop("thinker.model.norm.weight")),
        "model.norm.weight is missing",
    ),
    "a weight too many": (
        lambda f: edit_weights(f, lambda w: w.update({"thinker.extra": mx.ones((2,))})),
        "extra is not known",
    ),
    "scales of nothing": (
        lambda f: edit_weights(f, lambda w: w.update({"thinker.model.norm.scales": mx.ones((2, 2))})),
        "no quantised layer for it",
    ),
    "packed and impossible": (
        lambda f: edit_weights(
            f,
            lambda w: w.update(
                {
                    "thinker.model.embed_tokens.weight": mx.zeros((512, 7), dtype=mx.uint32),
                    "thinker.model.embed_tokens.scales": mx.ones((512, 1)),
                    "thinker.model.embed_tokens.biases": mx.ones((512, 1)),
                }
            ),
        ),
        "cannot be unpacked",
    ),
    "an array in two layouts": (
        lambda f: edit_weights(f, lambda w: w.update({"model.language_model.norm.weight": mx.ones((64,))})),
        "has arrays twice, under names of two layouts",
    ),
    "a tokenizer too large": (
        lambda f: (f / "vocab.json").write_text(json.dumps({**json.loads((f / "vocab.json").read_text()), "zz": 600})),
        "has 601 ids, but its model has 512",
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_checkpoint_is_one_clear_line(folder: Path, damage: str) -> None:
    do, says = DAMAGES[damage]
    do(folder)
    with pytest.raises(ModelError, match=says) as raised:
        load(folder)
    assert "\n" not in str(raised.value)


def test_a_network_with_more_layers_than_the_file_has_weights_is_never_built(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    edit_config(folder, lambda config: text(config).update(num_hidden_layers=1000))
    monkeypatch.setattr("livecap.model.checkpoint.load.Qwen3ASR", lambda config: pytest.fail("was built"))
    with pytest.raises(ModelError, match="do not fit its config.json"):
        load_model(folder)


# ---- names


def test_a_folder_is_itself(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert resolve(folder) == resolve(str(folder)) == folder
    monkeypatch.chdir(folder.parent)
    assert resolve("model") == Path("model")
    with pytest.raises(ModelError, match="No model at model/config.json: it is not a folder"):
        resolve("model/config.json")


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("/nowhere/at/all", "does not exist"),
        ("./nowhere", "does not exist"),
        (str(SOURCE / "config.json"), "is not a folder"),
        ("big", "No model named big. Known: tiny, 0.6b"),
        ("a/b/c", "No model named a/b/c"),
    ],
)
def test_an_unknown_name_is_one_clear_line(name: str, says: str) -> None:
    with pytest.raises(ModelError, match=says):
        resolve(name)


def test_short_names_are_the_official_repositories(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def fetch(repository: str, **how: object) -> Path:
        asked.append(repository)
        return SOURCE

    monkeypatch.setattr("livecap.model.checkpoint.hub.fetch", fetch)
    for name in ("0.6b", "0.6B", "qwen3-asr-1.7b", "someone/else"):
        assert resolve(name) == SOURCE
    assert asked == ["Qwen/Qwen3-ASR-0.6B"] * 2 + ["Qwen/Qwen3-ASR-1.7B", "someone/else"]


def test_an_installation_without_tiny_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finding.importlib.resources, "files", lambda package: tmp_path)
    with pytest.raises(ModelError, match="model tiny is missing"):
        resolve("tiny")
    (tmp_path / "tiny").mkdir()
    (tmp_path / "tiny" / "config.json").write_text("{}")
    assert resolve("tiny") == tmp_path / "tiny"

"""A packed copy has the community's layout, reads back bit by bit, and computes in half precision."""

import json
import re
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from livecap.cli.main import run
from livecap.errors import ModelError
from livecap.model.backend import mx
from livecap.model.checkpoint import load as loading
from livecap.model.checkpoint.load import load, load_model
from livecap.model.checkpoint.pack import Packing, pack
from livecap.model.checkpoint.quantized import Quantization, find_quantized
from livecap.model.checkpoint.weights import read_weights
from livecap.model.chip import Chip
from livecap.model.qwen3_asr import Qwen3ASR
from livecap.shipped import demo_recording
from livecap.text.units import size
from tests.model import layouts

TABLE = "model.embed_tokens"
QUERIES = "model.layers.0.self_attn.q_proj"


def packed_as(folder: Path) -> dict[str, Quantization]:
    return find_quantized(Qwen3ASR(load("tiny").config), read_weights(folder))


@pytest.mark.parametrize("bits", [8, 6, 5, 4])
def test_each_width_reads_back_bit_by_bit(tmp_path: Path, bits: int) -> None:
    done = pack(layouts.TINY, tmp_path / "out", Packing(bits))
    weights, plain = read_weights(done.folder), layouts.mlx(mx.bfloat16)
    for name, how in packed_as(done.folder).items():
        again = mx.quantize(plain[f"{name}.weight"], group_size=how.group_size, bits=how.bits)
        for part, array in zip(("weight", "scales", "biases"), again, strict=True):
            assert mx.array_equal(weights[f"{name}.{part}"], array).item(), name
    for name in weights.keys() & plain.keys() - {f"{name}.weight" for name in packed_as(done.folder)}:
        assert mx.array_equal(weights[name], plain[name]).item() and weights[name].dtype == plain[name].dtype
    assert packed_as(done.folder)[QUERIES].bits == bits
    assert done.packed_bytes < done.source_bytes and done.n_left == 0
    load(done.folder)


def test_the_layout_is_the_communitys(tmp_path: Path) -> None:
    folder = pack(layouts.TINY, tmp_path / "new" / "out", Packing(8)).folder
    names = {path.name for path in folder.iterdir()}
    assert names == {
        "config.json",
        "generation_config.json",
        "merges.txt",
        "model.safetensors",
        "model.safetensors.index.json",
        "preprocessor_config.json",
        "tokenizer_config.json",
        "vocab.json",
    }
    said = json.loads((folder / "config.json").read_text())
    assert list(said) == sorted(layouts.config()) + ["quantization", "quantization_config"]
    assert said["quantization"] == said["quantization_config"] == {"group_size": 64, "bits": 8, "mode": "affine"}
    index = json.loads((folder / "model.safetensors.index.json").read_text())
    weights = read_weights(folder)
    assert index["weight_map"] == dict.fromkeys(sorted(weights), "model.safetensors")
    assert index["metadata"] == {
        "total_size": sum(array.nbytes for array in weights.values()),
        "total_parameters": sum(array.size for array in layouts.mlx().values()),
    }
    assert not any(name.startswith(("thinker.", "lm_head.")) for name in weights)
    assert not any(name.startswith("audio_tower.") and name.endswith(".scales") for name in weights)
    assert list(tmp_path.rglob("*.new")) == []


def test_a_tied_table_keeps_eight_bits_unless_told(tmp_path: Path) -> None:
    assert packed_as(pack(layouts.TINY, tmp_path / "a", Packing(4)).folder)[TABLE] == Quantization(8, 64)
    said = json.loads((tmp_path / "a" / "config.json").read_text())["quantization"]
    assert said[TABLE] == {"group_size": 64, "bits": 8, "mode": "affine"}
    told = pack(layouts.TINY, tmp_path / "b", Packing(4, embedding_bits=4))
    assert packed_as(told.folder)[TABLE].bits == told.embedding_bits == 4
    source = layouts.untied(tmp_path / "untied")
    done = pack(source, tmp_path / "c", Packing(4))
    assert done.embedding_bits == 4 and "lm_head.scales" in read_weights(done.folder)
    load(done.folder)


def test_the_encoder_is_packed_where_asked_with_groups_that_divide(tmp_path: Path) -> None:
    done = pack(layouts.TINY, tmp_path / "out", Packing(6, 128, encoder_bits=8))
    found = packed_as(done.folder)
    assert found["audio_tower.layers.0.fc1"] == Quantization(8, 32)  # its width, 224, is a multiple of 32 only
    assert found["model.layers.0.mlp.gate_proj"] == Quantization(6, 128)
    assert load(done.folder).config == load("tiny").config


@pytest.mark.parametrize("dtype", [mx.float32, mx.float16, mx.bfloat16])
def test_scales_never_make_the_network_float32(
    tmp_path: Path, dtype: mx.Dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = layouts.as_type(dtype)(tmp_path / "source")
    folder = pack(source, tmp_path / "out", Packing(8, encoder_bits=8)).folder
    monkeypatch.setattr(loading, "this_chip", Chip)
    model = load_model(folder, unpack=False)
    half = mx.bfloat16 if dtype == mx.float32 else dtype
    floats = {a.dtype for a in model.parameter_arrays().values() if mx.issubdtype(a.dtype, mx.floating)}
    assert floats == {half}
    tokens = model.encode(model.convolve(mx.zeros((1, 100, 128))))
    hidden = model(model.embed(mx.array([1, 2]))[None], model.new_cache())
    assert tokens.dtype == hidden.dtype == model.logits(hidden).dtype == half


def test_transformers_layout_can_be_packed(tmp_path: Path) -> None:
    folder = pack(layouts.hf(tmp_path / "source"), tmp_path / "out", Packing(8)).folder
    assert (folder / "tokenizer.json").is_file()
    assert "thinker_config" in json.loads((folder / "config.json").read_text())
    assert load(folder).config.eos_token_ids == load("tiny").config.eos_token_ids


def test_what_is_packed_or_in_the_way_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = pack(layouts.TINY, tmp_path / "out", Packing(8)).folder
    with pytest.raises(ModelError, match="is packed already. Pack the model that it was made from"):
        pack(folder, tmp_path / "again", Packing(4))
    with pytest.raises(ModelError, match="out exists and is not an empty folder"):
        pack(layouts.TINY, folder, Packing(4))
    (tmp_path / "file").write_text("")
    with pytest.raises(ModelError, match="file exists and is not an empty folder"):
        pack(layouts.TINY, tmp_path / "file", Packing(4))
    with pytest.raises(ModelError, match="cannot be written"):
        pack(layouts.TINY, tmp_path / "file" / "below", Packing(4))
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    with pytest.raises(ModelError, match="current folder cannot be replaced"):
        pack(layouts.TINY, Path("."), Packing(4))
    assert sorted(path.name for path in tmp_path.rglob("*") if path.parent.name != "out") == ["file", "here", "out"]


def test_a_disk_that_is_too_small_is_named_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Path] = []

    def usage(path: Path) -> SimpleNamespace:
        asked.append(Path(path))
        return SimpleNamespace(free=8_000_000)

    monkeypatch.setattr(shutil, "disk_usage", usage)
    with pytest.raises(ModelError) as raised:
        pack(layouts.TINY, tmp_path / "new" / "out", Packing(8))
    says = rf"The packed model needs 20 MB in {tmp_path}/new/out, where 8\.0 MB are free\. Free some space, or choose"
    assert re.match(says, str(raised.value)) and asked == [tmp_path] and not list(tmp_path.iterdir())


def test_what_mlx_says_about_a_disk_ends_in_one_full_stop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*arguments: object, **options: object) -> None:
        raise RuntimeError("[write] Unable to write 100 bytes to file.")

    monkeypatch.setattr(mx, "save_safetensors", fails)
    with pytest.raises(ModelError, match=r"out cannot be written: \[write\] Unable to write 100 bytes to file\.$"):
        pack(layouts.TINY, tmp_path / "out", Packing(8))


def test_a_folder_that_is_in_the_way_is_found_before_the_model_is_fetched(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    (tmp_path / "empty").mkdir()
    (tmp_path / "link").symlink_to("empty")  # a folder cannot take the place of a link
    for name in ("full", "link"):
        assert run(["quantize", "./missing", "-o", str(tmp_path / name)]) == 1
        assert "is not an empty folder. Choose another" in capsys.readouterr().err


def test_the_command_reports_size_memory_and_errors(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recording = demo_recording()
    for suffix in (".flac", ".txt"):
        shutil.copy(recording.with_suffix(suffix), tmp_path / f"talk{suffix}")
    assert run(["quantize", "tiny", str(tmp_path / "talk.flac"), "--bits", "4", "-o", str(tmp_path / "out")]) == 0
    out, err = capsys.readouterr()
    before = f"{size((layouts.TINY / 'model.safetensors').stat().st_size)} before, "
    assert "tiny is packed in " in out and f"on disk: {before}" in out
    assert f"weights in memory on a GPU: {before}" in out and "word errors on " in out and "% after" in out
    assert "results with 4 bit are far worse outside English" in err
    assert "so it has 8 bit; --embedding-bits changes that" in err
    assert run(["quantize", "tiny", "-o", str(tmp_path / "b"), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["bits"] == 8 and "wer" not in report["before"]
    assert report["after"]["disk_bytes"] < report["before"]["disk_bytes"]


def test_a_recording_without_text_is_reported_before_the_work(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(demo_recording(), tmp_path / "talk.flac")
    assert run(["quantize", "tiny", str(tmp_path / "talk.flac"), "-o", str(tmp_path / "out")]) == 1
    assert "put its text beside it" in capsys.readouterr().err and not (tmp_path / "out").exists()

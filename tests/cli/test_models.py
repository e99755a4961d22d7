"""`livecap models` and the model page of the screen: one table, and the care of the cache."""

import fcntl
import io
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import cast

import pytest

from livecap.cli.download import download
from livecap.cli.main import run
from livecap.cli.model_table import model_table
from livecap.cli.this_computer import ThisComputer
from livecap.model.backend import mx
from livecap.model.checkpoint.cached import cached_models
from livecap.model.checkpoint.catalogue import RELEASES, TINY_BYTES
from livecap.settings.sources import load_settings
from livecap.shipped import demo_recording
from livecap.text.units import size
from livecap.tui.screens.model_screen import is_same_model
from tests.model import layouts
from tests.model.hub_server import COMMIT, HubServer, put_in_cache, serving

ROOT = Path(__file__).parents[2]
OTHER = "someone/small-Qwen3-ASR"
SMALL = "Qwen/Qwen3-ASR-0.6B"
CACHED = ["someone/fine-tune-of-any-name", OTHER]

Models = Callable[..., tuple[int, str, str]]


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("LIVECAP_SETTINGS", str(tmp_path / "settings.toml"))
    return tmp_path / "hub"


@pytest.fixture
def server(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with serving(OTHER, tmp_path, monkeypatch) as server:
        yield server


@pytest.fixture
def models(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Models:
    """Runs `livecap models` in this process: (status, standard output, standard error)."""
    monkeypatch.setattr("sys.stdin", io.StringIO())

    def call(*arguments: str) -> tuple[int, str, str]:
        status = run(["models", *arguments])
        return status, *capsys.readouterr()

    return call


def other_model(folder: Path) -> Path:
    """A model of another kind."""
    (folder / "bert").mkdir()
    (folder / "bert" / "config.json").write_text('{"model_type": "bert"}')
    (folder / "bert" / "model.safetensors").write_bytes(b"x")
    return folder / "bert"


def test_the_list_is_the_table_of_the_screen(cache: Path, tmp_path: Path, models: Models) -> None:
    put_in_cache(cache, SMALL)
    put_in_cache(cache, OTHER)
    put_in_cache(cache, "bert/not-speech", model=other_model(tmp_path))
    put_in_cache(cache, CACHED[0])
    _, out, _ = models()
    rows = json.loads(models("list", "--json")[1])
    choices = ThisComputer().models()
    assert [row["name"] for row in rows] == [choice.name for choice in choices] == [*RELEASES, *CACHED, "tiny"]
    for row, choice in zip(rows, choices, strict=True):
        assert all(
            row[key] == getattr(choice, key) for key in ("about", "disk_bytes", "memory_bytes", "fits", "licence")
        )
        assert choice.name in out
    assert [row["name"] for row in rows if row["is_here"]] == [SMALL, *CACHED, "tiny"]
    assert [row["name"] for row in rows if row["chosen"]] == [SMALL]
    assert rows[0]["folder"].endswith(COMMIT) and rows[0]["cached_bytes"] > 9_000_000


def test_the_list_says_what_is_wrong_with_a_cached_model(cache: Path, models: Models) -> None:
    weights = (put_in_cache(cache, SMALL) / "model.safetensors").resolve()
    weights.write_bytes(weights.read_bytes()[:-1])
    assert "! model.safetensors is cut off" in models()[1]
    assert not model_table(64 << 30)[0].choice.is_here


def test_a_model_that_may_not_be_read_is_a_row_that_says_so(cache: Path, models: Models) -> None:
    put_in_cache(cache, OTHER)
    (cache / "models--Qwen--Qwen3-ASR-0.6B").symlink_to("/" + "x" * 300)  # root is refused, too
    status, out, _ = models()
    assert status == 0 and OTHER in out
    assert out.count("! its folder in the cache cannot be read: File name too long") == 1
    rows = ThisComputer().models()
    assert not rows[0].is_here and [row.name for row in rows if row.is_here] == [OTHER, "tiny"]
    assert {SMALL, OTHER} == set(cached_models())
    status, _, err = models("check", SMALL)
    assert status == 1 and "is not on this machine" in err


def test_a_cache_that_may_not_be_read_is_an_empty_one(monkeypatch: pytest.MonkeyPatch, models: Models) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", "/" + "x" * 300)
    assert models()[0] == 0 and cached_models() == []
    assert [row.name for row in ThisComputer().models() if row.is_here] == ["tiny"]


def test_a_file_that_a_download_renames_meanwhile_is_left_out(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put_in_cache(cache, SMALL)
    before, names = model_table(64 << 30)[0], os.listdir
    monkeypatch.setattr(os, "listdir", lambda folder: [*names(folder), "renamed"])
    assert model_table(64 << 30)[0] == before


def test_a_model_is_downloaded_with_progress_and_named(server: HubServer, models: Models) -> None:
    status, out, err = models("download", OTHER)
    assert status == 0 and out.startswith(f"{OTHER} is in ") and out.rstrip().endswith(f"{COMMIT}.")
    assert f"Downloading {OTHER}: " in err and f" of {size(TINY_BYTES)}" in err
    status, out, err = models("download", OTHER, "--json")
    assert json.loads(out)["folder"].endswith(COMMIT) and err == ""  # nothing is downloaded twice


def test_a_download_that_broke_goes_on_at_the_next_call(server: HubServer, models: Models) -> None:
    server.breaks_after = [3_000_000] + [0] * 9
    assert models("download", OTHER)[0] == 1
    assert "the download is not finished" in models()[1]
    assert models("download", OTHER)[0] == 0
    assert server.weights_served()[-1][0] > 2_000_000


def test_a_check_of_an_unfinished_download_says_so(server: HubServer, models: Models) -> None:
    server.breaks_after = [3_000_000] + [0] * 9
    models("download", OTHER)
    status, out, err = models("check", OTHER)
    assert status == 1 and err == f"livecap: {OTHER}: the download is not finished.\n"
    assert out == f"`livecap models download {OTHER}` continues it.\n"
    assert json.loads(models("check", OTHER, "--json")[1])["damages"] == ["the download is not finished"]


def test_the_rate_of_a_download_leaves_out_what_was_there(monkeypatch, capsys: pytest.CaptureFixture[str]) -> None:
    seconds = iter([100.0, 102.0, 110.0])
    monkeypatch.setattr("livecap.cli.download.time.monotonic", lambda: next(seconds))

    def resolves(name: str, progress: Callable[[int, int], None], **options: object) -> Path:
        for done in (6_000_000, 7_000_000, 9_000_000):
            progress(done, 12_000_000)
        return Path("model")

    monkeypatch.setattr("livecap.cli.download.resolve", resolves)
    download("m")
    assert capsys.readouterr().err.splitlines() == [
        "Downloading m: 6 of 12 MB",
        "Downloading m: 9 of 12 MB, 0.3 MB/s",
    ]


@pytest.mark.parametrize("n_bytes", [0, 3_000_000])
def test_a_download_that_the_user_stops_says_that_it_can_continue(
    monkeypatch, capsys: pytest.CaptureFixture[str], n_bytes: int
) -> None:
    def resolves(name: str, progress: Callable[[int, int], None], **options: object) -> Path:
        if n_bytes:
            progress(n_bytes, 12_000_000)
        raise KeyboardInterrupt

    monkeypatch.setattr("livecap.cli.download.resolve", resolves)
    assert run(["models", "download", OTHER]) == 130
    said = "livecap: Stopped. What has arrived is kept; the same command continues the download."
    shown = [f"Downloading {OTHER}: 3 of 12 MB", said] if n_bytes else []
    assert capsys.readouterr().err.splitlines() == shown


@pytest.mark.parametrize(("kind", "value"), [(mx.bfloat16, "nan"), (mx.float16, "-inf"), (mx.float32, "inf")])
def test_a_check_finds_a_number_that_is_not_finite(tmp_path: Path, models: Models, kind: mx.Dtype, value: str) -> None:
    shutil.copytree(layouts.TINY, tmp_path / "model")
    file = tmp_path / "model" / "model.safetensors"
    arrays = {name: array.astype(kind) for name, array in cast(dict[str, mx.array], mx.load(str(file))).items()}
    name = "thinker.model.layers.1.mlp.up_proj.weight"
    mx.save_safetensors(str(file), arrays)
    assert models("check", str(tmp_path / "model"))[0] == 0
    array = arrays[name]
    array[-1, -1] = float(value)
    mx.save_safetensors(str(file), arrays)
    status, out, err = models("check", str(tmp_path / "model"))
    assert status == 1 and err.endswith(f": model.safetensors holds numbers that are not finite, in {name}.\n")
    assert out.startswith("It cannot recognise speech. Choose a Qwen3-ASR model")


def test_the_size_of_the_embedded_model_is_true() -> None:
    assert sum(path.stat().st_size for path in layouts.TINY.iterdir()) == pytest.approx(TINY_BYTES, rel=0.02)


def test_a_check_compares_all_and_a_download_mends(server: HubServer, models: Models) -> None:
    models("download", OTHER)
    status, out, _ = models("check", OTHER)
    assert status == 0 and "is whole: 7 files in " in out and "7 compared with their published digests" in out
    [weights] = server_blobs(server, models)
    data = bytearray(weights.read_bytes())
    data[-9:] = bytes(9)
    weights.write_bytes(data)
    status, out, err = models("check", OTHER)
    assert status == 1 and "model.safetensors has other content than was published" in err
    assert f"`livecap models download {OTHER}`" in out
    status, out, _ = models("check", OTHER, "--json")
    assert status == 1 and json.loads(out)["damages"] == ["model.safetensors has other content than was published"]
    assert models("download", OTHER)[0] == 0 and models("check", OTHER)[0] == 0


def server_blobs(server: HubServer, models: Models) -> list[Path]:
    folder = Path(json.loads(models("download", OTHER, "--json")[1])["folder"])
    return [(folder / "model.safetensors").resolve()]


def test_a_model_that_is_not_there_cannot_be_checked(cache: Path, models: Models) -> None:
    status, _, err = models("check", "1.7b")
    assert status == 1 and "`livecap models download 1.7b` downloads it" in err
    status, _, err = models("check", "nothing-of-this-name")
    assert status == 1 and "No model named nothing-of-this-name. Known: tiny, 0.6b" in err


def test_a_folder_that_is_checked_is_not_to_be_downloaded(tmp_path: Path, models: Models) -> None:
    nowhere = tmp_path / "nowhere"
    status, out, err = models("check", str(nowhere))
    assert status == 1 and not out and f"No model at {nowhere}: it does not exist." in err
    status, out, err = models("check", str(tmp_path))
    assert status == 1 and "has no weights" in err
    assert out == f"Copy the damaged files in {tmp_path} again.\n"


def test_a_removed_model_is_gone_and_nothing_else(cache: Path, models: Models, monkeypatch, capsys) -> None:
    snapshot, other = put_in_cache(cache, SMALL), put_in_cache(cache, OTHER)
    disk = size(sum(path.stat().st_size for path in snapshot.iterdir()))
    status, _, err = models("remove", "0.6b")
    assert status == 1 and "Add --yes" in err and snapshot.exists()
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    status, out, _ = models("remove", "0.6b")  # the answer is the end of the input
    assert status == 1 and f"Delete {SMALL} ({disk}) from the cache, which other programs use too?" in out
    assert snapshot.exists()
    status, out, _ = models("remove", "0.6b", SMALL, "--yes")
    assert status == 0 and out == f"Deleted {SMALL}, {disk}.\n"
    assert not list(cache.glob("*0.6B*")) and (other / "model.safetensors").exists()


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("tiny", "is part of livecap and cannot be removed"),
        ("bert/not-speech", "is not a Qwen3-ASR model, so livecap leaves it"),
        ("Qwen/Qwen3-ASR-1.7B", "is not in the cache"),
        ("../hub", "is not in the cache"),
        ("", "No name of a model was given"),
    ],
)
def test_what_is_not_a_cached_speech_model_is_left(
    cache: Path, tmp_path: Path, models: Models, name: str, says: str
) -> None:
    snapshot = put_in_cache(cache, "bert/not-speech", model=other_model(tmp_path))
    status, _, err = models("remove", name, "--yes")
    assert status == 1 and says in err and (snapshot / "config.json").exists()


def test_a_folder_is_not_removed(tmp_path: Path, cache: Path, models: Models) -> None:
    status, _, err = models("remove", str(tmp_path), "--yes")
    assert status == 1 and "is a folder outside the cache" in err and tmp_path.exists()


def test_a_model_that_is_being_downloaded_is_not_removed(server: HubServer, cache: Path, models: Models) -> None:
    server.breaks_after = [3_000_000] + [0] * 9
    models("download", OTHER)
    [part] = cache.rglob("*.livecap-part")
    with part.open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        status, _, err = models("remove", OTHER, "--yes")
    assert status == 1 and "is being downloaded by another livecap" in err and part.exists()


@pytest.mark.parametrize("name", ["tiny", "0.6b", "someone/else", "~/models/mine", "/a b/c", "ümlaut"])
def test_the_environment_and_the_file_name_a_model_as_the_flag_does(tmp_path: Path, name: str) -> None:
    file = tmp_path / "settings.toml"
    file.write_text(f'model = "{name}"')
    by_file = load_settings({}, {"LIVECAP_SETTINGS": str(file)}).settings
    file.write_text("")
    by_variable = load_settings({}, {"LIVECAP_SETTINGS": str(file), "LIVECAP_MODEL": name}).settings
    by_flag = load_settings({"model": name}, {"LIVECAP_SETTINGS": str(file)}).settings
    assert by_file.model == by_variable.model == by_flag.model == name


def test_the_page_opens_on_the_model_in_use_however_it_was_named() -> None:
    for name in (SMALL, "Qwen3-ASR-0.6B", "0.6b", "0.6B", "qwen3-asr-0.6b"):
        assert is_same_model(SMALL, name)
        assert not is_same_model("mlx-community/Qwen3-ASR-0.6B-8bit", name)
    assert not is_same_model(SMALL, None) and not is_same_model(SMALL, "1.7b")


def test_the_variables_of_the_hubs_client_are_obeyed(server: HubServer, tmp_path: Path) -> None:
    """A whole program, with a mirror, a cache and a token of its own."""
    environment = os.environ | {
        "HF_ENDPOINT": server.url,
        "HF_HOME": str(tmp_path / "home"),
        "HF_TOKEN": "hf_secret",
        "LIVECAP_MODEL": OTHER,
        "LIVECAP_SETTINGS": str(tmp_path / "settings.toml"),
    }
    environment.pop("HF_HUB_CACHE")

    def livecap(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "livecap", *arguments]
        return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)

    done = livecap("models", "download", OTHER)
    assert done.returncode == 0, done.stderr
    assert str(tmp_path / "home" / "hub") in done.stdout
    sent = {path: token for path, token in server.tokens if "/store/" in path or "/api/models/" in path}
    assert any(token == "Bearer hf_secret" for token in sent.values())
    environment["HF_HUB_OFFLINE"] = "1"
    n_asked = len(server.asked)
    replay = [
        "--replay",
        str(demo_recording()),
        "--end",
        "2",
        "--pace",
        "max",
        "--plain",
        "--log-dir",
        str(tmp_path / "l"),
    ]
    done = livecap(*replay)
    assert done.returncode == 0 and done.stdout.strip(), done.stderr
    environment["LIVECAP_MODEL"] = "someone/not-here"
    done = livecap(*replay)
    assert done.returncode == 1 and "is not in the cache and cannot be downloaded" in done.stderr
    assert done.stderr.count("\n") == 1 and len(server.asked) == n_asked


@pytest.mark.parametrize(
    ("variable", "value", "says"),
    [
        ("HF_HUB_DOWNLOAD_TIMEOUT", "soon", "cannot read its settings .*'soon'.*HF_HUB_DOWNLOAD_TIMEOUT"),
        ("HF_HOME", os.devnull, "cannot be kept in the cache: /dev/null.*set HF_HOME to another folder"),
        ("ALL_PROXY", "socks5://127.0.0.1:9", "no connection can be set up .*SOCKS.*: ALL_PROXY. A proxy is"),
        ("HF_TOKEN", "hf_schlüssel", "^livecap: The access token .HF_TOKEN.* Copy it again"),
    ],
)
def test_a_variable_that_cannot_be_used_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, says: str
) -> None:
    """The client reads them when it is imported, or when it opens its first connection."""
    for name in [name for name in os.environ if re.match("(?i)hf_|ssl_|.*_proxy", name)]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    monkeypatch.setenv(variable, value)
    command = [sys.executable, "-m", "livecap", "models", "download", OTHER]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1 and re.search(says, done.stderr)
    assert done.stdout == "" and done.stderr.count("\n") == 1


def test_a_machine_for_which_all_are_too_large_is_told(cache: Path, models: Models, monkeypatch) -> None:
    monkeypatch.setattr("livecap.cli.models.memory_bytes", lambda: 1 << 30)
    assert "1.1 GB of memory, which is too little for any model but tiny" in models()[1]

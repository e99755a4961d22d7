"""Facts about models that need no loading."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from livecap.errors import ModelError
from livecap.model.checkpoint.cached import cached_models, hub_cache, is_here
from livecap.model.checkpoint.catalogue import RELEASES, SHORT_NAMES, fits, recommended, repository_of
from livecap.model.checkpoint.hub import fetch
from tests.model.hub_server import put_in_cache


def test_a_model_is_known_to_be_here_without_loading_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    assert is_here("tiny") and is_here(str(tmp_path)) and not is_here("0.6b")
    snapshot = put_in_cache(tmp_path, "Qwen/Qwen3-ASR-0.6B")
    assert is_here("Qwen/Qwen3-ASR-0.6B") and is_here("0.6B") and is_here("qwen3-asr-0.6b")
    assert cached_models() == ["Qwen/Qwen3-ASR-0.6B"]
    weights = (snapshot / "model.safetensors").resolve()
    weights.write_bytes(weights.read_bytes()[:-1])
    assert not is_here("Qwen/Qwen3-ASR-0.6B")
    weights.unlink()
    assert not is_here("Qwen/Qwen3-ASR-0.6B")


@pytest.mark.parametrize(
    "page",
    [
        "https://huggingface.co/Someone/Model-1.0",
        "http://huggingface.co/Someone/Model-1.0/",
        "huggingface.co/Someone/Model-1.0/tree/main",
        " https://huggingface.co/Someone/Model-1.0/blob/main/config.json?download=true ",
        "https://hf.co/Someone/Model-1.0?library=mlx#files",
        "https://mirror.example/hub/Someone/Model-1.0/tree/main/",
    ],
)
def test_the_page_of_a_model_is_its_name(page: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "https://mirror.example/hub/")
    assert repository_of(page) == "Someone/Model-1.0"


@pytest.mark.parametrize(
    "name",
    [
        "https://huggingface.co/Someone/Model/tree/v2",
        "https://huggingface.co/datasets/Someone/Model",
        "https://huggingface.co/Someone",
        "https://github.com/Someone/Model",
        "Someone/huggingface.co",
        "Someone/Model",
    ],
)
def test_no_other_name_is_taken_for_a_page(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The page of another revision least of all: the newest one would be loaded in its place."""
    monkeypatch.delenv("HF_ENDPOINT", raising=False)
    assert repository_of(name) == name


def test_the_weights_of_every_release_are_named_as_the_hub_names_them() -> None:
    for release in RELEASES.values():
        shards = sorted(name for name in release.digests if name.endswith(".safetensors"))
        whole = [f"model-{i + 1:05}-of-{len(shards):05}.safetensors" for i in range(len(shards))]
        assert shards in ([], ["model.safetensors"], whole)


def test_what_a_machine_should_take_fits_and_is_free() -> None:
    assert recommended(64 << 30) == "Qwen/Qwen3-ASR-0.6B"
    assert recommended(1 << 30) is None
    assert all(not RELEASES[name].licence for name in SHORT_NAMES.values())
    assert not fits(RELEASES["Qwen/Qwen3-ASR-1.7B"], 4 << 30)


def test_packed_weights_need_less_memory_only_where_a_gpu_computes(monkeypatch: pytest.MonkeyPatch) -> None:
    plain, packed = RELEASES["Qwen/Qwen3-ASR-0.6B"], RELEASES["mlx-community/Qwen3-ASR-0.6B-8bit"]
    monkeypatch.setattr(sys, "platform", "linux")
    assert packed.memory_bytes == plain.memory_bytes > 3_000_000_000
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr("os.uname", lambda: os.uname_result(("Darwin", "mac", "24", "x", "arm64")))
    assert packed.memory_bytes < plain.memory_bytes < 3_000_000_000
    assert recommended(2_400_000_000) == "mlx-community/Qwen3-ASR-0.6B-8bit"


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"XDG_CACHE_HOME": "~/elsewhere"},
        {"HF_HOME": "$HOME/hf"},
        {"HUGGINGFACE_HUB_CACHE": "/a/legacy"},
        {"HF_HUB_CACHE": "/a/cache", "HF_HOME": "/b", "HUGGINGFACE_HUB_CACHE": "/c"},
    ],
    ids=str,
)
def test_the_cache_is_where_the_hubs_client_has_it(given: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    script = "from huggingface_hub.constants import HF_HUB_CACHE; print(HF_HUB_CACHE)"
    theirs = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.strip()
    assert hub_cache() == Path(theirs)


def test_a_user_without_a_home_folder_has_no_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HOME", "XDG_CACHE_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("posixpath.expanduser", lambda path: path)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "~" / ".cache" / "huggingface" / "hub" / "models--someone--qwen3-asr-x").mkdir(parents=True)
    assert hub_cache() is None and cached_models() == [] and not is_here("0.6b")
    with pytest.raises(ModelError, match="no home folder.*Set HF_HOME"):
        fetch("someone/qwen3-asr-x")
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    assert hub_cache() == tmp_path / "hub"

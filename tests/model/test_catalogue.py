"""Facts about models that need no loading."""

import subprocess
import sys
from pathlib import Path

import pytest

from livecap.model.checkpoint.catalogue import cached_models, hub_cache, is_here


def test_a_model_is_known_to_be_here_without_loading_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    assert is_here("tiny") and is_here(str(tmp_path)) and not is_here("0.6b")
    snapshot = tmp_path / "models--Qwen--Qwen3-ASR-0.6B" / "snapshots" / "abc"
    snapshot.mkdir(parents=True)
    (snapshot / "config.json").write_text("{}")
    assert not is_here("Qwen/Qwen3-ASR-0.6B")
    (snapshot / "model.safetensors").write_text("")
    assert is_here("Qwen/Qwen3-ASR-0.6B") and is_here("0.6B") and is_here("qwen3-asr-0.6b")
    assert cached_models() == ["Qwen/Qwen3-ASR-0.6B"]


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

"""`livecap doctor --selftest` reports what a maintainer needs to know about a model on a machine."""

import re
from pathlib import Path
from typing import Any

import pytest
import soundfile

from livecap.cli import selftest as selftests
from livecap.cli.selftest import selftest
from livecap.model import facts
from livecap.model.backend import mx
from livecap.model.checkpoint.load import load, resolve
from livecap.model.checkpoint.pack import Packing, pack
from livecap.settings.fields import Settings
from livecap.shipped import demo_recording


@pytest.fixture
def report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The report on a sentence of the shipped recording, in float16."""
    samples, rate = soundfile.read(demo_recording(), frames=5 * 16_000)
    soundfile.write(path := tmp_path / "sentence.wav", samples, rate)
    monkeypatch.setattr(selftests, "demo_recording", lambda: path)
    monkeypatch.setattr(selftests, "reference_text", lambda recording: "Dear Maria, thank you for your letter of the")
    return selftest(Settings(model="tiny", dtype="float16"))


def test_a_report_has_the_model_the_time_of_each_stage_memory_errors_and_an_address(report: dict[str, Any]) -> None:
    known = {"model": "tiny", "layout": "official", "packing": "none", "arithmetic": "MLX", "dtype": "float16"}
    assert report.items() >= known.items()
    stages = [report[f"{stage}_seconds"] for stage in ("mel", "encoder", "prefill", "generate", "other")]
    assert all(seconds >= 0 for seconds in stages) and report["steps"] > 0
    assert sum(stages) <= report["rtf"] * report["sound_seconds"] * 1.02
    assert 0 <= report["wer"] <= 1 and report["peak_memory_mb"] > 0 < report["peak_mlx_mb"]
    assert "livecap doctor --selftest --json" in report["send_to"]


def test_a_model_that_is_not_there_is_a_problem_of_the_report() -> None:
    report = selftest(Settings(model="/no/such/model"))
    assert report["model"] == "/no/such/model" and "/no/such/model" in report["problem"]


def test_a_packed_model_says_how_and_on_a_gpu_what_a_token_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "packed"
    pack(resolve("tiny"), folder, Packing(8))
    loaded = load(folder, dtype=mx.bfloat16)
    told = facts.model_facts(loaded)
    assert told["layout"] == "MLX" and re.search(r"\d+ layers of 8 bit, affine, groups of 64", told["packing"])
    assert "launches_a_token" not in told
    monkeypatch.setattr(facts, "on_cpu", False)
    assert facts.model_facts(loaded)["launches_a_token"] > 50

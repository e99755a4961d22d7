"""`python -m benchmarks`, from the command line."""

import json
from pathlib import Path

import pytest

from benchmarks.__main__ import main
from livecap.shipped import demo_recording


def benchmark(*arguments: object, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr("sys.argv", ["benchmarks", *map(str, arguments)])
    return main()


def test_the_benchmark_prints_stages_and_writes_a_trace(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    trace = tmp_path / "trace.json"
    assert (
        benchmark(
            demo_recording(), "--seconds", "7", "--trace", trace, "--require", "wer <= 2", monkeypatch=monkeypatch
        )
        == 0
    )
    text = capsys.readouterr().out
    assert all(stage in text for stage in ("mel", "conv", "encoder", "prefill", "verify", "generate", "WER", "RTF"))
    assert json.loads(trace.read_text())["traceEvents"]


def test_an_unknown_geometry_lists_the_known_ones(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert benchmark("--geometry", "9b", monkeypatch=monkeypatch) == 1
    assert "0.6b, 1.7b" in capsys.readouterr().err

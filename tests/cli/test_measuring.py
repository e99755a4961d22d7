"""`livecap eval`, as a user calls it."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
import soundfile

from benchmarks.costs import beginning
from livecap.__main__ import main
from livecap.eval.reference import read_reference
from livecap.shipped import demo_recording


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first seconds of the demo recording, with text and word times."""
    folder = tmp_path_factory.mktemp("recordings")
    part = beginning(read_reference(demo_recording()), 7)
    soundfile.write(folder / "short.flac", part.samples, 16_000)
    (folder / "short.txt").write_text(part.text)
    rows = [{"word": w.text, "start": w.start_sample / 16_000, "end": w.end_sample / 16_000} for w in part.words]
    (folder / "short.words.json").write_text(json.dumps(rows))
    return folder / "short.flac"


def livecap(*arguments: object, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr("sys.argv", ["livecap", *map(str, arguments)])
    try:
        status = main()
    except SystemExit as leaving:
        status = leaving.code
    return int(status or 0)


def test_eval_prints_one_table_and_stores_the_same_figures(
    recording: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    out, plot = tmp_path / "deep" / "figures.json", tmp_path / "plot.svg"
    modes = ["--mode", "default", "--chunk", "2", "--step-cost", "0.1"]
    assert livecap("eval", recording, *modes, "--out", out, "--plot", plot, monkeypatch=monkeypatch) == 0
    table = capsys.readouterr().out
    figures = json.loads(out.read_text())
    assert [column["mode"] for column in figures["all"]] == ["default", "2 s"]
    assert figures["machine"]["commit"] and figures["machine"]["mlx"]
    for name in ("WER offline", "WER stable", "commit latency, aware", "erasure", "draft acceptance", "RTF"):
        assert name in table
    assert f"{figures['all'][0]['wer']['stable']:.2%}" in table
    assert plot.read_text().startswith("<svg") and plot.read_text().count("<circle") > 4


@pytest.mark.parametrize("has_times", [True, False])
def test_a_recording_in_which_the_model_hears_nothing_is_measured(
    tmp_path: Path, has_times: bool, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    soundfile.write(tmp_path / "quiet.wav", np.zeros(32_000), 16_000)
    (tmp_path / "quiet.txt").write_text("hello there")
    if has_times:
        (tmp_path / "quiet.words.json").write_text('[{"word": "hello", "start": 0.5, "end": 1.0}]')
    arguments = ["eval", tmp_path / "quiet.wav", "--plot", tmp_path / "quiet.svg", "--each", "--goals"]
    livecap(*arguments, "--out", tmp_path / "quiet.json", monkeypatch=monkeypatch)
    assert "WER stable" in capsys.readouterr().out
    assert json.loads((tmp_path / "quiet.json").read_text())["all"][0]["wer"]["final"] == 1.0


def test_eval_fails_if_a_bound_is_missed(
    recording: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ["eval", recording, "--no-offline", "--chunk", "2"]
    assert livecap(*arguments, "--require", "committed_revisions <= 0", monkeypatch=monkeypatch) == 0
    assert livecap(*arguments, "--require", "rtf <= 0", monkeypatch=monkeypatch) == 1
    assert "rtf <= 0 is missed" in capsys.readouterr().err


def test_definitions_are_in_the_help(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert livecap("eval", "--help", monkeypatch=monkeypatch) == 0
    text = capsys.readouterr().out
    assert all(name in text for name in ("commit latency", "UPWR", "NE", "computation-aware", "normaliser"))


@pytest.mark.parametrize("missing", [".flac", ".txt", ".words.json"])
def test_a_recording_that_lacks_something_is_reported_in_one_line(
    recording: Path, missing: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for suffix in {".flac", ".txt", ".words.json"} - {missing}:
        (tmp_path / f"x{suffix}").write_bytes(recording.with_suffix(suffix).read_bytes())
    if missing == ".words.json":
        (tmp_path / "x.words.json").write_text('{"no": "list"}')
    assert livecap("eval", tmp_path / "x.flac", monkeypatch=monkeypatch) == 1
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1 and "Cannot measure" in lines[0]


def test_a_recording_at_another_rate_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    soundfile.write(tmp_path / "x.wav", np.zeros(4410), 44_100)
    assert livecap("eval", tmp_path / "x.wav", monkeypatch=monkeypatch) == 1
    assert "44100 Hz" in capsys.readouterr().err


def test_the_old_name_of_the_benchmark_says_the_new_one(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert livecap("bench", "--geometry", "0.6b", monkeypatch=monkeypatch) == 1
    assert "python -m benchmarks" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "why"), [("missing.flac", "No such file or directory"), ("pipe", "not a regular file")]
)
def test_a_recording_that_is_not_there_is_named_at_once(
    name: str, why: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert livecap("eval", tmp_path / name, monkeypatch=monkeypatch) == 1
    assert capsys.readouterr().err == f"livecap: Cannot measure {tmp_path / name}: {why}.\n"

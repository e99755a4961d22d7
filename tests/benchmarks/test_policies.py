"""`python -m benchmarks.policies`: the figures of policies over the oracle."""

import json
from pathlib import Path

import pytest

from benchmarks.policies import main


def run(arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr("sys.argv", ["policies", *arguments])
    return main()


def test_with_a_model_that_is_always_right_there_are_no_errors_and_no_revisions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "figures.json"
    arguments = ["--minutes", "2", "--steady", "--mode", "default", "--mode", "2", "--out", str(out)]
    assert run(arguments, monkeypatch) == 0
    for column in json.loads(out.read_text())["all"]:
        assert column["wer"]["stable"] == 0
        assert column["normalized_erasure"] == column["unstable_partial_word_ratio"] == 0
        assert column["committed_revisions"] == 0


def test_the_same_command_gives_the_same_figures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for name in "ab":
        run(["--minutes", "2", "--mode", "default", "--out", str(tmp_path / name)], monkeypatch)
        found.append(json.loads((tmp_path / name).read_text())["all"])
    assert found[0] == found[1]


def test_a_missed_bound_or_an_invalid_mode_fails(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["--minutes", "1", "--mode", "2", "--require", "rtf <= 0"], monkeypatch) == 1
    assert run(["--minutes", "1", "--mode", "fast"], monkeypatch) == 1
    lines = capsys.readouterr().err.strip().splitlines()
    assert [line.startswith("policies: ") for line in lines] == [True, True]

"""livecap and another program on one file: what is asked of each, and what is taken from an earlier run."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import versus_mlx_qwen3_asr as versus
from livecap.eval.reference import Reference, read_reference
from livecap.model.checkpoint.load import resolve

RECORDING = Path(__file__).parents[2] / "recordings" / "dictation.flac"


def test_a_file_is_compared_in_each_batch_and_the_other_program_runs_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, str]] = []

    def run(command: list[str]) -> dict[str, Any]:
        asked.append((Path(command[0]).name, command[-1]))
        seconds = 2.0 if command[-1].startswith(versus.BATCH) else 4.0
        spent = {"compute_seconds": seconds, "cpu_seconds": seconds, "step_seconds": [seconds]}
        return {"package": "p", "text": "one too", "stages": {"generate": seconds}} | spent

    monkeypatch.setattr(versus, "_run", run)
    monkeypatch.setattr(versus.sys, "executable", "ours")
    reference = Reference("sound", np.zeros(32_000, np.float32), "one two", ())
    given = (reference, tmp_path, "tiny", None, Path("theirs"), [1, 8], tmp_path / "kept.json")
    rows = list(versus.compare_files(*given))
    assert asked == [("theirs", "0"), ("ours", "batch 1"), ("ours", "batch 8")]
    assert [row["recording"] for row in rows] == ["batch 1", "batch 8"]
    for row in rows:
        assert row["ratio"] == row["cpu_ratio"] == 0.5 and row["livecap"]["wer"] == row["rival"]["wer"] == 0.5
    assert list(versus.compare_files(*given)) == rows
    assert asked[3:] == [("ours", "batch 1"), ("ours", "batch 8")]


def test_the_measured_text_of_a_file_is_that_of_the_recording(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    sound = tmp_path / "sound.npy"
    np.save(sound, read_reference(RECORDING).samples[: 5 * 16_000])
    monkeypatch.setattr("sys.argv", ["versus", versus.OURS, str(resolve("tiny")), "tiny", "-", str(sound), "batch 2"])
    assert versus.main() == 0
    found = json.loads(capsys.readouterr().out)
    assert "thank you for your letter" in found["text"] and found["pieces"] == 1
    assert found["compute_seconds"] > 0 and set(found["stages"]) == {"host", "encoder", "generate"}

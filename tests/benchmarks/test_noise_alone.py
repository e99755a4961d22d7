"""The benchmark of invented words counts them, and fails where there are any."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from benchmarks import noise_alone, noises

RECORDING = Path(__file__).parents[2] / "recordings" / "dictation.flac"


def run(monkeypatch: pytest.MonkeyPatch, *options: str) -> int:
    monkeypatch.setattr(sys, "argv", ["noise_alone", *options])
    return noise_alone.main()


def test_noise_without_words_passes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert run(monkeypatch, "white", "--minutes", "0.2", "--out", str(tmp_path / "figures.json")) == 0
    figures = json.loads((tmp_path / "figures.json").read_text())["noises"]["white"]
    assert figures["words"] == figures["settled_words"] == 0


def test_words_are_counted_and_fail(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def speech(n: int, random: np.random.Generator) -> np.ndarray:
        sound = soundfile.read(RECORDING, dtype="float32", frames=n)[0]
        return sound / np.sqrt(np.mean(sound**2))

    monkeypatch.setitem(noises.KINDS, "voice", speech)
    assert run(monkeypatch, "voice", "--minutes", "0.12") == 1
    assert "words 18 " in capsys.readouterr().out


def test_an_unknown_noise_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        run(monkeypatch, "thunder")
    assert "no noise named thunder; there are white" in capsys.readouterr().err

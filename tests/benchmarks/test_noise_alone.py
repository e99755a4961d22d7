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


def test_a_stopped_run_goes_on_behind_the_finished_parts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(noise_alone, "PART_MINUTES", 0.05)
    made, stop_at = [], 2

    def silence(n: int, random: np.random.Generator) -> np.ndarray:
        if len(made) == stop_at:
            raise KeyboardInterrupt
        made.append(random.random())
        return np.zeros(n, np.float32)

    monkeypatch.setitem(noises.KINDS, "silence", silence)
    arguments = ("silence", "--minutes", "0.2", "--out", str(tmp_path / "figures.json"))
    with pytest.raises(KeyboardInterrupt):
        run(monkeypatch, *arguments)
    stop_at = 5
    assert run(monkeypatch, *arguments) == 0
    assert len(made) == 4 == len(set(made))  # each part has a noise of its own, and none is heard twice
    figures = json.loads((tmp_path / "figures.json").read_text())["noises"]["silence"]
    assert figures["minutes"] == pytest.approx(0.2)
    stop_at = 6
    with pytest.raises(KeyboardInterrupt):  # another seed begins from the start
        run(monkeypatch, *arguments, "--seed", "4")


def test_an_unknown_noise_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        run(monkeypatch, "thunder")
    assert "no noise named thunder; there are white" in capsys.readouterr().err

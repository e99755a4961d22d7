"""The benchmark of `livecap serve` says in one line why it cannot measure."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks import serve
from livecap.errors import LivecapError
from livecap.eval.reference import Reference
from livecap.shipped import demo_recording


def test_what_cannot_be_read_or_started_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    missing = tmp_path / "no.flac"
    assert serve.main([str(missing)]) == 1
    assert capsys.readouterr().err == f"livecap: Cannot measure {missing}: No such file or directory.\n"
    assert serve.main([str(demo_recording()), "--model", "nosuch"]) == 1
    said = capsys.readouterr().err
    assert said.startswith("livecap: The server did not start: No model named nosuch.") and said.count("\n") == 1


async def test_a_recording_without_words_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    class Silent:
        url, cpu_seconds = "", 0.0

    async def play(player: serve.Player, delay: float = 0.0) -> None:
        pass

    monkeypatch.setattr(serve.Player, "play", play)
    silence = Reference("silence", np.zeros(16_000, np.float32), "", ())
    with pytest.raises(LivecapError, match="No word of silence was recognised"):
        await serve.phase(Silent(), silence, 1)

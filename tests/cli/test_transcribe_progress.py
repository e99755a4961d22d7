"""Progress of recordings that are transcribed at the same time."""

import pytest

from livecap.cli import transcribe_progress
from livecap.cli.transcribe_progress import ProgressOfAll


def test_progress_over_all_recordings_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Three recordings of 400, 100 and 100 bytes on two threads; the second one was finished before."""
    now, thread = 0.0, 1
    monkeypatch.setattr(transcribe_progress.threading, "get_ident", lambda: thread)
    line = ProgressOfAll([400, 100, 100], is_shown=True, now=lambda: now)

    def said(thread_id: int, at: float, done_seconds: float, duration: float) -> str:
        nonlocal now, thread
        now, thread = at, thread_id
        line.tell(done_seconds, duration, "")
        return capsys.readouterr().err.strip()

    line.begin("long")
    thread = 2
    line.begin("finished")
    line.skip()
    line.begin("short")
    assert said(1, 20.0, 100.0, 400.0) == "1 of 3 recordings  33%  5.0x real time  1:20 left"
    assert said(2, 25.0, 50.0, 100.0) == "", "not more often than every ten seconds"
    assert said(1, 40.0, 200.0, 400.0) == "1 of 3 recordings  58%  6.2x real time  0:40 left"

"""Progress of recordings that are transcribed at the same time."""

import pytest

from livecap.cli import transcribe_progress
from livecap.cli.transcribe_progress import ProgressLine, ProgressOfAll


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


def test_the_wait_for_a_recording_in_a_watched_folder_is_no_work(capsys: pytest.CaptureFixture[str]) -> None:
    """The second one comes ten hours after the first; half of it takes 20 s, so the rest takes 20 s."""
    now = 0.0
    line = ProgressLine([], is_shown=True, now=lambda: now)
    for begin in (0.0, 36_000.0):
        now = begin
        line.add(100)
        line.begin("talk")
        now += 20.0
        line.tell(50.0, 100.0, "")
        assert capsys.readouterr().err.endswith("talk  0:50 of 1:40  2.5x real time  0:20 left\n")
    line.skip()
    line.add(300)
    line.begin("next")
    now += 10.0
    line.tell(100.0, 300.0, "")
    assert capsys.readouterr().err == "3 of 3: next  1:40 of 5:00  10.0x real time  0:20 left\n"

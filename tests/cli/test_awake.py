"""A live session holds off sleep, and lets go however it ends."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from livecap.cli.awake import kept_awake

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="a stand-in for systemd-inhibit")
ROOT = Path(__file__).parents[2]


@pytest.fixture
def said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What a stand-in for systemd-inhibit writes down: how it is called, and when what it runs has ended."""
    notes, program = tmp_path / "notes", tmp_path / "bin" / "systemd-inhibit"
    program.parent.mkdir()
    notes.touch()
    program.write_text(f'#!/bin/sh\necho "$@" >> {notes}\ncat\necho let go >> {notes}\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    return notes


def eventually(notes: Path, line: str) -> None:
    until = time.monotonic() + 20
    while line not in notes.read_text():
        assert time.monotonic() < until, notes.read_text()
        time.sleep(0.01)


def test_sleep_is_held_off_in_here(said: Path) -> None:
    with kept_awake():
        eventually(said, "--what=idle:sleep")
        assert "let go" not in said.read_text()
    assert said.read_text().count("--what") == 1


def test_a_session_that_is_killed_lets_go(said: Path) -> None:
    program = "from livecap.cli.awake import kept_awake\nwith kept_awake():\n    input()"
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, cwd=ROOT) as process:
        eventually(said, "--what")
        assert "let go" not in said.read_text()
        process.kill()
    eventually(said, "let go")


def test_where_nothing_can_hold_it_off_nothing_happens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with kept_awake():
        pass

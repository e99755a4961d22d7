"""A live session keeps the computer awake, and stops doing so however it ends."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from livecap.cli.awake import kept_awake
from tests.audio_in.waiting import eventually

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="a fake systemd-inhibit")
ROOT = Path(__file__).parents[2]


@pytest.fixture
def said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The notes of a fake systemd-inhibit: its arguments, and the end of the program it runs."""
    notes, program = tmp_path / "notes", tmp_path / "bin" / "systemd-inhibit"
    program.parent.mkdir()
    notes.touch()
    program.write_text(f'#!/bin/sh\necho "$@" >> {notes}\ncat\necho let go >> {notes}\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    return notes


def test_sleep_is_prevented_within_the_block(said: Path) -> None:
    with kept_awake():
        eventually(lambda: "--what=idle:sleep" in said.read_text())
        assert "let go" not in said.read_text()
    assert said.read_text().count("--what") == 1


def test_a_session_that_is_killed_lets_go(said: Path) -> None:
    program = "from livecap.cli.awake import kept_awake\nwith kept_awake():\n    input()"
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, cwd=ROOT) as process:
        eventually(lambda: "--what" in said.read_text())
        assert "let go" not in said.read_text()
        process.kill()
    eventually(lambda: "let go" in said.read_text())


def test_without_a_program_that_prevents_sleep_nothing_happens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with kept_awake():
        pass


def test_a_program_that_ends_at_once_leaves_no_zombie(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "systemd-inhibit"
    program.write_text("#!/bin/sh\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    started: list[subprocess.Popen[bytes]] = []
    popen = subprocess.Popen

    def start(*arguments: object, **options: object) -> subprocess.Popen[bytes]:
        started.append(popen(*arguments, **options))  # type: ignore[call-overload]
        return started[-1]

    monkeypatch.setattr(subprocess, "Popen", start)
    with kept_awake():
        [process] = started
        eventually(lambda: not Path(f"/proc/{process.pid}").exists())
    assert process.returncode == 1

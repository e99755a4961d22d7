"""What is connected with a session ends with it: troubles are told, and a session that never began leaves nothing."""

import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
RECORDING = ROOT / "recordings" / "dictation.flac"


def started(folder, *options):
    """livecap with the first seconds of a recording and these options, as a user starts it."""
    return subprocess.Popen(
        [
            sys.executable, "-m", "livecap", "--replay", str(RECORDING), "--end", "3", "--pace", "max",
            "--model", "tiny", "--plain", "--log-dir", str(folder / "sessions"), *options,
        ],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT,
    )  # fmt: skip


@pytest.fixture
def taken_port():
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        yield other.getsockname()[1]


def test_a_session_that_cannot_begin_is_one_line_and_leaves_neither_session_nor_note(tmp_path, taken_port):
    livecap = started(tmp_path, "--notes-dir", str(tmp_path / "notes"), "--on-end", "cat", "--serve", str(taken_port))
    _, err = livecap.communicate(timeout=60)
    assert livecap.returncode == 1
    assert err == f"livecap: Cannot serve at 127.0.0.1:{taken_port}: Address already in use. Choose another port.\n"
    assert not list((tmp_path / "sessions").iterdir()) and not list((tmp_path / "notes").iterdir())


def test_what_fails_after_the_end_is_told_too(tmp_path):
    livecap = started(tmp_path, "--on-end", "false")
    _, err = livecap.communicate(timeout=60)
    assert (livecap.returncode, err) == (0, "livecap: on_end: false failed: status 1.\n")


def test_one_interrupt_leaves_when_only_a_command_is_waited_for(tmp_path):
    livecap = started(tmp_path, "--on-end", "sleep 30")
    assert livecap.stderr.readline().startswith("livecap: Waiting for the command of on_end. Press Ctrl-C")
    began = time.monotonic()
    livecap.send_signal(signal.SIGINT)
    _, err = livecap.communicate(timeout=60)
    assert livecap.returncode == 130 and time.monotonic() - began < 20
    assert err == "livecap: Left at once. The session has ended; its note or a command may be unfinished.\n"

"""The suite has no network: attempts to use it fail at once, in tests and in the programs they start."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.fixture
def notes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A separate file for attempts that are made on purpose, so that they do not fail the run."""
    path = tmp_path / "notes"
    path.touch()
    monkeypatch.setenv("LIVECAP_NETWORK_NOTES", str(path))
    return path


def test_a_test_has_no_network(notes: Path) -> None:
    with socket.socket() as alone, pytest.raises(OSError, match="unreachable"):
        alone.connect(("192.0.2.1", 80))
    with pytest.raises(socket.gaierror):
        socket.getaddrinfo("example.org", 443)
    assert "192.0.2.1" in notes.read_text() and "example.org" in notes.read_text()


def test_a_program_that_a_test_starts_has_no_network(notes: Path) -> None:
    program = "import socket; socket.create_connection(('example.org', 80), timeout=5)"
    out = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=os.environ, timeout=60)
    assert out.returncode == 1 and "name resolution" in out.stderr
    assert notes.read_text() == "example.org\n"


def test_this_machine_can_be_reached(notes: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        socket.create_connection(server.getsockname(), timeout=5).close()
    assert notes.read_text() == ""

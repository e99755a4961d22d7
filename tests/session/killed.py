"""Programs to kill: forked from a process that has imported everything, so that a thousand of them are affordable."""

import fcntl
import multiprocessing
import os
import sys
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

IMPORTED = [
    "livecap.audio_in.pipe",
    "livecap.audio_in.replay",
    "livecap.cli.run",
    "livecap.engine",
    "livecap.session.live",
    "pytest",  # every process that a test starts imports it
    "tests.archive.victims",
]
"""Modules that the forking process imports. It starts no thread and computes nothing; each program loads its model."""
PIPE_BYTES = 4096
"""Size of the pipe: 0.13 s of sound, so that a program has taken little more than it could keep."""


class Running:
    """A process that prints lines and may be killed at any moment."""

    def __init__(self, program: Callable[..., None], *arguments: object, sound: bytes = b"") -> None:
        """
        Args:
            program: a function at the top of a module; its output is read here.
            sound: its standard input.
        """
        processes: Any = multiprocessing.get_context("forkserver")
        processes.set_forkserver_preload([__name__, *IMPORTED])
        out, its_out = processes.Pipe(duplex=False)
        its_in, into = processes.Pipe(duplex=False)
        if hasattr(fcntl, "F_SETPIPE_SZ"):
            fcntl.fcntl(into.fileno(), fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        self._process = processes.Process(target=_run, args=(its_in, its_out, program, arguments), daemon=True)
        self._process.start()
        its_out.close()
        self._out, self._its_in, self._n_sound = out, its_in, len(sound)
        self._lines = open(out.fileno(), "rb", closefd=False)
        threading.Thread(target=_feed, args=(into, sound), daemon=True).start()

    def line(self) -> bytes:
        """The next line; b"" at the end."""
        return self._lines.readline()

    def kill(self, after_seconds: float) -> list[bytes]:
        """Send SIGKILL, unless the process has ended by then. Returns the lines that were not read yet."""
        self._process.join(after_seconds)
        self._process.kill()
        self._process.join()
        rest = self._lines.read().splitlines(keepends=True)
        self._out.close()
        return rest

    @property
    def was_killed(self) -> bool:
        """The process did not end by itself."""
        return bool(self._process.exitcode)

    def taken(self) -> int:
        """How many bytes of its standard input it had read. Only after it has ended."""
        n_left = 0
        while data := os.read(self._its_in.fileno(), 1 << 16):
            n_left += len(data)
        self._its_in.close()
        return self._n_sound - n_left


def _feed(into: Connection, sound: bytes) -> None:
    with open(into.fileno(), "wb", closefd=False) as file:
        file.write(sound)
    into.close()


def _run(its_in: Connection, its_out: Connection, program: Callable[..., None], arguments: tuple[object, ...]) -> None:
    for connection, descriptor in ((its_in, 0), (its_out, 1)):
        os.dup2(connection.fileno(), descriptor)
        connection.close()
    sys.stdin, sys.stdout = open(0, closefd=False), open(1, "w", closefd=False)
    program(*arguments)
    sys.stdout.flush()

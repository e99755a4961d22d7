"""Hooks: commands of the user that run when a line is finished, a moment is marked, or the session has ended.

Each gets one JSON object on its standard input (docs/integrations.md). Text never becomes a part of a command line.
"""

import os
import queue
import select
import shlex
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any

from livecap.archive.clock import SessionClock
from livecap.archive.recorded import RecordedSession
from livecap.errors import LogError
from livecap.export.formats import export_pieces
from livecap.text.safety import json_text, printable
from livecap.transcript import (
    SAMPLE_RATE,
    ClockAnchored,
    Marked,
    Paused,
    Resumed,
    SessionEnded,
    SessionEvent,
    SessionStarted,
    TranscriptUpdate,
    UtteranceEnded,
    event_record,
)

MOST_WAITING = 200
"""Runs of one command that may wait; more are left out."""
KEPT_BYTES = 2000
"""The end of a command's standard error that is kept for the notice."""

FOUND_SECONDS = 2.0
"""The log finds its folder again within a second."""

OnNotice = Callable[[str, str], None]


class Hook:
    """One command. Its runs follow each other on a thread of its own, in the order of the facts."""

    def __init__(
        self, name: str, command: str, folder: Callable[[], Path], seconds: float, shell: bool, notice: OnNotice
    ) -> None:
        """
        Args:
            name: of the setting, such as `on_line`.
            command: split as a shell splits it, or passed to `/bin/sh -c` with `shell`.
            folder: where the command runs: where the session's folder is now.
            seconds: a run that takes longer is killed, with all processes that it started.
            notice: called with the first failure and its severity; later ones are counted.
        """
        self._name = name
        self._argv = ["/bin/sh", "-c", command] if shell else shlex.split(command)
        self._folder = folder
        self._seconds = seconds
        self._notice = notice
        self._waiting: queue.Queue[Callable[[], Mapping[str, Any]] | None] = queue.Queue()
        self._leave_by: float | None = None
        """When the rest is given up, on the monotonic clock; None while the session runs."""
        self.n_failed = self.n_left_out = 0
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def run(self, record: Callable[[], Mapping[str, Any]]) -> None:
        """Run the command with the JSON of what `record` returns, which is called on the hook's thread. Any thread."""
        if self._waiting.qsize() < MOST_WAITING:
            self._waiting.put(record)
            return
        self.n_left_out += 1
        if self.n_left_out == 1:
            self._notice(f"{self._name}: the command is slower than the speech; some runs are left out.", "warning")

    def finish(self) -> None:
        """Give the runs that wait as much time as one may take, then leave the rest out. Returns at once."""
        if self._leave_by is None:
            self._leave_by = time.monotonic() + self._seconds
            self._waiting.put(None)

    def close(self) -> None:
        """Finish, and wait until that is done."""
        self.finish()
        self._thread.join()

    def _run(self) -> None:
        while (record := self._waiting.get()) is not None:
            seconds = self._seconds
            if self._leave_by is not None:
                seconds = min(seconds, self._leave_by - time.monotonic())
            trouble = self._trouble_of(record, seconds) if seconds > 0 else "there was no time left for it"
            if trouble is None:
                continue
            self.n_failed += 1
            if self.n_failed == 1:
                self._notice(f"{self._name}: {printable(self._argv[0])} failed: {printable(trouble)}.", "warning")

    def _trouble_of(self, record: Callable[[], Mapping[str, Any]], seconds: float) -> str | None:
        """Run the command once; returns why it failed, or None."""
        self._wait_for_folder()
        try:
            with TemporaryFile() as told:
                told.write(json_text(record()).encode() + b"\n")
                told.seek(0)
                return self._run_once(told, seconds)
        except (OSError, LogError) as error:
            if not self._folder().is_dir():  # nothing was heard, so livecap deleted the session
                return None
            return getattr(error, "strerror", None) or str(error)

    def _wait_for_folder(self) -> None:
        """While the session runs, wait until its folder is there: another program may have renamed it a moment ago."""
        until = time.monotonic() + FOUND_SECONDS
        while self._leave_by is None and not self._folder().is_dir() and time.monotonic() < until:
            time.sleep(0.05)

    def _run_once(self, told: IO[bytes], seconds: float) -> str | None:
        deadline = time.monotonic() + seconds
        process = subprocess.Popen(
            self._argv,
            stdin=told,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            cwd=self._folder(),
            start_new_session=True,
        )
        try:
            said = _end_of_errors(process, deadline)
            status = process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            return f"it took longer than {seconds:.3g} s"
        finally:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)  # also what it started
            process.wait()
            assert process.stderr is not None
            process.stderr.close()
        lines = said.decode(errors="replace").strip().splitlines()
        return f"status {status}" + (f": {lines[-1].strip().rstrip('.')}" if lines else "") if status else None


def _end_of_errors(process: "subprocess.Popen[bytes]", deadline: float) -> bytes:
    """The last bytes of a process's standard error, once it ended, closed it, or the time is over."""
    assert process.stderr is not None
    descriptor, said = process.stderr.fileno(), b""
    while (left := deadline - time.monotonic()) > 0:
        if select.select([descriptor], [], [], min(left, 0.2))[0]:
            piece = os.read(descriptor, 1 << 16)
            if not piece:
                break
            said = (said + piece)[-KEPT_BYTES:]
        elif process.poll() is not None:  # a process that it left behind still holds the pipe
            break
    return said


class Hooks:
    """The listener of a session that runs the hooks."""

    def __init__(
        self, hooks: Mapping[str, Hook], folder: Callable[[], Path], wait_for_end: Callable[[], object]
    ) -> None:
        """
        Args:
            hooks: by the name of the setting: on_line, on_mark, on_end.
            folder: where the session's folder is now.
            wait_for_end: returns once the files of the session are finished.
        """
        self._hooks = hooks
        self._folder = folder
        self._wait_for_end = wait_for_end
        self._clock: SessionClock | None = None

    def __call__(self, item: SessionEvent | TranscriptUpdate) -> None:
        match item:
            case SessionStarted():
                self._clock = SessionClock.from_started(item)
            case Paused() | Resumed() | ClockAnchored() if self._clock is not None:
                self._clock.note(item)
            case UtteranceEnded() if item.text.strip():
                self._run("on_line", item, item.start_sample, item.end_sample)
            case Marked():
                self._run("on_mark", item, item.sample)
            case SessionEnded() if "on_end" in self._hooks:
                self._hooks["on_end"].run(lambda: self._whole(item))

    def _run(self, name: str, item: UtteranceEnded | Marked, *samples: int) -> None:
        if name not in self._hooks:
            return
        assert self._clock is not None, "a session starts with SessionStarted"
        names = ("start_seconds", "end_seconds") if len(samples) > 1 else ("seconds",)
        times: dict[str, Any] = {
            key: round(sample / SAMPLE_RATE, 3) for key, sample in zip(names, samples, strict=True)
        }
        times["at"] = self._clock.at_fact(item)
        self._hooks[name].run(lambda: {**event_record(item), **times, **self._place})

    @property
    def _place(self) -> dict[str, str]:
        folder = self._folder()
        return {"session": folder.name, "folder": str(folder)}

    def _whole(self, ended: SessionEnded) -> Mapping[str, Any]:
        self._wait_for_end()
        session = RecordedSession(self._folder())
        return {
            **event_record(ended),
            "title": session.title,
            "started": session.clock.started.isoformat(timespec="milliseconds"),
            "seconds": round(session.seconds, 3),
            "tracks": [label for label in session.tracks if label],
            "speakers": session.speakers,
            "text": "".join(export_pieces(session, "txt")),
            **self._place,
        }

    def close(self) -> None:
        """Let all commands finish, each within its time; they finish side by side."""
        for hook in self._hooks.values():
            hook.finish()
        for hook in self._hooks.values():
            hook.close()

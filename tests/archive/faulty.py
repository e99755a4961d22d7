"""Disks that fail on demand, and a log on them."""

import errno
import os
import threading
from pathlib import Path

from livecap.archive.disk import Disk
from livecap.archive.folder import EVENTS
from livecap.archive.log import SessionLog
from livecap.archive.reader import LogReader
from livecap.transcript import AudioGap, SessionEvent
from tests.archive.facts import header
from tests.archive.when import STARTED

PATIENCE = 20.0
"""Longest wait in seconds; each takes a fraction of it."""


class FaultyDisk(Disk):
    """A real disk that fails on demand."""

    def __init__(self) -> None:
        self.fault: int | None = None
        self.sync_fault: int | None = None
        self.write_limit: int | None = None
        self.gate = threading.Event()
        self.gate.set()
        self.n_syncs = 0
        self.full_syncs: list[bool] = []

    def write(self, descriptor: int, data: bytes) -> int:
        assert self.gate.wait(PATIENCE)
        if self.write_limit is not None:
            if not self.write_limit:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            data = data[: self.write_limit]
            self.write_limit -= len(data)
        elif self.fault:
            raise OSError(self.fault, os.strerror(self.fault))
        return super().write(descriptor, data)

    def sync(self, descriptor: int, full: bool) -> None:
        self.n_syncs += 1
        self.full_syncs.append(full)
        if fault := self.fault or self.sync_fault:
            raise OSError(fault, os.strerror(fault))
        super().sync(descriptor, full)


class ForgetfulDisk(FaultyDisk):
    """A failed sync turns everything written since the last one into zeros, as Linux's page cache may."""

    def __init__(self) -> None:
        super().__init__()
        self.paths: dict[int, Path] = {}
        self.n_synced: dict[int, int] = {}

    def create(self, path: Path) -> int:
        descriptor = super().create(path)
        self.paths[descriptor] = path
        return descriptor

    def sync(self, descriptor: int, full: bool) -> None:
        try:
            super().sync(descriptor, full)
        except OSError:
            with self.paths[descriptor].open("r+b") as file:
                file.seek(self.n_synced.get(descriptor, 0))
                file.write(bytes(self.size(descriptor) - file.tell()))
            raise
        self.n_synced[descriptor] = self.size(descriptor)


def gaps(start: int, n: int) -> list[AudioGap]:
    return [AudioGap("", i, i + 1) for i in range(start, start + n)]


def begin(parent: Path, disk: Disk | None = None) -> tuple[SessionLog, "Troubles"]:
    troubles = Troubles()
    log = SessionLog(parent, STARTED, disk, troubles)
    log.append(header(log.session), 0.0)
    return log, troubles


class Troubles:
    """What the log reported, and a way to wait for the next report."""

    def __init__(self) -> None:
        self.reports: list[str | None] = []
        self._come = threading.Semaphore(0)
        self._n_waited = 0

    def __call__(self, trouble: str | None) -> None:
        self.reports.append(trouble)
        self._come.release()

    def wait(self) -> str | None:
        assert self._come.acquire(timeout=PATIENCE)
        self._n_waited += 1
        return self.reports[self._n_waited - 1]


def events_of(folder: Path) -> tuple[list[SessionEvent], list[str]]:
    reader = LogReader(folder / EVENTS)
    return [event for _, event in reader.events()][1:], [str(damage) for damage in reader.damages]

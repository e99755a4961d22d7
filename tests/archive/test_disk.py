"""The log on a real disk: full syncs, a full disk, a read-only disk."""

import errno
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from livecap.archive.disk import Disk
from livecap.archive.folder import EVENTS, TRANSCRIPT, has_end
from livecap.archive.log import SessionLog
from livecap.errors import LogError
from livecap.transcript import SessionEnded, UtteranceEnded
from tests.archive.faulty import begin, events_of
from tests.archive.when import STARTED

F_FULLFSYNC = 51


class Mac:
    """Stands in for fcntl on macOS and for os.fsync; records the calls."""

    def __init__(self, fault: int | None = None) -> None:
        self.fault = fault
        self.asked: list[str] = []

    def fcntl(self, descriptor: int, command: int) -> int:
        assert os.fstat(descriptor) and command == F_FULLFSYNC
        self.asked.append("F_FULLFSYNC")
        if self.fault:
            raise OSError(self.fault, os.strerror(self.fault))
        return 0

    def fsync(self, descriptor: int) -> None:
        self.asked.append("fsync")


@pytest.mark.parametrize(
    ("fault", "full", "asked"),
    [
        (None, True, ["F_FULLFSYNC"]),
        (None, False, ["fsync"]),
        (errno.ENOTSUP, True, ["F_FULLFSYNC", "fsync"]),
        (errno.EINVAL, True, ["F_FULLFSYNC", "fsync"]),
    ],
    ids=["full", "quick", "a network drive", "a foreign file system"],
)
def test_a_full_sync_on_a_mac_empties_the_drives_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: int | None, full: bool, asked: list[str]
) -> None:
    mac = Mac(fault)
    monkeypatch.setattr("livecap.archive.disk.FULL_SYNC", F_FULLFSYNC)
    monkeypatch.setattr("livecap.archive.disk.fcntl.fcntl", mac.fcntl)
    monkeypatch.setattr("livecap.archive.disk.os.fsync", mac.fsync)
    with open(tmp_path / "file", "w") as file:
        Disk().sync(file.fileno(), full)
    assert mac.asked == asked


def test_a_drive_that_fails_to_empty_its_cache_has_not_synced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mac = Mac(errno.EIO)
    monkeypatch.setattr("livecap.archive.disk.FULL_SYNC", F_FULLFSYNC)
    monkeypatch.setattr("livecap.archive.disk.fcntl.fcntl", mac.fcntl)
    with open(tmp_path / "file", "w") as file, pytest.raises(OSError, match="Input/output"):
        Disk().sync(file.fileno(), full=True)


@pytest.mark.parametrize("fault", [errno.EINVAL, errno.ENOTSUP, errno.EIO])
def test_a_session_starts_on_a_drive_that_cannot_sync_a_folder_but_not_on_one_that_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: int
) -> None:
    fsync = os.fsync

    def of_files_only(descriptor: int) -> None:
        if os.path.isdir(descriptor):
            raise OSError(fault, os.strerror(fault))
        fsync(descriptor)

    monkeypatch.setattr("livecap.archive.disk.os.fsync", of_files_only)
    if fault == errno.EIO:
        with pytest.raises(LogError, match="Input/output error"):
            SessionLog(tmp_path, STARTED)
    else:
        log, _ = begin(tmp_path, Disk())
        log.append(SessionEnded(0, "stopped"), 1.0)
        log.close()
        assert has_end(log.folder / EVENTS)


# ---- a real small file system


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 kB."""
    folder = tmp_path / "small"
    folder.mkdir()
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("only root on Linux may mount a small file system")
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "livecap-test", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"cannot mount here: {mounted.stderr.decode().strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def remount(folder: Path, how: str) -> None:
    done = subprocess.run(["mount", "-o", f"remount,{how}", str(folder)], capture_output=True, check=False)
    if done.returncode:
        pytest.skip(f"cannot remount: {done.stderr.decode().strip()}")


def fill(folder: Path) -> Path:
    path = folder / "filler"
    with path.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(1024))
        except OSError as error:
            assert error.errno == errno.ENOSPC
    return path


def long_utterances(n: int) -> list[UtteranceEnded]:
    return [UtteranceEnded("", i, f"{i} " + "word " * 200, i, i + 1, "English") for i in range(n)]


def test_a_real_full_disk_loses_nothing_once_there_is_space(small_disk: Path) -> None:
    log, troubles = begin(small_disk)
    facts = long_utterances(40)
    for fact in facts[:10]:
        log.append(fact, 1.0)
    filler = fill(small_disk)
    for fact in facts[10:30]:
        log.append(fact, 2.0)
    assert "No space left" in (troubles.wait() or "")
    filler.unlink()
    assert troubles.wait() is None
    for fact in facts[30:]:
        log.append(fact, 3.0)
    log.append(SessionEnded(40, "stopped"), 4.0)
    log.close()
    assert events_of(log.folder) == ([*facts, SessionEnded(40, "stopped")], [])
    assert all(f"] {i} word" in (log.folder / TRANSCRIPT).read_text() for i in range(40))


def test_a_real_read_only_disk_is_one_clear_error(small_disk: Path) -> None:
    remount(small_disk, "ro")
    with pytest.raises(LogError, match="Read-only file system.*--log-dir"):
        SessionLog(small_disk, STARTED)

"""The log outlives its disk: full, read-only, hanging, or removed under it. Nothing is lost and nothing is doubled."""

import errno
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from livecap.errors import LogError
from livecap.session.disk import Disk
from livecap.session.log import SessionLog
from livecap.session.log_reader import LogReader
from livecap.session.recorded import RecordedSession
from livecap.session.session_folder import EVENTS, TRANSCRIPT, is_being_written
from livecap.transcript import AudioGap, SessionEnded, SessionEvent, UtteranceEnded, UtteranceSettled
from tests.session.facts import header, said, write
from tests.session.when import STARTED

PATIENCE = 20.0
"""Far more than any of these waits takes."""


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """The log looks more often than it has to."""
    monkeypatch.setattr("livecap.session.log.SYNC_SECONDS", 0.01)
    monkeypatch.setattr("livecap.session.log.WATCH_SECONDS", 0.01)


class FaultyDisk(Disk):
    """A real disk that fails when it is told to."""

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


def gaps(start: int, n: int) -> list[AudioGap]:
    return [AudioGap("", i, i + 1) for i in range(start, start + n)]


def begin(parent: Path, disk: Disk | None = None) -> tuple[SessionLog, "Troubles"]:
    log = SessionLog(parent, STARTED, disk)
    troubles = Troubles()
    log.on_trouble = troubles
    log.append(header(log.session), 0.0)
    return log, troubles


class Troubles:
    """What the log told, and a way to wait for the next."""

    def __init__(self) -> None:
        self.told: list[str | None] = []
        self._come = threading.Semaphore(0)

    def __call__(self, trouble: str | None) -> None:
        self.told.append(trouble)
        self._come.release()

    def wait(self) -> str | None:
        assert self._come.acquire(timeout=PATIENCE)
        return self.told[-1]


def events_of(folder: Path) -> tuple[list[SessionEvent], list[str]]:
    reader = LogReader(folder / EVENTS)
    return [event for _, event in reader.events()][1:], [str(damage) for damage in reader.damages]


def test_a_fact_is_in_the_file_when_append_returns(tmp_path: Path) -> None:
    log, _ = begin(tmp_path)
    for n, gap in enumerate(gaps(0, 50), 2):
        log.append(gap, 1.0)
        assert (log.folder / EVENTS).read_bytes().count(b"\n") == n
    log.close()


def test_everything_is_synced_soon_and_completely_at_the_end(tmp_path: Path) -> None:
    disk = FaultyDisk()
    log, _ = begin(tmp_path, disk)
    assert log.flush(PATIENCE) and disk.n_syncs
    log.append(SessionEnded(0, "stopped"), 1.0)
    log.close()
    assert disk.full_syncs[-1], "the drive's own cache is emptied at the end"


def test_a_full_disk_is_told_and_leaves_no_hole(tmp_path: Path) -> None:
    disk = FaultyDisk()
    log, troubles = begin(tmp_path, disk)
    disk.write_limit = 40  # the next line is torn
    for gap in gaps(0, 30):
        log.append(gap, 1.0)
    told = troubles.wait()
    assert told and "No space left" in told and log.trouble
    assert events_of(log.folder) == ([], []), "no half line stays behind"
    disk.write_limit = None
    assert troubles.wait() is None and log.trouble is None
    log.append(AudioGap("", 30, 31), 2.0)
    log.close()
    assert events_of(log.folder) == (gaps(0, 31), [])


@pytest.mark.parametrize("fault", [errno.EROFS, errno.EDQUOT, errno.EIO, errno.ESTALE], ids=errno.errorcode.get)
def test_whatever_is_wrong_with_the_disk_ends_nothing(tmp_path: Path, fault: int) -> None:
    disk = FaultyDisk()
    log, troubles = begin(tmp_path, disk)
    disk.fault = fault
    for gap in gaps(0, 5):
        log.append(gap, 1.0)
    assert os.strerror(fault) in (troubles.wait() or "")
    disk.fault = None
    assert troubles.wait() is None
    log.close()
    assert events_of(log.folder) == (gaps(0, 5), [])


def test_a_line_that_cannot_be_taken_back_is_ended(tmp_path: Path) -> None:
    class NoTruncation(FaultyDisk):
        def truncate(self, descriptor: int, size: int) -> None:
            raise OSError(errno.EPERM, "Operation not permitted")

    disk = NoTruncation()
    log, troubles = begin(tmp_path, disk)
    disk.write_limit = 40
    log.append(AudioGap("", 0, 1), 1.0)
    assert troubles.wait()
    disk.write_limit = None
    assert troubles.wait() is None
    log.close()
    found, damages = events_of(log.folder)
    assert found == gaps(0, 1) and len(damages) == 1


class ForgetfulDisk(FaultyDisk):
    """When a sync fails, what was written since the last one is zeros, as with Linux's page cache."""

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


def test_facts_of_a_failed_sync_are_written_again(tmp_path: Path) -> None:
    disk = ForgetfulDisk()
    log, troubles = begin(tmp_path, disk)
    assert log.flush(PATIENCE)
    disk.sync_fault = errno.EIO
    for gap in gaps(0, 3):
        log.append(gap, 1.0)
    told = troubles.wait()
    assert told and "Input/output error" in told
    while b"\0" not in (log.folder / EVENTS).read_bytes():
        pass  # until the disk has forgotten something
    disk.sync_fault = None
    while troubles.told[-1] is not None:
        troubles.wait()
    log.append(AudioGap("", 3, 4), 2.0)
    log.close()
    assert events_of(log.folder) == (gaps(0, 4), [])


def test_a_removed_folder_comes_back_with_all_that_was_in_it(tmp_path: Path) -> None:
    log, troubles = begin(tmp_path / "sessions")
    log.append(AudioGap("", 0, 1), 1.0)
    shutil.rmtree(tmp_path / "sessions")
    assert "removed" in (troubles.wait() or "")
    assert troubles.wait() is None
    log.append(AudioGap("", 1, 2), 2.0)
    log.append(SessionEnded(2, "stopped"), 3.0)
    assert is_being_written(log.folder)
    log.close()
    assert events_of(log.folder) == ([*gaps(0, 2), SessionEnded(2, "stopped")], [])
    assert (log.folder / TRANSCRIPT).read_text().startswith("# 2026-03-01 10:02\n")
    assert (log.folder / EVENTS).stat().st_mode & 0o777 == 0o600
    assert log.folder.stat().st_mode & 0o777 == 0o700


def test_a_disk_that_hangs_delays_no_one_for_long(tmp_path: Path) -> None:
    disk = FaultyDisk()
    log, _ = begin(tmp_path, disk)
    disk.gate.clear()
    began = time.monotonic()
    for gap in gaps(0, 5):
        log.append(gap, 1.0)
    assert time.monotonic() - began < PATIENCE / 4, "append waits for a bounded time"
    disk.gate.set()
    log.close()
    assert events_of(log.folder) == (gaps(0, 5), [])


def test_what_a_full_disk_never_took_is_saved_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("livecap.session.log.END_SECONDS", 0.3)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    disk = FaultyDisk()
    log, troubles = begin(tmp_path / "sessions", disk)
    assert log.flush(PATIENCE)
    disk.write_limit = 0
    log.append(AudioGap("", 0, 1), 1.0)
    assert troubles.wait()
    with pytest.raises(LogError, match="No space left.*are in"):
        log.close()
    [rescued] = tmp_path.glob(f"livecap-*/{EVENTS}")
    assert b'"audio_gap"' in rescued.read_bytes()
    assert rescued.stat().st_mode & 0o777 == 0o600 and rescued.parent.stat().st_mode & 0o777 == 0o700


def test_the_transcript_is_only_appended_to_until_the_end_and_then_has_the_settled_text(tmp_path: Path) -> None:
    log, _ = begin(tmp_path)
    seen = ""
    for event in said(["Good mourning.", "And good night."]):
        log.append(event, 1.0)
        now = (log.folder / TRANSCRIPT).read_text()
        assert now.startswith(seen)
        seen = now
    log.append(UtteranceSettled("", 0, "Good morning!", 0, 64_000, "English"), 2.0)
    assert (log.folder / TRANSCRIPT).read_text() == seen
    log.append(SessionEnded(160_000, "stopped"), 3.0)
    log.close()
    text = (log.folder / TRANSCRIPT).read_text()
    assert "Good morning!" in text and "mourning" not in text and "And good night." in text
    assert not list(log.folder.glob("*.new"))


def test_threads_may_all_append(tmp_path: Path) -> None:
    log, _ = begin(tmp_path)

    def run(track: int) -> None:
        for n in range(100):
            log.append(AudioGap(str(track), n, n + 1), 1.0)

    threads = [threading.Thread(target=run, args=(track,)) for track in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    log.close()
    found, damages = events_of(log.folder)
    assert not damages
    for track in range(4):
        of_track = [event.start_sample for event in found if isinstance(event, AudioGap) and event.track == str(track)]
        assert of_track == list(range(100))


def test_a_session_has_one_writer(tmp_path: Path) -> None:
    log, _ = begin(tmp_path)
    assert is_being_written(log.folder)
    with pytest.raises(LogError, match="being written"):
        SessionLog.reopen(log.folder, 1, RecordedSession(log.folder).clock)
    log.close()
    assert not is_being_written(log.folder)


def test_a_torn_line_is_ended_before_a_log_goes_on(tmp_path: Path) -> None:
    folder = write(tmp_path, said(["Good morning."]), end=False)
    path = folder / EVENTS
    path.write_bytes(path.read_bytes()[:-30])
    session = RecordedSession(folder)
    log = SessionLog.reopen(folder, session.n_facts, session.clock)
    log.append(AudioGap("", 5, 6), 1.0)
    log.close()
    found, damages = events_of(folder)
    assert found[-1] == AudioGap("", 5, 6) and len(damages) == 1


def test_files_that_wait_as_links_are_not_written_through(tmp_path: Path) -> None:
    folder = write(tmp_path, said(["Good morning."]), end=False)
    session = RecordedSession(folder)
    target = tmp_path / "target"
    (folder / EVENTS).rename(target)
    (folder / EVENTS).symlink_to(target)
    before = target.read_bytes()
    with pytest.raises(LogError):
        SessionLog.reopen(folder, session.n_facts, session.clock)
    assert target.read_bytes() == before


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


def test_a_real_full_disk_costs_nothing_once_there_is_room(small_disk: Path) -> None:
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


def test_a_really_read_only_disk_is_one_clear_line(small_disk: Path) -> None:
    remount(small_disk, "ro")
    with pytest.raises(LogError, match="Read-only file system.*--log-dir"):
        SessionLog(small_disk, STARTED)

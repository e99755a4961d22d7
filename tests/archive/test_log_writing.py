"""A disk that is full, read-only or hangs, or a deleted folder, makes the log lose nothing and repeat nothing."""

import errno
import os
import shutil
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from livecap.archive.append_file import AppendFile
from livecap.archive.disk import Disk
from livecap.archive.folder import EVENTS, TRANSCRIPT, is_being_written
from livecap.archive.log import SessionLog
from livecap.archive.recorded import RecordedSession
from livecap.errors import LogError
from livecap.transcript import AudioGap, Marked, Paused, SessionEnded, UtteranceEnded, UtteranceSettled
from tests.archive.facts import WALL, header, said, write
from tests.archive.faulty import PATIENCE, FaultyDisk, ForgetfulDisk, begin, events_of, gaps
from tests.archive.when import STARTED
from tests.audio_in.waiting import eventually


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """The log checks its disk more often than in real use."""
    monkeypatch.setattr("livecap.archive.log.SYNC_SECONDS", 0.01)
    monkeypatch.setattr("livecap.archive.log.WATCH_SECONDS", 0.01)


def test_a_fact_is_in_the_file_when_append_returns(tmp_path: Path) -> None:
    log, _ = begin(tmp_path)
    for n, gap in enumerate(gaps(0, 50), 2):
        log.append(gap, 1.0)
        assert (log.folder / EVENTS).read_bytes().count(b"\n") == n
    log.close()


def test_everything_is_synced_soon_and_fully_at_the_end(tmp_path: Path) -> None:
    disk = FaultyDisk()
    log, _ = begin(tmp_path, disk)
    assert log.flush(PATIENCE) and disk.full_syncs[-1]
    log.append(SessionEnded(0, "stopped"), 1.0)
    log.close()
    assert disk.full_syncs[-1], "the drive's own cache is emptied at the end"


def test_the_end_is_under_a_full_sync_whichever_thread_is_quicker(tmp_path: Path) -> None:
    for number in range(30):
        disk = FaultyDisk()
        log, _ = begin(tmp_path / str(number), disk)
        log.append(SessionEnded(0, "stopped"), 1.0)
        log.close()
        assert disk.full_syncs[-1], "the drive's own cache is emptied at the end"


def test_a_pause_empties_the_cache_of_the_drive_and_a_word_does_not(tmp_path: Path) -> None:
    disk = FaultyDisk()
    log, _ = begin(tmp_path, disk)
    log.append(AudioGap("", 0, 1), 1.0)
    eventually(lambda: disk.full_syncs)
    n_full = sum(disk.full_syncs)
    assert n_full == 0 or n_full < len(disk.full_syncs)
    log.append(Paused("", 1, WALL), 2.0)
    eventually(lambda: sum(disk.full_syncs) > n_full)
    log.close()


def test_a_full_disk_is_reported_and_leaves_no_gap(tmp_path: Path) -> None:
    disk = FaultyDisk()
    log, troubles = begin(tmp_path, disk)
    disk.write_limit = 40  # the next line is written in part
    for gap in gaps(0, 30):
        log.append(gap, 1.0)
    report = troubles.wait()
    assert report and "No space left" in report and log.trouble
    assert events_of(log.folder) == ([], []), "no part of a line stays in the file"
    disk.write_limit = None
    assert troubles.wait() is None and log.trouble is None
    log.append(AudioGap("", 30, 31), 2.0)
    log.close()
    assert events_of(log.folder) == (gaps(0, 31), [])


@pytest.mark.parametrize("fault", [errno.EROFS, errno.EDQUOT, errno.EIO, errno.ESTALE], ids=errno.errorcode.get)
def test_no_disk_error_ends_the_session(tmp_path: Path, fault: int) -> None:
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


def test_a_partial_line_that_cannot_be_removed_gets_a_line_end(tmp_path: Path) -> None:
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


def test_facts_of_a_failed_sync_are_written_again(tmp_path: Path) -> None:
    disk = ForgetfulDisk()
    log, troubles = begin(tmp_path, disk)
    assert log.flush(PATIENCE)
    disk.sync_fault = errno.EIO
    for gap in gaps(0, 3):
        log.append(gap, 1.0)
    report = troubles.wait()
    assert report and "Input/output error" in report
    eventually(lambda: b"\0" in (log.folder / EVENTS).read_bytes())
    disk.sync_fault = None
    while troubles.reports[-1] is not None:
        troubles.wait()
    log.append(AudioGap("", 3, 4), 2.0)
    log.close()
    assert events_of(log.folder) == (gaps(0, 4), [])


def test_a_deleted_folder_is_restored_with_everything_in_it(tmp_path: Path) -> None:
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


def test_a_disk_that_hangs_delays_nothing_for_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("livecap.archive.log.END_SECONDS", PATIENCE)
    disk = FaultyDisk()
    log, _ = begin(tmp_path, disk)
    disk.gate.clear()
    began = time.monotonic()
    for gap in gaps(0, 5):
        log.append(gap, 1.0)
    assert time.monotonic() - began < PATIENCE / 4, "append waits for a bounded time"
    disk.gate.set()
    log.close()
    assert time.monotonic() - began < PATIENCE / 2, "facts that were appended during a write are known to be written"
    assert events_of(log.folder) == (gaps(0, 5), [])


def test_what_a_full_disk_did_not_take_is_saved_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("livecap.archive.log.END_SECONDS", 0.3)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    disk = FaultyDisk()
    log, troubles = begin(tmp_path / "sessions", disk)
    assert log.flush(PATIENCE)
    disk.write_limit = 0
    log.append(AudioGap("", 0, 1), 1.0)
    assert troubles.wait()
    log.append(SessionEnded(1, "stopped"), 2.0)
    with pytest.raises(LogError, match="No space left.*The whole session is in"):
        log.close()
    [rescued] = tmp_path.glob(f"livecap-*/*/{EVENTS}")
    assert rescued.parent == log.folder and RecordedSession(log.folder).started.session == log.session
    assert events_of(log.folder) == ([*gaps(0, 1), SessionEnded(1, "stopped")], [])
    assert "sound lost" in (log.folder / TRANSCRIPT).read_text()
    assert rescued.stat().st_mode & 0o777 == 0o600 and rescued.parent.stat().st_mode & 0o777 == 0o700


def removed(folder: Path) -> None:
    """The log may make its files again while the folder is removed."""
    shutil.rmtree(folder, ignore_errors=True)


def put(make: Callable[[Path], object], place: Path) -> None:
    """Remove a folder and make something in its place, again if the log was there first."""
    while True:
        removed(place)
        with suppress(OSError):
            make(place)
            return


def make_file(place: Path) -> None:
    with place.open("x") as file:
        file.write("mine")


def make_log(place: Path) -> None:
    """Another folder with a log, there with its file or not at all."""
    aside = place.with_name(place.name + " aside")
    aside.mkdir(exist_ok=True, parents=True)
    (aside / EVENTS).write_text("mine")
    aside.rename(place)


def replaced_by_a_file(folder: Path) -> None:
    put(make_file, folder)


def replaced_by_a_link(folder: Path) -> None:
    (folder.parent.parent / "victim").mkdir()
    put(lambda place: place.symlink_to(folder.parent.parent / "victim"), folder)


def replaced_by_another_log(folder: Path) -> None:
    put(make_log, folder)


def parent_replaced_by_a_file(folder: Path) -> None:
    put(make_file, folder.parent)


def log_renamed(folder: Path) -> None:
    (folder / EVENTS).rename(folder / "old")


def log_renamed_and_replaced(folder: Path) -> None:
    (folder / "old").hardlink_to(folder / EVENTS)
    (folder / "mine").write_text("mine")
    (folder / "mine").replace(folder / EVENTS)


def folder_renamed(folder: Path) -> None:
    folder.rename(folder.parent / "renamed")


def folder_renamed_and_replaced(folder: Path) -> None:
    folder_renamed(folder)
    make_log(folder)


REPLACEMENTS = [
    removed, replaced_by_a_file, replaced_by_a_link, replaced_by_another_log, parent_replaced_by_a_file,
    log_renamed, log_renamed_and_replaced, folder_renamed, folder_renamed_and_replaced,
]  # fmt: skip


@pytest.mark.parametrize("at_once", [True, False], ids=["at the end", "before more is said"])
@pytest.mark.parametrize("replace", REPLACEMENTS)
def test_every_fact_is_in_the_folder_that_the_log_names_whatever_happens_to_it(
    replace: Callable[[Path], object], at_once: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    log, troubles = begin(tmp_path / "sessions")
    first, facts = log.folder, [*said(["Good morning.", "And good night."])]
    for fact in facts[:3]:
        log.append(fact, 1.0)
    assert log.flush(PATIENCE)
    replace(first)
    if not at_once:
        eventually(lambda: troubles.reports)
    for fact in (*facts[3:], SessionEnded(9, "stopped")):
        log.append(fact, 2.0)
    log.close()
    assert events_of(log.folder) == ([*facts, SessionEnded(9, "stopped")], [])
    assert not RecordedSession(log.folder).damages
    text = (log.folder / TRANSCRIPT).read_text()
    assert "Good morning." in text and "And good night." in text
    mine = [path.read_text() for path in (first.parent, first, first / EVENTS) if path.is_file()]
    assert log.folder == first or mine in ([], ["mine"]), "what others put there stays"
    assert not any((tmp_path / "victim").glob("*"))
    told = " ".join(filter(None, troubles.reports))
    assert log.folder == first or str(log.folder) in told


@pytest.mark.parametrize("replaced", ["by a copy", "by a folder", "by a link", "deleted"])
def test_whatever_happens_to_the_transcript_no_fact_waits_for_it(replaced: str, tmp_path: Path) -> None:
    log, troubles = begin(tmp_path)
    path, facts = log.folder / TRANSCRIPT, [*said(["Good morning.", "And good night."])]
    for fact in facts[:3]:
        log.append(fact, 1.0)
    (tmp_path / "victim").write_text("mine")
    copy, link = tmp_path / "copy", tmp_path / "link"
    copy.write_text("an editor's copy")
    link.symlink_to(tmp_path / "victim")
    if replaced == "by a copy":
        copy.replace(path)
    elif replaced == "by a link":
        link.replace(path)
    else:
        path.unlink()
    while replaced == "by a folder" and not path.is_dir():  # the log makes its file again
        path.unlink(missing_ok=True)
        with suppress(FileExistsError):
            path.mkdir()
    for fact in (*facts[3:], SessionEnded(9, "stopped")):
        log.append(fact, 2.0)
    if replaced == "by a folder":
        with pytest.raises(LogError, match="Cannot write the finished"):
            log.close()
    else:
        log.close()
        assert "Good morning." in path.read_text() and "And good night." in path.read_text()
    assert events_of(log.folder) == ([*facts, SessionEnded(9, "stopped")], [])
    assert not troubles.reports and (tmp_path / "victim").read_text() == "mine"


@pytest.mark.parametrize("left", [0, 1, 200, -100, -1])
@pytest.mark.parametrize("again", [False, True])
def test_a_log_that_another_program_shortens_is_written_again(left: int, again: bool, tmp_path: Path) -> None:
    log, troubles = begin(tmp_path)
    for gap in gaps(0, 20):
        log.append(gap, 1.0)
    for _ in range(1 + again):
        for name in (EVENTS, TRANSCRIPT):
            os.truncate(log.folder / name, left % (log.folder / name).stat().st_size)
        assert "cut off the end" in (troubles.wait() or "")
        assert log.flush(PATIENCE)
    log.append(SessionEnded(20, "stopped"), 2.0)
    log.close()
    assert events_of(log.folder) == ([*gaps(0, 20), SessionEnded(20, "stopped")], [])
    assert (log.folder / TRANSCRIPT).read_text().count("sound lost") == 20


def test_a_file_that_is_cut_while_it_is_compared_counts_as_cut(tmp_path: Path) -> None:
    class ComparedLate(Disk):
        def read(self, descriptor: int, n_bytes: int, offset: int) -> bytes:
            os.truncate(tmp_path / "file", 3)
            return super().read(descriptor, n_bytes, offset)

    file = AppendFile(ComparedLate(), tmp_path / "file")
    file.add(b"first\nsecond\n")
    file.write()
    file.find_cut()
    file.find_overwritten()
    assert (file.n_cuts, file.n_overwritten) == (1, 0)
    file.write()
    file.close()
    assert (tmp_path / "file").read_bytes() == b"first\nsecond\n"


@pytest.mark.parametrize("place", [0, 100, 700, -60, -1])
@pytest.mark.parametrize("after", [0, 3])
def test_a_log_that_another_program_overwrites_is_written_again(place: int, after: int, tmp_path: Path) -> None:
    log, troubles = begin(tmp_path)
    for gap in gaps(0, 20):
        log.append(gap, 1.0)
    assert log.flush(PATIENCE)
    path = log.folder / EVENTS
    whole = path.read_bytes()
    with path.open("r+b") as file:
        file.seek(place % len(whole))
        file.write(b"#" * min(50, len(whole) - file.tell()))
    for gap in gaps(20, after):
        log.append(gap, 1.0)
    assert f"overwrote part of {path}" in (troubles.wait() or "")
    assert path.read_bytes()[: len(whole)] == whole
    log.append(SessionEnded(20, "stopped"), 2.0)
    log.close()
    assert events_of(log.folder) == ([*gaps(0, 20 + after), SessionEnded(20, "stopped")], [])


def test_what_another_program_appends_to_a_log_stays_and_harms_nothing(tmp_path: Path) -> None:
    log, troubles = begin(tmp_path)
    for n, gap in enumerate(gaps(0, 20)):
        log.append(gap, 1.0)
        if n % 5 == 3:
            with (log.folder / EVENTS).open("ab") as file:
                file.write(b"# mine\n")
    assert log.flush(PATIENCE)
    time.sleep(0.1)
    log.append(SessionEnded(20, "stopped"), 2.0)
    log.close()
    found, damages = events_of(log.folder)
    assert found == [*gaps(0, 20), SessionEnded(20, "stopped")] and len(damages) == 4 and not troubles.reports
    assert (log.folder / EVENTS).read_bytes().count(b"# mine\n") == 4


def test_facts_that_another_program_cut_out_for_good_are_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("livecap.archive.append_file.REMEMBERED_BYTES", 300)
    log, troubles = begin(tmp_path)
    for gap in gaps(0, 20):
        log.append(gap, 1.0)
    os.truncate(log.folder / EVENTS, 0)
    assert "are lost" in (troubles.wait() or "")
    log.append(SessionEnded(20, "stopped"), 2.0)
    with pytest.raises(LogError, match="are lost"):
        log.close()
    found, damages = events_of(log.folder)
    assert found[-3:] == [*gaps(18, 2), SessionEnded(20, "stopped")] and damages


def test_a_log_shortened_while_a_disk_is_full_is_complete_in_the_end(tmp_path: Path) -> None:
    disk = FaultyDisk()
    log, troubles = begin(tmp_path, disk)
    for gap in gaps(0, 10):
        log.append(gap, 1.0)
    disk.write_limit = 50
    os.truncate(log.folder / EVENTS, 400)
    for gap in gaps(10, 5):
        log.append(gap, 1.0)
    eventually(lambda: log.trouble)
    disk.write_limit = None
    eventually(lambda: not log.trouble)
    log.close()
    assert events_of(log.folder) == (gaps(0, 15), [])
    assert troubles.reports


def test_the_transcript_only_grows_until_the_end_and_then_has_the_settled_text(tmp_path: Path) -> None:
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
    assert {path.name for path in log.folder.iterdir()} == {EVENTS, TRANSCRIPT}


def test_any_thread_may_append(tmp_path: Path) -> None:
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
    with pytest.raises(LogError, match="being recorded"):
        SessionLog.reopen(log.folder, 1, RecordedSession(log.folder).clock)
    log.close()
    assert not is_being_written(log.folder)


def test_a_partial_last_line_gets_a_line_end_before_a_log_goes_on(tmp_path: Path) -> None:
    folder = write(tmp_path, said(["Good morning."]), end=False)
    path = folder / EVENTS
    path.write_bytes(path.read_bytes()[:-30])
    session = RecordedSession(folder)
    log = SessionLog.reopen(folder, session.n_facts, session.clock)
    log.append(AudioGap("", 5, 6), 1.0)
    log.close()
    found, damages = events_of(folder)
    assert found[-1] == AudioGap("", 5, 6) and len(damages) == 1


def test_a_log_that_is_a_link_is_not_written(tmp_path: Path) -> None:
    folder = write(tmp_path, said(["Good morning."]), end=False)
    session = RecordedSession(folder)
    target = tmp_path / "target"
    (folder / EVENTS).rename(target)
    (folder / EVENTS).symlink_to(target)
    before = target.read_bytes()
    with pytest.raises(LogError):
        SessionLog.reopen(folder, session.n_facts, session.clock)
    assert target.read_bytes() == before


@pytest.mark.parametrize("late_seconds", [1, 200, 1000])
def test_the_transcript_is_in_order_of_time_however_late_a_track_was(late_seconds: int, tmp_path: Path) -> None:
    log = SessionLog(tmp_path, STARTED)
    log.append(header(log.session, tracks=("me", "them")), 0.0)
    texts = [f"they say {number}." for number in range(300)]
    early = [event for event in said(texts, "them") if isinstance(event, UtteranceEnded)]
    late = [event for event in said(texts, "me") if isinstance(event, UtteranceEnded)]
    marks = [Marked("", number * 50 * 16_000, f"mark {number}", WALL) for number in range(30)]
    at = [(event.end_sample, event) for event in early] + [(mark.sample, mark) for mark in marks]
    at += [(event.end_sample + late_seconds * 16_000, event) for event in late]
    for _, event in sorted(at, key=lambda pair: pair[0]):
        log.append(event, 1.0)
    log.append(SessionEnded(1500 * 16_000, "stopped"), 2.0)
    log.close()
    times = [line[1:9] for line in (log.folder / TRANSCRIPT).read_text().splitlines() if line.startswith("[")]
    assert len(times) == 630 and times == sorted(times)

"""What a session writes to disk."""

import errno
import fcntl
import json
import os
import stat
import threading
from dataclasses import fields
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livecap.archive.disk import Disk
from livecap.archive.folder import EVENTS, check_parent, is_being_written
from livecap.archive.line import DamagedLine, decode_line
from livecap.archive.log import SessionLog
from livecap.errors import LogError
from livecap.transcript import (
    AudioGap,
    Notice,
    SessionEnded,
    SessionEvent,
    SessionStarted,
    TextCommitted,
    TranscriptUpdate,
    UtteranceEnded,
    to_json,
)
from tests.archive.facts import header
from tests.archive.when import STARTED
from tests.audio_in.waiting import eventually
from tests.events import event_of

LIVE = SessionStarted("s", "Mic", "tiny", "2026-03-01T10:02:03.500+01:00", True, None, "0.1.0")


@pytest.mark.parametrize(("flags", "why"), [(os.ST_RDONLY, "the disk is read-only"), (0, "no permission")])
def test_a_folder_that_cannot_be_written_is_refused_with_the_reason(
    flags: int, why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = os.statvfs(tmp_path)
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    monkeypatch.setattr(os, "statvfs", lambda path: os.statvfs_result((*there[:8], flags, there[9])))
    with pytest.raises(LogError, match=f"in {tmp_path}: {why}"):
        check_parent(tmp_path)


def test_sessions_that_start_in_the_same_second_have_different_folders(tmp_path: Path) -> None:
    logs = [SessionLog(tmp_path, STARTED) for _ in range(3)]
    assert len({log.folder for log in logs}) == 3
    for log in logs:
        log.close()


def test_only_the_owner_may_read(tmp_path: Path) -> None:
    log = SessionLog(tmp_path / "sessions", STARTED)
    log.close()
    assert stat.S_IMODE(log.folder.stat().st_mode) == 0o700
    for file in log.folder.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_every_fact_is_on_disk_at_once(tmp_path: Path) -> None:
    log = SessionLog(tmp_path, STARTED)
    log.append(LIVE, 0.0)
    log.append(UtteranceEnded("me", 0, "Good morning.", 16_000, 32_000, "English"), 1.0)
    assert (log.folder / "session.jsonl").read_text().count("\n") == 2
    assert "[10:02:04] me: Good morning.\n" in (log.folder / "transcript.md").read_text()
    log.close()


def test_an_utterance_without_text_has_no_line_in_the_transcript(tmp_path: Path) -> None:
    log = SessionLog(tmp_path, STARTED)
    log.append(LIVE, 0.0)
    before = (log.folder / "transcript.md").read_text()
    log.append(UtteranceEnded("me", 0, " ", 16_000, 32_000, "English"), 1.0)
    assert log.flush(20) and (log.folder / "transcript.md").read_text() == before
    log.close()


def test_a_folder_that_cannot_be_written_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(LogError, match="--log-dir"):
        SessionLog(tmp_path / "file", STARTED)


text = st.text()
samples = st.integers(0, 2**48)
items = st.one_of(
    st.builds(TranscriptUpdate, text, samples, text, text, samples, samples, st.none() | text, st.booleans()),
    st.builds(TextCommitted, text, samples, text, samples, samples),
    st.builds(UtteranceEnded, text, samples, text, samples, samples, st.none() | text),
    st.builds(AudioGap, text, samples, samples),
    st.builds(Notice, text, samples, text),
    st.builds(SessionEnded, samples, text),
)


@given(items)
def test_one_line_of_json_holds_a_whole_event(item: TextCommitted) -> None:
    line = to_json(item, 1.5)
    assert len(line.splitlines()) == 1 or all(c not in line for c in "\n\r")
    assert event_of(line) == item


def test_the_names_of_events_in_json_never_change() -> None:
    names = (
        "session_started text_committed utterance_ended utterance_settled speakers_heard speaker_named "
        "speakers_merged speaker_split marked audio_gap paused resumed jumped clock_anchored notice capture_report "
        "session_ended"
    )
    assert [json.loads(to_json(blank(kind)))["type"] for kind in get_args(SessionEvent)] == names.split()
    assert json.loads(to_json(blank(TranscriptUpdate)))["type"] == "update"


def blank(kind: type) -> SessionEvent:
    return kind(**dict.fromkeys((field.name for field in fields(kind)), ""))  # type: ignore[no-any-return]


@pytest.mark.parametrize("line", ["", "{}", "[]", '{"type": "audio_gap"}', "null", '"update"'])
def test_what_is_not_an_event_is_refused(line: str) -> None:
    with pytest.raises(DamagedLine):
        decode_line(line.encode())


def test_an_event_of_a_later_version_is_not_known() -> None:
    assert decode_line(b'{"type": "x"}').event is None


def test_a_symlink_is_not_followed(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.mkdir()
    os.symlink(target, tmp_path / f"{STARTED:%Y-%m-%d_%H-%M-%S}")
    log = SessionLog(tmp_path, STARTED)
    log.close()
    assert not list(target.iterdir())


def test_who_asks_whether_a_session_is_written_does_not_keep_it_from_being_locked(tmp_path: Path) -> None:
    class Watched(Disk):
        """Somebody looks at the log in the moment in which it is made."""

        def create(self, path: Path) -> int:
            descriptor = super().create(path)
            reader = path.open("rb")
            fcntl.flock(reader, fcntl.LOCK_SH)
            threading.Timer(0.02, reader.close).start()
            return descriptor

    log = SessionLog(tmp_path, STARTED, Watched())
    assert is_being_written(log.folder)
    log.close()


def test_a_disk_without_locks_takes_a_session_which_counts_as_written_until_it_ends(tmp_path, monkeypatch):
    def no_locks(file, how):
        raise OSError(errno.ENOTSUP, "Operation not supported")

    monkeypatch.setattr("livecap.files.fcntl.flock", no_locks)
    log = SessionLog(tmp_path, STARTED)
    log.append(header(), 0.0)
    eventually(lambda: (log.folder / EVENTS).stat().st_size)
    assert is_being_written(log.folder)
    log.append(SessionEnded(0, "stopped"), 1.0)
    log.close()
    assert not is_being_written(log.folder)
    crashed = SessionLog(tmp_path, STARTED)
    crashed.append(header(), 0.0)
    crashed.close()
    os.utime(crashed.folder / EVENTS, (0, 0))
    assert not is_being_written(crashed.folder)

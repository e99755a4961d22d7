"""Deleting removes what livecap wrote, from the folder of a session only. Other files are never touched."""

import errno
import os
import time
import zlib
from pathlib import Path

import pytest

from livecap.archive.archive import Archive
from livecap.archive.folder import EVENTS, TRANSCRIPT
from livecap.archive.index import INDEX
from livecap.archive.line import encode_line
from livecap.archive.search import Query
from livecap.audio_in.wav_header import wav_header
from livecap.errors import LogError
from livecap.transcript import to_json
from tests.archive.facts import header, said, write


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of a session with two tracks."""
    facts = said(["The budget for the summer."], "me")
    return write(tmp_path / "logs", facts, header(tracks=("me", "them")))


def contents(folder: Path) -> dict[str, bytes]:
    """File name to content, for all files below a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def delete(folder: Path) -> str:
    """Delete the session; returns the sentence about files that stay."""
    return Archive(folder.parent).delete(str(folder)).stays


@pytest.mark.parametrize("name", ["project", "2026-03-01_10-02-03"])
@pytest.mark.parametrize(
    "log",
    [
        b'{"type": "message", "text": "of another program"}\n',
        b'{"version": 2, "width": 80}\n[0.1, "o", "hello"]\n',
        b"notes\n",
        b"\xff\xfe\n",
    ],
    ids=["JSON", "asciinema", "text", "bytes"],
)
def test_a_folder_of_another_program_is_refused_whatever_its_name(tmp_path: Path, name: str, log: bytes) -> None:
    folder = tmp_path / name
    (folder / "audio").mkdir(parents=True)
    (folder / EVENTS).write_bytes(log)
    (folder / "audio" / "sound.wav").write_bytes(b"not livecap")
    (tmp_path / INDEX).write_bytes(b"not livecap")
    before = contents(tmp_path)
    with pytest.raises(LogError, match=r"^Not deleted: .*not a session log of livecap: it begins with '") as refused:
        delete(folder)
    assert "\n" not in str(refused.value) and contents(tmp_path) == before


def test_what_the_user_put_into_a_session_stays_and_is_named(folder: Path) -> None:
    archive = Archive(folder.parent)
    assert archive.search(Query("budget"))
    (folder / "audio").mkdir()
    (folder / "audio" / "them.wav").write_bytes(wav_header(0))
    (folder / "photos" / "audio").mkdir(parents=True)
    mine = ("notes.txt", f"photos/{EVENTS}", "photos/audio/sound.wav", "audio/song.wav", "Budget.srt")
    for name in mine:
        (folder / name).write_text("mine")
    stays = delete(folder)
    assert contents(folder) == dict.fromkeys(mine, b"mine")
    assert f"stay in {folder}: Budget.srt, audio/song.wav, notes.txt and 1 more." in stays
    assert not archive.search(Query("budget")) and archive.names() == []


def test_no_link_is_followed_or_removed(folder: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    (outside / "audio").mkdir(parents=True)
    (outside / "sound.wav").write_text("stays")
    (folder / "audio").symlink_to(outside)
    (folder / TRANSCRIPT).unlink()
    (folder / TRANSCRIPT).symlink_to(outside / "sound.wav")
    stays = delete(folder)
    assert contents(outside) == {"sound.wav": b"stays"} and f"audio, {TRANSCRIPT}" in stays
    assert (folder / "audio").is_symlink() and not (folder / EVENTS).exists()


def test_a_link_to_a_session_and_one_to_its_log_are_refused(folder: Path, tmp_path: Path) -> None:
    before = contents(folder)
    (tmp_path / "link").symlink_to(folder)
    with pytest.raises(LogError, match="is a link"):
        delete(tmp_path / "link")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / EVENTS).symlink_to(folder / EVENTS)
    with pytest.raises(LogError, match="Not deleted: .* a link"):
        delete(tmp_path / "other")
    assert contents(folder) == before


def with_log(folder: Path, log: bytes) -> Path:
    (folder / EVENTS).write_bytes(log)
    return folder


FIRST = encode_line(header(), 0.0, 0)


@pytest.mark.parametrize("log", [FIRST[:90], FIRST[:9], bytes(4096), b""], ids=["half", "little", "zeros", "nothing"])
def test_a_session_whose_first_line_a_crash_damaged_is_known_by_its_name_and_files(folder: Path, log: bytes) -> None:
    (folder / "audio").mkdir()
    (folder / "audio" / "me.wav").write_bytes(wav_header(0))
    (folder / "audio" / "unsaved").touch()
    assert delete(with_log(folder, log)) == "" and not folder.exists()


def test_a_damaged_first_line_is_refused_with_another_name_or_other_files(folder: Path) -> None:
    (with_log(folder, FIRST[:90]) / "notes.txt").write_text("mine")
    before = contents(folder)
    with pytest.raises(LogError, match=r"damaged, and the folder has files that livecap did not write: notes\.txt"):
        delete(folder)
    assert contents(folder) == before
    (folder / "notes.txt").unlink()
    renamed = folder.rename(folder.with_name("project"))
    with pytest.raises(LogError, match="does not have the name of a session"):
        delete(renamed)
    assert EVENTS in contents(renamed)


def test_one_good_line_after_a_damaged_first_one_is_enough(folder: Path) -> None:
    (with_log(folder, b"X" + (folder / EVENTS).read_bytes()[1:]) / "notes.txt").write_text("mine")
    (folder / "audio").mkdir()
    (folder / "audio" / "them.wav").write_bytes(wav_header(7))
    (folder / "audio" / "song.wav").write_text("mine")
    delete(folder)
    assert contents(folder) == {"notes.txt": b"mine", "audio/song.wav": b"mine"}


def test_sessions_of_the_first_format_and_of_a_later_one_are_deleted_under_any_name(folder: Path) -> None:
    body = FIRST.replace(b'"log": 2', b'"log": 3').rpartition(b', "crc": "')[0]
    later = body + b', "crc": "%08x"}\n' % zlib.crc32(body)
    for log in (to_json(header(), 0.0).encode() + b"\n", later):
        renamed = folder.with_name("project")
        renamed.mkdir()
        assert delete(with_log(renamed, log)) == "" and not renamed.exists()


def test_a_session_whose_deletion_fails_is_listed_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = Archive(folder.parent)
    archive.sessions()
    moment = time.time() - 60
    os.utime(folder.parent, (moment, moment))  # long enough ago for the index to trust it
    assert archive.search(Query("budget"))

    def refuse(name: str, dir_fd: int) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    with monkeypatch.context() as patch:
        patch.setattr("livecap.archive.delete.os.unlink", refuse)
        with pytest.raises(LogError, match="Cannot delete"):
            delete(folder)
    assert archive.search(Query("budget"))

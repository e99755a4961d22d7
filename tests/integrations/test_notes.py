"""The note of a session is complete, named for its title, and never takes away what the user wrote."""

import os
import shutil
from dataclasses import replace

import pytest

from livecap.archive.archive import Archive
from livecap.archive.log import SessionLog
from livecap.archive.recorded import RecordedSession
from livecap.errors import LogError
from livecap.integrations.notes import LINE, NotesFile, write_note
from livecap.transcript import SessionEnded, SpeakerNamed, SpeakersHeard, Voice
from tests.archive.when import STARTED
from tests.audio_in.waiting import eventually
from tests.integrations.facts import SECOND, STARTED_EVENT, line


@pytest.fixture
def log(tmp_path):
    log = SessionLog(tmp_path / "sessions", STARTED)
    log.append(replace(STARTED_EVENT, session=log.folder.name), 0.0)
    yield log
    log.close()


def written(log, notes, known=None):
    assert log.flush(60)
    return write_note(notes, RecordedSession(log.folder), known)


@pytest.fixture
def notes(tmp_path):
    (tmp_path / "vault").mkdir()
    return tmp_path / "vault"


def test_a_note_has_front_matter_the_text_and_the_line(log, notes):
    log.append(line(0, "good *morning*", "me"), 1.0)
    path = written(log, notes)
    assert path.name == "2026-03-01 10-02-03.md"
    head, text = path.read_text().split("---\n\n")
    assert head.splitlines() == [
        "---",
        'title: "2026-03-01 10:02"',
        "date: 2026-03-01T10:02:03",
        'duration: "0:00:05"',
        'labels: ["me"]',
        'tags: ["transcript"]',
        f'livecap: "{log.folder.name}"',
    ]
    assert r"[10:02:03] me: good \*morning\*" in text
    assert text.endswith(f"{LINE}\n")


def test_what_the_user_wrote_stays_byte_for_byte(log, notes):
    path = written(log, notes)
    own = "\n## To do\n- [ ] call Priya\r\n" + LINE + " not at the start of a line\n\n---\nlast"
    text = path.read_text().replace('tags: ["transcript"]\n', "tags:\n  - work\n  - budget\nstatus: open\n")
    path.write_bytes((text + own).encode() + b"\xff")
    log.append(line(0, "and now more"), 1.0)
    assert written(log, notes, path) == path
    data = path.read_bytes()
    assert data.endswith(own.encode() + b"\xff")
    assert b"and now more" in data and b"tags:\n  - work\n  - budget\n" in data
    assert data.count(b"status: open\n") == 1 and b'tags: ["transcript"]' not in data


@pytest.mark.parametrize("quote", ["", "'"])
def test_a_note_whose_front_matter_an_editor_has_written_anew_is_still_the_sessions(log, notes, quote):
    path = written(log, notes)
    name = log.folder.name
    path.write_text(path.read_text().replace(f'livecap: "{name}"', f"livecap: {quote}{name}{quote}"))
    log.append(line(0, "and now more"), 1.0)
    assert written(log, notes, path) == path and "and now more" in path.read_text()
    assert [entry.name for entry in notes.iterdir()] == [path.name]


def test_speakers_are_in_the_front_matter_and_before_their_text_once_they_are_labelled(log, notes):
    for number in range(2):
        log.append(line(number, f"line {number}"), 1.0)
    path = written(log, notes)
    path.write_text(path.read_text().replace("tags:", 'speakers: ["mine"]\ntags:'))
    assert 'speakers: ["mine"]' in written(log, notes, path).read_text(), (
        "the user's own key, as long as ours is not needed"
    )
    for number in range(2):
        log.append(SpeakersHeard("", number, (Voice(0, SECOND, number),), settled=True), 1.0)
    log.append(SpeakerNamed(1, "Priya"), 1.0)
    text = written(log, notes, path).read_text()
    assert text.count("speakers:") == 1 and 'speakers: ["A", "Priya"]\n' in text
    assert "] A: line 0\n" in text and "] Priya: line 1\n" in text


def test_a_note_without_the_line_is_the_users_and_a_new_one_is_written(log, notes):
    path = written(log, notes)
    path.write_text(path.read_text().replace(LINE, "my own text"))
    before = path.read_bytes()
    other = written(log, notes, path)
    assert other.name == "2026-03-01 10-02-03 2.md"
    assert path.read_bytes() == before


def test_a_title_renames_the_note_and_a_note_that_the_user_renamed_keeps_its_name(log, notes):
    path = written(log, notes)
    Archive(log.folder.parent).rename(log.folder.name, "Budget: Q3/Q4")
    path = written(log, notes, path)
    assert [entry.name for entry in notes.iterdir()] == ["2026-03-01 Budget Q3 Q4.md"]
    assert 'title: "Budget: Q3/Q4"' in path.read_text()
    moved = path.rename(notes / "My meeting.md")
    assert written(log, notes, path) == moved
    assert [entry.name for entry in notes.iterdir()] == ["My meeting.md"]


def test_a_file_or_link_of_another_is_never_replaced(log, notes, tmp_path):
    mine = notes / "2026-03-01 10-02-03.md"
    mine.write_text("mine")
    (tmp_path / "elsewhere.md").write_text("elsewhere")
    (notes / "2026-03-01 10-02-03 2.md").symlink_to(tmp_path / "elsewhere.md")
    assert written(log, notes).name == "2026-03-01 10-02-03 3.md"
    assert mine.read_text() == "mine" and (tmp_path / "elsewhere.md").read_text() == "elsewhere"


def test_the_note_is_written_at_the_end_of_the_session(log, notes):
    told = []
    note = NotesFile(notes / "new" / "folder", lambda: log.folder, lambda *said: told.append(said), log.close)
    for item in (line(0, "at the end"), SessionEnded(20 * SECOND, "stopped")):
        log.append(item, 1.0)
        note(item)
    note.close()
    [path] = (notes / "new" / "folder").iterdir()
    assert "at the end" in path.read_text() and told == []


def test_the_note_is_written_of_a_session_whose_folder_was_renamed(log, notes):
    places = [log.folder]
    note = NotesFile(notes, lambda: places[-1], print, log.close)
    for item in (line(0, "before the new name"), SessionEnded(20 * SECOND, "stopped")):
        log.append(item, 1.0)
        note(item)
    log.close()
    places.append(log.folder.rename(log.folder.parent / "weekly meeting"))
    note.close()
    [path] = notes.iterdir()
    assert "before the new name" in path.read_text() and 'livecap: "2026-03-01_10-02-03"' in path.read_text()


def test_a_folder_that_was_renamed_a_moment_ago_is_no_trouble_of_the_note(log, notes, monkeypatch):
    monkeypatch.setattr("livecap.integrations.notes.EVERY_SECONDS", 0.01)
    told, places, asked = [], [log.folder], []

    def session():
        asked.append(places[-1])
        return places[-1]

    log.append(line(0, "before the new name"), 1.0)
    log.close()
    renamed = log.folder.rename(log.folder.parent / "weekly meeting")
    note = NotesFile(notes, session, lambda *said: told.append(said), lambda: None)
    note(STARTED_EVENT)
    eventually(lambda: len(asked) >= 2)  # to write, and after the failure
    places.append(renamed)
    note.close()
    assert told == [] and len(list(notes.iterdir())) == 1


@pytest.mark.parametrize("begun", [True, False])
def test_a_session_that_never_began_or_was_deleted_gets_no_note(log, notes, begun):
    told = []
    note = NotesFile(notes, lambda: log.folder, lambda *said: told.append(said), lambda: shutil.rmtree(log.folder))
    if begun:
        note(STARTED_EVENT)
    note.close()
    assert told == [] and not list(notes.iterdir())


def test_a_folder_that_cannot_be_made_is_said_before_the_session(log, notes):
    (notes / "file").write_text("")
    with pytest.raises(LogError, match=r"^Cannot write notes to .*file/notes: Not a directory\.$"):
        NotesFile(notes / "file" / "notes", lambda: log.folder, print, log.close)


def test_a_folder_that_is_gone_at_the_end_is_one_notice(log, notes):
    told = []
    note = NotesFile(notes / "gone", lambda: log.folder, lambda *said: told.append(said), log.close)
    os.rmdir(notes / "gone")
    note(STARTED_EVENT)
    note.close()
    assert told == [(f"Cannot write the note in {notes / 'gone'}: No such file or directory.", "warning")]


def test_a_note_that_the_user_renamed_keeps_its_name_at_every_write(log, notes):
    Archive(log.folder.parent).rename(log.folder.name, "Budget")
    note = NotesFile(notes, lambda: log.folder, print, log.close)
    note.write()
    (notes / "2026-03-01 Budget.md").rename(notes / "My meeting.md")
    for _ in range(3):
        note.write()
    assert [entry.name for entry in notes.iterdir()] == ["My meeting.md"]
    note.close()


def test_a_session_whose_folder_is_renamed_keeps_its_one_note(log, notes):
    path = written(log, notes)
    path.write_text(path.read_text() + "my own text\n")
    renamed = log.folder.rename(log.folder.parent / "weekly meeting")
    for known in (path, None):
        assert write_note(notes, RecordedSession(renamed), known) == path
    assert list(notes.iterdir()) == [path] and path.read_text().endswith("my own text\n")


def test_a_note_that_has_the_name_of_a_renamed_folder_is_still_the_sessions(log, notes):
    path = written(log, notes)
    path.write_text(path.read_text().replace(f'livecap: "{log.folder.name}"', 'livecap: "weekly meeting"'))
    renamed = log.folder.rename(log.folder.parent / "weekly meeting")
    assert write_note(notes, RecordedSession(renamed)) == path and list(notes.iterdir()) == [path]

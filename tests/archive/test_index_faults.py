"""The index is a cache: whatever happens to its file, searches are right, and no session is held back by it."""

import errno
import os
import random
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from livecap.archive.archive import Archive
from livecap.archive.disk import Disk
from livecap.archive.folder import EVENTS
from livecap.archive.index import INDEX
from livecap.archive.line import encode_line
from livecap.archive.log import SessionLog
from livecap.archive.recorded import RecordedSession
from livecap.archive.search import Query
from livecap.errors import LogError
from livecap.transcript import UtteranceSettled
from tests.archive.facts import SECOND, header, said, write
from tests.archive.when import STARTED

ROOT = Path(__file__).parents[2]


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    """Three sessions, in an index."""
    for text in ("The budget for the summer.", "Eleven thousand left.", "我們今天先討論預算。"):
        write(tmp_path, said([text, "And the budget again."], "me"), header(tracks=("me",)))
    archive = Archive(tmp_path)
    check(archive)
    return archive


def check(archive: Archive, n: int = 3) -> None:
    """The index has what the logs have."""
    assert len(archive.sessions()) == n
    assert len(archive.search(Query("budget again"))) == n
    assert archive.search(Query("nosuchword")) == []


def database(archive: Archive) -> sqlite3.Connection:
    return sqlite3.connect(archive.parent / INDEX, isolation_level=None)


STATEMENTS = [
    "UPDATE sessions SET started = 'yesterday'",
    "UPDATE sessions SET n_samples = 'many'",
    "UPDATE sessions SET name = 'text' WHERE id = 2",
    "UPDATE sessions SET stamp = x'00', ended = 0",
    "UPDATE sessions SET stamp = 'x', ended = 0",
    "UPDATE sessions SET started = substr(started, 1, 19) WHERE id = 2",
    "UPDATE sessions SET first_words = x'ff'",
    "UPDATE sessions SET first_words = CAST(x'ff' AS TEXT)",
    "UPDATE utterances SET text = CAST(x'fffe' AS TEXT)",
    "UPDATE utterances SET text = 7",
    "UPDATE utterances SET at = 1.5",
    "UPDATE utterances SET id = id + (1 << 61)",
    "DROP TABLE sessions",
    "DROP TABLE utterances",
    "DROP TABLE words",
    "DROP TABLE seen",
    "DROP TABLE words_data",
    "DROP TABLE words_idx",
    "DELETE FROM words_data",
    "ALTER TABLE sessions DROP COLUMN ended",
    "ALTER TABLE utterances RENAME COLUMN text TO words",
]


@pytest.mark.parametrize("statement", STATEMENTS)
def test_an_index_whose_tables_are_wrong_is_built_again(archive: Archive, statement: str) -> None:
    db = database(archive)
    if "id + (1" in statement:
        db.execute("DELETE FROM words_docsize")
    db.execute(statement)
    db.close()
    if "id + (1" in statement:
        assert len(archive.sessions()) == 3
        assert all(hit.started.year == 2026 for hit in archive.search(Query("budget again")))
    else:
        check(archive)
    assert archive.reindex() == (3, [])
    check(archive)


@pytest.mark.parametrize("seed", range(25))
def test_an_index_with_damaged_bytes_is_built_again(archive: Archive, seed: int) -> None:
    chance = random.Random(seed)
    path = archive.parent / INDEX
    data = bytearray(path.read_bytes())
    for _ in range(chance.choice([1, 10, 100])):
        at = chance.randrange(len(data))
        data[at : at + 64] = chance.randbytes(min(64, len(data) - at))
    if seed % 5 == 0:
        del data[chance.randrange(len(data)) :]
    path.write_bytes(data)
    try:
        archive.sessions()
        archive.search(Query("budget again"))
    except LogError as error:
        pytest.fail(f"not healed: {error}")
    assert archive.reindex() == (3, []), "whatever was not noticed is gone now"
    check(archive)
    path.write_bytes(data)
    archive.delete("last")
    assert archive.reindex() == (2, [])
    check(archive, 2)


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.touch(), lambda path: path.write_bytes(b"x" * 100_000)])
def test_what_is_no_index_is_replaced(archive: Archive, make: Callable[[Path], None]) -> None:
    (archive.parent / INDEX).unlink()
    make(archive.parent / INDEX)
    check(archive)


@pytest.mark.parametrize("make", [lambda path: path.mkdir(), lambda path: path.symlink_to("/dev/zero")])
def test_a_folder_or_a_link_in_its_place_is_told_with_what_to_do(
    archive: Archive, make: Callable[[Path], None]
) -> None:
    path = archive.parent / INDEX
    path.unlink()
    make(path)
    with pytest.raises(LogError, match=f"{INDEX}: it is not a file. Remove it"):
        archive.search(Query("budget"))
    archive.delete("last")
    assert len(archive.names()) == 2, "a deletion does not need the index"


@pytest.fixture
def full(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> Archive:
    """No file can be made or grow."""

    def no_space(disk: Disk, path: Path) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Disk, "create", no_space)
    monkeypatch.setattr(Disk, "reopen", no_space)
    return archive


@pytest.mark.parametrize("has_index", [True, False])
def test_on_a_full_disk_sessions_are_listed_found_and_deleted(full: Archive, has_index: bool) -> None:
    if not has_index:
        (full.parent / INDEX).unlink()
    check(full)
    full.delete("last")
    check(full, 2)
    assert not (full.parent / INDEX).exists(), "its words are gone with it"


def test_a_session_that_has_changed_on_a_full_disk_is_found_by_its_new_text(
    full: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = full.folder_of("last")
    settled = UtteranceSettled("me", 0, "Harbour.", 0, 4 * SECOND, "English")
    with (folder / EVENTS).open("ab") as log:
        log.write(encode_line(settled, 99.0, RecordedSession(folder).n_facts))
    full.expire(folder)
    monkeypatch.undo()  # there is space again
    assert [hit.session for hit in full.search(Query("harbour"))] == [folder.name]


def test_a_session_is_deleted_while_another_program_holds_the_index(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("livecap.archive.index.BUSY_SECONDS", 0.01)
    holder = database(archive)
    holder.execute("BEGIN EXCLUSIVE")
    with pytest.raises(LogError, match="locked. Try again"):
        archive.search(Query("budget"))
    archive.delete("last")
    holder.close()
    check(archive, 2)


def test_a_reader_whose_index_was_replaced_under_it_reads_the_new_one(archive: Archive) -> None:
    from livecap.archive.index import Index, with_index

    answers = []

    def act(index: Index) -> int:
        answers.append(index)
        if len(answers) == 1:
            for path in archive.parent.glob(f"{INDEX}*"):
                path.unlink()
            check(archive)
        index.forget([])
        return len(index.sessions())

    assert with_index(archive.parent, act) == 3 and len(answers) == 2


RUN = "import sys; from livecap.cli.main import run; sys.exit(run(sys.argv[1:]))"


def test_many_at_once_rebuild_and_search_and_all_are_right(archive: Archive) -> None:
    commands = [
        ["reindex"],
        ["reindex"],
        ["reindex"],
        ["search", "budget again"],
        ["search", "eleven"],
        ["sessions"],
    ] * 2
    running = [
        subprocess.Popen(
            [sys.executable, "-c", RUN, *command, "--log-dir", str(archive.parent)],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT,
        )
        for command in commands
    ]  # fmt: skip
    for process, command in zip(running, commands, strict=True):
        out, err = process.communicate(timeout=120)
        assert (process.returncode, err) == (0, ""), command
        wanted = {
            "reindex": "Indexed 3",
            "search": "Eleven" if "eleven" in command else "budget",
            "sessions": "3 sessions",
        }
        assert wanted[command[0]] in out
    check(archive)


def test_while_it_is_built_again_others_see_the_old_one(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    from livecap.archive import index

    read, seen = index.RecordedSession, []

    def reading(folder: Path) -> index.RecordedSession:
        if not seen:
            seen.append(0)
            seen.append(len(archive.search(Query("budget again"))))
        return read(folder)

    monkeypatch.setattr(index, "RecordedSession", reading)
    assert archive.reindex() == (3, [])
    assert seen == [0, 3]


def test_a_log_that_was_unreadable_at_a_reindex_is_found_once_it_can_be_read(archive: Archive) -> None:
    an_hour_ago = time.time() - 3600
    os.utime(archive.parent, (an_hour_ago, an_hour_ago))
    check(archive)  # the folder counts as listed now
    log = archive.parent / archive.names()[0] / EVENTS
    content = log.read_bytes()
    log.write_bytes(b"damaged\n")
    n, [trouble] = archive.reindex()
    assert n == 2 and str(log) in trouble
    log.write_bytes(content)
    os.utime(archive.parent, (an_hour_ago, an_hour_ago))
    check(archive)


def test_a_folder_whose_time_of_change_goes_back_is_listed_again(archive: Archive) -> None:
    """As after a backup was put back: only the time of the newest listing counts."""
    for hours in (2, 1, 2):
        moment = STARTED.timestamp() - hours * 3600
        os.utime(archive.parent, (moment, moment))
        check(archive, len(archive.names()))
        write(archive.parent, said(["The budget again."], "me"))
        assert len(archive.names()) < 7
    os.utime(archive.parent, (moment, moment))
    assert len(archive.sessions()) == 5, "listed at this very time before"


def test_a_search_by_label_does_not_find_labels_that_only_begin_alike(tmp_path: Path) -> None:
    facts = [fact for label in ("me", "me too", "ME", "mé") for fact in said(["The budget."], label)]
    write(tmp_path, facts, header(tracks=("me", "me too", "ME", "mé")))
    assert [hit.track for hit in Archive(tmp_path).search(Query("budget", label="me"))] == ["me"]
    assert [hit.track for hit in Archive(tmp_path).search(Query("budget", label="me too"))] == ["me too"]


def test_a_running_session_is_marked_and_one_that_was_cut_off_is_not(tmp_path: Path) -> None:
    write(tmp_path, said(["Cut off."]), end=False)
    log = SessionLog(tmp_path, STARTED)
    log.append(header(log.session), 0.0)
    assert log.flush(60)
    running = {summary.name: (summary.running, summary.ended) for summary in Archive(tmp_path).sessions()}
    assert running.pop(log.session) == (True, False)
    assert set(running.values()) == {(False, False)}
    log.close()


def test_an_utterance_of_megabytes_is_found_in_little_memory(tmp_path: Path) -> None:
    script = (
        "import sys\nfrom pathlib import Path\nfrom livecap.this_machine import peak_resident_bytes\n"
        "from livecap.archive.archive import Archive\nfrom livecap.archive.search import Query\n"
        "from livecap.transcript import UtteranceEnded\nfrom tests.archive.facts import write\n"
        "text = 'the quick brown fox to be or not a b c ' * 170_000\n"
        "write(Path(sys.argv[1]), [UtteranceEnded('', 0, text, 0, 16_000, 'English')])\n"
        "[hit] = Archive(Path(sys.argv[1])).search(Query('brown to be'))\n"
        "assert 'brown' in [piece for piece, found in hit.snippet if found]\n"
        "print(peak_resident_bytes())\n"
    )
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 250e6

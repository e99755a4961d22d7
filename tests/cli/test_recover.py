"""The question about sessions that a crash cut off, and `livecap recover`."""

from pathlib import Path

import pytest

from livecap.archive.archive import Archive
from livecap.archive.folder import EVENTS, TITLE, TRANSCRIPT
from livecap.archive.recorded import RecordedSession
from livecap.archive.rescued import rescued
from livecap.cli.main import run
from livecap.cli.recover import about, offer
from livecap.errors import LogError
from livecap.settings.fields import Settings
from livecap.transcript import SessionEnded
from tests.archive.facts import header, said, write
from tests.archive.faulty import PATIENCE, FaultyDisk, begin, gaps

LONG = "Good morning everybody, thank you very much for coming to this meeting about the new harbour."


@pytest.fixture
def answer(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the user types, in order; what was asked is in `asked`."""
    answers: list[str] = []

    def ask(question: str) -> str:
        asked.append(question)
        return answers.pop(0) if answers else ""

    asked.clear()
    monkeypatch.setattr("livecap.cli.recover.ask", ask)
    return answers


asked: list[str] = []


def sessions(parent: Path, n: int) -> list[Path]:
    return [write(parent, said([LONG]), end=False) for _ in range(n)]


def test_a_wrong_letter_is_asked_again(tmp_path: Path, answer: list[str]) -> None:
    [folder] = sessions(tmp_path, 1)
    answer += ["x", "a", "keep"]
    offer(Settings(log_dir=tmp_path), 100)
    assert len(asked) == 3 and "r, k or d" in asked[1] and "r, k or d" in asked[2]
    assert RecordedSession(folder).ended


def test_one_answer_is_enough_for_all(tmp_path: Path, answer: list[str]) -> None:
    folders = sessions(tmp_path, 3)
    answer += ["n"]
    offer(Settings(log_dir=tmp_path), 100)
    assert len(asked) == 1 and not any(RecordedSession(folder).ended for folder in folders)
    answer += ["a"]
    offer(Settings(log_dir=tmp_path, model="tiny"), 100)
    assert len(asked) == 2 and all(RecordedSession(folder).ended for folder in folders)


def test_enter_asks_about_each(tmp_path: Path, answer: list[str]) -> None:
    sessions(tmp_path, 2)
    offer(Settings(log_dir=tmp_path), 100)
    assert len(asked) == 2
    assert "not now" in asked[0] and "not now" not in asked[1], "there is only one left"


def test_an_empty_session_is_deleted_without_a_question(tmp_path: Path, answer: list[str]) -> None:
    write(tmp_path, [], end=False)
    offer(Settings(log_dir=tmp_path), 100)
    assert not asked and not Archive(tmp_path).names()


@pytest.mark.parametrize("columns", [60, 80, 200])
def test_the_question_names_the_title_and_breaks_no_word(
    tmp_path: Path, answer: list[str], monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    [folder] = sessions(tmp_path, 1)
    (folder / TITLE).write_text("Harbour")
    assert "“Harbour”" in about(folder) and folder.name in about(folder)
    offer(Settings(log_dir=tmp_path), 100)
    lines = asked[0].splitlines()
    assert all(len(line) < columns for line in lines)
    assert set(" ".join(lines).split("“")[-1].split("”")[0].split()) <= {*LONG.split(), "…"}


@pytest.mark.parametrize("settings", [{"language": 5}, {"model": ["x"]}, {"context": {"a": 1}}, {"language": None}])
def test_a_header_with_odd_settings_can_be_recovered(
    tmp_path: Path, settings: dict[str, object], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIVECAP_MODEL", "tiny")
    folder = write(tmp_path, said([LONG]), header(settings=settings), end=False)
    assert run(["recover", "--log-dir", str(tmp_path)]) == 0
    assert RecordedSession(folder).ended and "Finished; no more speech was found: " in capsys.readouterr().out


@pytest.fixture(params=["full at the end", "full from the first fact on"])
def failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Path:
    """The folder of a session whose disk was full; the whole session is in the temporary folder."""
    monkeypatch.setattr("livecap.archive.log.SYNC_SECONDS", 0.01)
    monkeypatch.setattr("livecap.archive.log.END_SECONDS", 0.3)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    disk = FaultyDisk()
    is_full = request.param == "full from the first fact on"
    disk.write_limit = 0 if is_full else None
    log, troubles = begin(tmp_path / "sessions", disk)
    folder = log.folder
    for event in said([LONG]):
        log.append(event, 1.0)
    assert is_full or log.flush(PATIENCE)
    disk.write_limit = 0
    log.append(gaps(99, 1)[0], 1.0)
    assert troubles.wait()
    log.append(SessionEnded(1, "stopped"), 2.0)
    with pytest.raises(LogError, match="The whole session is in"):
        log.close()
    assert rescued(folder) == log.folder != folder and ((folder / EVENTS).stat().st_size == 0) == is_full
    return folder


def test_a_session_whose_disk_failed_is_brought_back_at_the_next_start(
    failed: Path, answer: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    source = rescued(failed)
    assert source is not None
    expected = (source / EVENTS).read_bytes()
    offer(Settings(log_dir=failed.parent), 100)
    assert not asked and f"brought back from {source}" in capsys.readouterr().out
    session = RecordedSession(failed)
    assert session.ended and (failed / EVENTS).read_bytes() == expected
    assert "sound lost" in (failed / TRANSCRIPT).read_text()
    assert not source.parent.exists() and rescued(failed) is None
    assert Archive(failed.parent).cut_off() == []


def test_recover_brings_it_back_too(failed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["recover", "--list", "--log-dir", str(failed.parent)]) == 0
    assert f"Its text is in {rescued(failed)}" in capsys.readouterr().out
    assert run(["recover", "--log-dir", str(failed.parent)]) == 0
    assert RecordedSession(failed).ended


def test_where_the_disk_still_fails_the_session_stays_and_is_named(
    failed: Path, answer: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    source, before = rescued(failed), (failed / EVENTS).read_bytes()

    def full(*paths: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    offer(Settings(log_dir=failed.parent), 100)
    assert f"is in {source}" in capsys.readouterr().err and not asked
    assert rescued(failed) == source and (failed / EVENTS).read_bytes() == before
    assert not list(failed.glob(".*.new"))


def test_while_every_disk_is_full_sessions_are_listed_and_deleted(
    failed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full() -> str:
        raise FileNotFoundError(2, "No usable temporary directory found")

    monkeypatch.setattr("tempfile.gettempdir", full)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    [other] = sessions(failed.parent, 1)
    where = ["--log-dir", str(failed.parent)]
    run(["sessions", "list", *where])
    listed = capsys.readouterr()
    assert other.name in listed.out and failed.name in listed.out + listed.err
    source = rescued(failed)
    assert source is not None
    for folder in (other, failed):
        assert run(["sessions", "delete", folder.name, "--yes", *where]) == 0
    assert not other.exists() and not failed.exists() and not source.exists()


@pytest.mark.parametrize("failed", ["full at the end"], indirect=True)
@pytest.mark.parametrize("fault", ["another beginning", "shorter", "writable by others", "a link", "not a file"])
def test_what_may_not_be_the_rest_of_the_session_is_left_alone(
    failed: Path, tmp_path: Path, answer: list[str], fault: str
) -> None:
    source = rescued(failed)
    assert source is not None
    whole = (source / EVENTS).read_bytes()
    if fault == "another beginning":
        (source / EVENTS).write_bytes(b"#" + whole[1:])
    elif fault == "shorter":
        (source / EVENTS).write_bytes(whole[:50])
    elif fault == "writable by others":
        source.parent.chmod(0o777)
    elif fault == "a link":
        (source / EVENTS).rename(tmp_path / "elsewhere")
        (source / EVENTS).symlink_to(tmp_path / "elsewhere")
    else:
        (source / EVENTS).unlink()
        (source / EVENTS).mkdir()
    assert rescued(failed) is None
    offer(Settings(log_dir=failed.parent), 100)
    assert len(asked) == 1 and not RecordedSession(failed).ended


@pytest.mark.parametrize("failed", ["full from the first fact on"], indirect=True)
def test_an_empty_log_is_a_session_only_while_the_temporary_folder_has_its_facts(
    failed: Path, answer: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    source, archive = rescued(failed), Archive(failed.parent)
    assert source is not None and archive.folder_of("last") == failed and archive.cut_off() == [failed.name]
    assert run(["sessions", "--log-dir", str(failed.parent)]) == 1
    assert f"is in {source}: `livecap recover` brings it back" in capsys.readouterr().err
    (source / EVENTS).write_bytes((source / EVENTS).read_bytes()[:50])
    assert rescued(failed) is None and archive.names() == archive.cut_off() == []
    offer(Settings(log_dir=failed.parent), 100)
    assert not asked


def test_a_session_is_recovered_in_its_own_language(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Settings] = []

    def recognition(settings: Settings, live: bool) -> None:
        asked.append(settings)
        raise LogError("enough")

    monkeypatch.setattr("livecap.cli.recognition.session_recognition", recognition)
    settings = {"model": "tiny", "language": "English", "context": ""}
    write(tmp_path, said([LONG]), header(settings=settings), end=False)
    monkeypatch.setenv("LIVECAP_LANGUAGE", "German")
    for more, language in (([], "English"), (["--language", "French"], "French")):
        assert run([*more, "recover", "--log-dir", str(tmp_path)]) == 1
        assert asked.pop().language == language


def test_deleting_a_session_whose_disk_failed_leaves_no_word_in_the_temporary_folder(failed: Path) -> None:
    source = rescued(failed)
    assert source is not None
    Archive(failed.parent).delete(failed.name)
    assert not source.exists() and not failed.exists()

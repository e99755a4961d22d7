"""The question about sessions that a crash cut off, and `livecap recover`."""

from pathlib import Path

import pytest

from livecap.archive.archive import Archive
from livecap.archive.folder import TITLE
from livecap.archive.recorded import RecordedSession
from livecap.cli.main import run
from livecap.cli.recover import about, offer
from livecap.settings.fields import Settings
from tests.archive.facts import header, said, write

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


def test_the_question_names_the_title_and_breaks_no_word(tmp_path: Path, answer: list[str]) -> None:
    [folder] = sessions(tmp_path, 1)
    (folder / TITLE).write_text("Harbour")
    assert "“Harbour”" in about(folder) and folder.name in about(folder)
    offer(Settings(log_dir=tmp_path), 100)
    lines = asked[0].splitlines()
    assert all(len(line) < 80 for line in lines)
    assert set(" ".join(lines).split("“")[-1].split("”")[0].split()) <= {*LONG.split(), "…"}


@pytest.mark.parametrize("settings", [{"language": 5}, {"model": ["x"]}, {"context": {"a": 1}}, {"language": None}])
def test_a_header_with_odd_settings_can_be_recovered(
    tmp_path: Path, settings: dict[str, object], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIVECAP_MODEL", "tiny")
    folder = write(tmp_path, said([LONG]), header(settings=settings), end=False)
    assert run(["recover", "--log-dir", str(tmp_path)]) == 0
    assert RecordedSession(folder).ended and "Recovered 0 utterances" in capsys.readouterr().out

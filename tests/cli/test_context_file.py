"""`--context-file`: one term a line or the cells of a table, read again when it changes."""

import threading
from dataclasses import replace
from pathlib import Path
from queue import Queue

import pytest

from livecap.cli.context_file import ContextFile, context_of, followed, read_terms
from livecap.errors import SettingsError
from livecap.files import replace_file
from livecap.settings.fields import Settings


@pytest.mark.parametrize(
    ("name", "text", "terms"),
    [
        (
            "terms.txt",
            "Priya\nKowalski, Jan\n\n# a remark\n  two   words \nPriya\n",
            ["Priya", "Kowalski, Jan", "two words"],
        ),
        ("terms.csv", 'name,unit\n"Kowalski, Jan",mg\n\nPriya,\n', ["name", "unit", "Kowalski, Jan", "mg", "Priya"]),
        ("terms.csv", 'name;dose\nJan, Dr.;"2,5 mg"\nPriya;\n', ["name", "dose", "Jan, Dr.", "2,5 mg", "Priya"]),
        ("terms.csv", "# names; doses; units\nPriya,mg\n", ["Priya", "mg"]),
        ("terms.csv", "name\tdose, in mg\nPriya\t2\n", ["name", "dose, in mg", "Priya", "2"]),
        ("terms.csv", 'Priya,"New\nYork\r\nCity",mg\r\n', ["Priya", "New York City", "mg"]),
        ("terms", "\ufeffÜmit\r\n日本\r\n", ["Ümit", "日本"]),
        ("terms.txt", "", []),
    ],
)
def test_terms_are_lines_or_cells(tmp_path: Path, name: str, text: str, terms: list[str]) -> None:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8", newline="")
    assert read_terms(path) == terms


def test_a_quote_that_is_never_closed_is_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "terms.csv"
    path.write_text('"name\n' + "aa\n" * 70_000)
    with pytest.raises(SettingsError, match=r"Cannot read --context-file .*terms\.csv: it is not a table"):
        read_terms(path)


@pytest.mark.parametrize("made", ["missing", "folder", "binary", "huge"])
def test_what_is_no_list_of_terms_is_one_sentence(tmp_path: Path, made: str) -> None:
    path = tmp_path / "terms.txt"
    {
        "missing": lambda: None,
        "folder": path.mkdir,
        "binary": lambda: path.write_bytes(b"\xff\xfe\x00"),
        "huge": lambda: path.write_bytes(b"a" * 1_000_001),
    }[made]()
    with pytest.raises(SettingsError, match=r"Cannot read --context-file .*terms\.txt: "):
        read_terms(path)


def test_terms_follow_those_of_the_option(tmp_path: Path) -> None:
    path = tmp_path / "terms.txt"
    path.write_text("Jan\n")
    settings = replace(Settings(), context="Priya", context_file=path)
    assert context_of(settings) == "Priya, Jan" and context_of(Settings()) == ""
    said: list[str] = []
    file = ContextFile(settings, said.append, patience=1)
    assert file.changed() is None
    path.write_text("Jan\nMaria\n")
    assert file.changed() == "Priya, Jan, Maria" and file.changed() is None
    assert file.typed("Olu") == "Olu, Jan, Maria" and file.changed() is None
    path.write_text("Jan\n")
    assert file.changed() == "Olu, Jan", "what was typed stays when the file changes"
    path.write_text("Jan\nMaria\n")
    file.changed()
    path.unlink()
    assert file.changed() is None and not said, "an editor may replace a file by deleting it first"
    for _ in range(3):
        assert file.changed() is None
    assert len(said) == 1 and said[0].startswith(f"Cannot read --context-file {path}: No such file or directory. ")
    path.write_text("Jan\nMaria\n")
    assert file.changed() is None
    path.unlink()
    file.changed()
    file.changed()
    assert len(said) == 2, "it is gone a second time"


def test_a_changed_file_is_told_while_a_session_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("livecap.cli.context_file.POLL_SECONDS", 0.01)
    path, told, came = tmp_path / "terms.txt", [], threading.Event()
    path.write_text("Jan\n")

    def change(context: str) -> None:
        told.append(context)
        came.set()

    said: Queue[str] = Queue()
    with followed(replace(Settings(), context_file=path), change, said.put):
        replace_file(path, ["Jan\nMaria\n"])  # in one step: a look between two would see an empty file
        assert came.wait(20)
        path.unlink()
        assert "terms.txt: No such file" in said.get(timeout=20)
    assert told[-1] == "Jan, Maria" and said.empty()
    with followed(Settings(), change, said.put):
        pass

"""Commands printed in the documents are valid."""

import re
import shlex
from pathlib import Path

import pytest

from livecap.cli.main import parse

ROOT = Path(__file__).parents[1]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
PLACES = ("livecap", "benchmarks", "training", "scripts", "tests")
REMARK = re.compile(r"\s{3,}\S.*|\s+#.*")


def commands(text: str) -> list[list[str]]:
    """The arguments of each `livecap` command in a code block, without remarks and without a pipe that follows."""
    text = re.sub(r" \\\n +", " ", text)  # a command may go on in the next line
    lines = re.findall(r"^ {4}(?:.*\| )?(livecap(?: .*)?)$", text, re.MULTILINE)
    found = [shlex.split(REMARK.sub("", line).partition(" | ")[0].replace("[SESSION]", "SESSION")) for line in lines]
    return [words[1:] for words in found if words[:1] == ["livecap"]]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_printed_command_is_valid(document: Path) -> None:
    for words in commands(document.read_text()):
        try:
            parse(words)
        except SystemExit as left:
            assert left.code == 0, f"livecap {shlex.join(words)}"


def test_commands_are_found() -> None:
    assert len(commands((ROOT / "README.md").read_text())) > 10


def test_every_make_target_in_the_documents_exists() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for document in DOCUMENTS:
        said = set(re.findall(r"(?:^ {4}|`)make ([a-z]+)", document.read_text(), re.MULTILINE))
        assert said <= targets, document.name


def test_the_messages_in_troubleshooting_are_the_programs() -> None:
    """Messages are printed in italics in the first column, with an ellipsis for what varies."""
    rows = re.findall(r"^\| (.*?) \|", (ROOT / "docs" / "troubleshooting.md").read_text(), re.MULTILINE)
    quoted = [message for row in rows for message in re.findall(r"\*(.+?)\*", row)]
    source = "\n".join(path.read_text() for path in (ROOT / "livecap").rglob("*.py"))
    parts = [part.strip() for message in quoted for part in message.split("…") if part.strip()]
    assert len(quoted) > 4
    assert [part for part in parts if part not in source] == []


def test_every_test_that_a_document_names_exists() -> None:
    tests = "\n".join(path.read_text() for path in (ROOT / "tests").rglob("*.py"))
    names = {name for path in DOCUMENTS for name in re.findall(r"`(test_\w+)`", path.read_text())}
    assert len(names) > 40
    assert {name for name in names if f"def {name}(" not in tests} == set()


def test_every_source_file_that_a_document_names_exists() -> None:
    files = [path.relative_to(ROOT).as_posix() for folder in PLACES for path in (ROOT / folder).rglob("*.*")]
    for document in DOCUMENTS:
        named = re.findall(r"`([\w./-]+\.(?:py|sh))`", document.read_text())
        assert [name for name in named if not any(f"/{file}".endswith(f"/{name}") for file in files)] == [], (
            document.name
        )

"""Text reaches a terminal through one module, and never as a control sequence."""

import ast
import io
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import livecap
from livecap.text.printing import Style, say, say_json
from livecap.text.safety import json_text, printable
from livecap.transcript import Notice, to_json
from tests.events import event_of

PACKAGE = Path(livecap.__file__).parent
DOOR = "text/printing.py"
OTHERS = {
    "audio_in/device/enumeration.py": "a child process answers its parent in ASCII",
}
"""Files that print in another way, and why."""

any_text = st.text(st.characters(exclude_categories=()))
BIDI = {0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)}


def prints(path: Path) -> list[int]:
    """The lines of a file that print: `print`, and writing to a standard stream or to descriptor 1 or 2."""
    found = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            stream = called.removesuffix(".buffer").rpartition(".")[0].removesuffix(".buffer").strip("_")
            if (
                called in ("print", "pprint", "input")
                or called.endswith((".write", ".writelines"))
                and (stream.startswith("sys.") or called == "os.write" and ast.unparse(node.args[0]) in ("1", "2"))
            ):
                found.append(node.lineno)
    return found


def test_nothing_prints_but_the_one_module():
    printing = {path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py") if prints(path)}
    assert printing - OTHERS.keys() == {DOOR}


@pytest.mark.parametrize(
    "line",
    ["print(x)", "sys.stdout.write(x)", "sys.stderr.buffer.write(x)", "sys.__stdout__.writelines(x)", "os.write(1, x)"],
)
def test_the_guard_sees_every_way_of_printing(tmp_path, line):
    (tmp_path / "x.py").write_text(f"import os, sys\ndef f(x):\n    {line}\n    open(x).write(x)\n")
    assert prints(tmp_path / "x.py") == [3]


class Terminal(io.StringIO):
    def isatty(self):
        return True


@given(st.lists(any_text))
def test_what_is_said_is_one_printable_line(pieces):
    out = io.StringIO()
    say(*pieces, file=out)
    assert out.getvalue() == printable("".join(pieces)) + "\n"


@pytest.mark.parametrize(
    ("term", "shown"), [("xterm", "a \033[1mb\033[0m\n"), ("dumb", "a b\n"), ("", "a b\n"), ("unknown", "a b\n")]
)
def test_styles_are_for_terminals_that_understand_them(monkeypatch, term, shown):
    monkeypatch.setenv("TERM", term)
    out, pipe = Terminal(), io.StringIO()
    for file in (out, pipe):
        say("a ", Style.BOLD, "\033b", Style.PLAIN, file=file)
    assert (out.getvalue(), pipe.getvalue()) == (shown.replace("\033b", "b"), "a b\n")


def is_safe(text: str) -> bool:
    """No control character, no line separator, no bidi control, no half character."""
    return all(
        printable(character) == character and ord(character) not in BIDI and character not in "\u2028\u2029"
        for character in text
    )


@given(any_text)
def test_json_is_safe_to_print_and_says_the_same(text):
    line = json_text({"text": text})
    assert is_safe(line) and len(line.splitlines()) == 1
    assert json.loads(line) == json.loads(json.dumps({"text": text}))


@given(any_text)
def test_events_are_safe_to_print_and_say_the_same(text):
    line = to_json(Notice(text, 0))
    assert is_safe(line)
    assert event_of(line) == Notice(json.loads(json.dumps(text)), 0)


def test_json_of_several_lines_keeps_them(capsys):
    say_json({"\x9b": "\u202e字"}, indent=2)
    assert capsys.readouterr().out == '{\n  "\\u009b": "\\u202e字"\n}\n'

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
    "audio_in/device/native_prints.py": "it moves the standard streams",
    "audio_in/mpeg_prints.py": "it gives back what was printed while it kept standard error",
    "audio_in/device/enumeration.py": "a child process answers its parent in ASCII",
}
"""Files that print in another way, and why."""

any_text = st.text(st.characters(exclude_categories=()))
BIDI = {0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)}


STREAMS = {"sys.stdout", "sys.stderr", "sys.__stdout__", "sys.__stderr__"}
PRINTERS = {"print", "pprint", "input", "breakpoint"}
ASKED_OF_STREAMS = {"isatty", "fileno", "flush"}
TAKE_A_STREAM = {"draws", "JsonOutput", "PlainOutput"}
"""What gets a standard stream and prints on it through the door only."""
OPENERS = ("os.write", "os.writev", "os.fdopen", "open")
LEAVERS = ("sys.exit", "SystemExit", "exit", "quit")
LEVELS = {"debug", "info", "warning", "error", "exception", "critical", "log"}


def prints(path: Path) -> list[int]:
    """The lines of a file that print, or take what prints to where this function does not follow it."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    parents = {child: node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    taken = [node for node in imports if {f"{node.module}.{alias.name}" for alias in node.names} & STREAMS]
    found = [node for node in ast.walk(tree) if isinstance(node, ast.expr) and _prints(node, parents)]
    return sorted({node.lineno for node in (*taken, *found)})


def dotted(node: ast.expr) -> str:
    """A name with dots, such as sys.stdout; "" for any other expression."""
    if isinstance(node, ast.Attribute):
        base = dotted(node.value)
        return base and f"{base}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def _prints(node: ast.expr, parents: dict[ast.AST, ast.AST]) -> bool:
    parent = parents[node]
    name = dotted(node)
    if isinstance(node, ast.Name):
        return node.id in PRINTERS
    if isinstance(node, ast.Attribute) and name in STREAMS:
        return not (
            isinstance(parent, ast.keyword) and parent.arg == "file"
            or isinstance(parent, ast.Attribute) and parent.attr in ASKED_OF_STREAMS
            or isinstance(parent, ast.Compare)
            or isinstance(parent, ast.Call) and dotted(parent.func) in TAKE_A_STREAM
        )  # fmt: skip
    if isinstance(node, ast.Attribute) and name.startswith(("logger.", "logging.")) and node.attr in LEVELS:
        return not (isinstance(parent, ast.Call) and parent.func is node)
    if not isinstance(node, ast.Call):
        return False
    called = dotted(node.func)
    first = ast.unparse(node.args[0]) if node.args and called in (*OPENERS, *LEAVERS) else ""
    if called in OPENERS:
        terminals = ("1", "2", "'/dev/tty'", "'/dev/stdout'", "'/dev/stderr'")
        return first in terminals or "fileno" in first or first in ("STDOUT", "STDERR")
    if called in LEAVERS:
        return bool(node.args) and isinstance(node.args[0], ast.JoinedStr | ast.Constant) and not first.isdecimal()
    if called.startswith(("logger.", "logging.")) and called.rpartition(".")[2] in LEVELS:
        texts = [argument for argument in node.args if not isinstance(argument, ast.Constant)]
        return not all(isinstance(text, ast.Call) and dotted(text.func) == "printable" for text in texts)
    printers = ("warnings.warn", "logging.basicConfig", "logging.StreamHandler", "Console", "faulthandler.enable")
    return called in printers or called.startswith(("traceback.print", "pprint.", "rich.print"))


def test_nothing_prints_but_the_one_module():
    printing = {path.relative_to(PACKAGE).as_posix(): prints(path) for path in sorted(PACKAGE.rglob("*.py"))}
    assert {path: lines for path, lines in printing.items() if lines and path not in {DOOR, *OTHERS}} == {}
    assert all(printing[path] for path in (DOOR, *OTHERS)), "an exception that is not needed any more"


@pytest.mark.parametrize(
    "line",
    [
        "print(x)",
        "list(map(print, x))",
        "show = print",
        "f2(x, on_notice=print)",
        "input(x)",
        "sys.stdout.write(x)",
        "sys.stderr.buffer.write(x)",
        "sys.__stdout__.writelines(x)",
        "out = sys.stdout",
        "stream = sys.stderr.buffer",
        "os.write(1, x)",
        "os.write(sys.stderr.fileno(), x)",
        "os.writev(2, [x])",
        "os.fdopen(1, 'w')",
        "open(2, 'w')",
        "open('/dev/tty', 'w')",
        "sys.exit(f'bad {x}')",
        "raise SystemExit('bad')",
        "warnings.warn(x)",
        "traceback.print_exc()",
        "logger.warning(x)",
        "tell = logger.warning",
        "logger.error('%s', x)",
        "logging.warning(f'{x}')",
        "logging.basicConfig()",
        "rich.print(x)",
        "Console().print(x)",
        "from sys import stdout",
        "pprint.pp(x)",
    ],
)
def test_the_guard_sees_every_way_of_printing(tmp_path, line):
    (tmp_path / "x.py").write_text(f"import os, sys\ndef f(x):\n    {line}\n    open(x).write(x)\n")
    assert prints(tmp_path / "x.py") == [3]


@pytest.mark.parametrize(
    "line",
    [
        "say(x, file=sys.stderr)",
        "sys.stdout.isatty()",
        "sys.exit(status)",
        "sys.exit(1)",
        "os.write(descriptor, x)",
        "logger.warning('%s', printable(x))",
        "file.write(x)",
    ],
)
def test_the_guard_lets_pass_what_does_not_print(tmp_path, line):
    (tmp_path / "x.py").write_text(f"import os, sys\ndef f(x):\n    {line}\n")
    assert prints(tmp_path / "x.py") == []


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


@pytest.mark.parametrize(("given_value", "shown"), [("1", "a \033[1mb\033[0m"), ("", "a \033[31m\033[1mb\033[0m")])
def test_colours_are_left_out_where_the_user_wants_none(monkeypatch, given_value, shown):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", given_value)
    file = Terminal()
    say("a ", Style.RED, Style.BOLD, "b", Style.PLAIN, file=file)
    assert file.getvalue() == shown + "\n"


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

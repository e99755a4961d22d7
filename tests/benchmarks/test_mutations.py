"""`python -m benchmarks.mutations`: which changes it makes, and what it says about the tests of a small project."""

import ast
import json
import shutil
import subprocess
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks import mutations
from benchmarks.mutation_points import points
from benchmarks.mutations import Result, choose, figures, find, main

ROOT = Path(__file__).parents[2]


def changed(source: str) -> set[str]:
    return {change.applied(source) for changes in points(source) for change in changes}


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("x = a < b", {"x = a <= b", "x = a >= b"}),
        ("x = a is not b", {"x = a is b"}),
        ("x = (a) not in (b)", {"x = (a) in (b)"}),
        ("x = a and b and c", {"x = a or b and c", "x = a and b or c"}),
        ("x = a + 1.5", {"x = a - 1.5", "x = a + 2.5", "x = a + 0.5"}),
        ("x = not a", {"x = a"}),
        ("x = -a", {"x = a"}),
        ("x = f(é, b)", {"x = f(b, é)"}),
        ("x = max(a, b)", set()),
        ("x = {'a': b}['a']", {"x = {'aX': b}['a']", "x = {'a': b}['aX']"}),
        ("x = a.get('b')", {"x = a.get('bX')"}),
        ("x = a == 'b'", {"x = a != 'b'", "x = a == 'bX'"}),
        ("x = f(True)", {"x = f(False)"}),
        ("f()", {"pass"}),
        ("a.b = c", {"pass"}),
        ("del a", {"pass"}),
        ("if a:\n    b = c", {"if not a:\n    b = c"}),
        ("while f():\n    break", {"while not f():\n    break", "while f():\n    continue"}),
        ("x += y", {"x -= y", "pass"}),
        ("def f():\n    return x", {"def f():\n    return None"}),
        ("def f():\n    return False", {"def f():\n    return True"}),
        ("def f():\n    raise E('two words' == x)", {"def f():\n    pass", "def f():\n    raise E('two words' != x)"}),
        ("x = not (\n    a\n)", {"x = (a)", "x = a"} - {"x = (a)"}),
    ],
)
def test_one_token_changes(source: str, expected: set[str]) -> None:
    assert changed(source) == expected


@pytest.mark.parametrize(
    "source",
    [
        '"""A docstring."""',
        "__all__ = ['a', 'b']",
        "x: int | None",
        "def f(a: dict['k', 1]) -> list[1]:\n    '''Text.'''\n    x = y\n    return",
        "Kind = int | str",
        "logger.warning('%s', 1)",
        "assert a == 1",
        "if TYPE_CHECKING:\n    x = 1",
        "x = zip(a, b.c(), strict=True)",
        "@dataclass(frozen=True, slots=True)\nclass C:\n    x: int",
        "x = Thread(name='a' == b)",
        "x = f'{a + 1} words'",
    ],
)
def test_what_changes_no_behaviour_is_left_out(source: str) -> None:
    assert changed(source) == set()


def test_changes_of_livecap_are_valid_python() -> None:
    path = ROOT / "livecap" / "stream" / "policy.py"
    source = path.read_text(encoding="utf-8")
    for changes in points(source)[::5]:
        ast.parse(changes[-1].applied(source))


def test_a_change_is_found_again_after_other_lines_have_moved_it() -> None:
    source = "x = a < b\n\n\nx = a < b\n"
    chosen = Result("f.py", 4, "x = a < b", "<", "<=", None)
    later = f"y = 1\n{source}"
    found = find(chosen, later)
    assert found is not None and found.line == 5
    assert found.applied(later) == "y = 1\nx = a < b\n\n\nx = a <= b\n"
    assert find(chosen, "x = a <= b\n") is None


def test_of_several_equal_lines_the_one_in_the_same_function_is_meant() -> None:
    source = "def f():\n    g()\n\ndef h():\n    g()\n"
    found = find(Result("f.py", 2, "    g()", "g()", "pass", "h"), source)
    assert found is not None and found.line == 5


def test_the_same_seed_chooses_the_same_changes() -> None:
    one = choose(["stream"], 20, 1, ROOT)
    assert one == choose(["stream"], 20, 1, ROOT) != choose(["stream"], 20, 2, ROOT)
    assert len({(result.file, result.line) for result in one}) == 20


def test_hangs_count_as_noticed_and_what_is_gone_does_not_count() -> None:
    outcomes = ["noticed", "noticed", "hung", "survived", "gone", ""]
    found = figures([Result("livecap/stream/a.py", 1, "", "", "", None, outcome) for outcome in outcomes])
    assert (found["tried"], found["noticed"], found["share"], found["hung"]) == (4, 3, 0.75, 1)
    low, high = found["interval"]
    assert low < 0.75 < high
    assert found["survivors_without_a_reason"] == 1


SOURCE = """\
def half(x):
    return x / 2

def unused(x):
    return x
"""
TESTS = """\
from livecap.stream.sums import half, unused

def test_half():
    assert half(4) == 2
    unused(2)
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A checkout with one source file and its tests."""
    files = {
        "livecap/__init__.py": "",
        "livecap/stream/__init__.py": "",
        "livecap/stream/sums.py": SOURCE,
        "tests/stream/test_sums.py": TESTS,
        "tests/stream/test_others.py": "def test_broken():\n    assert False\n",
        "tests/tui/test_far_away.py": "def test_nothing():\n    pass\n",
        "benchmarks/__init__.py": "",
    }
    root = tmp_path / "project"
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    for name in ("mutation_plugin.py", "mutation_reach.py", "mutation_runs.py"):
        shutil.copy(ROOT / "benchmarks" / name, root / "benchmarks" / name)
    subprocess.run(["git", "init", "-q", str(root)], check=True)
    return root


def test_changes_are_noticed_or_survive_and_survivors_are_tried_again(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.json"
    arguments = ["stream", "--changes", "2", "--out", str(out), "--require", "share >= 0.9"]
    assert main(arguments, project) == 1
    printed = capsys.readouterr()
    assert "1 of 2 noticed: 50.0%" in printed.out and "share >= 0.9 is missed: it is 0.5" in printed.err
    outcomes = {
        change["code"].strip(): (change["outcome"], change["by"], change["n_tests"])
        for change in json.loads(out.read_text())["changes"]
    }
    assert outcomes == {
        "return x / 2": ("noticed", "tests/stream/test_sums.py::test_half", 1),
        "return x": ("survived", "", 1),
    }
    assert (project / "livecap/stream/sums.py").read_text() == SOURCE, "the checkout stays as it is"
    monkeypatch.setattr(mutations.Copy, "tried", lambda copy, result, *rest: replace(result, outcome="noticed"))
    assert main([*arguments, "--again", "survivors"], project) == 0
    printed = capsys.readouterr()
    assert "1/1 noticed" in printed.out and "2 of 2 noticed" in printed.out


def test_a_change_that_makes_tests_run_for_ever_is_noticed(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mutations, "MOST_SECONDS", 2.0)
    (project / "tests/stream/test_sums.py").write_text("def test_half():\n    while True:\n        pass\n")
    (tmp_path / "work").mkdir()
    chosen = Result("livecap/stream/sums.py", 2, "    return x / 2", "/", "*", "half")
    change = find(chosen, SOURCE)
    assert change is not None
    test = mutations.Test("tests/stream/test_sums.py::test_half", 0.0, True, frozenset())
    with closing(mutations.Copy(tmp_path / "work", project)) as copy:
        assert copy.tried(chosen, change, [test]).outcome == "hung"


def test_results_of_another_run_are_refused_in_a_sentence(
    project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.json"
    out.write_text(json.dumps({"packages": ["stream"], "seed": 1, "chosen": 3, "changes": []}))
    assert main(["stream", "--changes", "3", "--seed", "2", "--out", str(out)], project) == 1
    out.write_text("[]")
    assert main(["stream", "--out", str(out)], project) == 1
    assert main(["nothing"], project) == 1
    assert main(["stream"], project) == 1
    for word, line in zip(
        ("other seed", "no results", "livecap/nothing", "2 lines"), capsys.readouterr().err.splitlines(), strict=True
    ):
        assert word in line

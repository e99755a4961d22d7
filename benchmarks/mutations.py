"""Does the suite notice? Random one-token changes of livecap, and the share that its tests notice.

    python -m benchmarks.mutations --out docs/benchmarks/mutations.json
    python -m benchmarks.mutations --out docs/benchmarks/mutations.json --again survivors
    python -m benchmarks.mutations archive --changes 60 --out archive.json

A random line of the packages is chosen, and a random change of it: another operator or constant, a condition reversed,
a statement or a return value left out, two arguments exchanged, a key misspelt. For each change the mirrored tests run
until one fails: those in the folder of the package, and the files elsewhere that import the changed file. Of these, the
tests that run the changed function are taken, the quickest first; those that take longer than --slowest are left out.
A test that takes longer than a tenth of a second has to fail twice. A run without an end counts as noticed, too.

Everything happens in a copy of the checkout in a temporary folder. A run that was cut off continues: results stand in
the file after every change. A survivor of which no user could notice anything gets its "reason" there by hand.

Libraries were tried first: mutmut leaves out decorated functions and constants of modules, and forks a process with
MLX's threads; cosmic-ray changes the checkout itself and has one list of tests for all files.
"""

import argparse
import ast
import hashlib
import json
import os
import random
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from functools import cache
from math import sqrt
from pathlib import Path
from typing import Any

import pytest

from benchmarks.mutation_points import Change, points
from livecap.errors import LivecapError, SettingsError
from livecap.eval.bounds import missed, parse_bound
from livecap.eval.output import store_figures
from livecap.eval.provenance import machine

ROOT = Path(__file__).parents[1]
PACKAGES = ("stream", "model", "session", "audio_in")
SLOWEST_SECONDS = 3.0
MOST_SECONDS = 90.0
"""A test that has not ended after this time, many times that of the slowest one, hangs."""
LEFT_OUT = ("tests/eval/test_live_and_offline.py",)
"""Its tests share the text of all recordings, which takes minutes and is measured as the time of the first one only."""
QUICK_SECONDS = 0.1
"""A slower test has to fail twice."""
PYTEST = (
    "-x -q -n0 --tb=no -p no:cacheprovider -p benchmarks.mutation_plugin -W ignore::pytest.PytestAssertRewriteWarning"
).split()


class Outcome(StrEnum):
    """What the tests said to a change."""

    NOTICED = "noticed"
    HUNG = "hung"
    """The tests did not end; counts as noticed."""
    SURVIVED = "survived"
    GONE = "gone"
    """The line has been rewritten since it was chosen."""


@dataclass(frozen=True, slots=True)
class Result:
    """One change and its outcome, as it is stored."""

    file: str
    line: int
    code: str
    """The whole line before the change; it finds the place again in later sources."""
    before: str
    after: str
    function: str | None
    outcome: str = ""
    """An Outcome; "" until it is tried."""
    by: str = ""
    """The test that failed."""
    n_tests: int = 0
    """Tests that could have noticed."""
    seconds: float = 0.0
    reason: str = ""
    """Why a survivor may survive; written by hand."""

    def __str__(self) -> str:
        before, after = (" ".join(text.split()) for text in (self.before, self.after))
        return f"{self.file}:{self.line}: {before[:60]} → {after[:60]}   | {self.code.strip()[:90]}"


@dataclass(frozen=True, slots=True)
class Test:
    """A test as it was measured on the unchanged copy."""

    name: str
    seconds: float
    passes: bool
    functions: frozenset[str]

    @property
    def file(self) -> str:
        return self.name.split("::")[0]


def choose(packages: Sequence[str], n_changes: int, seed: int, root: Path) -> list[Result]:
    """Random changes, each of another place: first a line, then a change of it.

    Raises:
        SettingsError: there is no such package, or it has fewer places.
    """
    lines: list[tuple[str, str, list[list[Change]]]] = []
    for package in packages:
        files = sorted((root / "livecap" / package).rglob("*.py"))
        if not files:
            raise SettingsError(f"There is no package livecap/{package}.")
        for path in files:
            source = path.read_text(encoding="utf-8")
            by_line: dict[int, list[list[Change]]] = {}
            for changes in points(source):
                by_line.setdefault(changes[0].line, []).append(changes)
            texts = source.splitlines()
            name = path.relative_to(root).as_posix()
            lines += [(name, texts[line - 1], places) for line, places in sorted(by_line.items())]
    if len(lines) < n_changes:
        raise SettingsError(f"{', '.join(packages)} have {len(lines)} lines that can change: choose fewer changes.")
    chance = random.Random(seed)
    chosen = []
    for file, code, places in chance.sample(lines, n_changes):
        change = chance.choice(chance.choice(places))
        chosen.append(Result(file, change.line, code, change.before, change.after, change.function))
    return chosen


def find(result: Result, source: str) -> Change | None:
    """The chosen change in a source that may have other lines by now; None if it is not there. Of several it is the one
    in the same function, or the nearest."""
    lines = source.splitlines()
    same = [
        change
        for changes in points(source)
        for change in changes
        if lines[change.line - 1] == result.code and (change.before, change.after) == (result.before, result.after)
    ]
    return min(
        same, key=lambda change: (change.function != result.function, abs(change.line - result.line)), default=None
    )


class Copy:
    """A copy of the checkout whose sources may be changed."""

    def __init__(self, folder: Path, root: Path) -> None:
        self.root = folder / "livecap"
        self._shared = folder / "run"
        self._shared.mkdir()
        self._printed = self._shared / "printed"
        self._runs: subprocess.Popen[bytes] | None = None
        listed = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=root,
            capture_output=True,
            check=True,
        )
        for name in filter(None, listed.stdout.decode().split("\0")):
            if (root / name).is_file():
                (self.root / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(root / name, self.root / name)

    def source(self, file: str) -> str | None:
        """The text of a file; None where there is no such file by now."""
        path = self.root / file
        return path.read_text(encoding="utf-8") if path.is_file() else None

    def measure(self, files: Sequence[str]) -> dict[str, Any]:
        """The time, the result and the functions of each test in these files, by name."""
        init = self.root / "livecap" / "__init__.py"
        source = init.read_text(encoding="utf-8")
        shutil.copy(self.root / "benchmarks" / "mutation_reach.py", self.root / "livecap_reached.py")
        init.write_text(source + "\nimport livecap_reached  # noqa\n", encoding="utf-8")
        folder = self._shared / "measured"
        folder.mkdir()
        try:
            arguments = [argument for argument in PYTEST if argument != "-x"]
            variables = {"MUTATIONS_MEASURED": str(folder), "MUTATIONS_REACHED": str(folder / "import")}
            status = self._run([*arguments, *files], variables)
            if not (folder / "measured.json").exists():
                printed = self._printed.read_text(encoding="utf-8", errors="replace").strip()
                raise SettingsError(f"The tests cannot be run (status {status}): {printed[-2000:]}")
            measured: dict[str, Any] = json.loads((folder / "measured.json").read_text(encoding="utf-8"))
            return measured
        finally:
            init.write_text(source, encoding="utf-8")
            (self.root / "livecap_reached.py").unlink()
            shutil.rmtree(folder)

    def tried(self, result: Result, change: Change, tests: Sequence[Test]) -> Result:
        """Run the tests on the change, the quickest first."""
        path = self.root / result.file
        source = path.read_text(encoding="utf-8")
        began = time.monotonic()
        path.write_text(change.applied(source), encoding="utf-8")
        _forget_compiled(path)
        try:
            outcome, by = self._noticed(sorted(tests, key=lambda test: test.seconds))
        finally:
            path.write_text(source, encoding="utf-8")
            _forget_compiled(path)
        seconds = round(time.monotonic() - began, 1)
        return replace(result, line=change.line, outcome=outcome, by=by, n_tests=len(tests), seconds=seconds)

    def _noticed(self, tests: Sequence[Test]) -> tuple[Outcome, str]:
        """The outcome, and the test that failed. A slow test that fails only once is left out, and the rest go on."""
        tests = list(tests)
        while tests:
            status, failed = self._tests(tests)
            if status is None:
                return Outcome.HUNG, failed
            if status == 0:
                break
            again = [test for test in tests if test.name == failed]
            # Without a name the run itself broke: no import, or a crash. A quick test does not wait for anything.
            if not again or again[0].seconds < QUICK_SECONDS or self._tests(again)[0] != 0:
                return Outcome.NOTICED, failed
            tests = tests[tests.index(again[0]) + 1 :]
        return Outcome.SURVIVED, ""

    def _tests(self, tests: Sequence[Test]) -> tuple[int | None, str]:
        """The exit status, None where the tests took too long; and the name of the first that failed."""
        order, failed = self._shared / "order.json", self._shared / "failed"
        order.write_text(json.dumps([test.name for test in tests]), encoding="utf-8")
        failed.write_text("", encoding="utf-8")
        variables = {"MUTATIONS_ORDER": str(order), "MUTATIONS_FAILED": str(failed)}
        files = list(dict.fromkeys(test.file for test in tests))
        status = self._run([*PYTEST, *files], variables, failed)
        if status == pytest.ExitCode.NO_TESTS_COLLECTED:
            raise SettingsError(f"None of {len(tests)} tests was found: the tests in .cache/mutations.json are others.")
        return status, failed.read_text(encoding="utf-8")

    def _run(self, arguments: Sequence[str], variables: Mapping[str, str], sign: Path | None = None) -> int | None:
        """Run pytest in the copy; the exit status, None where `sign` was not touched for too long."""
        if self._runs is None:
            self._runs = subprocess.Popen(
                [sys.executable, "-m", "benchmarks.mutation_runs"],
                cwd=self.root,
                env=os.environ | {"PYTHONPATH": str(self.root), "CI": "1"},  # CI: the same random examples each time
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                bufsize=0,
            )
        assert self._runs.stdin is not None and self._runs.stdout is not None
        job = {"arguments": list(arguments), "variables": dict(variables), "printed": str(self._printed)}
        self._runs.stdin.write(json.dumps(job).encode() + b"\n")
        process = int(self._runs.stdout.readline())
        has_ended = False
        while not has_ended and (sign is None or time.time() - sign.stat().st_mtime < MOST_SECONDS):
            has_ended = bool(select.select([self._runs.stdout], [], [], 1.0)[0])
        with suppress(ProcessLookupError):
            os.killpg(process, signal.SIGKILL)  # with what a test left behind
        status = int(self._runs.stdout.readline())
        return status if has_ended else None

    def close(self) -> None:
        """End the process that starts the runs."""
        if self._runs is not None:
            with self._runs:  # closes its pipes, at which it ends, and waits
                pass


def _forget_compiled(path: Path) -> None:
    """Delete the compiled forms of a file: Python takes a change of the same length within a second for none."""
    for compiled in (path.parent / "__pycache__").glob(f"{path.stem}.*"):
        compiled.unlink()


class Tests:
    """The tests that may notice, with their times; measured once, and again where a test file has changed."""

    def __init__(self, copy: Copy, store: Path) -> None:
        self._copy = copy
        self._store = store
        self._known: dict[str, dict[str, Any]] = {}
        if store.exists():
            self._known = json.loads(store.read_text(encoding="utf-8"))

    def mirrored(self, file: str) -> list[str]:
        """The test files in the folder of the same package, and those that import this file."""
        package = file.split("/")[1]
        module = file.removesuffix(".py").replace("/", ".")
        tests = sorted((self._copy.root / "tests").rglob("test_*.py"))
        names = {path.relative_to(self._copy.root).as_posix(): path for path in tests}
        return [
            name
            for name, path in names.items()
            if name not in LEFT_OUT and (name.startswith(f"tests/{package}/") or module in _imported(path))
        ]

    def measure(self, files: Sequence[str]) -> None:
        """Measure the test files that are new or have changed."""
        marks = {file: hashlib.sha256((self._copy.root / file).read_bytes()).hexdigest() for file in files}
        new = [file for file, mark in marks.items() if self._known.get(file, {}).get("sha256") != mark]
        if not new:
            return
        print(f"measuring the tests of {len(new)} files", flush=True)
        measured = self._copy.measure(new)
        for file in new:
            tests = {name: test for name, test in measured.items() if name.split("::")[0] == file}
            self._known[file] = {"sha256": marks[file], "tests": tests}
        store_figures(self._store, self._known)

    def of(self, result: Result, slowest: float) -> list[Test]:
        """The tests that run the changed function, or its file where no test is seen to run the function: the quick
        ones, or the quickest three where all take longer than `slowest`."""
        tests = [
            Test(name, test["seconds"], test["passes"], frozenset(test["functions"]))
            for file in self.mirrored(result.file)
            for name, test in self._known[file]["tests"].items()
        ]
        tests = [test for test in tests if test.passes]
        if result.function is not None:
            running = [test for test in tests if f"{result.file} {result.function}" in test.functions]
            tests = running or [test for test in tests if any(name.startswith(result.file) for name in test.functions)]
        return [test for test in tests if test.seconds <= slowest] or sorted(tests, key=lambda test: test.seconds)[:3]


@cache
def _imported(path: Path) -> set[str]:
    """The dotted names that a file imports."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {node.module or ""} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def figures(results: Sequence[Result]) -> dict[str, Any]:
    """The share that was noticed, in all and by package; the interval holds the true share in 95% of all samples."""
    tried = [result for result in results if result.outcome in (Outcome.NOTICED, Outcome.HUNG, Outcome.SURVIVED)]
    noticed = [result for result in tried if result.outcome != Outcome.SURVIVED]
    by_package = {
        name: {"tried": n, "noticed": sum(_package(result) == name for result in noticed)}
        for name, n in sorted(Counter(map(_package, tried)).items())
    }
    return {
        "tried": len(tried),
        "noticed": len(noticed),
        "share": round(len(noticed) / len(tried), 3) if tried else None,
        "interval": _interval(len(noticed), len(tried)) if tried else None,
        "hung": sum(result.outcome == Outcome.HUNG for result in tried),
        "survivors_without_a_reason": sum(not result.reason for result in tried if result not in noticed),
        "by_package": by_package,
    }


def _package(result: Result) -> str:
    return result.file.split("/")[1]


def _interval(hits: int, n: int) -> list[float]:
    """Wilson's interval of 95% for a share."""
    z = 1.96
    middle = (hits + z * z / 2) / (n + z * z)
    half = z * sqrt(hits * (n - hits) / n + z * z / 4) / (n + z * z)
    return [round(max(0.0, middle - half), 3), round(min(1.0, middle + half), 3)]


def _stored(path: Path | None) -> dict[str, Any] | None:
    if path is None or not path.exists():
        return None
    try:
        stored: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        stored["changes"] = [Result(**change) for change in stored["changes"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SettingsError(f"{path} holds no results of this command ({error}): choose another --out.") from None
    return stored


def _chosen(options: argparse.Namespace, root: Path) -> list[Result]:
    """The changes of an earlier run that continues, or new ones."""
    packages = tuple(options.packages) or PACKAGES
    stored = _stored(options.out)
    if stored is None:
        return choose(packages, options.changes, options.seed, root)
    wanted = {"packages": list(packages), "seed": options.seed, "chosen": options.changes}
    if different := [name for name, value in wanted.items() if stored.get(name) != value]:
        raise SettingsError(
            f"{options.out} is of a run with other {', '.join(different)}: "
            "give the same options to continue it, or choose another --out."
        )
    results: list[Result] = stored["changes"]
    again = {"survivors": (Outcome.SURVIVED, Outcome.GONE), "all": tuple(Outcome), None: ()}[options.again]
    return [replace(result, outcome="") if result.outcome in again else result for result in results]


def run(options: argparse.Namespace, root: Path) -> list[Result]:
    """Try every change of the checkout `root` that has no outcome yet."""
    results = _chosen(options, root)

    def store() -> None:
        if options.out:
            stored = {"packages": options.packages or list(PACKAGES), "seed": options.seed, "chosen": options.changes}
            stored |= {"machine": machine(), "slowest_seconds": options.slowest} | figures(results)
            store_figures(options.out, stored | {"changes": [asdict(result) for result in results]})

    with tempfile.TemporaryDirectory(prefix="livecap.") as folder, closing(Copy(Path(folder), root)) as copy:
        tests = Tests(copy, root / ".cache" / "mutations.json")
        waiting = [i for i, result in enumerate(results) if not result.outcome]
        waiting.sort(key=lambda i: not results[i].seconds)  # first those that are tried again
        for n, i in enumerate(waiting):
            tests.measure(tests.mirrored(results[i].file))
            source = copy.source(results[i].file)
            change = find(results[i], source) if source is not None else None
            if change is None:
                results[i] = replace(results[i], outcome=Outcome.GONE)
            else:
                results[i] = copy.tried(results[i], change, tests.of(results[i], options.slowest))
            store()
            print(
                f"{n + 1}/{len(waiting)} {results[i].outcome:8} {results[i].seconds:5.0f} s  {results[i]}", flush=True
            )
    return results


def main(arguments: Sequence[str] | None = None, root: Path = ROOT) -> int:
    """The exit status: 1 where a bound is missed."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.mutations",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("packages", nargs="*", metavar="PACKAGE", help=f"default: {' '.join(PACKAGES)}")
    parser.add_argument("--changes", type=int, default=200, metavar="N", help="how many changes (default: 200)")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="which ones (default: 1)")
    parser.add_argument(
        "--slowest",
        type=float,
        default=SLOWEST_SECONDS,
        metavar="SECONDS",
        help="leave out tests that take longer (default: 3)",
    )
    parser.add_argument(
        "--again", choices=("survivors", "all"), help="try changes of --out once more on the present files"
    )
    parser.add_argument(
        "--require", metavar="BOUND", action="append", default=[], help='fail where missed, such as "share >= 0.85"'
    )
    parser.add_argument("--out", type=Path, metavar="FILE", help="the results; a run with the same FILE continues")
    options = parser.parse_args(arguments)
    try:
        bounds = [parse_bound(text) for text in options.require]
        results = run(options, root)
        found = figures(results)
        complaints = missed(found, bounds)
    except LivecapError as error:
        print(f"mutations: {error}", file=sys.stderr)
        return 1
    for result in results:
        if result.outcome == Outcome.SURVIVED:
            print(f"survived {result}" + (f"   ({result.reason})" if result.reason else ""))
    if found["tried"]:
        low, high = found["interval"]
        interval = f"95% interval {low:.1%} to {high:.1%}"
        print(f"{found['noticed']} of {found['tried']} noticed: {found['share']:.1%}, {interval}; {found['hung']} hung")
    for line in complaints:
        print(f"mutations: {line}", file=sys.stderr)
    return int(bool(complaints))


if __name__ == "__main__":
    sys.exit(main())

"""A pytest plugin for `python -m benchmarks.mutations`; it runs inside the copy that the command makes.

Environment variables name what it shares with the command:

- `MUTATIONS_ORDER`: the file of the tests to run, in this order, as a JSON list; all others are left out;
- `MUTATIONS_FAILED`: a file that gets the name of the first test that failed; it is touched when a test ends;
- `MUTATIONS_MEASURED`: a folder; its `measured.json` gets the time of each test and the functions of livecap that it
  runs.
"""

import json
import os
import sys
import time
from collections import defaultdict
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase, settings

_seconds: dict[str, float] = defaultdict(float)
_failed: list[str] = []
_fixtures: dict[str, list[str]] = {}
_fixture_seconds: dict[str, float] = defaultdict(float)
"""Time of fixtures that several tests share: each of these tests may have to wait for it."""
_notes = Path(os.environ["MUTATIONS_MEASURED"]) if "MUTATIONS_MEASURED" in os.environ else None
"""Gets a file for each test, and for each fixture that several tests share: the functions that it ran."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection() -> None:
    """A failing example is enough; looking for the shortest one takes minutes."""
    settings.register_profile("mutations", settings(), phases=[Phase.explicit, Phase.generate])
    settings.load_profile("mutations")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if order := os.environ.get("MUTATIONS_ORDER"):
        places = {name: place for place, name in enumerate(json.loads(Path(order).read_text(encoding="utf-8")))}
        config.hook.pytest_deselected(items=[item for item in items if item.nodeid not in places])
        items[:] = sorted((item for item in items if item.nodeid in places), key=lambda item: places[item.nodeid])
    for item in items:
        _fixtures[item.nodeid] = list(getattr(item, "fixturenames", ()))


def _note_for(name: str) -> str | None:
    """The functions that run from now on belong to this test or fixture; the name before."""
    before = os.environ.get("MUTATIONS_REACHED")
    if _notes is not None:
        os.environ["MUTATIONS_REACHED"] = name
        if reached := sys.modules.get("livecap_reached"):
            reached.again()
    return before


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    if _notes is not None:
        _note_for(str(_notes / f"test-{list(_fixtures).index(item.nodeid)}"))
    return (yield)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_fixture_setup(fixturedef: pytest.FixtureDef[Any]) -> Generator[None, object, object]:
    if _notes is None or fixturedef.scope == "function":
        return (yield)
    before = _note_for(str(_notes / f"fixture-{fixturedef.argname}"))
    began = time.monotonic()
    try:
        return (yield)
    finally:
        _note_for(before or "")
        took = time.monotonic() - began
        _fixture_seconds[fixturedef.argname] = max(took, _fixture_seconds[fixturedef.argname])


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if path := os.environ.get("MUTATIONS_FAILED"):
        os.utime(path)
    _seconds[report.nodeid] += report.duration
    if report.failed:
        _failed.append(report.nodeid)


def pytest_sessionfinish() -> None:
    if path := os.environ.get("MUTATIONS_FAILED"):
        Path(path).write_text(_failed[0] if _failed else "", encoding="utf-8")
    if _notes is None:
        return
    measured = {}
    for place, (name, fixtures) in enumerate(_fixtures.items()):
        files = [_notes / f"test-{place}", *(_notes / f"fixture-{fixture}" for fixture in fixtures)]
        functions = {line for file in files if file.exists() for line in file.read_text(encoding="utf-8").splitlines()}
        if name in _seconds:
            measured[name] = {
                "seconds": round(max([_seconds[name], *(_fixture_seconds[fixture] for fixture in fixtures)]), 3),
                "passes": name not in _failed,
                "functions": sorted(functions),
            }
    (_notes / "measured.json").write_text(json.dumps(measured), encoding="utf-8")

"""Divided work is done once and completely, on any system."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livecap.model.numpy import cores
from livecap.model.numpy.cores import share_out


@pytest.fixture
def counted_again() -> Iterator[None]:
    cores.n_cores.cache_clear()
    yield
    cores.n_cores.cache_clear()


@given(st.integers(0, 500), st.integers(1, 70), st.integers(1, 600))
def test_every_item_is_worked_on_once(n: int, piece: int, fewest: int) -> None:
    done = [0] * n

    def work(start: int, stop: int) -> None:
        assert start % piece == 0
        for i in range(start, stop):
            done[i] += 1

    share_out(work, n, piece, fewest)
    assert done == [1] * n


def test_an_error_on_another_core_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cores, "n_cores", lambda: 2)

    def work(start: int, stop: int) -> None:
        assert start == 0, "the second half fails"

    with pytest.raises(AssertionError, match="second half"):
        share_out(work, 2, 1)


def test_after_an_error_no_thread_works_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cores, "n_cores", lambda: 2)
    ended = []

    def work(start: int, stop: int) -> None:
        if start == 0:
            raise KeyboardInterrupt
        time.sleep(0.05)
        ended.append(start)

    with pytest.raises(KeyboardInterrupt):
        share_out(work, 2, 1)
    assert ended == [1]


@pytest.mark.parametrize("module", ["livecap.__main__", "livecap.model.backend"])
@pytest.mark.parametrize("set_before", [None, "26"])
def test_openblas_is_kept_from_spinning_before_numpy_loads_it(module: str, set_before: str | None) -> None:
    rest = {name: value for name, value in os.environ.items() if name != "OPENBLAS_THREAD_TIMEOUT"}
    environment = rest | ({"OPENBLAS_THREAD_TIMEOUT": set_before} if set_before else {})
    code = (
        "import os, sys\n"
        "class Loading:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'numpy': print(os.environ['OPENBLAS_THREAD_TIMEOUT'])\n"
        "sys.meta_path.insert(0, Loading())\n"
        f"import {module}, numpy"
    )
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [set_before or "20"]


def test_importing_the_package_leaves_the_environment_alone() -> None:
    code = "import os; before = dict(os.environ); import livecap; print(dict(os.environ) == before)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True"]


@pytest.mark.usefixtures("counted_again")
def test_a_mac_has_cores_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENBLAS_NUM_THREADS", raising=False)
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(sys, "platform", "darwin")
    assert cores.n_cores() == os.cpu_count()

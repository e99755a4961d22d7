"""Work in several processes: results in order, and an end at once."""

import os
import threading
from multiprocessing import active_children
from pathlib import Path

import pytest

from livecap.errors import ModelError
from livecap.eval.processes import results_of


def doubled(number: int) -> int:
    return 2 * number


def late(path: Path | None) -> None:
    """Without a path nothing happens; a path is touched after a minute."""
    if path is not None:
        threading.Event().wait(60)
        path.touch()


def killed(status: int) -> None:
    os._exit(status)


@pytest.mark.parametrize("n_processes", [1, 2])
def test_results_come_in_order(n_processes: int) -> None:
    with results_of(doubled, [3, 1, 2], n_processes) as results:
        assert list(results) == [6, 2, 4]


def test_an_interrupt_waits_for_no_process(tmp_path: Path) -> None:
    before = active_children()
    with pytest.raises(KeyboardInterrupt):  # noqa: PT012 - as where Ctrl-C comes while a result is waited for
        with results_of(late, [None, tmp_path / "a", tmp_path / "b", tmp_path / "c"], 2) as results:
            assert next(iter(results)) is None
            raise KeyboardInterrupt
    assert active_children() == before and list(tmp_path.iterdir()) == []


def test_a_process_that_is_killed_is_one_sentence() -> None:
    with pytest.raises(ModelError, match="perhaps because the memory is full. Try again with fewer --jobs."):
        with results_of(killed, [9, 9, 9], 2) as results:
            list(results)

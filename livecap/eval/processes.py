"""Work on several items at once, each in a process of its own. Light to import: each process begins with it."""

import multiprocessing
import signal
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import TypeVar

from livecap.errors import ModelError

Item = TypeVar("Item")
Result = TypeVar("Result")


@contextmanager
def results_of(
    function: Callable[[Item], Result], items: Sequence[Item], n_processes: int
) -> Iterator[Iterable[Result]]:
    """What `function` returns for each item, in order, as they are finished; with 1, in this process. An exception
    inside the block, such as that of Ctrl-C, ends the processes at once.

    Raises:
        ModelError: a process was killed, inside the block.
    """
    if n_processes == 1:
        yield map(function, items)
        return
    others = multiprocessing.active_children()
    context = multiprocessing.get_context("spawn")  # MLX does not survive a fork
    with ProcessPoolExecutor(n_processes, context, _ignore_interrupts) as pool:
        try:
            yield pool.map(function, items)
        except BrokenProcessPool:
            raise ModelError(
                "A process that measures was ended, perhaps because the memory is full. Try again with fewer --jobs."
            ) from None
        except BaseException:
            for process in multiprocessing.active_children():
                if process not in others:
                    process.terminate()
            raise


def _ignore_interrupts() -> None:
    """The terminal sends Ctrl-C to all processes, and the first one ends the others."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)

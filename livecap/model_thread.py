"""ModelThread: the one thread that owns a model. The Python API and all servers compute through it.

MLX's streams belong to the thread that made them, so a model is loaded, used and closed on the same thread.
"""

import atexit
import os
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

from livecap.errors import ModelError

T = TypeVar("T")
END_SECONDS = 5.0
"""How long the end of the program waits for a model that was not closed."""
FORKED = (
    "This process was forked from one that had loaded a model, and no model works in it. Load models only after the "
    'fork, or use the start method "spawn" of multiprocessing.'
)
_first_process: int | None = None
"""The process that started the first of these threads. In those that are forked from it later, MLX waits for ever."""


def _is_forked() -> bool:
    return _first_process not in (None, os.getpid())


class ModelThread:
    """Runs calls in order on a thread of its own. Any thread may use it."""

    def __init__(self) -> None:
        """
        Raises:
            ModelError: this process was forked from one that had such a thread.
        """
        global _first_process
        if _is_forked():
            raise ModelError(FORKED)
        _first_process = os.getpid()
        self._calls: queue.SimpleQueue[tuple[Callable[[], Any], Future[Any]] | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        """Held while a call is added, so that none comes after the last one."""
        self._is_stopped = False
        self.at_exit: Callable[[], None] = lambda: None
        """Called on the thread when the program ends and the model was not closed."""
        self._thread = threading.Thread(target=self._work, name="livecap-model", daemon=True)
        self._thread.start()
        atexit.register(self._end)

    def is_here(self) -> bool:
        """True on this thread, as in a callback."""
        return threading.current_thread() is self._thread

    def submit(self, call: Callable[[], T]) -> "Future[T]":
        """Run a call after those before it. After `stop`, and in a process that was forked since, it is not run, and
        the future has a ModelError."""
        future: Future[T] = Future()
        if _is_forked():
            future.set_exception(ModelError(FORKED))
            return future
        with self._lock:
            if not self._is_stopped:
                self._calls.put((call, future))
                return future
        future.set_exception(ModelError("This engine is closed. Load the model again."))
        return future

    def run(self, call: Callable[[], T]) -> T:
        """The result of a call; the caller waits for it."""
        if self.is_here():
            return call()
        future = self.submit(call)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def stop(self, seconds: float | None = None, last: Callable[[], object] = lambda: None) -> None:
        """End the thread after the calls before this one, and wait for it.

        Args:
            seconds: wait no longer than this; a call that still runs then does not keep the program from ending.
            last: called on the thread before it ends.
        """
        atexit.unregister(self._end)
        if _is_forked():
            return  # the thread is in the other process
        with self._lock:
            if not self._is_stopped:
                self._is_stopped = True
                self._calls.put((last, Future()))
                self._calls.put(None)
        if not self.is_here():
            self._thread.join(seconds)

    def _work(self) -> None:
        while (item := self._calls.get()) is not None:
            call, future = item
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(call())
                except BaseException as error:
                    future.set_exception(error)
            del item, call, future  # what they refer to is not needed until the next call

    def _end(self) -> None:
        self.stop(END_SECONDS, self.at_exit)

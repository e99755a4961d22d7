"""ModelThread: the one thread that owns a model. The Python API and all servers compute through it.

MLX's streams belong to the thread that made them, so a model is loaded, used and closed on the same thread.
"""

import atexit
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

T = TypeVar("T")
END_SECONDS = 5.0
"""How long the end of the program waits for a model that was not closed."""


class ModelThread:
    """Runs calls in order on a thread of its own. Any thread may use it."""

    def __init__(self) -> None:
        self._calls: queue.SimpleQueue[tuple[Callable[[], Any], Future[Any]] | None] = queue.SimpleQueue()
        self.at_exit: Callable[[], None] = lambda: None
        """Called on the thread when the program ends and the model was not closed."""
        self._thread = threading.Thread(target=self._work, name="livecap-model", daemon=True)
        self._thread.start()
        atexit.register(self._end)

    def is_here(self) -> bool:
        """True on this thread, as in a callback."""
        return threading.current_thread() is self._thread

    def submit(self, call: Callable[[], T]) -> "Future[T]":
        """Run a call after those before it."""
        future: Future[T] = Future()
        self._calls.put((call, future))
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

    def stop(self, seconds: float | None = None) -> None:
        """End the thread after the calls before this one, and wait for it.

        Args:
            seconds: wait no longer than this; a call that still runs then does not keep the program from ending.
        """
        atexit.unregister(self._end)
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
        self._calls.put((self.at_exit, Future()))
        self._calls.put(None)
        self._thread.join(END_SECONDS)

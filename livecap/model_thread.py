"""ModelThread: the one thread that owns a model. The Python API and all servers compute through it.

MLX's streams belong to the thread that made them, so a model is loaded, used and closed on the same thread.
"""

import atexit
import ctypes
import os
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from typing import Any, TypeVar

from livecap.errors import ModelError

T = TypeVar("T")
END_SECONDS = 10.0
"""How long the end of the program waits for a call that it has interrupted, such as for one step of a large model."""
INTERRUPT_SECONDS = 1.0
"""How long it waits before it interrupts the call again, which may have gone on."""
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
        self._last: Callable[[], object] = lambda: None
        """Called on the thread before it ends."""
        self._is_ending = False
        """The program ends, and calls that wait are left out."""
        self._is_interruptible = True
        """False once the last call begins, after which the thread ends by itself."""
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
            seconds: wait no longer than this. A call that still runs when the program ends is interrupted.
            last: called on the thread before it ends.
        """
        if _is_forked():
            atexit.unregister(self._end)
            return  # the thread is in the other process
        with self._lock:
            if not self._is_stopped:
                self._is_stopped, self._last = True, last
                self._calls.put(None)
        if not self.is_here():
            self._thread.join(seconds)

    def _work(self) -> None:
        while self._is_interruptible:
            try:
                self._carry_out_calls()
                with self._lock:
                    self._is_interruptible = False
                _raise_on(self._thread, None)  # an interrupt that has not arrived yet is dropped
            except BaseException:
                pass  # an interrupt between two calls: errors of calls are in their futures
        while not self._calls.empty():
            if item := self._calls.get():
                item[1].cancel()
        last, self._last = self._last, lambda: None  # what it refers to is not needed afterwards
        _carry_out(last, Future())
        atexit.unregister(self._end)

    def _carry_out_calls(self) -> None:
        while not self._is_ending and (item := self._calls.get()) is not None:
            _carry_out(*item)
            del item  # what it refers to is not needed until the next call

    def _end(self) -> None:
        """End the thread with the program, in which nobody waits for a result any more. A call that runs is
        interrupted: MLX aborts the process if it ends while this thread has streams.
        """
        self.stop(0, self.at_exit)  # first: once it is ending, the thread looks for its last call
        self._is_ending = True
        with suppress(KeyboardInterrupt):  # the user does not want to wait
            for _ in range(int(END_SECONDS / INTERRUPT_SECONDS)):
                if not self._thread.is_alive():
                    break
                with self._lock:
                    if self._is_interruptible:
                        _raise_on(self._thread, SystemExit)
                self._thread.join(INTERRUPT_SECONDS)


def _carry_out(call: Callable[[], Any], future: "Future[Any]") -> None:
    if future.set_running_or_notify_cancel():
        try:
            future.set_result(call())
        except BaseException as error:
            future.set_exception(error)
            del call, future  # the error refers to this frame


def _raise_on(thread: threading.Thread, error: type[BaseException] | None) -> None:
    """Raise an error on another thread, as soon as it runs Python code. None: drop the one that has not arrived."""
    raised = ctypes.py_object() if error is None else ctypes.py_object(error)
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident or 0), raised)

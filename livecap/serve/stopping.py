"""GracefulStop: ends `livecap serve`: work in progress is finished, and all other clients are told."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from livecap.serve.worker import Stopping, Worker

LOOK_SECONDS = 0.05
"""Time between two looks whether everything is finished."""
TELL_SECONDS = 5.0
"""Once everything is finished: how long live clients may take to read the end, and clients of jobs to ask for it."""

T = TypeVar("T")


class GracefulStop:
    """The end of a server, on its event loop."""

    def __init__(self, worker: Worker, all_are_told: Callable[[], bool]) -> None:
        """
        Args:
            all_are_told: asked after the work is finished; False while a client may still ask for a result.
        """
        self._worker, self._all_are_told = worker, all_are_told
        self._waits: set[asyncio.Timeout] = set()
        self._n_live = 0
        self.is_begun = False

    @contextmanager
    def live(self) -> Iterator[None]:
        """For the time of a live connection: the server waits until it is closed."""
        self._n_live += 1
        try:
            yield
        finally:
            self._n_live -= 1

    async def unless_stopping(self, call: Callable[[], Awaitable[T]], seconds: float | None) -> T:
        """The result of a call that waits for a client.

        Args:
            seconds: the longest time; None for any.

        Raises:
            Stopping: the server stops before there is one.
            TimeoutError: there was none in time.
        """
        if self.is_begun:
            raise Stopping
        try:
            async with asyncio.timeout(seconds) as wait:
                self._waits.add(wait)
                try:
                    return await call()
                finally:
                    self._waits.discard(wait)
        except TimeoutError:
            if self.is_begun:
                raise Stopping from None
            raise

    async def run(self, seconds: float) -> None:
        """Take nothing more, finish what runs, for at most so long, and release the model."""
        self.is_begun = True
        self._worker.take_nothing_more()
        now = asyncio.get_running_loop().time
        for wait in self._waits:
            if not wait.expired():  # its call ends by itself
                wait.reschedule(now())
        end = now() + seconds
        while self._worker.is_used and now() < end:
            await asyncio.sleep(LOOK_SECONDS)
        await asyncio.to_thread(self._worker.close)
        end = now() + TELL_SECONDS
        while (self._n_live or not self._all_are_told()) and now() < end:
            await asyncio.sleep(LOOK_SECONDS)

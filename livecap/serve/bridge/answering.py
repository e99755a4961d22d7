"""Answering: sends the answers of requests, those without an id in the order of the requests."""

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import CancelledError

from livecap.errors import LivecapError, one_line
from livecap.serve.bridge.requests import Record, Request, error_record

Answer = Record | Awaitable[Record]
"""An answer that is known, or will be."""
CANCELLED: Record = {"type": "error", "code": "cancelled", "message": "It was stopped before it was finished."}


class Answering:
    """Belongs to the thread of the bridge's event loop."""

    def __init__(self, send: Callable[[Record], None], report: Callable[[str], None]) -> None:
        """
        Args:
            send: writes a record.
            report: gets a sentence about each fault of livecap.
        """
        self._send, self._report = send, report
        self._unanswered: dict[asyncio.Task[None], asyncio.Future[Record] | None] = {}
        """What sends each answer, and the answer that it waits for."""
        self._last: asyncio.Task[None] | None = None
        """The answer to the last request without an id."""

    @property
    def n_unanswered(self) -> int:
        """Requests that wait for their answers."""
        return len(self._unanswered)

    def answer(self, request: Request | None, answer: Answer) -> None:
        """Answer a request; None for a line that is not one."""
        before = self._last if request is None or request.id is None else None
        later = None if isinstance(answer, dict) else asyncio.ensure_future(answer)
        task = asyncio.create_task(self._finish(request, later or answer, before))
        self._unanswered[task] = later
        task.add_done_callback(self._unanswered.pop)
        if request is None or request.id is None:
            self._last = task

    async def all_sent(self) -> None:
        """Wait until every request so far has its answer."""
        if self._unanswered:
            await asyncio.wait(self._unanswered)

    async def cancel(self) -> None:
        """Answer the requests whose answers are not known yet: they were stopped."""
        for later in self._unanswered.values():
            if later is not None:
                later.cancel()
        await self.all_sent()

    async def _finish(self, request: Request | None, answer: Answer, before: "asyncio.Task[None] | None") -> None:
        """Send the answer once it is known, and that before it was sent."""
        try:
            record = answer if isinstance(answer, dict) else await answer
        except (asyncio.CancelledError, CancelledError):
            record = dict(CANCELLED)
        except LivecapError as error:
            record = error_record(error)
        except Exception as error:
            record = self.fault(error)
        if request is not None and record["type"] == "error":
            record["request"] = request.kind
        if before is not None:
            await asyncio.wait([before])
        self._send(record | (id_of(request) if request else {}))
        if request is not None:
            request.on_answered()

    def fault(self, error: Exception) -> Record:
        """The answer where livecap itself failed, which is reported."""
        self._report(f"A request failed: {one_line(error)}.")
        return {"type": "error", "code": "failed", "message": "livecap failed with this request; see its log."}


def id_of(request: Request) -> Record:
    """What an answer repeats of its request."""
    return {} if request.id is None else {"id": request.id}

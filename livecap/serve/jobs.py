"""Jobs: recordings that are transcribed while no client waits, at /transcribe and /jobs/ID."""

import asyncio
import secrets
import time
from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from livecap.errors import LivecapError
from livecap.serve.openai_rest import Transcriptions, Wanted
from livecap.serve.requests import JSONAnswer, Refused, refused
from livecap.serve.worker import Job, Stopping
from livecap.transcribe.recordings import Progress
from livecap.transcribe.result import Transcription

KEEP_SECONDS = 3600.0
"""How long a finished job and its text are kept."""
MOST_FINISHED = 256
"""Finished jobs that are kept; the one that finished first is forgotten first."""


@dataclass(eq=False)
class _Kept:
    """A job that a client may ask about."""

    wanted: Wanted
    created: int
    """Unix time."""
    progress: Progress | None = None
    """None before the first batch is decoded."""
    job: Job[Transcription] | None = None
    """None while it is being submitted."""
    finished: float | None = None
    """Moment by the clock of `Jobs`; None while it waits or runs."""
    is_told: bool = False
    """A client has seen its result."""


class Jobs:
    """The endpoints. Jobs are kept in memory and end with the server."""

    def __init__(self, rest: Transcriptions, clock: Callable[[], float] = time.monotonic) -> None:
        """
        Args:
            clock: seconds; moments of it decide how long a finished job is kept.
        """
        self._rest = rest
        self._clock = clock
        self._jobs: dict[str, _Kept] = {}

    async def create(self, request: Request) -> Response:
        """POST /transcribe: takes the form of /v1/audio/transcriptions, and answers at once."""
        kept: _Kept | None = None

        def on_progress(progress: Progress) -> None:
            assert kept is not None
            kept.progress = progress

        def on_done(done: "Future[Transcription]") -> None:
            assert kept is not None
            kept.finished = self._clock()

        try:
            wanted, recording = await self._rest.received(request)
            if wanted.streams:
                recording.discard()
                raise Refused(400, "A job is not streamed; ask GET /jobs/ID how far it is.", "stream")
            kept = _Kept(wanted, int(time.time()))
            kept.job = self._rest.begin(recording, wanted, on_progress=on_progress)
        except LivecapError as error:
            return refused(error).response
        kept.job.done.add_done_callback(on_done)
        self._forget()
        name = secrets.token_urlsafe(16)
        self._jobs[name] = kept
        return JSONAnswer(await asyncio.to_thread(self._state, name, kept), 202, {"Location": f"/jobs/{name}"})

    async def show(self, request: Request) -> Response:
        """GET /jobs/ID."""
        try:
            name, kept = self._found(request)
        except Refused as error:
            return error.response
        return JSONAnswer(await asyncio.to_thread(self._state, name, kept))  # subtitles of hours take seconds

    async def remove(self, request: Request) -> Response:
        """DELETE /jobs/ID: stops it after the piece that is being decoded, and forgets it."""
        try:
            name, kept = self._found(request)
        except Refused as error:
            return error.response
        assert kept.job is not None
        kept.job.stop()
        del self._jobs[name]
        return Response(status_code=204)

    @property
    def all_are_told(self) -> bool:
        """False while a client has not seen the result of its job."""
        return all(kept.is_told for kept in self._jobs.values())

    def _found(self, request: Request) -> tuple[str, _Kept]:
        self._forget()
        name = request.path_params["name"]
        if name not in self._jobs:
            raise Refused(404, "There is no such job. It may be forgotten.", code="job_not_found")
        return name, self._jobs[name]

    def _forget(self) -> None:
        """Forget jobs that finished long ago, or before many others."""
        finished = sorted((kept.finished, name) for name, kept in self._jobs.items() if kept.finished is not None)
        n_too_many = len(finished) - MOST_FINISHED
        for number, (moment, name) in enumerate(finished):
            if number < n_too_many or self._clock() - moment >= KEEP_SECONDS:
                del self._jobs[name]

    def _state(self, name: str, kept: _Kept) -> dict[str, Any]:
        """A job as its client sees it."""
        job = kept.job
        assert job is not None
        state: dict[str, Any] = {"id": name, "object": "transcription.job", "created": kept.created}
        if not job.done.done():
            state["status"] = "running" if job.done.running() else "waiting"
            if kept.progress is not None:
                state["done_seconds"] = round(kept.progress.done_seconds, 3)
                state["duration_seconds"] = kept.progress.duration_seconds
            return state
        kept.is_told = True
        try:
            said = job.done.result()
        except CancelledError:  # by the server: a client that stops a job no longer sees it
            return state | {"status": "failed"} | refused(Stopping()).body
        except LivecapError as error:
            return state | {"status": "failed"} | refused(error).body
        return state | {"status": "done", "result": self._rest.content(said, kept.wanted)}

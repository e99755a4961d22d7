"""The application of `livecap serve`: all interfaces over one worker, health and metrics."""

import asyncio
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from livecap.errors import one_line
from livecap.serve.access import OwnHosts
from livecap.serve.deepgram import listen
from livecap.serve.events import events
from livecap.serve.jobs import Jobs
from livecap.serve.live import endpoint
from livecap.serve.metrics import MEDIA_TYPE, Counted, Requests, metrics_text
from livecap.serve.openai_rest import Transcriptions
from livecap.serve.rate import Rate
from livecap.serve.realtime import realtime
from livecap.serve.requests import Guard, Refused
from livecap.serve.stopping import GracefulStop
from livecap.serve.worker import Worker

NOTHING_HERE = "There is nothing at this path."
CORS: dict[str, Any] = {
    "allow_methods": ("GET", "POST", "DELETE"),
    "allow_headers": ("*",),  # clients of OpenAI in a browser send many of their own
    "allow_private_network": True,
    "expose_headers": ("Location", "Retry-After"),
}
"""What the pages of an origin that is allowed may do."""


def make_app(
    worker: Worker,
    uploads: Path,
    key: str | None,
    most_bytes: int,
    report: Callable[[str], None],
    folders: Sequence[Path] = (),
    rate: Rate | None = None,
    origins: Collection[str] = (),
) -> Starlette:
    """
    Args:
        worker: has loaded its model.
        uploads: a private folder for uploads.
        key: what clients must send; None for no key.
        most_bytes: of one request.
        report: gets a sentence about each fault of the server; a client is not told what it was.
        folders: absolute, without links; recordings below them may be named instead of uploaded.
        rate: counts the requests of each client; None counts with the usual limit.
        origins: web pages that may ask, besides those of this server.
    """
    rest = Transcriptions(worker, uploads, folders)
    jobs = Jobs(rest)
    stop = GracefulStop(worker, lambda: jobs.all_are_told)
    requests = Requests()

    async def health(request: Request) -> Response:
        return JSONResponse({"status": "stopping"}, 503) if stop.is_begun else JSONResponse({"status": "ok"})

    async def metrics(request: Request) -> Response:
        return PlainTextResponse(await asyncio.to_thread(metrics_text, worker, requests), media_type=MEDIA_TYPE)

    async def on_refused(request: Request, error: Exception) -> Response:
        assert isinstance(error, Refused)
        return error.response

    async def on_http_error(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        sentence = {404: NOTHING_HERE, 405: "This path does not take that method."}
        unread = f"The request cannot be read: {error.detail}"
        refused = Refused(error.status_code, sentence.get(error.status_code, unread))
        refused.headers.update(error.headers or {})
        return refused.response

    async def live_only(request: Request) -> Response:
        upgrade = Refused(426, "This path takes WebSockets.")
        upgrade.headers["Upgrade"] = "websocket"
        return upgrade.response

    async def nothing_here(client: WebSocket) -> None:
        await client.send_denial_response(Refused(404, NOTHING_HERE).response)

    async def on_left(request: Request, error: Exception) -> Response:
        return Refused(499, "The client left.").response

    async def on_fault(request: Request, error: Exception) -> Response:
        report(f"A request failed: {one_line(error)}.")
        return Refused(500, "The server failed with this request.").response

    app = Starlette(
        routes=[
            Route("/v1/audio/transcriptions", rest.transcriptions, methods=["POST"]),
            Route("/v1/audio/translations", rest.translations, methods=["POST"]),
            Route("/transcribe", jobs.create, methods=["POST"]),
            Route("/jobs/{name}", jobs.show),
            Route("/jobs/{name}", jobs.remove, methods=["DELETE"]),
            Route("/v1/models", rest.models),
            Route("/v1/models/{name:path}", rest.model, methods=["GET", "DELETE"]),
            WebSocketRoute("/v1/listen", endpoint(listen, worker, report)),
            WebSocketRoute("/v1/events", endpoint(events, worker, report)),
            WebSocketRoute("/v1/realtime", endpoint(realtime, worker, report)),
            Route("/health", health),
            Route("/metrics", metrics),
            *(Route(f"/v1/{name}", live_only, methods=["GET", "POST"]) for name in ("listen", "events", "realtime")),
            WebSocketRoute("/{path:path}", nothing_here),
        ],
        middleware=[
            Middleware(Counted, requests),
            Middleware(OwnHosts, origins),
            *([Middleware(CORSMiddleware, origins, **CORS)] if origins else []),
            Middleware(Guard, key, most_bytes, rate or Rate()),
        ],
        exception_handlers={
            Refused: on_refused,
            ClientDisconnect: on_left,
            HTTPException: on_http_error,
            Exception: on_fault,
        },
    )
    app.state.requests, app.state.stop = requests, stop
    return app

"""How uvicorn serves our applications: quiet, bounded, and without a header that names the server."""

import asyncio
import logging

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

MOST_CONNECTIONS = 500
PONG_SECONDS = 300.0
"""A client of a WebSocket that does not answer a ping for this long is gone. It cannot answer while it is not read."""
MOST_PAUSE_SECONDS = 25.0
"""A client that has not made room for so long is cut off: longer than sending to a WebSocket waits for it."""


class CutsOff(asyncio.Protocol):
    """A connection that is cut off if its client does not read. To close it would wait until the client has read."""

    loop: asyncio.AbstractEventLoop
    transport: asyncio.Transport
    _cut: asyncio.TimerHandle | None = None

    def pause_writing(self) -> None:
        super().pause_writing()
        self._cut = self.loop.call_later(MOST_PAUSE_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        self._keep()
        super().resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        self._keep()
        super().connection_lost(exc)

    def _keep(self) -> None:
        if self._cut is not None:
            self._cut.cancel()


class WebSockets(CutsOff, WebSocketsSansIOProtocol):
    """WebSockets."""


def config_of(app: ASGIApp, most_message_bytes: int, stop_seconds: int) -> uvicorn.Config:
    """The configuration of a server.

    Args:
        most_message_bytes: of one message of a WebSocket.
        stop_seconds: how long requests may go on once the server stops.
    """
    logging.getLogger("uvicorn").addHandler(logging.NullHandler())
    return uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        lifespan="off",
        ws=WebSockets,
        ws_ping_timeout=PONG_SECONDS,
        ws_max_size=most_message_bytes,
        limit_concurrency=MOST_CONNECTIONS,
        timeout_graceful_shutdown=stop_seconds,
        h11_max_incomplete_event_size=1 << 14,
        server_header=False,
    )

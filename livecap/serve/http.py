"""How uvicorn serves our applications: quiet, bounded, and without a header that names the server."""

import asyncio
import logging

import h11
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

MOST_CONNECTIONS = 500
PONG_SECONDS = 300.0
"""A client of a WebSocket that does not answer a ping for this long is gone. It cannot answer while it is not read."""
MOST_HEAD_SECONDS = 10.0
"""A client whose request, without its body, has not come for so long is cut off: it takes the place of another."""
MOST_BODY_PAUSE_SECONDS = 30.0
"""So is one of whose body nothing has come for so long, though the server reads it. Once the request is answered, the
rest of its body has so long in all."""
PROXIES = ("127.0.0.1", "::1", "::ffff:127.0.0.1")
"""Addresses of this computer: what a proxy there says about its clients is believed."""
MOST_PAUSE_SECONDS = 25.0
"""A client that has not made room for so long is cut off: longer than sending to a WebSocket waits for it."""
LEAST_READ_BYTES = 1 << 14
"""A client of a long answer that has read so much in that time goes on."""


class CutsOff(asyncio.Protocol):
    """A connection that is cut off if its client does not read. To close it would wait until the client has read."""

    loop: asyncio.AbstractEventLoop
    transport: asyncio.Transport
    _cut: asyncio.TimerHandle | None = None

    def pause_writing(self) -> None:
        super().pause_writing()
        self._wait()

    def _wait(self) -> None:
        n_waiting = self.transport.get_write_buffer_size()
        self._cut = self.loop.call_later(MOST_PAUSE_SECONDS, self._look, n_waiting)

    def _look(self, n_before: int) -> None:
        """Cut the client off, unless it has read much of the bytes that waited before."""
        if self.transport.get_write_buffer_size() > n_before - LEAST_READ_BYTES:
            self.transport.abort()
        else:
            self._wait()

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


class Answers(CutsOff, H11Protocol):
    """HTTP. A client that does not send its request, or sends it too slowly, is cut off."""

    _late: asyncio.TimerHandle | None = None
    _stalled: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._await_head()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.conn.their_state is h11.IDLE:
            self._await_head()
        else:
            self._have_head()
        self._await_body()

    def connection_lost(self, exc: Exception | None) -> None:
        self._have_head()
        self._have_body()
        super().connection_lost(exc)

    def _await_head(self) -> None:
        if self._late is None:
            self._late = self.loop.call_later(MOST_HEAD_SECONDS, self.transport.abort)

    def _have_head(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None

    def _await_body(self) -> None:
        """Wait for the next piece of a body, if one is on its way."""
        is_answered = self.conn.our_state in (h11.DONE, h11.MUST_CLOSE, h11.CLOSED)
        if self.conn.their_state is not h11.SEND_BODY or not is_answered:
            self._have_body()
        if self.conn.their_state is h11.SEND_BODY and self._stalled is None:
            self._stalled = self.loop.call_later(MOST_BODY_PAUSE_SECONDS, self._cut_stalled)

    def _have_body(self) -> None:
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None

    def _cut_stalled(self) -> None:
        self._stalled = None
        if self.flow.read_paused:  # the application has not read what came
            self._await_body()
        else:
            self.transport.abort()


def config_of(app: ASGIApp, most_message_bytes: int, stop_seconds: int) -> uvicorn.Config:
    """The configuration of a server.

    Args:
        most_message_bytes: of one message of a WebSocket.
        stop_seconds: how long requests may go on once the server stops.
    """
    for library in ("uvicorn", "python_multipart"):  # they tell about what clients send
        logging.getLogger(library).addHandler(logging.NullHandler())
    return uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        lifespan="off",
        http=Answers,
        ws=WebSockets,
        ws_ping_timeout=PONG_SECONDS,
        ws_max_size=most_message_bytes,
        forwarded_allow_ips=[*PROXIES],
        limit_concurrency=MOST_CONNECTIONS,
        timeout_graceful_shutdown=stop_seconds,
        h11_max_incomplete_event_size=1 << 14,
        server_header=False,
    )

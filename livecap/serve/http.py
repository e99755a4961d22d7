"""How uvicorn serves our applications: quiet, bounded, and without a header that names the server."""

import logging

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

MOST_CONNECTIONS = 500
PONG_SECONDS = 300.0
"""A client of a WebSocket that does not answer a ping for this long is gone. It cannot answer while it is not read."""


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
        ws=WebSocketsSansIOProtocol,
        ws_ping_timeout=PONG_SECONDS,
        ws_max_size=most_message_bytes,
        limit_concurrency=MOST_CONNECTIONS,
        timeout_graceful_shutdown=stop_seconds,
        h11_max_incomplete_event_size=1 << 14,
        server_header=False,
    )

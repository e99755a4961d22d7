"""A client that does not read is cut off, and does not keep its connection."""

import asyncio
import base64
import contextlib

import uvicorn
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute

from livecap.serve import http, live
from livecap.serve.access import listening_socket
from livecap.serve.live import close, send

UPGRADE = (
    "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    f"Sec-WebSocket-Key: {base64.b64encode(bytes(16)).decode()}\r\n"
)


async def test_a_client_that_does_not_read_is_cut_off(monkeypatch):
    monkeypatch.setattr(live, "SEND_SECONDS", 0.2)
    monkeypatch.setattr(http, "MOST_PAUSE_SECONDS", 0.4)
    ended = asyncio.Event()

    async def talk(client):
        await client.accept()
        with contextlib.suppress(TimeoutError):
            while True:
                await send(client, "x" * 100_000)
        await close(client, 1011, "Nothing was read.")
        ended.set()

    app = Starlette(routes=[WebSocketRoute("/talk", talk)])
    with contextlib.closing(listening_socket("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(http.config_of(app, 1 << 20, 1))
        serving = asyncio.create_task(server.serve([listener]))
        reader, writer = await asyncio.open_connection(*listener.getsockname())
        writer.write(f"GET /talk HTTP/1.1\r\nHost: 127.0.0.1\r\n{UPGRADE}\r\n".encode())
        assert (await reader.readline()).startswith(b"HTTP/1.1 101")
        writer.transport.pause_reading()
        await asyncio.wait_for(ended.wait(), 20)
        async with asyncio.timeout(20):
            while server.server_state.connections:
                await asyncio.sleep(0.01)
        writer.transport.abort()
        server.should_exit = True
        await asyncio.wait_for(serving, 20)

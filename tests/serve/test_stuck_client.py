"""A client that does not read is cut off, and does not keep its connection."""

import asyncio
import base64
import contextlib
from functools import partial
from types import SimpleNamespace

import uvicorn
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute

from livecap.serve import http, live
from livecap.serve.access import listening_socket
from livecap.serve.live import close, send

UPGRADE = (
    "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    f"Sec-WebSocket-Key: {base64.b64encode(bytes(16)).decode()}\r\n"
)


@contextlib.asynccontextmanager
async def unread(route, request):
    """The first line of the answer to a client that reads no more of it. At the end the server has let it go."""
    with contextlib.closing(listening_socket("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(http.config_of(Starlette(routes=[route]), 1 << 20, 1))
        serving = asyncio.create_task(server.serve([listener]))
        reader, writer = await asyncio.open_connection(*listener.getsockname())
        writer.write(f"{request}\r\n".encode())
        line = await reader.readline()
        writer.transport.pause_reading()
        yield line
        async with asyncio.timeout(20):
            while server.server_state.connections:
                await asyncio.sleep(0.01)
        writer.transport.abort()
        server.should_exit = True
        await asyncio.wait_for(serving, 20)


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

    async with unread(WebSocketRoute("/talk", talk), f"GET /talk HTTP/1.1\r\nHost: 127.0.0.1\r\n{UPGRADE}") as line:
        assert line.startswith(b"HTTP/1.1 101")
        await asyncio.wait_for(ended.wait(), 20)


async def test_a_client_that_does_not_read_an_answer_is_cut_off(monkeypatch):
    monkeypatch.setattr(http, "MOST_PAUSE_SECONDS", 0.2)

    async def answer(request):
        return PlainTextResponse("x" * (32 << 20))  # more than the connection holds

    async with unread(Route("/", answer), "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n") as line:
        assert line.startswith(b"HTTP/1.1 200")


def test_a_client_that_reads_a_long_answer_slowly_is_served_to_its_end():
    client, waiting, looks, cut = http.CutsOff(), [5 << 20], [], []
    client.loop = SimpleNamespace(call_later=lambda seconds, call, *given: looks.append(partial(call, *given)))
    client.transport = SimpleNamespace(get_write_buffer_size=lambda: waiting[0], abort=lambda: cut.append(True))
    client.pause_writing()
    for _ in range(3):
        waiting[0] -= http.LEAST_READ_BYTES
        looks.pop()()
    assert not cut
    waiting[0] -= 1
    looks.pop()()
    assert cut and not looks

"""A client that does not read is cut off, and does not keep its connection."""

import asyncio
import base64
import contextlib
import logging
from functools import partial
from types import SimpleNamespace

import pytest
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
async def served(*routes):
    """The server of an application, and a function that connects to it."""
    with contextlib.closing(listening_socket("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(http.config_of(Starlette(routes=routes), 1 << 20, 1))
        serving = asyncio.create_task(server.serve([listener]))
        writers = []

        async def connect():
            reader, writer = await asyncio.open_connection(*listener.getsockname())
            writers.append(writer)
            return reader, writer

        yield server, connect
        for writer in writers:
            writer.transport.abort()
        server.should_exit = True
        await asyncio.wait_for(serving, 20)


@contextlib.asynccontextmanager
async def unread(route, request):
    """The first line of the answer to a client that reads no more of it. At the end the server has let it go."""
    async with served(route) as (server, connect):
        reader, writer = await connect()
        writer.write(f"{request}\r\n".encode())
        line = await reader.readline()
        writer.transport.pause_reading()
        yield line
        async with asyncio.timeout(20):
            while server.server_state.connections:
                await asyncio.sleep(0.01)


@pytest.mark.parametrize("library", ["uvicorn", "python_multipart"])
def test_what_libraries_say_about_clients_is_not_printed(library):
    http.config_of(Starlette(), 1 << 20, 1)
    assert any(isinstance(handler, logging.NullHandler) for handler in logging.getLogger(library).handlers)


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


HELLO = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n"


async def ended(reader):
    """What a client reads until the server cuts it off."""
    async with asyncio.timeout(20):
        with contextlib.suppress(ConnectionError):
            return await reader.read()
    return b""


@pytest.mark.parametrize("sent", [b"", b"GET /", HELLO])
async def test_clients_that_send_no_whole_request_make_room_for_others(monkeypatch, sent):
    monkeypatch.setattr(http, "MOST_HEAD_SECONDS", 0.2)
    monkeypatch.setattr(http, "MOST_CONNECTIONS", 3)
    async with served(Route("/", lambda request: PlainTextResponse("hello"))) as (server, connect):
        clients = [await connect() for _ in range(3)]
        for _, writer in clients:
            writer.write(sent)
        assert [await ended(reader) for reader, _ in clients] == [b""] * 3
        reader, writer = await connect()
        writer.write(HELLO + b"Connection: close\r\n\r\n")
        assert (await ended(reader)).endswith(b"hello")


async def test_a_second_request_that_does_not_come_to_its_end_is_cut_off(monkeypatch):
    monkeypatch.setattr(http, "MOST_HEAD_SECONDS", 0.2)
    async with served(Route("/", lambda request: PlainTextResponse("hello"))) as (server, connect):
        reader, writer = await connect()
        writer.write(HELLO + b"\r\n")
        await reader.readuntil(b"hello")
        writer.write(HELLO)
        assert await ended(reader) == b""


POST = HELLO.replace(b"GET", b"POST") + b"Content-Length: 1000\r\n\r\nbegin"


async def test_a_client_whose_body_does_not_come_is_cut_off_and_one_that_is_slow_is_not(monkeypatch):
    monkeypatch.setattr(http, "MOST_BODY_PAUSE_SECONDS", 0.5)

    async def answer(request):
        return PlainTextResponse(f"{len(await request.body())} bytes")

    async with served(Route("/", answer, methods=["POST"])) as (server, connect):
        (stalled, writer), (reader, slow) = await connect(), await connect()
        writer.write(POST)
        slow.write(POST)
        for _ in range(10):
            await asyncio.sleep(0.1)
            slow.write(b"x" * 99)
        assert await ended(stalled) == b""
        slow.write(b"x" * 5)
        assert b"1000 bytes" in await asyncio.wait_for(reader.readuntil(b"bytes"), 20)


async def test_after_its_answer_a_client_cannot_keep_its_place_with_a_body_that_never_ends(monkeypatch):
    monkeypatch.setattr(http, "MOST_BODY_PAUSE_SECONDS", 0.5)
    async with served(Route("/", lambda request: PlainTextResponse("no"), methods=["POST"])) as (server, connect):
        reader, writer = await connect()
        writer.write(POST)

        async def trickle():
            with contextlib.suppress(ConnectionError):
                for _ in range(1000):
                    writer.write(b"x")
                    await writer.drain()
                    await asyncio.sleep(0.05)

        trickling = asyncio.create_task(trickle())
        assert (await reader.readuntil(b"no")).startswith(b"HTTP/1.1 200")
        async with asyncio.timeout(20):
            while server.server_state.connections:
                await asyncio.sleep(0.01)
        assert not trickling.done()
        trickling.cancel()


async def test_a_client_whose_body_is_not_read_yet_is_not_cut_off(monkeypatch):
    monkeypatch.setattr(http, "MOST_BODY_PAUSE_SECONDS", 0.1)
    release = asyncio.Event()

    async def answer(request):
        await release.wait()
        return PlainTextResponse(f"{len(await request.body())} bytes")

    async with served(Route("/", answer, methods=["POST"])) as (server, connect):
        reader, writer = await connect()
        writer.write(HELLO.replace(b"GET", b"POST") + b"Content-Length: 1000000\r\n\r\n" + b"x" * 500_000)
        await asyncio.sleep(0.5)
        release.set()
        writer.write(b"x" * 500_000)
        assert b"1000000 bytes" in await asyncio.wait_for(reader.readuntil(b"bytes"), 20)


async def test_a_client_whose_request_has_come_waits_for_its_answer_and_talks(monkeypatch):
    monkeypatch.setattr(http, "MOST_HEAD_SECONDS", 0.2)
    release = asyncio.Event()

    async def answer(request):
        await release.wait()
        return PlainTextResponse(b"hello " + await request.body())

    async def talk(client):
        await client.accept()
        await release.wait()
        await client.close(1000, "over")

    async with served(Route("/", answer, methods=["POST"]), WebSocketRoute("/talk", talk)) as (server, connect):
        (reader, writer), (talking, talker) = await connect(), await connect()
        writer.write(HELLO.replace(b"GET", b"POST") + b"Content-Length: 5\r\nConnection: close\r\n\r\nw")
        talker.write(f"GET /talk HTTP/1.1\r\nHost: 127.0.0.1\r\n{UPGRADE}\r\n".encode())
        await talking.readuntil(b"\r\n\r\n")
        for _ in range(2):  # longer than a request may take
            assert await ended((await connect())[0]) == b""
        writer.write(b"orld")
        release.set()
        assert (await ended(reader)).endswith(b"hello world")
        assert (await talking.readexactly(4))[2:] == (1000).to_bytes(2, "big")

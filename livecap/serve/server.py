"""CaptionsServer: serves the captions page of a running session, on a thread with an event loop of its own.

Needs Starlette, uvicorn and websockets (the extra `livecap[serve]`).
"""

import asyncio
import contextlib
import json
import socket
import threading
from functools import partial
from importlib.resources import files

import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from livecap.errors import SettingsError
from livecap.serve.access import OwnHosts, Token, listening_socket
from livecap.serve.captions import Captions
from livecap.serve.http import config_of
from livecap.serve.rate import Rate
from livecap.serve.requests import Guard
from livecap.text.safety import json_text

PAGE = {
    "": ("captions.html", "text/html"),
    ".js": ("captions.js", "text/javascript"),
    ".css": ("captions.css", "text/css"),
}
MESSAGES = "/captions/messages"
"""The first message to it must have the token."""
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
GREET_SECONDS = 10.0
"""A client that has not sent its token by then is closed."""
SEND_SECONDS = 20.0
"""A client that does not read for this long is closed; it may connect again."""
MOST_MESSAGE_BYTES = 4096
STOP_SECONDS = 3


class CaptionsServer:
    """Serves until it is closed."""

    def __init__(self, captions: Captions, token: Token, host: str, port: int) -> None:
        """
        Args:
            port: 0 chooses a free one.

        Raises:
            SettingsError: the address cannot be used, or there is no token.
        """
        self._captions, self._token = captions, token
        _ = token.value  # made now, so that an error is said before the session
        self._socket = listening_socket(host, port)
        self._host, self._port = host, self._socket.getsockname()[1]
        self._server = uvicorn.Server(config_of(make_app(captions, token), MOST_MESSAGE_BYTES, STOP_SECONDS))
        serve = partial(self._server.run, sockets=[self._socket])
        self._thread = threading.Thread(target=serve, name="captions server", daemon=True)
        self._thread.start()

    @property
    def page(self) -> str:
        """The address of the page for a browser on this computer or, if the whole network is served, on the network."""
        host = _own_address() if self._host in ("0.0.0.0", "::") else self._host
        return f"http://{f'[{host}]' if ':' in host else host}:{self._port}/captions"

    @property
    def link(self) -> str:
        """The address of the page with the token, which opens it."""
        return f"{self.page}#{self._token.value}"

    def renew(self) -> None:
        """Make a new key; the old link opens nothing from now on, and who has the page open keeps it."""
        self._token.renew()

    def close(self) -> None:
        """Stop serving; if the session is over, clients are told so before."""
        self._captions.close()
        self._server.should_exit = True
        self._thread.join(STOP_SECONDS + 2)
        self._socket.close()


def make_app(captions: Captions, token: Token) -> Starlette:
    """The application: the page at /captions, its messages at /captions/messages."""

    async def page(request: Request) -> Response:
        name, kind = PAGE[request.url.path.removeprefix("/captions")]
        return Response(files("livecap.serve").joinpath("page", name).read_bytes(), media_type=kind, headers=HEADERS)

    async def home(request: Request) -> Response:
        return RedirectResponse("/captions", headers=HEADERS)

    async def messages(client: WebSocket) -> None:
        await client.accept()
        try:
            greeting = json.loads(await asyncio.wait_for(client.receive_text(), GREET_SECONDS))
            if not isinstance(greeting, dict) or not await asyncio.to_thread(token.fits, greeting.get("token")):
                await client.close(4401, "wrong token")
                return
            await _serve(client, captions)
        except (ValueError, KeyError, RecursionError, TimeoutError):  # no greeting, or a client that does not read
            with contextlib.suppress(RuntimeError):
                await client.close(1008)
        except (WebSocketDisconnect, SettingsError):
            return

    pages = [Route(f"/captions{suffix}", page) for suffix in PAGE]
    routes: list[BaseRoute] = [*pages, Route("/", home), WebSocketRoute(MESSAGES, messages)]
    return Starlette(
        routes=routes,
        middleware=[
            Middleware(OwnHosts, guarded=[MESSAGES]),
            Middleware(Guard, None, MOST_MESSAGE_BYTES, Rate()),
        ],
    )


async def _serve(client: WebSocket, captions: Captions) -> None:
    """Send messages until the session ends or the client leaves. What a client sends is dropped."""

    async def send() -> None:
        async with contextlib.aclosing(captions.messages()) as stream:
            async for message in stream:
                await asyncio.wait_for(client.send_text(json_text(message)), SEND_SECONDS)
        await client.close(1000, "the session is over")

    async def listen() -> None:
        while True:
            await client.receive_text()

    tasks = [asyncio.create_task(send()), asyncio.create_task(listen())]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()  # raises what ended it
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _own_address() -> str:
    """An address of this computer in its network; 127.0.0.1 without one. Nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
            return str(probe.getsockname()[0])
        except OSError:
            return "127.0.0.1"

"""What HTTP clients ask, and the errors they get: OpenAI's shape, one sentence, no paths of this computer."""

import hmac
import json
import math
from typing import Any

from starlette.requests import HTTPConnection
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from livecap.errors import AudioError, LivecapError, SettingsError
from livecap.serve.rate import Rate
from livecap.serve.worker import BadRequest, Busy, Stopping
from livecap.text.safety import encodable, json_text

MOST_TEXT = 20_000
"""Characters of the names and terms that a client expects."""


class JSONAnswer(JSONResponse):
    """JSON with any text in it, also half a surrogate pair that the client sent."""

    def render(self, content: Any) -> bytes:
        return json_text(content).encode()


class Refused(BadRequest):
    """A request that cannot be carried out."""

    def __init__(self, status: int, message: str, param: str | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.status, self.param, self.code = status, param, code
        self.headers: dict[str, str] = {}

    @property
    def body(self) -> dict[str, Any]:
        kinds = {401: "authentication_error", 413: "invalid_request_error", 429: "rate_limit_error"}
        kind = kinds.get(self.status, "invalid_request_error" if self.status < 500 else "server_error")
        return {"error": {"message": str(self), "type": kind, "param": self.param, "code": self.code}}

    @property
    def response(self) -> JSONResponse:
        return JSONAnswer(self.body, self.status, self.headers)


class TooMany(Refused):
    """A client sends too many requests."""

    def __init__(self, seconds: float) -> None:
        """
        Args:
            seconds: after which it may ask again.
        """
        wait = math.ceil(seconds)
        super().__init__(429, f"Too many requests. Try again in {wait} s.", code="rate_limit_exceeded")
        self.headers["Retry-After"] = str(wait)


class Guard:
    """Middleware: the key, the rate of requests, and the most bytes of one."""

    def __init__(self, app: ASGIApp, key: str | None, most_bytes: int, rate: Rate) -> None:
        """
        Args:
            key: None serves without one.
            rate: of everybody who has the key, and of each address without it.
        """
        self._app, self._key, self._most_bytes, self._rate = app, key, most_bytes, rate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket") or scope["path"] in OPEN_PATHS:
            await self._app(scope, receive, send)
            return
        connection = HTTPConnection(scope)
        has_key = self._key is not None and self._has_key(connection)
        address = connection.client.host if connection.client else ""
        if wait := self._rate.wait("the key" if has_key else address):
            await TooMany(wait).response(scope, receive, send)
            return
        if self._key is not None and not has_key:
            no_key = Refused(401, "A key is needed: Authorization: Bearer KEY.", code="invalid_api_key")
            no_key.headers["WWW-Authenticate"] = "Bearer"
            await no_key.response(scope, receive, send)
            return
        if scope["type"] == "websocket":
            await self._app(scope, receive, send)
            return
        length = connection.headers.get("content-length", "0")
        too_large = Refused(413, f"A request may have at most {self._most_bytes >> 20} MiB.", code="too_large")
        if not length.isdigit() or int(length) > self._most_bytes:
            await too_large.response(scope, receive, send)
            return
        n_bytes = 0

        async def counted() -> Message:
            nonlocal n_bytes
            message = await receive()
            n_bytes += len(message.get("body", b""))
            if n_bytes > self._most_bytes:
                raise too_large
            return message

        await self._app(scope, counted, send)

    def _has_key(self, connection: HTTPConnection) -> bool:
        assert self._key is not None
        kind, _, given = connection.headers.get("authorization", "").partition(" ")
        if kind.lower() not in ("bearer", "token"):
            given = connection.headers.get("api-key", "")
        return hmac.compare_digest(given.strip().encode(errors="replace"), self._key.encode())


OPEN_PATHS = ("/health",)


def number(name: str, text: str, least: float, most: float) -> float:
    """A number of a form.

    Raises:
        Refused: it is not a number in the range.
    """
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not least <= value <= most:
        raise Refused(400, f"{name} must be a number from {least:g} to {most:g}.", name)
    return value


def whole_number(name: str, text: str, least: int, most: int) -> int:
    """A whole number of a form.

    Raises:
        Refused: it is not a whole number in the range.
    """
    value = number(name, text, least, most)
    if not value.is_integer():
        raise Refused(400, f"{name} must be a whole number from {least} to {most}.", name)
    return int(value)


def json_object(text: str | bytes) -> dict[str, Any]:
    """A JSON object that a client sent.

    Raises:
        Refused: it is something else.
    """
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise Refused(400, "The message is not a JSON object.", code="invalid_json")
    return value


def context_of(*terms: str) -> str:
    """Names and terms to expect, as the model takes them."""
    return encodable(", ".join(filter(None, terms))[:MOST_TEXT])


def refused(error: LivecapError) -> Refused:
    """The answer to a request that raised an error."""
    if isinstance(error, Refused):
        return error
    if isinstance(error, Stopping):
        return Refused(503, str(error), code="stopping")
    if isinstance(error, Busy):
        return Refused(429, str(error), code="busy")
    if isinstance(error, SettingsError):
        return Refused(400, str(error), "language")
    if isinstance(error, AudioError):
        return Refused(400, "The file holds no sound that can be read.", "file", "invalid_audio")
    return Refused(500, "The recording could not be transcribed.")

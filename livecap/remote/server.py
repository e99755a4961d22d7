"""RemoteServer: requests to a server with OpenAI's interface for transcriptions, such as vLLM or `livecap serve`.

`POST ADDRESS/audio/transcriptions` as in the official Python client 3.57, which vLLM 0.33 answers alike. The sound is
WAV: 16 kHz, 16 bit, mono. Redirects are not followed, and no proxy is used: what is said reaches this server only.
"""

import http.client
import json
import ssl
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from secrets import token_hex
from typing import Any
from urllib.parse import SplitResult, quote, urlsplit

import numpy as np
from numpy.typing import NDArray

from livecap.audio_in.wav_header import wav_header
from livecap.text.safety import printable

CONNECT_SECONDS = 5.0
"""How long a connection may take."""
ANSWER_SECONDS = 20.0
"""How long the server may take to accept the sound, and as long again to answer."""
MOST_ANSWER_SECONDS = 80.0
"""How long it may take at most to answer. A server that did not answer in time gets twice as long at the next request:
asked for the same sound in the same time, it would never answer."""
MOST_BYTES = 1 << 22
"""Length of an answer."""
MOST_RETRY_SECONDS = 60.0
"""The longest pause that a server may ask for."""
BROKEN = (
    http.client.RemoteDisconnected,
    BrokenPipeError,
    ConnectionResetError,
    ssl.SSLEOFError,
    ssl.SSLZeroReturnError,
)
"""What a request meets on a connection that the server has closed, such as one that was not used for a while."""


class ServerTrouble(Exception):
    """A request was not answered with a transcription; the message follows the name of the server."""

    def __init__(self, message: str, refuses: bool = False, retry_seconds: float | None = None) -> None:
        """
        Args:
            refuses: the server will not take this sound, however often it is sent.
            retry_seconds: the server asked not to be called for so long.
        """
        super().__init__(message)
        self.refuses = refuses
        self.retry_seconds = retry_seconds


class RemoteServer:
    """One server, over one connection that is kept open. Used by one thread at a time."""

    def __init__(self, address: str, key: str | None = None) -> None:
        """
        Args:
            address: up to `/v1`, as the settings have checked it.
            key: sent as a bearer token; None sends none.
        """
        self._parts = urlsplit(address.rstrip("/"))
        self._key = key
        self._connection: http.client.HTTPConnection | None = None
        self._patience = ANSWER_SECONDS
        """How long the next answer may take."""
        self.host = host_of(self._parts)
        """Its name for people."""

    def models(self) -> list[str]:
        """The names of its models.

        Raises:
            ServerTrouble: it does not answer, or not with a list of models.
        """
        found = self._asked("GET", "/models")
        data = found.get("data")
        names = [model.get("id") for model in data if isinstance(model, dict)] if isinstance(data, list) else []
        if not names or not all(isinstance(name, str) and name for name in names):
            raise ServerTrouble("does not answer with a list of models; is the address right?")
        return [name for name in names if isinstance(name, str)]

    def transcribe(self, samples: NDArray[np.float32], fields: Mapping[str, str]) -> str:
        """The text of sound.

        Args:
            samples: [n] within -1..1 at 16 kHz.
            fields: `model`, and `language` and `prompt` where they are wanted.

        Raises:
            ServerTrouble: there is no text.
        """
        data = np.clip(np.rint(samples * 32768.0), -32768, 32767).astype("<i2").tobytes()
        boundary = token_hex(16)
        body = b"".join(_form({"response_format": "json", "temperature": "0", **fields}, data, boundary))
        found = self._asked(
            "POST", "/audio/transcriptions", body, {"Content-Type": f"multipart/form-data; boundary={boundary}"}
        )
        text = found.get("text")
        if not isinstance(text, str):
            raise ServerTrouble("answers with something else than a transcription")
        return text

    def close(self) -> None:
        """End the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _asked(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        """The JSON object of a good answer. Raises ServerTrouble."""
        try:
            is_kept = self._connection is not None
            try:
                status, answer_headers, answer = self._exchange(method, path, body, headers or {})
            except BROKEN:
                if not is_kept:
                    raise
                self.close()  # the server closes connections that are not used for some seconds
                status, answer_headers, answer = self._exchange(method, path, body, headers or {})
        except TimeoutError:
            self.close()
            raise ServerTrouble("does not answer in time") from None
        except BROKEN:
            self.close()
            raise ServerTrouble("closes the connection without an answer") from None
        except ssl.SSLError as error:
            self.close()
            raise ServerTrouble(f"cannot be trusted: {error.reason or error}") from None
        except http.client.HTTPException as error:
            self.close()
            what = "half an answer" if isinstance(error, http.client.IncompleteRead) else "no valid answer"
            raise ServerTrouble(f"sends {what}") from None
        except OSError as error:
            self.close()
            raise ServerTrouble(f"cannot be reached ({error.strerror or error})") from None
        except ServerTrouble:
            self.close()
            raise
        if status != 200:
            raise _trouble(status, answer_headers, answer, self._key is not None)
        with suppress(ValueError, RecursionError):
            found = json.loads(answer)
            if isinstance(found, dict):
                return found
        raise ServerTrouble("sends no valid answer")

    def _exchange(
        self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]
    ) -> tuple[int, http.client.HTTPMessage, bytes]:
        """Status, headers and body of an answer."""
        connection = self._connection = self._connection or self._connect()
        key = {} if self._key is None else {"Authorization": f"Bearer {self._key}"}
        connection.sock.settimeout(ANSWER_SECONDS)
        connection.request(
            method, quote(self._parts.path, safe="/%") + path, body, {"Accept": "application/json", **headers, **key}
        )
        connection.sock.settimeout(self._patience)
        began = time.monotonic()
        try:
            response, answer = self._answer(connection)
        except TimeoutError:
            self._patience = min(2 * self._patience, MOST_ANSWER_SECONDS)
            raise
        self._patience = min(max(ANSWER_SECONDS, 2 * (time.monotonic() - began)), MOST_ANSWER_SECONDS)
        response.close()  # so that the connection takes another request
        if response.will_close:
            self.close()
        return response.status, response.headers, answer

    def _answer(self, connection: http.client.HTTPConnection) -> tuple[http.client.HTTPResponse, bytes]:
        """The answer to the last request, and its body."""
        response = connection.getresponse()
        until, pieces, n_bytes = time.monotonic() + self._patience, list[bytes](), 0
        while piece := response.read1(1 << 16):
            pieces.append(piece)
            n_bytes += len(piece)
            if n_bytes > MOST_BYTES:
                raise ServerTrouble("sends an answer without an end")
            if time.monotonic() > until:
                raise TimeoutError
        if response.length:
            raise http.client.IncompleteRead(b"")
        return response, b"".join(pieces)

    def _connect(self) -> http.client.HTTPConnection:
        host, port = self._parts.hostname or "", self._parts.port
        connection: http.client.HTTPConnection
        if self._parts.scheme == "https":
            context = ssl.create_default_context()
            connection = http.client.HTTPSConnection(host, port, timeout=CONNECT_SECONDS, context=context)
        else:
            connection = http.client.HTTPConnection(host, port, timeout=CONNECT_SECONDS)
        connection.connect()
        return connection


def host_of(parts: SplitResult) -> str:
    """Who gets the sound, for people: "gpu.example.org", or "gpu.lan:8000, not encrypted"."""
    host = parts.netloc
    is_here = parts.hostname in ("localhost", "127.0.0.1", "::1")
    return host if parts.scheme == "https" or is_here else f"{host}, not encrypted"


def _form(fields: Mapping[str, str], sound: bytes, boundary: str) -> Sequence[bytes]:
    """The parts of a form: fields, then the sound as a WAV file."""
    start = f"--{boundary}\r\nContent-Disposition: form-data; name="
    parts = [f'{start}"{name}"\r\n\r\n{value}\r\n'.encode() for name, value in fields.items()]
    file = f'{start}"file"; filename="sound.wav"\r\nContent-Type: audio/wav\r\n\r\n'
    return [*parts, file.encode(), wav_header(len(sound) // 2), sound, f"\r\n--{boundary}--\r\n".encode()]


def _trouble(status: int, headers: http.client.HTTPMessage, answer: bytes, has_key: bool) -> ServerTrouble:
    """What an answer with this status says."""
    said = f"{status}: {reason}" if (reason := _reason(answer)) else str(status)
    if 300 <= status < 400:
        return ServerTrouble(f"redirects to another address ({said}), which is not followed")
    if status in (401, 403):
        wants = "refuses the key" if has_key else "needs a key, in LIVECAP_REMOTE_KEY or in the file remote_key_file"
        return ServerTrouble(f"{wants} ({said})")
    if status == 404:
        return ServerTrouble(f"has no such address or model ({said})")
    if status in (408, 425, 429) or status >= 500:
        busy = "has too many requests" if status == 429 else "fails"
        return ServerTrouble(f"{busy} ({said})", retry_seconds=_seconds(headers.get("Retry-After")))
    return ServerTrouble(f"refuses the request ({said})", refuses=True)


def _reason(answer: bytes) -> str:
    """The sentence in a body of OpenAI's, vLLM's or FastAPI's shape; "" without one."""
    try:
        found = json.loads(answer)
    except (ValueError, RecursionError):
        return ""
    for name in ("error", "message", "detail"):
        if isinstance(found, dict):
            found = found.get(name, found)
    return printable(" ".join(found.split()))[:160].rstrip(". ") if isinstance(found, str) else ""


def _seconds(text: str | None) -> float | None:
    """Seconds of a Retry-After; None for a date, or for none."""
    return min(float(text), MOST_RETRY_SECONDS) if text and text.isascii() and text.isdigit() else None

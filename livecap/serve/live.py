"""What all live interfaces share: the sound of a client on its way to the worker, its text, and the connection.

Each interface runs two tasks on the event loop of the server: one takes what the client sends, the other tells it what
it said. A client is not read while much of its sound waits, so a fast sender is slowed down by its own connection.
"""

import asyncio
import base64
import binascii
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import replace
from enum import Enum
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from starlette.datastructures import QueryParams
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from livecap.audio_in.resample import Resampler
from livecap.errors import LivecapError, one_line
from livecap.serve.requests import Refused, refused, whole_number
from livecap.serve.served_stream import MOST_WAITING_ITEMS, Asked, ServedStream
from livecap.serve.stopping import GracefulStop
from livecap.serve.worker import Busy, Stopping, Worker, into
from livecap.stream.config import StreamConfig
from livecap.text.safety import json_text
from livecap.text.scripts import joined
from livecap.transcript import SAMPLE_RATE, TranscriptUpdate, UtteranceSettled

SEND_SECONDS = 20.0
"""A client that does not read for this long is closed."""
SILENT_SECONDS = 1800.0
"""A client that sends nothing for this long is closed."""
ROOM_SECONDS = 0.1
"""Time between two looks whether there is room for more sound."""
PIECE_BYTES = 1 << 16
"""Sound of a long message is converted in pieces of this size, each once there is room for it."""
GOING_AWAY = 1001
"""The code with which a server that stops closes a WebSocket."""
SUBPROTOCOLS = "realtime", "token", "bearer"
"""Protocols of WebSockets that the clients of OpenAI and Deepgram offer on web pages. A browser closes a connection for
which none of those that it offers is chosen."""
MOST_REASON_BYTES = 123
"""Longest reason with which a WebSocket may be closed (RFC 6455)."""


def _mu_law() -> NDArray[np.float32]:
    code = ~np.arange(256)
    magnitude = ((((code & 15) << 3) + 132) << ((code >> 4) & 7)) - 132
    return (np.where(code & 128, -magnitude, magnitude) / 32768).astype(np.float32)


def _a_law() -> NDArray[np.float32]:
    code = np.arange(256) ^ 0x55
    exponent, mantissa = (code >> 4) & 7, (code & 15) << 4
    magnitude = np.where(exponent == 0, mantissa + 8, (mantissa + 264) << np.maximum(exponent - 1, 0))
    return (np.where(code & 128, magnitude, -magnitude) / 32768).astype(np.float32)


PCM = {"linear16": "<i2", "linear32": "<i4", "float32": "<f4"}
"""Name of an encoding to the type of its samples."""
G711 = {"mulaw": _mu_law(), "alaw": _a_law()}
"""Name of an encoding of ITU-T G.711 to the sample of each byte, [256] float32."""
ENCODINGS = (*PCM, *G711)


class Ear:
    """Bytes of raw samples to sound at 16 kHz."""

    def __init__(self, encoding: str, rate: int, n_channels: int = 1) -> None:
        """
        Args:
            encoding: one of `ENCODINGS`.
            rate: samples per second of each channel.

        Raises:
            Refused: the sound cannot be read.
        """
        if encoding not in ENCODINGS:
            raise Refused(400, f"encoding must be one of {', '.join(ENCODINGS)}.", "encoding")
        self._table = G711.get(encoding)
        self._type = np.dtype(PCM.get(encoding, "u1"))
        self._n_channels = n_channels
        self._resampler = Resampler(rate, n_channels)
        self._rest = b""

    def hear(self, data: bytes) -> NDArray[np.float32]:
        """[n] samples; a part of a sample waits for the next bytes."""
        data = self._rest + data
        whole = len(data) - len(data) % (self._type.itemsize * self._n_channels)
        data, self._rest = data[:whole], data[whole:]
        samples = np.frombuffer(data, self._type).reshape(-1, self._n_channels)
        if self._table is not None:
            return self._resampler.process(self._table[samples])
        scale = 1.0 if self._type.kind == "f" else float(2 ** (8 * self._type.itemsize - 1))
        sound = np.nan_to_num(samples.astype(np.float32) / scale, posinf=0.0, neginf=0.0)
        return self._resampler.process(np.clip(sound, -1.0, 1.0))

    def flush(self) -> NDArray[np.float32]:
        """See `Resampler.rest`."""
        return self._resampler.rest()


def ear_of(query: QueryParams, usual: str = "") -> Ear:
    """What hears the sound that an address describes with `encoding`, `sample_rate` and `channels`.

    Args:
        usual: the encoding where none is named.

    Raises:
        Refused: it cannot be read.
    """
    rate = whole_number("sample_rate", query.get("sample_rate", str(SAMPLE_RATE)), 8000, 192_000)
    return Ear(query.get("encoding", usual), rate, whole_number("channels", query.get("channels", "1"), 1, 8))


class Mark(Enum):
    """Points in a stream that are reported between its updates."""

    FLUSH = "flush"
    """The updates from here to `FLUSHED` are those of `end_utterance`."""
    FLUSHED = "flushed"
    CHANGED = "changed"
    CLEARED = "cleared"


Told = TranscriptUpdate | UtteranceSettled | Mark


class LiveSound:
    """The sound of one client on its way to the worker, and what comes back, on the event loop."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._stream: ServedStream | None = None
        self.told: asyncio.Queue[Told | None] = asyncio.Queue()
        """What the worker says; None at the end."""
        self._put: Callable[[Told | None], None] = into(self.told)
        self.n_samples = 0
        """Sound so far, at 16 kHz."""
        self.on_full: Callable[[], Coroutine[Any, Any, None]] | None = None
        """Called when the client is no longer read for a while."""

    def begin(self, asked: Asked) -> None:
        """Ask the worker for a stream, unless there is one. A client that is silent from the start needs none.

        Raises:
            Busy: there are too many.
        """
        if self._stream is None:
            self._stream = self._worker.stream(asked, self._put, self._put)

    @property
    def is_full(self) -> bool:
        """True while the client should not be read: much of its sound waits, or much that it has not read."""
        return self.told.qsize() > MOST_WAITING_ITEMS or (self._stream is not None and self._stream.is_full)

    @property
    def waiting_seconds(self) -> float:
        return self._stream.waiting_seconds if self._stream else 0.0

    @property
    def failure(self) -> LivecapError | None:
        """Why the stream ended early."""
        return self._stream.failure if self._stream else None

    async def hear(self, ear: Ear, data: bytes) -> None:
        """Pass on sound once there is room for it."""
        for at in range(0, len(data), PIECE_BYTES):
            await self.room()
            self._feed(ear.hear(data[at : at + PIECE_BYTES]))

    def _feed(self, samples: NDArray[np.float32]) -> None:
        assert self._stream is not None
        self.n_samples += len(samples)
        self._stream.feed(samples)

    def _feed_rest(self, ear: Ear | None) -> None:
        """Pass on what an ear still holds back."""
        if ear is not None:
            self._feed(ear.flush())

    async def room(self) -> None:
        """Wait until there is room for more."""
        if self.is_full and self.on_full is not None:
            await self.on_full()
        while self.is_full:
            await asyncio.sleep(ROOM_SECONDS)

    def end_utterance(self, ear: Ear | None = None) -> None:
        """Decode everything up to here and make its text stable; then `Mark.FLUSHED` is reported.

        Args:
            ear: what it still holds back is decoded, too.
        """
        if self._stream is None:
            self.told.put_nowait(Mark.FLUSH)
            self.told.put_nowait(Mark.FLUSHED)
            return
        self._feed_rest(ear)
        self._stream.feed(np.zeros(0, np.float32), partial(self._put, Mark.FLUSH))
        self._stream.end_utterance(partial(self._put, Mark.FLUSHED))

    def change(self, asked: Asked, ear: Ear | None = None) -> None:
        """Recognise what follows in another way; then `Mark.CHANGED` is reported.

        Args:
            ear: what it still holds back is decoded before.
        """
        if self._stream is None:
            self.told.put_nowait(Mark.CHANGED)
            return
        self._feed_rest(ear)
        self._stream.change(asked, partial(self._put, Mark.CHANGED))

    def clear(self, ear: Ear) -> None:
        """Drop the sound since the last request and what the ear still holds back; then report `Mark.CLEARED`."""
        if self._stream is None:
            self.told.put_nowait(Mark.CLEARED)
            return
        self._feed_rest(ear)
        self._stream.clear(partial(self._put, Mark.CLEARED))

    def finish(self, ear: Ear | None = None) -> None:
        """No more sound comes; the rest is decoded.

        Args:
            ear: what it still holds back is decoded, too.
        """
        if self._stream is None:
            self.told.put_nowait(None)
            return
        self._feed_rest(ear)
        self._stream.finish()

    def drop(self) -> None:
        """No more sound comes, and no text is wanted: the client has left."""
        if self._stream is None:
            self.told.put_nowait(None)
        else:
            self._stream.finish(drop=True)


class StableText:
    """The stable text of a stream, for interfaces whose text only grows."""

    def __init__(self) -> None:
        self._closed = ""
        self.text = ""

    def added(self, update: TranscriptUpdate) -> str:
        """The text that an update adds, with the space between two utterances where their script has one."""
        before, self.text = self.text, joined([self._closed, update.stable])
        if update.final:
            self._closed = self.text
        return self.text[len(before) :]


async def converse(
    sound: LiveSound,
    listen: Callable[[], Coroutine[Any, Any, None]],
    tell: Callable[[Told], Coroutine[Any, Any, None]],
) -> None:
    """Listen to a client and tell it its text, at the same time, until the stream is over.

    Args:
        listen: takes what the client sends, and calls `finish` or `drop` of the sound when no more comes.

    Raises:
        Refused: the stream ended early.
        Exception: what `listen` or `tell` raised.
    """

    async def listening() -> None:
        try:
            await listen()
        except BaseException:
            sound.drop()
            raise

    task = asyncio.create_task(listening())
    try:
        while (told := await sound.told.get()) is not None:
            await tell(told)
        if sound.failure:
            raise sound.failure if isinstance(sound.failure, Stopping) else Refused(500, str(sound.failure))
        await task  # it has ended the stream, and raises what it stopped for
    finally:
        sound.drop()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


class LiveSocket(ABC):
    """One connection of a live interface over a WebSocket."""

    silent_seconds = SILENT_SECONDS
    _ear: Ear

    def __init__(self, client: WebSocket, worker: Worker, first: str | bytes | None = None) -> None:
        """
        Args:
            first: the first message, where it was received before.
        """
        self.client = client
        self.sound = LiveSound(worker)
        self._first = first
        self.closing = 1000, ""
        """Code and reason with which the connection is closed in the end."""

    async def run(self) -> None:
        """The connection from its first message to its last."""
        await converse(self.sound, self._listen, self.tell)
        await self.end()

    async def _listen(self) -> None:
        try:
            await self._take_all()
        except Stopping as error:
            self.closing = GOING_AWAY, str(error)
            self.sound.finish(self._ear)

    async def _take_all(self) -> None:
        message = self._first
        if message is None:
            message = await receive(self.client, self.silent_seconds)
        while message is not None:
            if not await self.take(message):
                return
            await self.sound.room()
            message = await receive(self.client, self.silent_seconds)
        raise WebSocketDisconnect

    @abstractmethod
    async def take(self, message: str | bytes) -> bool:
        """Carry out what the client sent. False after its last message; the sound is finished then."""

    @abstractmethod
    async def tell(self, told: Told) -> None:
        """Tell the client what it said."""

    async def end(self) -> None:
        """The stream is over: say so, and close the connection."""
        await close(self.client, *self.closing)

    async def send(self, record: dict[str, Any]) -> None:
        """Send a record as JSON."""
        await send(self.client, json_text(record))


async def receive(client: WebSocket, silent_seconds: float = SILENT_SECONDS) -> str | bytes | None:
    """The next message of a client; None when it has left.

    Raises:
        Stopping: the server stops; what the client sends is no longer read.
        TimeoutError: none came.
    """
    stop: GracefulStop = client.app.state.stop
    message = await stop.unless_stopping(client.receive, silent_seconds)
    if message["type"] == "websocket.disconnect":
        return None
    text: str | None = message.get("text")
    return text if text is not None else message.get("bytes") or b""


async def send(client: WebSocket, text: str) -> None:
    """Send a message to a client.

    Raises:
        TimeoutError: it does not read.
        WebSocketDisconnect: it has left.
    """
    try:
        await asyncio.wait_for(client.send_text(text), SEND_SECONDS)
    except RuntimeError:
        if client.application_state is not WebSocketState.DISCONNECTED:
            raise
        raise WebSocketDisconnect from None  # something else was sent meanwhile, in vain


def endpoint(
    run: Callable[[WebSocket, Worker], Coroutine[Any, Any, None]], worker: Worker, report: Callable[[str], None]
) -> Callable[[WebSocket], Coroutine[Any, Any, None]]:
    """A WebSocket endpoint that accepts each client and runs its connection; what goes wrong closes it with a reason.

    Args:
        report: gets a sentence about each fault of the server.
    """

    async def serve(client: WebSocket) -> None:
        offered = client.scope.get("subprotocols", [])
        await client.accept(next((name for name in offered if name in SUBPROTOCOLS), None))
        try:
            await run(client, worker)
        except WebSocketDisconnect:
            return
        except LivecapError as error:
            await close(client, _code_of(error), str(error))
        except TimeoutError:
            await close(client, 1011, "Nothing came in time, or nothing was read.")
        except Exception as error:
            report(f"A live client could not be served: {one_line(error)}.")
            await close(client, 1011, "The server failed with this connection.")

    async def counted(client: WebSocket) -> None:
        stop: GracefulStop = client.app.state.stop
        with stop.live():
            await serve(client)

    return counted


def _code_of(error: LivecapError) -> int:
    """The code with which an error closes a WebSocket."""
    if isinstance(error, Stopping):
        return GOING_AWAY
    if isinstance(error, Busy):
        return 1013
    return 1011 if refused(error).status >= 500 else 1008


async def close(client: WebSocket, code: int, reason: str) -> None:
    """Close a connection, unless the client has left."""
    if len(reason.encode()) > MOST_REASON_BYTES:
        reason = reason.encode()[: MOST_REASON_BYTES - 3].decode(errors="ignore") + "…"
    with suppress(RuntimeError, WebSocketDisconnect):
        await client.close(code, reason)


def decoded(text: object) -> bytes:
    """Base64 that a client sent.

    Raises:
        Refused: it is something else.
    """
    try:
        return base64.b64decode(text if isinstance(text, str) else "?", validate=True)
    except (binascii.Error, ValueError):
        raise Refused(400, "audio must be base64.", "audio", "invalid_audio") from None


def ending_after(stream: StreamConfig, seconds: float) -> StreamConfig:
    """A configuration whose utterances end after this much silence."""
    return replace(
        stream,
        detector=replace(stream.detector, end_seconds=seconds),
        utterance=replace(stream.utterance, quiet_seconds=seconds),
    )


def seconds(n_samples: int) -> float:
    """Seconds of sound, for JSON."""
    return round(n_samples / SAMPLE_RATE, 3)

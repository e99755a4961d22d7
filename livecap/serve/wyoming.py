"""The Wyoming protocol over TCP, which Home Assistant and its satellites speak: sound in, its text out.

An event is a line of JSON with the lengths of the data and the payload that follow it. There is no key: whoever can
connect may transcribe. Source: the package wyoming, version 1.10.
"""

import asyncio
import json
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from livecap.errors import LivecapError, one_line
from livecap.serve.live import SEND_SECONDS, SILENT_SECONDS, Ear, LiveSound, StableText, Told, converse
from livecap.serve.metrics import FAILED, LEFT, OK, STOPPED, outcome_of
from livecap.serve.rate import Rate
from livecap.serve.requests import Refused, TooMany, context_of, json_object, refused
from livecap.serve.served_stream import Asked
from livecap.serve.stopping import TELL_SECONDS
from livecap.serve.worker import Stopping, Worker
from livecap.text.languages import LANGUAGE_CODES, parse_language
from livecap.text.safety import json_text
from livecap.transcript import TranscriptUpdate
from livecap.version import VERSION

MOST_CLIENTS = 100
MOST_LINE_BYTES = 1 << 16
MOST_DATA_BYTES = 1 << 20
MOST_PAYLOAD_BYTES = 16 << 20
READ_SECONDS = 5.0
"""How long a client whose event failed may go on sending until it reads that."""
WIDTHS = {2: "linear16", 4: "linear32"}
"""Bytes of a sample to its encoding."""
LEAST_RATE = 8000
MOST_FORMAT = 192_000, 4, 8
"""Rate, width and channels."""


@dataclass(frozen=True, slots=True)
class _Event:
    type: str
    data: dict[str, Any]
    payload: bytes


class Wyoming:
    """The server, on the event loop that opens it."""

    def __init__(
        self,
        worker: Worker,
        report: Callable[[str], None],
        count: Callable[[str], None] = lambda outcome: None,
        rate: Rate | None = None,
    ) -> None:
        """
        Args:
            report: gets a sentence about each fault of the server.
            count: gets the outcome of each connection, as `Requests` names them.
            rate: counts the connections of each address; None counts with the usual limit.
        """
        self._worker = worker
        self._report, self._count, self._rate = report, count, rate or Rate()
        self._connections: dict[asyncio.Task[None], _Connection] = {}
        self._server: asyncio.Server | None = None

    async def open(self, listener: socket.socket) -> None:
        """Serve at a socket that listens."""
        self._server = await asyncio.start_server(self._connected, sock=listener, limit=MOST_LINE_BYTES)

    async def close(self, seconds: float) -> None:
        """Take no more sound, transcribe what has come, for at most so long, tell everybody else, and close all
        connections."""
        if self._server is not None:
            self._server.close()
        for task, connection in self._connections.items():
            if connection.is_transcribing:
                connection.stop()
            else:
                task.cancel()
        if tasks := [*self._connections]:
            await asyncio.wait(tasks, timeout=seconds)
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        outcome, is_admitted = FAILED, False
        connection = self._connections[task] = _Connection(reader, writer, self._worker)
        try:
            if wait := self._rate.wait((writer.get_extra_info("peername") or [""])[0]):
                raise TooMany(wait)
            if len(self._connections) > MOST_CLIENTS:
                raise Refused(429, f"{MOST_CLIENTS} clients are connected. Try again later.", code="busy")
            is_admitted = True
            await connection.run()
            outcome = OK
        except LivecapError as error:
            outcome = outcome_of(refused(error).status)
            with suppress(OSError, TimeoutError):
                await connection.send("error", text=str(error), code=refused(error).code)
                if is_admitted and not isinstance(error, Stopping):
                    await connection.let_read()
        except (OSError, TimeoutError, asyncio.IncompleteReadError):
            outcome = LEFT  # the client left in the middle of an event, or neither sends nor reads
        except asyncio.CancelledError:
            outcome = STOPPED
            with suppress(OSError, TimeoutError):
                async with asyncio.timeout(TELL_SECONDS):
                    await connection.send("error", text=str(Stopping()), code="stopping")
        except Exception as error:
            outcome = FAILED
            self._report(f"A Wyoming client could not be served: {one_line(error)}.")
        finally:
            self._count(outcome)
            del self._connections[task]
            writer.close()


class _Connection:
    """One client: any number of transcriptions, one after the other."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, worker: Worker) -> None:
        self._reader, self._writer = reader, writer
        self._worker = worker
        self._asked = Asked()
        self._ear: Ear | None = None
        self._format: tuple[object, ...] | None = None
        self.is_transcribing = False
        """Its client sends sound, or waits for the text of it."""
        self._waits: asyncio.Timeout | None = None
        self._is_stopping = False

    def stop(self) -> None:
        """Read no more events; the sound that has come is transcribed."""
        self._is_stopping = True
        if self._waits is not None and not self._waits.expired():
            self._waits.reschedule(asyncio.get_running_loop().time())

    async def run(self) -> None:
        """Serve the client until it leaves.

        Raises:
            Stopping: the server stops, and the client may wait for more.
        """
        while (event := await self._read()) is not None:
            if event.type in ("audio-start", "audio-chunk", "audio-stop"):
                await self._transcribe(event)
                if self._is_stopping:
                    return
                self._asked, self._format, self._ear = Asked(), None, None
            else:
                await self._answer(event)

    async def _answer(self, event: _Event) -> None:
        """Answer an event that has no sound. One that livecap does not know is left out, as the protocol wants."""
        match event.type:
            case "describe":
                await self.send("info", **_info(self._worker.settings.model_name))
            case "ping":
                await self.send("pong", text=event.data.get("text"))
            case "transcribe":
                self._asked = _asked(event.data)

    async def _transcribe(self, first: _Event) -> None:
        """Transcribe sound up to `audio-stop`, or as much as has come when the server stops."""
        sound, stable = LiveSound(self._worker), StableText()
        language, stopping = None, None
        self.is_transcribing = True

        async def listen() -> None:
            nonlocal stopping
            try:
                await take_all()
            except Stopping as error:
                stopping = error
                sound.finish(self._ear)

        async def take_all() -> None:
            event: _Event | None = first
            while event is not None:
                match event.type:
                    case "audio-start":
                        self._tune(event)
                    case "audio-chunk":
                        ear = self._tune(event)
                        sound.begin(self._asked)
                        await sound.hear(ear, event.payload)
                    case "audio-stop":
                        sound.finish(self._ear)
                        return
                    case _:
                        await self._answer(event)
                event = await self._read()
            raise ConnectionResetError

        async def tell(told: Told) -> None:
            nonlocal language
            if isinstance(told, TranscriptUpdate):
                language = told.language or language
                if added := stable.added(told):
                    await self.send("transcript-chunk", text=added)

        await self.send("transcript-start")
        await converse(sound, listen, tell)
        await self.send("transcript", text=stable.text, language=LANGUAGE_CODES.get(language or ""))
        await self.send("transcript-stop")
        self.is_transcribing = False
        if stopping is not None:
            raise stopping

    def _tune(self, event: _Event) -> Ear:
        """The ear for the sound of an event; a new one where its format is another."""
        wanted = tuple(event.data.get(name) for name in ("rate", "width", "channels"))
        if self._ear is None or wanted != self._format:
            rate, width, channels = (_whole(value, most) for value, most in zip(wanted, MOST_FORMAT, strict=True))
            if not (rate and rate >= LEAST_RATE and width in WIDTHS and channels):
                sentence = (
                    f"Sound must have a rate from {LEAST_RATE} to {MOST_FORMAT[0]}, a width of 2 or 4 bytes, and "
                )
                raise Refused(400, f"{sentence}1 to {MOST_FORMAT[2]} channels.", code="format")
            self._ear, self._format = Ear(WIDTHS[width], rate, channels), wanted
        return self._ear

    async def _read(self) -> _Event | None:
        """The next event; None when the client has left.

        Raises:
            Stopping: the server stops.
            TimeoutError: none came.
        """
        if self._is_stopping:
            raise Stopping
        try:
            async with asyncio.timeout(SILENT_SECONDS) as self._waits:
                return await self._read_event()
        except TimeoutError:
            if self._is_stopping:
                raise Stopping from None
            raise
        finally:
            self._waits = None

    async def let_read(self) -> None:
        """Wait until the client has read why an event failed: to close while it sends would take that from it."""
        self._writer.write_eof()
        with suppress(TimeoutError):
            async with asyncio.timeout(READ_SECONDS):
                while await self._reader.read(MOST_LINE_BYTES):
                    pass

    async def _read_event(self) -> _Event | None:
        try:
            line = await self._reader.readuntil()
        except asyncio.LimitOverrunError:
            raise Refused(400, f"The line of an event has at most {MOST_LINE_BYTES >> 10} KiB.", code="size") from None
        except asyncio.IncompleteReadError as error:
            if error.partial.strip():
                raise
            return None
        head = json_object(line)
        kind, data = head.get("type"), head.get("data") or {}
        if not isinstance(kind, str) or not isinstance(data, dict):
            raise Refused(400, "An event needs a type, and its data must be an object.", code="event")
        if length := _length(head, "data_length", MOST_DATA_BYTES):
            data |= json_object(await self._reader.readexactly(length))
        length = _length(head, "payload_length", MOST_PAYLOAD_BYTES)
        return _Event(kind, data, await self._reader.readexactly(length) if length else b"")

    async def send(self, kind: str, **data: Any) -> None:
        """Send an event; data that is None is left out.

        Raises:
            OSError: the client has left.
            TimeoutError: it does not read.
        """
        body = json_text({name: value for name, value in data.items() if value is not None}).encode()
        head = json.dumps({"type": kind, "version": VERSION, "data_length": len(body)})
        self._writer.write(head.encode() + b"\n" + body)
        try:
            await asyncio.wait_for(self._writer.drain(), SEND_SECONDS)
        except TimeoutError:
            self._writer.transport.abort()  # to close it would wait until the client has read the rest
            raise


def _whole(value: object, most: int) -> int | None:
    """A whole number from 0 to `most`; None for anything else."""
    return value if type(value) is int and 0 <= value <= most else None


def _length(head: dict[str, Any], name: str, most: int) -> int:
    length = _whole(head.get(name) or 0, most)
    if length is None:
        raise Refused(400, f"{name} must be a whole number up to {most}.", code="size")
    return length


def _asked(data: dict[str, Any]) -> Asked:
    """What a client asks with `transcribe`."""
    language = data.get("language")
    given = [data.get(name) or [] for name in ("transcript_names", "transcript_terms")]
    terms = [term for some in given if isinstance(some, list) for term in some]
    good = all(isinstance(some, list) for some in given) and all(isinstance(term, str) for term in terms)
    if not isinstance(language, str | None) or not good:
        raise Refused(400, "The language must be text, and names and terms lists of texts.", code="transcribe")
    return Asked(parse_language(language) if language else None, context_of(*terms))


def _info(model: str) -> dict[str, Any]:
    artifact = {
        "attribution": {"name": "Qwen3-ASR", "url": "https://github.com/QwenLM/Qwen3-ASR"},
        "installed": True,
        "description": "Speech recognition on this computer",
        "version": VERSION,
    }
    program = {
        "name": "livecap",
        **artifact,
        "models": [{"name": model, **artifact, "languages": [*LANGUAGE_CODES.values()]}],
        "supports_transcript_streaming": True,
        "requires_external_vad": True,
        "prefers_auto_gain_enabled": False,
        "prefers_noise_reduction_enabled": False,
    }
    return {"asr": [program], "tts": [], "handle": [], "intent": [], "wake": [], "mic": [], "snd": []}

"""OpenAI's Realtime interface for transcription: /v1/realtime over a WebSocket, with vLLM's dialect on the same path.

Deltas are stable text only, since the interface cannot take text back. With `server_vad` each utterance is an item;
without turn detection an item is what the client commits, and its deltas come before that. Source: the types of the
official Python client, version 3.57.
"""

import time
import uuid
from collections import deque
from dataclasses import dataclass, field
from typing import Any

from starlette.websockets import WebSocket

from livecap.errors import LivecapError
from livecap.serve.live import LiveSocket, Mark, StableText, Told, decoded, receive, seconds, send
from livecap.serve.realtime_config import FORMATS, SessionConfig
from livecap.serve.requests import Refused, json_object, refused
from livecap.serve.vllm import VllmConnection, is_vllm
from livecap.serve.worker import Worker
from livecap.text.languages import LANGUAGE_CODES
from livecap.text.safety import json_text
from livecap.transcript import SAMPLE_RATE, TranscriptUpdate

LEAST_COMMIT_SECONDS = 0.1
"""Less sound cannot be committed."""
MOST_ID = 512
"""Characters of a client's `event_id` that are sent back."""


async def realtime(client: WebSocket, worker: Worker) -> None:
    """One connection. Its first message tells which of the two interfaces the client speaks."""
    session_id = f"sess_{uuid.uuid4().hex}"
    created = {
        "type": "session.created",
        "event_id": _event_id(),
        "session": SessionConfig().shown(session_id, worker.settings.model_name),
        "id": session_id,
        "created": int(time.time()),
    }
    await send(client, json_text(created))
    first = await receive(client)
    if first is not None and is_vllm(first):
        await VllmConnection(client, worker, first).run()
    elif first is not None:
        await _Connection(client, worker, first, session_id).run()


@dataclass(slots=True)
class _Item:
    """What the client said from one commit to the next, or one utterance."""

    id: str = field(default_factory=lambda: f"item_{uuid.uuid4().hex[:20]}")
    stable: StableText = field(default_factory=StableText)
    is_begun: bool = False
    """Something was heard of it."""
    language: str | None = None
    seconds: float = 0.0


class _Connection(LiveSocket):
    def __init__(self, client: WebSocket, worker: Worker, first: str | bytes, session_id: str) -> None:
        super().__init__(client, worker, first)
        self._settings = worker.settings
        self._session_id = session_id
        self._config = self._heard = SessionConfig()
        """`_config` holds for the sound that comes next, `_heard` for the text that comes next."""
        self._coming: deque[SessionConfig] = deque()
        """Configurations between the two."""
        self._ear = self._config.ear()
        self._received_seconds = self._closed_seconds = 0.0
        """Sound so far, and the part of it that belongs to items or was cleared."""
        self._items = deque([_Item()])
        """The item whose text comes next, those that were committed or cleared after it or follow a change of turn
        detection, and the one that is open."""
        self._committed_seconds: deque[float] = deque()
        """How much sound each commit had, of those under the server's detector that were not answered yet."""
        self._previous: str | None = None
        """The item that was committed last."""
        self._has_ended = False
        """An utterance has ended since the last commit of the client."""

    async def run(self) -> None:
        try:
            await super().run()
        except LivecapError as error:
            if self._items[0].is_begun:
                await self._transcribed("failed", self._items[0], error=refused(error).body["error"])
            await self._refuse(error, None)
            raise

    # ---- what the client sends

    async def take(self, message: str | bytes) -> bool:
        event_id = None
        try:
            if isinstance(message, bytes):
                raise Refused(400, "Messages must be JSON; sound is sent as base64 in them.", code="invalid_json")
            request = json_object(message)
            event_id = request.get("event_id")
            await self._carry_out(request)
        except LivecapError as error:
            await self._refuse(error, event_id)
        return True

    async def _carry_out(self, request: dict[str, Any]) -> None:
        match request.get("type"):
            case "session.update":
                await self._update(request.get("session"))
            case "input_audio_buffer.append":
                await self._append(decoded(request.get("audio")))
            case "input_audio_buffer.commit":
                await self._commit()
            case "input_audio_buffer.clear":
                self._clear()
            case kind:
                raise Refused(400, f"This server does not take the event {kind!r:.60}.", "type", "unknown_event")

    async def _update(self, session: Any) -> None:
        config = self._config.updated(session)
        if config != self._config:
            self.sound.change(config.asked(self._settings), self._ear)
            self._coming.append(config)
            if config.is_by_client != self._config.is_by_client:
                self._items[-1].seconds = self._received_seconds - self._closed_seconds
                self._closed_seconds = self._received_seconds
                self._items.append(_Item())
            self._ear = self._ear if config.format == self._config.format else config.ear()
            self._config = config
        await self._send("session.updated", session=config.shown(self._session_id, self._settings.model_name))

    async def _append(self, data: bytes) -> None:
        if not data:
            return
        self.sound.begin(self._config.asked(self._settings))
        encoding, rate = FORMATS[self._config.format]
        self._received_seconds += len(data) / rate / (2 if encoding == "linear16" else 1)
        await self.sound.hear(self._ear, data)

    async def _commit(self) -> None:
        buffered = round(self._received_seconds - self._closed_seconds, 6)
        if buffered < LEAST_COMMIT_SECONDS:
            sentence = f"A commit needs {LEAST_COMMIT_SECONDS} s of sound, and there is {buffered:.3f} s."
            raise Refused(400, sentence, code="input_audio_buffer_commit_empty")
        self._closed_seconds = self._received_seconds
        if self._config.is_by_client:
            item = self._items[-1]
            item.seconds = buffered
            self._items.append(_Item())
            await self._committed(item)
        else:
            self._committed_seconds.append(buffered)
        self.sound.end_utterance(self._ear)

    def _clear(self) -> None:
        self._closed_seconds = self._received_seconds
        if self._config.is_by_client:
            self._items.append(_Item())
        ear, self._ear = self._ear, self._config.ear()
        self.sound.clear(ear)

    # ---- what the client is told

    async def tell(self, told: Told) -> None:
        by_client = self._heard.is_by_client
        if isinstance(told, TranscriptUpdate):
            await self._said(told, by_client)
        elif told is Mark.FLUSH:
            self._has_ended = False
        elif told is Mark.FLUSHED:
            n_seconds = 0.0 if by_client else self._committed_seconds.popleft()
            if by_client:
                await self._completed(self._items.popleft())
            elif not self._has_ended:  # nobody spoke in what the client committed
                self._items[0].seconds = n_seconds
                await self._close_item()
        elif told is Mark.CHANGED:
            self._heard = self._coming.popleft()
            if self._heard.is_by_client != by_client:
                item = self._items.popleft()
                if item.is_begun:  # the client did not commit it; an utterance would have been closed by its end
                    await self._committed(item)
                    await self._completed(item)
        elif told is Mark.CLEARED:
            self._items.popleft()
            if not by_client:
                self._items.appendleft(_Item())
            await self._send("input_audio_buffer.cleared")

    async def _said(self, update: TranscriptUpdate, by_client: bool) -> None:
        item = self._items[0]
        if not item.is_begun and not by_client:
            start_ms = update.start_sample * 1000 // SAMPLE_RATE
            await self._send("input_audio_buffer.speech_started", audio_start_ms=start_ms, item_id=item.id)
        item.is_begun = True
        item.language = update.language or item.language
        if delta := item.stable.added(update):
            await self._transcribed("delta", item, delta=delta)
        if update.final and not by_client:
            self._has_ended = True
            self._closed_seconds = max(self._closed_seconds, update.end_sample / SAMPLE_RATE)
            item.seconds = seconds(update.end_sample - update.start_sample)
            end_ms = update.end_sample * 1000 // SAMPLE_RATE
            await self._send("input_audio_buffer.speech_stopped", audio_end_ms=end_ms, item_id=item.id)
            await self._close_item()

    async def _close_item(self) -> None:
        """Commit the utterance whose text was sent last, and complete it."""
        item, self._items[0] = self._items[0], _Item()
        await self._committed(item)
        await self._completed(item)

    async def _committed(self, item: _Item) -> None:
        previous, self._previous = self._previous, item.id
        record = {
            "id": item.id,
            "object": "realtime.item",
            "type": "message",
            "status": "completed",
            "role": "user",
            "content": [{"type": "input_audio", "transcript": None}],
        }
        await self._send("input_audio_buffer.committed", item_id=item.id, previous_item_id=previous)
        await self._send("conversation.item.added", item=record, previous_item_id=previous)
        await self._send("conversation.item.done", item=record, previous_item_id=previous)

    async def _completed(self, item: _Item) -> None:
        code = LANGUAGE_CODES.get(item.language or "")
        await self._transcribed(
            "completed",
            item,
            transcript=item.stable.text,
            usage={"type": "duration", "seconds": round(item.seconds, 3)},
            languages=[{"code": code}] if code and item.stable.text else [],
        )

    async def _transcribed(self, what: str, item: _Item, **fields: Any) -> None:
        name = f"conversation.item.input_audio_transcription.{what}"
        await self._send(name, item_id=item.id, content_index=0, **fields)

    async def _refuse(self, error: LivecapError, event_id: Any) -> None:
        body = refused(error).body["error"]
        await self._send("error", error=body | {"event_id": event_id[:MOST_ID] if isinstance(event_id, str) else None})

    async def _send(self, kind: str, **fields: Any) -> None:
        await self.send({"type": kind, "event_id": _event_id(), **fields})


def _event_id() -> str:
    return f"event_{uuid.uuid4().hex[:20]}"

"""livecap's own live interface: /v1/events takes sound and answers the events of `livecap --json` (docs/events.md)."""

import secrets
import time
from datetime import datetime

from starlette.websockets import WebSocket

from livecap.errors import LivecapError
from livecap.serve.live import GOING_AWAY, LiveSocket, Mark, Told, ear_of, send
from livecap.serve.requests import Refused, context_of, json_object
from livecap.serve.served_stream import MOST_WAITING_SECONDS, Asked
from livecap.serve.worker import Worker
from livecap.session.publish import Facts, versions
from livecap.text.languages import parse_language
from livecap.transcript import (
    CaptureReport,
    Notice,
    SessionEnded,
    SessionEvent,
    SessionStarted,
    TranscriptUpdate,
    UtteranceEnded,
    to_json,
)
from livecap.version import VERSION

SOURCE = "network"


async def events(client: WebSocket, worker: Worker) -> None:
    """One connection: a session of its own."""
    await _Connection(client, worker).run()


class _Connection(LiveSocket):
    def __init__(self, client: WebSocket, worker: Worker) -> None:
        super().__init__(client, worker)
        query = client.query_params
        self._ear = ear_of(query, "linear16")
        language, context = query.get("language"), query.get("context", "")
        self._asked = Asked(
            parse_language(language) if language else None,
            context_of(context),
            settle=query.get("settle", "true").lower() not in ("false", "0"),
        )
        self._model = worker.settings.model_name
        self._facts = Facts()
        self._started = time.monotonic()
        self._decoded_samples = 0
        self._is_behind = False
        self.sound.on_full = self._tell_full

    async def run(self) -> None:
        await self._event(self._session_started())
        try:
            await super().run()
        except LivecapError as error:
            await self._end(f"failed: {error}")
            raise

    def _session_started(self) -> SessionStarted:
        now, asked = datetime.now().astimezone(), self._asked
        return SessionStarted(
            session=f"{now:%Y-%m-%d_%H-%M-%S}-{secrets.token_hex(3)}",
            source=SOURCE,
            model=self._model,
            wall_time=now.isoformat(timespec="milliseconds"),
            live=False,
            language=asked.language,
            version=VERSION,
            settings={"language": asked.language, "context": asked.context, "settle": asked.settle},
            versions=versions(),
        )

    async def take(self, message: str | bytes) -> bool:
        if isinstance(message, bytes):
            self.sound.begin(self._asked)
            await self.sound.hear(self._ear, message)
            return True
        try:
            match json_object(message).get("type"):
                case "flush":
                    self.sound.end_utterance(self._ear)
                case "finish":
                    self.sound.finish(self._ear)
                    return False
                case kind:
                    raise Refused(400, f"There is no request {kind!r:.60}. Send flush or finish.")
        except LivecapError as error:
            await self._event(Notice(str(error), self.sound.n_samples, "error"))
        return True

    async def tell(self, told: Told) -> None:
        if isinstance(told, TranscriptUpdate):
            for item in self._facts.of(told):
                await self._event(item)
        elif not isinstance(told, Mark):
            await self._event(told)

    async def end(self) -> None:
        await self._end("stopped" if self.closing[0] == GOING_AWAY else "end of source")
        await super().end()

    async def _end(self, reason: str) -> None:
        n_samples = self.sound.n_samples
        decoded = min(self._decoded_samples, n_samples)
        await self._event(CaptureReport("", SOURCE, n_samples, decoded, n_samples - decoded, 0, 0))
        await self._event(SessionEnded(n_samples, reason))

    async def _tell_full(self) -> None:
        """Say once that the client sends more than is decoded, until it has waited for half of it."""
        if not self._is_behind:
            self._is_behind = True
            sentence = f"{MOST_WAITING_SECONDS:.0f} s of sound wait. More is read when they are decoded."
            await self._event(Notice(sentence, self.sound.n_samples))

    async def _event(self, item: SessionEvent | TranscriptUpdate) -> None:
        if isinstance(item, UtteranceEnded):
            self._decoded_samples += item.end_sample - item.start_sample
        self._is_behind = self._is_behind and self.sound.waiting_seconds > MOST_WAITING_SECONDS / 2
        await send(self.client, to_json(item, time.monotonic() - self._started))

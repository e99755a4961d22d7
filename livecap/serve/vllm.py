"""vLLM's dialect of the Realtime interface: 16 kHz samples, and one text from the first commit to the final one.

Source: `vllm/entrypoints/openai/realtime` of vLLM 0.33.
"""

from typing import Any

from starlette.websockets import WebSocket

from livecap.errors import LivecapError
from livecap.serve.live import Ear, LiveSocket, Mark, StableText, Told, decoded
from livecap.serve.requests import Refused, json_object, refused
from livecap.serve.served_stream import Asked
from livecap.serve.worker import Worker
from livecap.transcript import SAMPLE_RATE, TranscriptUpdate


def is_vllm(first: str | bytes) -> bool:
    """True if the first message of a client is of this dialect: it has `model` at its top, or `final`."""
    try:
        message = json_object(first)
    except Refused:
        return False
    return ("model" in message and "session" not in message) or "final" in message


class VllmConnection(LiveSocket):
    """One connection. `session.created` was sent before."""

    def __init__(self, client: WebSocket, worker: Worker, first: str | bytes) -> None:
        super().__init__(client, worker, first)
        self._ear = Ear("linear16", SAMPLE_RATE)
        self._has_model = False
        self._stable = StableText()

    async def run(self) -> None:
        try:
            await super().run()
        except LivecapError as error:
            await self._refuse(error)
            raise

    async def take(self, message: str | bytes) -> bool:
        try:
            await self._carry_out(json_object(message))
        except LivecapError as error:
            await self._refuse(error)
        return True

    async def _carry_out(self, request: dict[str, Any]) -> None:
        match request.get("type"):
            case "session.update":
                if not isinstance(request.get("model"), str) or not request["model"]:
                    raise Refused(400, "session.update must name a model.", "model", "model_not_found")
                self._has_model = True
            case "input_audio_buffer.append":
                data = decoded(request.get("audio"))
                if not data:
                    raise Refused(400, "audio is empty.", "audio", "invalid_audio")
                self.sound.begin(Asked())
                await self.sound.hear(self._ear, data)
            case "input_audio_buffer.commit":
                if not self._has_model:
                    raise Refused(400, "Name a model with session.update first.", code="model_not_validated")
                if request.get("final"):
                    self.sound.end_utterance(self._ear)
            case kind:
                raise Refused(400, f"Unknown event type: {kind!r:.60}", code="unknown_event")

    async def tell(self, told: Told) -> None:
        if isinstance(told, TranscriptUpdate):
            if delta := self._stable.added(told):
                await self.send({"type": "transcription.delta", "delta": delta})
        elif told is Mark.FLUSHED:
            text, self._stable = self._stable.text, StableText()
            await self.send({"type": "transcription.done", "text": text, "usage": None})

    async def _refuse(self, error: LivecapError) -> None:
        answer = refused(error)
        await self.send({"type": "error", "error": str(answer), "code": answer.code or "processing_error"})

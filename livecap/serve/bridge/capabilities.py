"""What the bridge can do, and what is the same for all requests (docs/bridge.md)."""

from dataclasses import dataclass

from livecap.serve.bridge.requests import Record
from livecap.transcript import SAMPLE_RATE
from livecap.version import VERSION

PROTOCOL = "qwen3-asr-mlx-jsonl-v1"
RUNTIME = "qwen3-asr-mlx"
REQUESTS = (
    "capabilities",
    "start",
    "transcribe",
    "batch_transcribe",
    "start_stream",
    "audio_chunk",
    "end_utterance",
    "vad_boundary",
    "flush",
    "stop_stream",
    "status",
    "cancel",
    "stop",
)
EVENTS = ("update", "utterance", "settled", "progress", "notice")


@dataclass(frozen=True, slots=True)
class BridgeSettings:
    """What is the same for all requests that do not say otherwise."""

    model: str
    """The name that the caller gave."""
    language: str | None = None
    """Full name; None lets the model name it."""
    context: str = ""
    max_tokens: int | None = None
    """The most tokens of a piece of at most 16 s."""
    uses_cache: bool = True

    @property
    def modes(self) -> tuple[str, ...]:
        """How several utterances can be decoded."""
        return ("sequential", "batched") if self.uses_cache else ("no_cache",)


def capabilities(settings: BridgeSettings) -> Record:
    """What the bridge can do. Needs no model."""
    return {
        "type": "capabilities",
        "runtime": RUNTIME,
        "protocol": PROTOCOL,
        "server": "livecap",
        "version": VERSION,
        "model": settings.model,
        "sample_rate": SAMPLE_RATE,
        "audio_format": "mono pcm16 little-endian base64 or WAV file path",
        "vad_boundary_source": "external",
        "use_cache": settings.uses_cache,
        "decoder_modes": list(settings.modes),
        "messages": list(REQUESTS),
        "events": list(EVENTS),
        "models": {"efficiency": "Qwen/Qwen3-ASR-0.6B", "accuracy_candidate": "Qwen/Qwen3-ASR-1.7B"},
    }

"""The configuration of a transcription session of OpenAI's Realtime interface: `session.update` and what is effective.

Source: the types of the official Python client, version 3.57.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from livecap.engine import EngineSettings
from livecap.serve.live import Ear, ending_after
from livecap.serve.requests import Refused, context_of
from livecap.serve.served_stream import Asked
from livecap.text.languages import parse_language

FORMATS = {"audio/pcm": ("linear16", 24_000), "audio/pcmu": ("mulaw", 8000), "audio/pcma": ("alaw", 8000)}
"""Name of a format to its encoding and rate."""
DELAYS = {"minimal": (0.3, 0.3), "low": (0.3, 0.8), "medium": (0.8, 1.6), "high": (1.6, 3.2), "xhigh": (3.2, 6.4)}
"""`delay` to the seconds of further sound after which a word is stable: one of which the model is sure, and any other
(`CommitPolicy.agree_seconds` and `doubtful_seconds`)."""
SILENCE_MS = 500
LEAST_SILENCE_MS, MOST_SILENCE_MS = 200, 10_000
INPUT = "session.audio.input"


@dataclass(frozen=True, slots=True)
class SessionConfig:
    """What a client asks of its session."""

    format: str = "audio/pcm"
    silence_ms: int | None = SILENCE_MS
    """Silence that ends an item; None: the client commits items itself."""
    transcription: Mapping[str, Any] = field(default_factory=dict)
    """`language`, `languages`, `keywords`, `prompt` and `delay`, where the client gave them."""

    @property
    def is_by_client(self) -> bool:
        """True if the client commits items itself."""
        return self.silence_ms is None

    def updated(self, session: Any) -> "SessionConfig":
        """The configuration after a `session.update`: what it does not name stays.

        Raises:
            LivecapError: it asks for what livecap cannot do; nothing is changed.
        """
        if session is None:
            raise Refused(400, "session.update needs a session.", "session", "missing_required_parameter")
        session = _object(session, "session")
        if session.get("type", "transcription") != "transcription":
            raise Refused(400, "Only sessions of type transcription are served here.", "session.type", "unsupported")
        if session.get("include"):
            raise Refused(400, "This server gives no logprobs.", "session.include", "unsupported")
        given = _object(_object(session.get("audio"), "session.audio").get("input"), INPUT)
        config = self
        if given.get("format") is not None:
            config = replace(config, format=_format(_object(given["format"], f"{INPUT}.format")))
        if "transcription" in given:
            config = replace(config, transcription={**self.transcription, **_transcription(given["transcription"])})
        if "turn_detection" in given:
            config = replace(config, silence_ms=_silence_ms(given["turn_detection"]))
        return config

    def shown(self, session_id: str, model: str) -> dict[str, Any]:
        """The effective configuration, in the shape of `session.created` and `session.updated`."""
        encoding, rate = FORMATS[self.format]
        vad = {
            "type": "server_vad",
            "threshold": 0.5,
            "prefix_padding_ms": 300,
            "silence_duration_ms": self.silence_ms,
        }
        return {
            "type": "transcription",
            "object": "realtime.transcription_session",
            "id": session_id,
            "include": None,
            "audio": {
                "input": {
                    "format": {"type": self.format} | ({"rate": rate} if encoding == "linear16" else {}),
                    "noise_reduction": None,
                    "transcription": {"model": model, **self.transcription},
                    "turn_detection": None if self.is_by_client else vad,
                }
            },
        }

    def ear(self) -> Ear:
        """What hears the sound of this format."""
        return Ear(*FORMATS[self.format])

    def asked(self, settings: EngineSettings) -> Asked:
        """What the worker is asked.

        Args:
            settings: of the server.
        """
        stream, given = settings.stream, self.transcription
        if self.silence_ms is not None:
            stream = ending_after(stream, self.silence_ms / 1000)
        if (delay := given.get("delay")) is not None:
            sure, doubtful = DELAYS[delay]
            stream = replace(stream, commit=replace(stream.commit, agree_seconds=sure, doubtful_seconds=doubtful))
        languages = [given["language"]] if given.get("language") else given.get("languages") or []
        language = parse_language(languages[0]) if len(languages) == 1 else None
        return Asked(language, context_of(given.get("prompt") or "", *(given.get("keywords") or [])), stream=stream)


def _format(given: dict[str, Any]) -> str:
    name = given.get("type")
    if not isinstance(name, str) or name not in FORMATS:
        raise Refused(400, f"The format must be one of {', '.join(FORMATS)}.", f"{INPUT}.format.type", "invalid_value")
    rate = FORMATS[name][1]
    if given.get("rate") not in (None, rate):
        raise Refused(400, f"{name} must have a rate of {rate}.", f"{INPUT}.format.rate", "invalid_value")
    return name


def _transcription(given: Any) -> dict[str, Any]:
    name = f"{INPUT}.transcription"
    if given is None:
        raise Refused(400, "This server only transcribes, so transcription cannot be off.", name, "unsupported")
    found: dict[str, Any] = {}
    for key, value in _object(given, name).items():
        if key in ("language", "prompt"):
            good = value is None or isinstance(value, str)
        elif key in ("languages", "keywords"):
            good = value is None or (isinstance(value, list) and all(isinstance(each, str) for each in value))
        elif key == "delay":
            good = value is None or value in [*DELAYS]
        else:
            continue
        if not good:
            kind = f"one of {', '.join(DELAYS)}" if key == "delay" else "text" if key in TEXTS else "a list of texts"
            raise Refused(400, f"{key} must be {kind}.", f"{name}.{key}", "invalid_value")
        found[key] = value
    for language in [found.get("language"), *(found.get("languages") or [])]:
        if language:
            parse_language(language)
    return found


TEXTS = ("language", "prompt")


def _silence_ms(given: Any) -> int | None:
    name = f"{INPUT}.turn_detection"
    if given is None:
        return None
    if _object(given, name).get("type") != "server_vad":
        raise Refused(400, "turn_detection must be null or of type server_vad.", f"{name}.type", "unsupported")
    silence = given.get("silence_duration_ms")
    if silence is None:
        return SILENCE_MS
    if type(silence) is not int or not LEAST_SILENCE_MS <= silence <= MOST_SILENCE_MS:
        sentence = f"silence_duration_ms must be a whole number from {LEAST_SILENCE_MS} to {MOST_SILENCE_MS}."
        raise Refused(400, sentence, f"{name}.silence_duration_ms", "invalid_value")
    return silence


def _object(value: Any, name: str) -> dict[str, Any]:
    """A JSON object, empty where there is none."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise Refused(400, f"{name} must be an object.", name, "invalid_type")
    return value

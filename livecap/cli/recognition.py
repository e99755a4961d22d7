"""What recognition the user's settings ask for: an engine's settings, with the model on this machine."""

from collections.abc import Callable, Mapping
from typing import Any

from livecap.audio_in.vad import DetectorConfig, Vad
from livecap.cli.context_file import context_of
from livecap.cli.download import find_model
from livecap.cli.sound import asks_for_steps
from livecap.engine import EngineSettings
from livecap.model.checkpoint.cached import is_here
from livecap.settings.fields import DEFAULT_MODEL, Settings
from livecap.stream.config import ChunkConfig, StreamConfig
from livecap.text.languages import parse_language

REPLAY_STEP_COST_SECONDS = 1.0
"""Assumed cost of a step when a recording is read as fast as possible and no chunk was asked for: chunks are then 2 s
long on every machine. With a chunk, steps are those of a live session on a machine with free compute."""


def engine_settings(settings: Settings, find: Callable[[str], object] = find_model) -> EngineSettings:
    """The engine that these settings ask for. A model that is not on this machine is downloaded.

    Args:
        find: called with the model's name, to download it.

    Raises:
        LivecapError: no such language or model.
    """
    language = parse_language(settings.language) if settings.language else None
    find(settings.model)
    cost = settings.step_cost_seconds
    if cost is None and settings.replay is not None and settings.pace is None:
        cost = 0.0 if asks_for_steps(settings) else REPLAY_STEP_COST_SECONDS
    stream = StreamConfig(chunk=ChunkConfig(settings.chunk_seconds, cost), detector=DetectorConfig(Vad(settings.vad)))
    is_wanted = settings.settle and settings.aligner != "off"
    aligner = settings.aligner if is_wanted and is_here(settings.aligner) else None
    return EngineSettings(
        settings.model, language, context_of(settings), stream, settings.settle, aligner, dtype=settings.dtype
    )


def engine_changes(changes: Mapping[str, Any]) -> dict[str, Any]:
    """Fields of `EngineSettings` for new values of `model`, `language` or `context`; None stands for the default.

    Raises:
        LivecapError: no such language or model.
    """
    fields = dict(changes)
    if "model" in changes:
        fields["model"] = changes["model"] or DEFAULT_MODEL
        find_model(fields["model"])
    if changes.get("language"):
        fields["language"] = parse_language(changes["language"])
    if "context" in changes:
        fields["context"] = changes["context"] or ""
    return fields

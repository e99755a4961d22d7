"""What recognition the user's settings ask for: an engine's settings, with the model on this machine."""

import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from livecap.audio_in.vad import DetectorConfig, Vad
from livecap.cli.context_file import context_of
from livecap.cli.download import find_model
from livecap.cli.sound import asks_for_steps
from livecap.engine import Engine, EngineSettings, Load
from livecap.errors import SettingsError, brief
from livecap.files import read_regular
from livecap.model.checkpoint.cached import is_here
from livecap.remote.engine import RemoteEngine
from livecap.remote.server import RemoteServer, ServerTrouble
from livecap.settings.fields import DEFAULT_MODEL, Settings
from livecap.settings.sources import KEY_VARIABLE
from livecap.stream.config import ChunkConfig, StreamConfig
from livecap.text.languages import parse_language
from livecap.text.safety import printable

MOST_KEY_BYTES = 8192
"""Length of a file with a key."""
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


def never() -> bool:
    """The session does not end. A function with a name, since other processes get it (`livecap eval --jobs`)."""
    return False


def session_recognition(
    settings: Settings, live: bool, is_ending: Callable[[], bool] = never
) -> tuple[EngineSettings, Load]:
    """The engine of a session, and what loads it: the model on this machine, or the server that the settings name.

    Args:
        live: the sound cannot be heard again, so a server that is away is waited for as long as the session goes on.
        is_ending: the session ends, so a server that is away is not waited for.

    Raises:
        LivecapError: no such language or model, or the server cannot be used.
    """
    if settings.remote is None:
        return engine_settings(settings), Engine.load
    recognition = engine_settings(replace(settings, aligner="off"), find=lambda name: None)
    server = RemoteServer(settings.remote, _key(settings.remote_key_file))
    try:
        names = server.models()
    except ServerTrouble as trouble:
        raise SettingsError(f"{settings.remote} {trouble}. Without --remote, this computer transcribes.") from None
    finally:
        server.close()
    name = settings.remote_model or names[0]
    if name not in names:
        there = ", ".join(printable(each) for each in names[:5])
        raise SettingsError(
            f"{settings.remote} has no model {brief(name)}; it has {there}. Choose with --remote-model."
        )
    recognition = replace(recognition, model=name, remote=server.host)
    return recognition, partial(RemoteEngine, server, live=live, is_ending=is_ending)


def _key(path: Path | None) -> str | None:
    """The key for the remote server, from the environment, else from a file; None without one.

    Raises:
        SettingsError: it cannot be read, or cannot be sent.
    """
    key, where = os.environ.get(KEY_VARIABLE, "").strip(), KEY_VARIABLE
    if not key and path is not None:
        where = str(path)
        try:
            key = read_regular(path, MOST_KEY_BYTES).decode("ascii", errors="replace").strip()
        except OSError as error:
            raise SettingsError(f"Cannot read the key in {path}: {error.strerror or error}.") from None
    if not key and path is not None or not key.isprintable() or not key.isascii() or " " in key:
        raise SettingsError(f"The key in {where} must be one word of letters, digits and signs.")
    return key or None


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

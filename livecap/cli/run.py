"""One session from the command line: check everything first, then listen, show, log and end in order.

What is not needed to open a device is imported once it is open: people speak as soon as they have pressed return.
"""

import io
import os
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from livecap.cli.arguments import sessions_folder
from livecap.cli.recover import offer
from livecap.cli.sound import (
    check_sound,
    closed_on_failure,
    is_live,
    open_sound,
    recall_device,
    remember_device,
    spools,
)
from livecap.cli.terminal import signals_stop, silence_model_log, warn
from livecap.model.checkpoint.catalogue import is_here
from livecap.settings.fields import DEFAULT_MODEL, Settings

if TYPE_CHECKING:
    from livecap.archive.steps import Step
    from livecap.audio_in.source import AudioSource
    from livecap.engine import EngineSettings
    from livecap.session.live import LiveSession
    from livecap.session.requests import SteeredSession
    from livecap.stream.config import StreamConfig


def run_session(settings: Settings) -> int:
    """Run until the source ends or a person stops it; returns the exit status."""
    offer(settings)
    session = make_session(settings)
    from livecap.cli.awake import kept_awake

    silence_model_log()  # as notices of the session
    with signals_stop(session.stop), kept_awake() if is_live(settings) else nullcontext():
        return _run(session, settings)


def _run(session: "SteeredSession", settings: Settings) -> int:
    if settings.output in ("screen", "inline"):
        return _on_screen(session, settings)
    from livecap.audio_in.device.native_prints import native_prints_to

    with native_prints_to(session.log_folder / "native.log", for_screen=False) if is_live(settings) else nullcontext():
        return _print_lines(session, settings)


def _print_lines(session: "SteeredSession", settings: Settings) -> int:
    from livecap.cli.output import JsonOutput, PlainOutput

    troubles: list[str] = []

    def on_closed(trouble: str | None) -> None:
        troubles.extend([trouble] if trouble and not troubles else [])
        session.stop()

    _speak_utf8()
    if settings.output == "json":
        session.add_listener(JsonOutput(sys.stdout, lambda: session.wall_seconds, on_closed))
    else:
        session.add_listener(PlainOutput(sys.stdout, sys.stderr, on_closed))
    session.start()
    while not session.wait(0.2):
        pass
    for trouble in troubles:
        warn(trouble)
    return _exit_status(session) or int(bool(troubles))


def _speak_utf8() -> None:
    """Transcripts hold any script, whatever the terminal's locale says."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="replace")


def make_session(settings: Settings) -> "SteeredSession":
    """A session that is ready to start: what could be wrong with the request has been found by now.

    Devices are opened first of all, and heard from then on: reading the model's code takes longer than people wait.
    Only where the model has to be downloaded does that come first; a recording is opened even before that, since a
    wrong name should be told at once.

    Raises:
        LivecapError: no such file, device, language or model, or a log folder that cannot be written.
    """
    began = time.time()
    notices = _Notices()
    settings, sentence = recall_device(settings)
    if sentence:
        notices(sentence, "info")
    parent = sessions_folder(settings)
    check_sound(settings)
    recorded = open_sound(settings, notices) if settings.replay is not None else []
    if not is_here(settings.model):
        from livecap.archive.log import check_parent
        from livecap.cli.download import find_model
        from livecap.text.languages import parse_language

        with closed_on_failure(recorded):
            check_parent(parent)
            if settings.language:
                parse_language(settings.language)
            find_model(settings.model)
    sound = recorded or _opened(settings, notices)
    stopped = threading.Event()
    kept_signals = signals_stop(stopped.set) if is_live(settings) else nullcontext()  # from here on there is sound
    with closed_on_failure(sound), kept_signals:
        remember_device(settings)
        from datetime import datetime

        from livecap.archive.clock import WallClock
        from livecap.archive.log import SessionLog, check_parent

        check_parent(parent)
        from livecap.session.requests import SteeredSession
        from livecap.session.sound_folder import SoundFolder, tidy
        from livecap.session.tracks import TrackSource

        recognition = engine_settings(settings)
        if is_live(settings):
            for session_folder in tidy(parent):
                name = session_folder.name
                notices(f"The session {name} was cut off: livecap recover ends it. Its sound stays for 7 days.", "info")
        log = SessionLog(parent, datetime.now())
        sound_folder = SoundFolder(log.folder, settings.save_audio)
        for label, spool in spools(sound):
            sound_folder.add(label, spool)
        tracks = [TrackSource(label, source, steps_of(source, settings)) for label, source in sound]
        session = SteeredSession(tracks, recognition, log, wall=WallClock(began), sound_folder=sound_folder)
    session.settings = as_logged(settings)
    notices.lead_to(session)
    if stopped.is_set():
        session.stop()
    return session


def _opened(settings: Settings, notices: "_Notices") -> "list[tuple[str, AudioSource]]":
    """As `open_sound`. What PortAudio and ALSA print of a device that cannot be opened, the error says in one line."""
    if not is_live(settings) or settings.stdin:
        return open_sound(settings, notices)
    from livecap.audio_in.device.native_prints import native_prints_to

    with native_prints_to(Path(os.devnull), for_screen=False):
        return open_sound(settings, notices)


def as_logged(settings: Settings) -> dict[str, object]:
    """What of the settings decides what is heard, for the header of a log."""
    names = ("model", "language", "context", "chunk_seconds", "replay", "pace", "device")
    values = {name: getattr(settings, name) for name in names}
    return {name: str(value) if isinstance(value, Path) else value for name, value in values.items()}


class _Notices:
    """What a source has to say before there is a session is told once there is one."""

    def __init__(self) -> None:
        self._early: list[tuple[str, str]] = []
        self._session: LiveSession | None = None

    def __call__(self, message: str, severity: str = "warning") -> None:
        if self._session is None:
            self._early.append((message, severity))
        else:
            self._session.notice(message, severity)

    def lead_to(self, session: "LiveSession") -> None:
        """From now on notices are the session's, the early ones first."""
        session.early_notices = self._early
        self._session = session


def engine_settings(settings: Settings) -> "EngineSettings":
    """The engine that these settings ask for. A model that is not on this machine is downloaded.

    Raises:
        LivecapError: no such language or model.
    """
    from livecap.cli.download import find_model
    from livecap.engine import EngineSettings
    from livecap.text.languages import parse_language

    language = parse_language(settings.language) if settings.language else None
    find_model(settings.model)
    return EngineSettings(settings.model, language, settings.context, stream_config(settings), settings.settle)


def change_session(session: "SteeredSession", changes: Mapping[str, Any], track: str = "") -> None:
    """Change a running session as the user asked on the screen. May take as long as a device needs to answer.

    Args:
        changes: new values of `device`, `model`, `language` or `context`; None stands for the default.
        track: label of the track whose device changes.

    Raises:
        LivecapError: a value is not possible; nothing changes.
    """
    from livecap.cli.download import find_model
    from livecap.text.languages import parse_language

    recognition = dict(changes)
    if "model" in changes:
        recognition["model"] = changes["model"] or DEFAULT_MODEL
        find_model(recognition["model"])
    if changes.get("language"):
        recognition["language"] = parse_language(changes["language"])
    if "context" in changes:
        recognition["context"] = changes["context"] or ""
    if "device" in changes:
        session.switch_input(recognition.pop("device"), track)
    if recognition:
        session.change_recognition(recognition)


REPLAY_STEP_COST_SECONDS = 1.0
"""A recording that is read as fast as it can be gets the same chunks on every machine: 2 s."""


def stream_config(settings: Settings) -> "StreamConfig":
    """How the stream is set."""
    from livecap.stream.config import ChunkConfig, StreamConfig

    cost = settings.step_cost_seconds
    if cost is None and settings.replay is not None and settings.pace is None:
        cost = REPLAY_STEP_COST_SECONDS
    return StreamConfig(ChunkConfig(settings.chunk_seconds, cost))


def steps_of(source: "AudioSource", settings: Settings) -> "tuple[Step, ...]":
    """The steps to make again: those of a recorded session, unless a person wants others."""
    from livecap.session.recorded_source import RecordedSound

    return source.steps if isinstance(source, RecordedSound) and settings.chunk_seconds is None else ()


def _on_screen(session: "SteeredSession", settings: Settings) -> int:
    from livecap.cli.this_computer import ThisComputer
    from livecap.settings.file import store
    from livecap.settings.sources import settings_path
    from livecap.tui.terminal import run_app

    if session.is_stopping:  # by Ctrl-C, while the screen was being loaded
        session.start()
        session.wait()
        return _left(session)
    result = run_app(
        session,
        session.log_folder / "native.log",
        settings,
        remember=lambda name, value: store(settings_path(), {name: value}),
        machine=ThisComputer(),
        change=partial(change_session, session),
        inline=settings.output == "inline",
    )
    if result == "abandoned":
        os._exit(130)
    return _left(session)


def _left(session: "SteeredSession") -> int:
    """Where the text of a session is that has ended, and the exit status."""
    status = _exit_status(session)
    print(f"Transcript: {session.log_folder / 'transcript.md'}")
    return status


def _exit_status(session: "LiveSession") -> int:
    error = session.status.error
    if error is None:
        return 0
    warn(error)
    return 1

"""One session from the command line: check the request, listen, show, log, and end in order.

Imports at the top are light; `open_sound_first` says why.
"""

import os
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from livecap.archive.folder import all_have_ends, check_parent
from livecap.audio_in.device.native_prints import native_prints_to
from livecap.cli.arguments import sessions_folder
from livecap.cli.awake import kept_awake
from livecap.cli.context_file import ContextFile, followed
from livecap.cli.sound import check_sound, closed_on_failure, is_live, open_sound, recall_device, remember_device
from livecap.cli.terminal import INTERRUPTED, signals_stop, silence_model_log, warn
from livecap.errors import ModelError, SettingsError
from livecap.model.checkpoint.cached import is_here
from livecap.model.without_mlx import missing_mlx
from livecap.session.last_abort import NATIVE_LOG, metal_abort
from livecap.session.notices import Notices
from livecap.settings.fields import Settings
from livecap.settings.sources import known_voices_path
from livecap.text.languages import parse_language
from livecap.text.printing import say

if TYPE_CHECKING:
    from livecap.session.live import LiveSession
    from livecap.session.tracks import TrackSource


OFFERED = 100
"""How many of the newest sessions are checked for an end at a start; `livecap recover` checks all."""


def run_session(settings: Settings) -> int:
    """Run until the source ends or the user stops it; returns the exit status."""
    offer_recovery(settings)
    session = make_session(settings)
    silence_model_log()  # the session has its messages as notices
    from livecap.integrations.attach import attached  # not before the device is open

    awake = kept_awake() if is_live(settings) else nullcontext()
    with signals_stop(session.stop, partial(_leave, session), lambda: session.is_over), awake:
        with (
            attached(session, settings, warn),
            followed(settings, partial(_expect, session), session.notice) as terms,
        ):
            return _run(session, settings, partial(change_session, session, terms=terms))


def _expect(session: "LiveSession", context: str) -> None:
    """The names and terms to expect have changed."""
    session.requests.change_recognition({"context": context})


def offer_recovery(settings: Settings) -> None:
    """On a terminal, ask the user about the newest sessions that a crash cut off, if there are any."""
    if sys.stdin.isatty() and sys.stdout.isatty() and not all_have_ends(sessions_folder(settings), OFFERED):
        from livecap.cli.recover import offer  # loads the model's code, which most starts can do later

        offer(settings, OFFERED)


def _leave(session: "LiveSession") -> None:
    """The user does not want to wait for the end of the session, or for other programs after it."""
    status = session.status  # text may still come once the model is loaded
    if session.is_over:
        warn("Left at once. The session has ended; its note or a command may be unfinished.")
    elif not (status.state.value == "loading" and _deleted_if_empty(session)):
        warn("Left at once. The end of the session is missing; livecap offers to recover it at the next start.")


def _deleted_if_empty(session: "LiveSession") -> bool:
    """Delete a session of this process that heard and wrote nothing, and say so."""
    from livecap.session.recovery import delete_if_empty

    is_gone = delete_if_empty(session.log_folder)
    if is_gone:
        warn("Nothing was heard, so no session was kept.")
    return is_gone


def open_sound_first(settings: Settings, notices: Notices) -> "list[TrackSource]":
    """Open the sources of a session before anything heavy is loaded.

    Users speak as soon as they have pressed return, but NumPy, MLX and the model's code take a second to load. So a
    device is opened with light imports alone, 0.23 s after the start (docs/benchmarks/start.json), and its sound waits.

    A model that has to be downloaded comes before the device, since nobody speaks during a download; a recording comes
    before the model, so that a wrong name is reported at once.

    Raises:
        LivecapError: no such file, device, language or model, or a log folder that cannot be written.
    """
    if problem := missing_mlx():
        raise ModelError(problem)
    check_sound(settings)
    recorded = open_sound(settings, notices) if settings.replay is not None else []
    if settings.remote is None and not is_here(settings.model):
        from livecap.cli.download import find_model

        with closed_on_failure(recorded):
            check_parent(sessions_folder(settings))
            if settings.language:
                parse_language(settings.language)
            find_model(settings.model)
    if recorded or settings.stdin:
        return recorded or open_sound(settings, notices)
    with native_prints_to(Path(os.devnull), for_screen=False):  # the error says in one line what PortAudio prints
        return open_sound(settings, notices)


def make_session(settings: Settings) -> "LiveSession":
    """A session that is ready to start: whatever could be wrong with the request was found.

    Raises:
        LivecapError: no such file, device, language or model, or a log folder that cannot be written.
    """
    began = time.time()
    notices = Notices()
    settings, sentence = recall_device(settings)
    if sentence:
        notices(sentence, "info")
    if abort := metal_abort(sessions_folder(settings)):
        notices(abort)
    tracks = open_sound_first(settings, notices)
    stopped = threading.Event()
    kept_signals = signals_stop(stopped.set) if is_live(settings) else nullcontext()  # from here on there is sound
    with closed_on_failure(tracks), kept_signals:
        from livecap.archive.log import SessionLog

        remember_device(settings, tracks[-1].source.name)
        parent = sessions_folder(settings)
        check_parent(parent)  # before the heavy imports
        from livecap.cli.recognition import session_recognition
        from livecap.session.live import LiveSession
        from livecap.session.sound_folder import SoundFolder, tidy
        from livecap.session.wall_clock import WallClock
        from livecap.speakers.remembered import RememberedVoices

        voices_file = known_voices_path()
        if settings.speakers and voices_file is not None:
            RememberedVoices(voices_file).all()  # whatever is wrong with the file is found before there is a session
        recognition, load_engine = session_recognition(
            settings,
            any(track.source.spool is not None and not track.source.spool.repeatable for track in tracks),
            lambda: session.requests.is_stopping or all(track.source.drained for track in tracks),
        )
        if is_live(settings):
            for session_folder in tidy(parent):
                name = session_folder.name
                notices(f"The session {name} was cut off: livecap recover ends it. Its sound stays for 7 days.", "info")
        log = SessionLog(parent, datetime.now(), on_trouble=notices.on_log_trouble)
        sound_folder = SoundFolder(log.folder, settings.save_audio, lambda: log.folder)
        for track in tracks:
            if track.source.spool is not None:
                sound_folder.add(track.label, track.source.spool)
        session = LiveSession(
            tracks,
            recognition,
            log,
            settings=as_logged(settings),
            notices=notices,
            wall=WallClock(began),
            sound_folder=sound_folder,
            removes_echo=settings.echo == "auto",
            labels_speakers=settings.speakers,
            voices_file=voices_file,
            load_engine=load_engine,
        )
    if stopped.is_set():
        session.stop()
    return session


def as_logged(settings: Settings) -> dict[str, object]:
    """The settings that decide what is recognised, for the header of a log."""
    names = "model remote remote_model language context echo speakers chunk_seconds replay pace device".split()
    values = {name: getattr(settings, name) for name in names}
    return {name: str(value.absolute()) if isinstance(value, Path) else value for name, value in values.items()}


def change_session(
    session: "LiveSession", changes: Mapping[str, Any], track: str = "", terms: ContextFile | None = None
) -> None:
    """Change a running session as the user asked on the screen. May take as long as a device needs to answer.

    Args:
        changes: new values of `device`, `model`, `language` or `context`; None stands for the default.
        track: label of the track whose device changes.
        terms: the session's `--context-file`, whose terms stay.

    Raises:
        LivecapError: a value is not possible; nothing changes.
    """
    from livecap.cli.recognition import engine_changes

    if "context" in changes and terms is not None:
        changes = {**changes, "context": terms.typed(changes["context"] or "")}
    if "model" in changes and (server := session.status.remote):
        raise SettingsError(f"{server} transcribes this session; its model is chosen with --remote-model.")
    recognition = engine_changes({name: value for name, value in changes.items() if name != "device"})
    if "device" in changes:
        session.requests.switch_input(changes["device"], track)
    if recognition:
        session.requests.change_recognition(recognition)


def _run(session: "LiveSession", settings: Settings, change: Callable[..., None]) -> int:
    native_log = session.log_folder / NATIVE_LOG
    if settings.output in ("screen", "inline"):
        return _on_screen(session, settings, native_log, change)
    own_streams = sys.stdout is sys.__stdout__  # not those of a program that calls `run`
    with native_prints_to(native_log, for_screen=False) if is_live(settings) or own_streams else nullcontext():
        return _print_lines(session, settings)


def _print_lines(session: "LiveSession", settings: Settings) -> int:
    from livecap.cli.output import JsonOutput, PlainOutput  # slow to load, and devices are opened before it

    troubles: list[str] = []

    def on_closed(trouble: str | None) -> None:
        troubles.extend([trouble] if trouble and not troubles else [])
        session.stop()

    if settings.output == "json":
        session.start(JsonOutput(sys.stdout, lambda: session.wall_seconds, on_closed))
    else:
        session.start(PlainOutput(sys.stdout, sys.stderr, on_closed, settings.speakers))
    while not session.wait(0.2):
        pass
    for trouble in troubles:
        warn(trouble)
    return _exit_status(session) or int(bool(troubles))


def _on_screen(session: "LiveSession", settings: Settings, native_log: Path, change: Callable[..., None]) -> int:
    from livecap.cli.this_computer import ThisComputer
    from livecap.tui.terminal import run_app

    result = "finished"
    if session.requests.is_stopping:  # by Ctrl-C, while the screen was being loaded
        session.start()
        session.wait()
    else:
        machine = ThisComputer()
        result = run_app(
            session,
            native_log,
            settings,
            remember=machine.remember,
            machine=machine,
            change=change,
            inline=settings.output == "inline",
        )
        if result == "abandoned":
            _leave(session)
            os._exit(INTERRUPTED)
    status = _exit_status(session) or int(result == "crashed")
    if status == 0 and is_live(settings) and session.status.arrived_seconds < 1 and _deleted_if_empty(session):
        return status
    say(f"Transcript: {session.log_folder / 'transcript.md'}")
    return status


def _exit_status(session: "LiveSession") -> int:
    error = session.status.error
    if error is None:
        return 0
    warn(error)
    return 1

"""One session from the command line: check everything first, then listen, show, log and end in order."""

import io
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import platformdirs

from livecap.audio_in.source import AudioSource
from livecap.cli.output import JsonOutput, PlainOutput, warn
from livecap.session.live import LiveSession, MakeTranscriber
from livecap.session.log import SessionLog, check_parent
from livecap.settings import Settings


def run_session(settings: Settings) -> int:
    """Run until the source ends or a person stops it; returns the exit status."""
    session = make_session(settings)
    if settings.output == "screen":
        return _on_screen(session)
    troubles: list[str] = []

    def on_closed(trouble: str | None) -> None:
        troubles.extend([trouble] if trouble and not troubles else [])
        session.stop()

    _speak_utf8()
    if settings.output == "json":
        session.add_listener(JsonOutput(sys.stdout, lambda: session.wall_seconds, on_closed))
    else:
        session.add_listener(PlainOutput(sys.stdout, sys.stderr, on_closed))
    with _signals_stop(session.stop):
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


def make_session(settings: Settings) -> LiveSession:
    """A session that is ready to start: what could be wrong with the request has been found by now.

    Raises:
        LivecapError: no such file, device, language or model, or a log folder that cannot be written.
    """
    notices = _Notices()
    source: AudioSource | None = None
    if settings.replay is not None:
        source = _open_recording(settings.replay, settings.pace, notices)
    else:
        from livecap.audio_in.devices import find_input

        find_input(settings.device)  # a wrong name is told before a model is downloaded
    parent = settings.log_dir or sessions_folder()
    check_parent(parent)
    language, make_transcriber = _recognition(settings)
    if source is None:
        source = _open_device(settings, notices)
    try:
        log = SessionLog(parent, datetime.now())
    except BaseException:
        source.close()
        raise
    session = LiveSession(source, make_transcriber, log, _model_name(settings.model), language)
    notices.lead_to(session)
    return session


class _Notices:
    """What a source has to say before there is a session is told once there is one."""

    def __init__(self) -> None:
        self._early: list[str] = []
        self._session: LiveSession | None = None

    def __call__(self, message: str) -> None:
        if self._session is None:
            self._early.append(message)
        else:
            self._session.notice(message)

    def lead_to(self, session: LiveSession) -> None:
        """From now on notices are the session's, the early ones first."""
        session.early_notices = self._early
        self._session = session


def sessions_folder() -> Path:
    """Where sessions are kept unless `--log-dir` says otherwise."""
    return Path(platformdirs.user_data_dir("livecap", appauthor=False)) / "sessions"


def _recognition(settings: Settings) -> tuple[str | None, MakeTranscriber]:
    """The language's full name, and what makes the transcriber on the thread that will run it."""
    from livecap.cli.download import find_model
    from livecap.model.load import load
    from livecap.model.prompt import parse_language
    from livecap.stream.config import StreamConfig
    from livecap.stream.recogniser import Recogniser
    from livecap.stream.transcriber import StreamingTranscriber

    language = parse_language(settings.language) if settings.language else None
    folder = find_model(settings.model)
    config = StreamConfig(step_seconds=settings.chunk_seconds)

    def make(on_notice: Callable[[str], None]) -> StreamingTranscriber:
        loaded = load(folder)
        for notice in loaded.notices:
            on_notice(notice)
        recogniser = Recogniser(loaded, settings.context, language, config)
        return StreamingTranscriber(recogniser, loaded.tokenizer, config, language=language, on_notice=on_notice)

    return language, make


def _open_recording(path: Path, pace: float | None, on_notice: Callable[[str], None]) -> AudioSource:
    from livecap.audio_in.replay import Replay

    return Replay(path, pace, on_notice=on_notice)


def _open_device(settings: Settings, on_notice: Callable[[str], None]) -> AudioSource:
    from livecap.audio_in.microphone import Microphone

    return Microphone(settings.device, on_notice=on_notice)


def _on_screen(session: LiveSession) -> int:
    from livecap.tui.terminal import run_app

    result = run_app(session, session.log_folder / "native.log")
    if result == "abandoned":
        os._exit(130)
    status = _exit_status(session)
    print(f"Transcript: {session.log_folder / 'transcript.md'}")
    return status


def _exit_status(session: LiveSession) -> int:
    error = session.status.error
    if error is None:
        return 0
    warn(error)
    return 1


@contextmanager
def _signals_stop(stop: Callable[[], None]) -> Iterator[None]:
    """Ctrl-C, SIGTERM and a closed window decode the rest and end in order; a second Ctrl-C leaves at once."""
    asked = False

    def on_signal(number: int, frame: object) -> None:
        nonlocal asked
        if asked and number == signal.SIGINT:
            os._exit(130)
        asked = True
        stop()

    # A signal that is ignored stays so: nohup, and a shell's background jobs, count on it.
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    heard = [number for number, handler in before.items() if handler is not signal.SIG_IGN]
    for number in heard:
        signal.signal(number, on_signal)
    try:
        yield
    finally:
        for number in heard:
            signal.signal(number, before[number])


def _model_name(model: str) -> str:
    """A folder is called by its own name, a repository by its last part."""
    return model.rstrip("/").rsplit("/", 1)[-1] or model

"""Connects a session with the user's other programs, as the settings ask."""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from livecap.errors import LogError, SettingsError
from livecap.integrations.caption_file import CaptionFile
from livecap.integrations.control import ControlServer
from livecap.integrations.hooks import Hook, Hooks
from livecap.integrations.notes import NotesFile
from livecap.integrations.session_timer import SessionTimer
from livecap.session.live import LiveSession
from livecap.settings.fields import Settings
from livecap.settings.sources import user_folder
from livecap.settings.values import address_of

if TYPE_CHECKING:
    from livecap.serve.server import CaptionsServer

SAY_AFTER_SECONDS = 1.0


class _Closes(Protocol):
    def close(self) -> None: ...


@contextmanager
def attached(session: LiveSession, settings: Settings, say: Callable[[str], None]) -> Iterator[None]:
    """Within this block, which must hold the whole session, hooks run, the note and the captions are written, and the
    session can be controlled.

    Args:
        session: not started yet.
        say: tells the user why the program does not end at once after the session, and what failed after its end.

    Raises:
        LivecapError: a file, a folder or an address cannot be used. The session has not been started then, and nothing
            of it is left.
    """
    late: list[str] = []

    def notice(message: str, severity: str) -> None:
        if session.is_over:
            late.append(message)  # said once the screen is gone
        else:
            session.notice(message, severity)

    def say_late() -> None:
        for message in late:
            say(message)

    with ExitStack() as parts:
        parts.callback(say_late)
        try:
            _attach(parts, session, settings, say, notice)
            yield
        except BaseException:
            session.discard()
            raise


def _attach(
    parts: ExitStack,
    session: LiveSession,
    settings: Settings,
    say: Callable[[str], None],
    notice: Callable[[str, str], None],
) -> None:
    """Make all parts that the settings ask for; `parts` closes them, the last one first."""

    def end(part: _Closes, what: str) -> None:
        timer = threading.Timer(SAY_AFTER_SECONDS, say, [f"Waiting for {what}. Press Ctrl-C to leave at once."])
        timer.daemon = True
        timer.start()
        try:
            part.close()
        finally:
            timer.cancel()

    def folder() -> Path:
        return session.log_folder

    if settings.caption_file is not None:
        look = settings.screen
        captions = CaptionFile(settings.caption_file, look.caption_lines, look.caption_partial, notice)
        session.listen(captions)
        parts.callback(captions.close)
    if settings.notes_dir is not None:
        notes = NotesFile(settings.notes_dir, folder, notice, session.wait)
        session.listen(notes)
        parts.callback(end, notes, "the note to be written")
    commands = {name: getattr(settings, name) for name in ("on_line", "on_mark", "on_end")}
    hooks = {
        name: Hook(name, command, folder, settings.hook_seconds, settings.hook_shell, notice)
        for name, command in commands.items()
        if command
    }
    if hooks:
        hooked = Hooks(hooks, folder, session.wait)
        session.listen(hooked)
        parts.callback(end, hooked, f"the command of {' and '.join(hooks)}")
    if settings.for_seconds is not None or settings.stop_after_silence is not None:
        timer = SessionTimer(session, settings.for_seconds, settings.stop_after_silence)
        session.listen(timer)
        timer.start()
        parts.callback(timer.close)
    more = {"captions": _no_captions}
    if settings.serve is not None:
        server = _served(session, settings.serve)
        parts.callback(server.close)
        session.notice(f"Captions are at {server.page}; `livecap ctl captions` prints the link with its key.", "info")
        more["captions"] = partial(_captions_link, server)
    try:
        parts.callback(ControlServer(session, more).close)
    except LogError as error:
        session.notice(f"livecap ctl cannot reach this session. {error}", "info")


def _served(session: LiveSession, address: str) -> "CaptionsServer":
    """The captions of the session on a web page.

    Raises:
        SettingsError: the packages for it are missing, or the address cannot be used.
    """
    try:
        from livecap.serve.access import Token
        from livecap.serve.captions import Captions
        from livecap.serve.server import CaptionsServer
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in ("starlette", "uvicorn", "websockets"):
            raise
        raise SettingsError(
            '--serve needs more packages: in a clone, run uv tool install ".[serve,mcp]" (or pip install).'
        ) from None
    captions = Captions(lambda: session.status)
    session.listen(captions)
    return CaptionsServer(captions, Token(user_folder("state") / "captions-key"), *address_of(address))


def _no_captions(request: Mapping[str, object]) -> dict[str, str]:
    raise SettingsError("This session has no captions page. Start it with --serve 8765.")


def _captions_link(server: "CaptionsServer", request: Mapping[str, object]) -> dict[str, str]:
    if request.get("renew") is True:
        server.renew()
    return {"link": server.link}

"""`livecap ctl`: steer the running session from another program, such as a global hotkey."""

import argparse
import sys
from pathlib import Path

from livecap.archive.recorded import RecordedSession
from livecap.cli.arguments import add_json, value_of
from livecap.cli.terminal import warn
from livecap.errors import LogError, SettingsError
from livecap.export.formats import export_pieces
from livecap.integrations.control import ask, running_sockets
from livecap.settings.fields import Settings
from livecap.settings.values import NAME, Number
from livecap.text.printing import say, say_json, send
from livecap.tui.clipboard import clipboard_command, copy

ACTIONS = {
    "status": "what the session is doing",
    "pause": "stop listening; the clock stops",
    "resume": "listen again",
    "mark": "mark this moment",
    "mute": "replace the sound with silence; the clock keeps running",
    "unmute": "hear again",
    "title": "give the session a title",
    "rename": "name a speaker (--speakers); B= removes the name",
    "stop": "end the session properly",
    "captions": "print the link of the captions page (--serve)",
    "copy": "copy the text to the clipboard, or print it if there is no clipboard",
}


def add_arguments(ctl: argparse.ArgumentParser) -> None:
    """The actions of `livecap ctl` and their options."""
    actions = ctl.add_subparsers(dest="action", metavar="ACTION", title="actions", required=True)
    for name, about in ACTIONS.items():
        action = actions.add_parser(name, help=about)
        if name == "mark":
            action.add_argument("text", metavar="NOTE", nargs="*", help="a note")
        elif name == "title":
            action.add_argument("text", metavar="TEXT", nargs="+", help="the title")
        elif name == "rename":
            action.add_argument("text", metavar="B=NAME", nargs="+", help="letter or old name, and the name")
        elif name == "copy":
            action.add_argument(
                "--minutes",
                metavar="N",
                type=value_of(Number(0, 1e6, "minutes", above=True)),
                help="only the last N minutes",
            )
        elif name == "captions":
            action.add_argument("--renew", action="store_true", help="make a new key; the old link stops working")
        elif name == "status":
            add_json(action)
        action.add_argument(
            "--session", metavar="NAME", type=value_of(NAME), help="name of the session, or the start of it"
        )


def run(options: argparse.Namespace, settings: Settings) -> int:
    """Send one request to the session; returns the exit status."""
    path = _socket_of(options.session)
    request: dict[str, object] = {"command": "status" if options.action == "copy" else options.action}
    if options.action in ("mark", "title"):
        request["note" if options.action == "mark" else "title"] = " ".join(options.text)
    if options.action == "rename":
        request["speaker"], equals, request["name"] = " ".join(options.text).partition("=")
        if not equals:
            raise SettingsError("A speaker is renamed with B=NAME, such as: livecap ctl rename B=Priya")
    if options.action == "captions":
        request["renew"] = options.renew
    try:
        answer = ask(path, request)
    except OSError as error:
        raise LogError(f"The session does not answer at {path}: {error.strerror or error}.") from None
    if not answer.get("ok"):
        raise LogError(str(answer.get("error", "The session refused the request without a reason.")))
    if options.action == "copy":
        return _copy(Path(str(answer["folder"])), options.minutes)
    if options.action == "captions":
        say(str(answer["link"]))
    elif settings.output == "json":
        say_json(answer)
    elif options.action == "status":
        muted = ", muted" if answer["muted"] else ""
        say(f"{answer['state']}{muted}  {answer['seconds']:.0f} s of {answer['source']}  {answer['folder']}")
        if answer["trouble"]:
            warn(str(answer["trouble"]))
    return 0


def _socket_of(name: str | None) -> Path:
    """The socket of the session with this name, or of the only one that runs."""
    sockets = running_sockets()
    found = [path for path in sockets if path.stem.partition("-")[2] == name]
    found = found or [path for path in sockets if path.stem.partition("-")[2].startswith(name or "")]
    names = ", ".join(path.stem.partition("-")[2] for path in sockets)
    if not sockets:
        raise LogError("No session is running. Start one with livecap --mic.")
    if not found:
        raise LogError(f"No running session is named {name!r}; running: {names}.")
    if len(found) > 1:
        raise LogError(f"{len(found)} sessions are running: {names}. Choose one with --session NAME.")
    return found[0]


def _copy(folder: Path, minutes: float | None) -> int:
    session = RecordedSession(folder, None if minutes is None else minutes * 60)
    text = "".join(export_pieces(session, "txt"))
    if clipboard_command() is None and not sys.stdout.isatty():
        send([text])
        return 0
    if not copy(text):
        send([text])
        warn("There is no clipboard program here, so the text was printed.")
    return 0

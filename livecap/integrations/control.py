"""Control of a running session by other programs: hotkeys, Stream Decks, tmux (`livecap ctl`).

Each session listens on a Unix socket in a folder that only its user can open. A client sends one line of JSON and gets
one line of JSON back (docs/integrations.md).
"""

import json
import os
import select
import socket
import stat
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from livecap.archive.archive import Archive
from livecap.archive.folder import read_title
from livecap.archive.recorded import RecordedSession
from livecap.archive.speakers import name_of
from livecap.errors import LivecapError, LogError
from livecap.files import make_folder
from livecap.text.safety import json_text

if TYPE_CHECKING:
    from livecap.session.live import LiveSession  # loads the model's code, which a client does without

MOST_BYTES = 1 << 16
"""Length of a request."""
PATIENCE_SECONDS = 2.0
"""How long either side waits for the other."""
AFTER_THE_BEGINNING = ("pause", "resume", "mark", "rename")
"""Commands that need a session with facts: the socket is open a moment earlier."""

Request = Mapping[str, Any]


def sockets_folder() -> Path:
    """Where the sockets are: short paths that do not depend on the environment, since a hotkey has another one.

    Raises:
        LogError: it cannot be made, or belongs to another user.
    """
    user = os.getuid()
    if sys.platform == "darwin":
        parent = Path(os.confstr(65537) or "/tmp")  # _CS_DARWIN_USER_TEMP_DIR
    else:
        parent = Path(f"/run/user/{user}")
    folder = parent / "livecap" if parent.is_dir() and os.access(parent, os.W_OK) else Path(f"/tmp/livecap-{user}")
    try:
        make_folder(folder)
        status = os.stat(folder, follow_symlinks=False)
    except OSError as error:
        raise LogError(f"Cannot use {folder} for the sockets of sessions: {error.strerror or error}.") from None
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != user or stat.S_IMODE(status.st_mode) & 0o077:
        raise LogError(f"Cannot use {folder} for the sockets of sessions: other users can open it. Delete it.")
    return folder


class ControlServer:
    """Answers the requests to one session, one after the other, on a thread of its own."""

    def __init__(
        self,
        session: "LiveSession",
        more: Mapping[str, Callable[[Request], dict[str, str]]] | None = None,
        folder: Path | None = None,
    ) -> None:
        """
        Args:
            more: further commands; what they return is added to the answer.
            folder: for the socket; None is the usual one.

        Raises:
            LogError: there can be no socket.
        """
        self._session = session
        self._commands: dict[str, Callable[[Request], Any]] = {
            "status": lambda request: None,
            "pause": lambda request: session.pause(),
            "resume": lambda request: session.resume(),
            "mute": lambda request: session.requests.mute(),
            "unmute": lambda request: session.requests.unmute(),
            "mark": self._mark,
            "title": self._title,
            "rename": self._rename,
            "stop": lambda request: session.stop(),
            **(more or {}),
        }
        self.path = (folder or sockets_folder()) / f"{os.getpid()}-{session.log_folder.name}.sock"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self.path.unlink(missing_ok=True)
            self._socket.bind(str(self.path))
            os.chmod(self.path, 0o600)
            self._socket.listen(8)
        except OSError as error:
            self._socket.close()
            raise LogError(f"Cannot make the socket {self.path}: {error.strerror or error}.") from None
        self._wake, self._woken = os.pipe()
        self._thread = threading.Thread(target=self._serve, name="control", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop answering, and remove the socket."""
        os.write(self._woken, b".")
        self._thread.join()
        self._socket.close()
        os.close(self._wake)
        os.close(self._woken)
        with suppress(OSError):
            self.path.unlink()

    def _serve(self) -> None:
        server: int = self._socket.fileno()
        while self._wake not in select.select([server, self._wake], [], [])[0]:
            with suppress(OSError):  # the client left
                connection, _ = self._socket.accept()
                with connection:
                    connection.settimeout(PATIENCE_SECONDS)
                    connection.sendall(json_text(self._answer(_line_of(connection))).encode() + b"\n")

    def _answer(self, line: bytes) -> dict[str, Any]:
        try:
            request = json.loads(line)
        except (ValueError, RecursionError):
            request = None
        if not isinstance(request, dict) or not isinstance(request.get("command"), str):
            return {"ok": False, "error": 'A request is one line of JSON such as {"command": "status"}.'}
        name = request["command"]
        if name not in self._commands:
            return {"ok": False, "error": f"There is no command {name[:40]!r}; there are {', '.join(self._commands)}."}
        if name not in ("status", "captions") and self._session.is_over:
            return {"ok": False, "error": "The session has ended."}
        if name in AFTER_THE_BEGINNING and not self._session.has_begun:
            return {"ok": False, "error": "The session is starting. Try again."}
        try:
            more = self._commands[name](request)
        except LivecapError as error:
            return {"ok": False, "error": str(error)}
        except OSError as error:
            return {"ok": False, "error": f"{name} failed: {error.strerror or error}."}
        return {"ok": True, **self._status(), **(more or {})}

    def _status(self) -> dict[str, Any]:
        status, folder = self._session.status, self._session.log_folder
        return {
            "session": folder.name,
            "folder": str(folder),
            "title": read_title(folder),
            "state": status.state.value,
            "muted": status.muted,
            "source": status.source,
            "model": status.model,
            "remote": status.remote,
            "language": status.language,
            "seconds": round(status.arrived_seconds, 1),
            "lag_seconds": round(status.lag_seconds, 1),
            "speaking": status.speaking,
            "trouble": status.error or status.log_trouble,
        }

    def _mark(self, request: Request) -> None:
        self._session.requests.mark(_text(request, "note"))

    def _title(self, request: Request) -> None:
        folder = self._session.log_folder
        Archive(folder.parent).rename(str(folder), _text(request, "title"))

    def _rename(self, request: Request) -> None:
        recorded = RecordedSession(self._session.log_folder)  # what was shown is in the log
        number = recorded.voices.one(recorded.speaker_number(_text(request, "speaker")))
        self._session.requests.name_speaker(number, name_of(_text(request, "name")))


def _text(request: Request, name: str) -> str:
    value = request.get(name, "")
    if not isinstance(value, str):
        raise LogError(f"{name} must be text.")
    return value


def _line_of(connection: socket.socket) -> bytes:
    line = b""
    while b"\n" not in line and len(line) <= MOST_BYTES and (piece := connection.recv(4096)):
        line += piece
    return line.partition(b"\n")[0][:MOST_BYTES]


def running_sockets(folder: Path | None = None) -> list[Path]:
    """The sockets of the sessions that run, newest first; those that a killed livecap left behind are removed."""
    running = []
    for path in sorted((folder or sockets_folder()).glob("*.sock"), key=_begun, reverse=True):
        try:
            ask(path, {"command": "status"})
            running.append(path)
        except ConnectionRefusedError:
            with suppress(OSError):
                path.unlink()
        except OSError:
            running.append(path)  # busy
    return running


def _begun(path: Path) -> str:
    return path.stem.partition("-")[2]


def ask(path: Path, request: Request) -> dict[str, Any]:
    """Send a request to a session; returns its answer.

    Raises:
        OSError: nothing answers there.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(PATIENCE_SECONDS)
        connection.connect(str(path))
        connection.sendall(json_text(request).encode() + b"\n")
        answer = b""
        while piece := connection.recv(1 << 16):
            answer += piece
    try:
        found = json.loads(answer)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise ConnectionError("the session closed the connection")
    return found

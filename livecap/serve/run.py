"""Runs `livecap serve` until it is stopped: the worker, the folder for uploads, and the server."""

import asyncio
import contextlib
import ipaddress
import math
import os
import shutil
import socket
import tempfile
import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path

import uvicorn

from livecap.engine import EngineSettings
from livecap.errors import SettingsError
from livecap.files import read_regular
from livecap.serve.access import listening_socket
from livecap.serve.app import make_app
from livecap.serve.http import config_of
from livecap.serve.rate import MOST_A_MINUTE, Rate
from livecap.serve.stopping import GracefulStop
from livecap.serve.worker import Worker
from livecap.serve.wyoming import Wyoming

KEY_VARIABLE = "LIVECAP_API_KEY"
LEAST_KEY = 16
"""Characters of a key."""
MOST_MESSAGE_BYTES = 21 << 20
"""15 MiB of sound as base64, which OpenAI allows in one message, and what is around it."""
STOP_SECONDS = 30.0
"""How long what runs may go on once the server stops."""
LAST_SECONDS = 5
"""How long clients may take to read their last answers then."""
UPLOADS = "livecap-uploads-"


def serve(
    settings: EngineSettings,
    host: str,
    port: int,
    key: str | None,
    most_bytes: int,
    say: Callable[[str], None],
    stop: threading.Event,
    wyoming: tuple[str, int] | None = None,
    folders: Sequence[Path] = (),
    unload_seconds: float = math.inf,
    most_a_minute: float = MOST_A_MINUTE,
    origins: Collection[str] = (),
) -> None:
    """Serve until `stop` is set; what is running is finished, the rest is refused.

    Args:
        key: see `key_for`.
        most_bytes: of one upload.
        say: gets each address once the model is loaded, and faults of the server.
        wyoming: host and port for the Wyoming protocol; None does not serve it.
        folders: recordings below them may be named instead of uploaded; see `root_of`.
        unload_seconds: the model is released when it was not used for so long.
        most_a_minute: requests and connections of one client.
        origins: web pages that may ask, such as `https://app.example.com`.

    Raises:
        LivecapError: an address in use, no such model.
    """
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(contextlib.closing(listening_socket(host, port)))
        wyoming_listener = stack.enter_context(contextlib.closing(listening_socket(*wyoming))) if wyoming else None
        folder = stack.enter_context(_uploads())
        worker = Worker(settings, say)
        worker.start()
        try:
            rate = Rate(most_a_minute)
            app = make_app(worker, folder, key, most_bytes, say, folders, rate, origins)
            wyoming_server = Wyoming(worker, say, app.state.requests.count_wyoming, rate)
            server = Servers(config_of(app, MOST_MESSAGE_BYTES, LAST_SECONDS), wyoming_server, app.state.stop)
            say(f"Serving {settings.model_name} at http://{_shown(host, listener)}/v1")
            if wyoming and wyoming_listener:
                everybody = "" if _is_own(wyoming[0]) else "; everybody who can reach it may transcribe, without a key"
                say(f"Serving Wyoming at tcp://{_shown(wyoming[0], wyoming_listener)}{everybody}")
            loop = server.run_all(listener, wyoming_listener)
            thread = threading.Thread(target=asyncio.run, args=[loop], name="server")  # which leaves our signals alone
            thread.start()
            while thread.is_alive() and not stop.wait(0.5):
                worker.unload_after(unload_seconds)
            server.should_exit = True
            thread.join()
        finally:
            worker.close()


class Servers(uvicorn.Server):
    """The servers of HTTP and of Wyoming, on one event loop. Both stop at the same time."""

    def __init__(self, config: uvicorn.Config, wyoming: Wyoming, stop: GracefulStop) -> None:
        super().__init__(config)
        self._wyoming, self._stop = wyoming, stop

    async def run_all(self, listener: socket.socket, wyoming_listener: socket.socket | None) -> None:
        """Serve until `should_exit` is set, and what is being answered is finished.

        Args:
            wyoming_listener: None does not serve Wyoming.
        """
        if wyoming_listener is not None:
            await self._wyoming.open(wyoming_listener)
        await self.serve([listener])

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await asyncio.gather(self._stop.run(STOP_SECONDS), self._wyoming.close(STOP_SECONDS))
        await super().shutdown(sockets)


def _shown(host: str, listener: socket.socket) -> str:
    """Host and port as in an address."""
    return f"{f'[{host}]' if ':' in host else host}:{listener.getsockname()[1]}"


def key_for(host: str, path: Path | None) -> str | None:
    """The key that clients of a server at this address must send, from a file, else from the environment; None for no
    key.

    Raises:
        SettingsError: no key for an address that others can reach, or a bad one.
    """
    key, where = os.environ.get(KEY_VARIABLE), KEY_VARIABLE
    if path is not None:
        where = str(path)
        try:
            key = read_regular(path, 4096).decode("ascii", errors="replace")
        except OSError as error:
            raise SettingsError(f"Cannot read the key in {path}: {error.strerror or error}.") from None
    if key is None:
        if not _is_own(host):
            needed = f"--api-key-file FILE, or {KEY_VARIABLE} in the environment"
            raise SettingsError(f"Others can reach {host}, so a key is needed: {needed}.")
        return None
    key = key.strip()
    if len(key) < LEAST_KEY or not (key.isascii() and key.isprintable()):
        raise SettingsError(f"The key in {where} must have at least {LEAST_KEY} letters and digits.")
    return key


def root_of(folder: Path) -> Path:
    """A folder without links in its path.

    Raises:
        SettingsError: it is none.
    """
    try:
        root = folder.resolve(strict=True)
    except (OSError, RuntimeError) as error:
        raise SettingsError(f"Cannot serve files of {folder}: {getattr(error, 'strerror', None) or error}.") from None
    if not root.is_dir():
        raise SettingsError(f"Cannot serve files of {folder}: it is not a folder.")
    return root


def _is_own(host: str) -> bool:
    return host == "localhost" or ipaddress.ip_address(host).is_loopback


@contextlib.contextmanager
def _uploads() -> Iterator[Path]:
    """A private folder that is removed at the end; those of servers that were killed are removed, too."""
    for left in Path(tempfile.gettempdir()).glob(f"{UPLOADS}*"):
        pid = left.name.removeprefix(UPLOADS).partition("-")[0]
        with contextlib.suppress(OSError):
            if pid.isdigit() and left.stat().st_uid == os.getuid() and not left.is_symlink() and not _runs(int(pid)):
                shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix=f"{UPLOADS}{os.getpid()}-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True

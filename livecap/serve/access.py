"""Who may use the server: hosts, origins, and the token of the captions page."""

import errno
import hmac
import ipaddress
import secrets
import socket
from collections.abc import Collection
from contextlib import ExitStack
from pathlib import Path

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from livecap.errors import SettingsError
from livecap.files import make_folder, read_regular, replace_file

TOKEN_BYTES = 18
MOST_BYTES = 200


class Token:
    """The secret in the link of the captions page. It opens that page alone, and can be renewed."""

    def __init__(self, path: Path) -> None:
        """
        Args:
            path: the file that keeps it, readable by the user only.
        """
        self._path = path

    @property
    def value(self) -> str:
        """The token; made when it is first asked for.

        Raises:
            SettingsError: the file cannot be read or written.
        """
        try:
            found = read_regular(self._path, MOST_BYTES).decode("ascii", errors="replace").strip()
        except FileNotFoundError:
            found = ""
        except OSError as error:
            raise SettingsError(f"Cannot read {self._path}: {error.strerror or error}.") from None
        return found if len(found) >= 16 else self.renew()

    def renew(self) -> str:
        """Make a new token; links with the old one no longer work."""
        token = secrets.token_urlsafe(TOKEN_BYTES)
        try:
            make_folder(self._path.parent)
            replace_file(self._path, [token + "\n"])
        except OSError as error:
            raise SettingsError(f"Cannot write {self._path}: {error.strerror or error}.") from None
        return token

    def fits(self, given: object) -> bool:
        """True for the token, compared in constant time."""
        return isinstance(given, str) and hmac.compare_digest(given.encode(errors="replace"), self.value.encode())


class OwnHosts:
    """Middleware that refuses requests with another host name and requests from other web pages.

    A web page of a stranger can make the user's browser send requests here, under the stranger's name if that name
    resolves to this computer (DNS rebinding). So the Host must be an address, `localhost` or this computer's name, and
    an Origin must be the page itself, or one that the user allows. Behind a proxy the page has another Origin than the
    Host that the proxy passes on.
    """

    def __init__(self, app: ASGIApp, origins: Collection[str] = (), guarded: Collection[str] = ()) -> None:
        """
        Args:
            origins: whose pages may ask, as browsers write them, such as `https://app.example.com`.
            guarded: paths that do nothing without a secret, for which any Origin may ask.
        """
        self._app, self._origins, self._guarded = app, origins, guarded
        name = socket.gethostname().lower()
        self._names = {"localhost", name, f"{name.removesuffix('.local')}.local"}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        host, origin = headers.get("host", ""), headers.get("origin")
        is_ours = origin in (None, f"http://{host}", f"https://{host}", *self._origins)
        if self._is_ours(host) and (is_ours or scope["path"] in self._guarded):
            await self._app(scope, receive, send)
        else:
            await PlainTextResponse("This address or page may not use livecap.\n", 403)(scope, receive, send)

    def _is_ours(self, host: str) -> bool:
        name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host
        name = name.strip("[]").lower()
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return name in self._names
        return True


def listening_socket(host: str, port: int) -> socket.socket:
    """A socket that listens at the address.

    Raises:
        SettingsError: it is in use, or not one of this computer.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with ExitStack() as opened:
        try:
            listener = opened.enter_context(socket.socket(family, socket.SOCK_STREAM))
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((host, port))
            listener.listen(256)
        except OSError as error:
            hint = " Choose another port." if error.errno == errno.EADDRINUSE else ""
            # For an address that does not exist, the number is none of the system's errors.
            raise SettingsError(f"Cannot serve at {host}:{port}: {error.strerror or error}.{hint}") from None
        opened.pop_all()
    return listener

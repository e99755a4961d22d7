"""No test, and no program that a test starts, reaches beyond this machine.

Python imports this before all else where its folder is in PYTHONPATH. What is tried fails as it does without a network,
and is noted, since programs may live with it.
"""

import os
import socket
from typing import Any

NOTES = "LIVECAP_NETWORK_NOTES"
"""Environment variable: the file that what was tried is written to, a line each."""
HERE = ("localhost", "127.0.0.1", "::1", "0.0.0.0", "", None)

connect, connect_ex, getaddrinfo = socket.socket.connect, socket.socket.connect_ex, socket.getaddrinfo


def deny(what: object) -> None:
    """Note it."""
    with open(os.environ[NOTES], "a", encoding="utf-8") as notes:
        notes.write(f"{what}\n")


def _is_here(address: Any) -> bool:
    if not isinstance(address, tuple):
        return True  # a socket of the file system
    host = address[0].decode() if isinstance(address[0], bytes) else address[0]
    return host in HERE or str(host).startswith("127.")


def _connect(self: socket.socket, address: Any) -> None:
    if not _is_here(address):
        deny(address)
        raise OSError(101, "Network is unreachable")
    connect(self, address)


def _connect_ex(self: socket.socket, address: Any) -> int:
    if not _is_here(address):
        deny(address)
        return 101
    return connect_ex(self, address)


def _getaddrinfo(host: Any, *rest: Any, **named: Any) -> Any:
    if not _is_here((host,)):
        deny(host)
        raise socket.gaierror(-3, "Temporary failure in name resolution")
    return getaddrinfo(host, *rest, **named)


if NOTES in os.environ:
    socket.socket.connect = _connect  # type: ignore[method-assign]
    socket.socket.connect_ex = _connect_ex  # type: ignore[method-assign]
    socket.getaddrinfo = _getaddrinfo

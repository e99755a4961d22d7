"""Denies network access to tests and to the Python programs that they start.

Python imports this module at start if its folder is in PYTHONPATH. Attempts fail as they would without a network. They
are also written to a file, because a program may handle the failure without a test noticing.
"""

import os
import socket
from typing import Any

NOTES = "LIVECAP_NETWORK_NOTES"
"""Environment variable with the path of the file to which each attempted address is written, one per line."""
HERE = ("localhost", "127.0.0.1", "::1", "0.0.0.0", "", None)

connect, connect_ex, getaddrinfo = socket.socket.connect, socket.socket.connect_ex, socket.getaddrinfo


def deny(what: object) -> None:
    """Write an attempted address to the file."""
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

"""Notices: messages to a session that may not have begun. Light to import, since devices are opened first."""

import threading
from collections.abc import Callable

ONE_STOP_SECONDS = 1.0
"""Signals within this time are one stop: a terminal, `timeout` and wrappers such as npm send it to the process and to
its group."""


class Notices:
    """Passes messages for the user on to a session, and keeps them until it has begun. Any thread may call it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: list[tuple[str, str]] = []
        self._receiver: Callable[[str, str], None] | None = None

    def __call__(self, message: str, severity: str = "warning") -> None:
        with self._lock:
            receiver = self._receiver
            if receiver is None:
                self._waiting.append((message, severity))
        if receiver is not None:
            receiver(message, severity)

    def on_log_trouble(self, trouble: str | None) -> None:
        """For `SessionLog`."""
        self(trouble or "The session log can be written again, and nothing is missing from it.")

    def deliver_to(self, receiver: Callable[[str, str], None]) -> None:
        """Pass on what waits, and from now on every message at once."""
        with self._lock:
            waiting, self._waiting, self._receiver = self._waiting, [], receiver
        for message, severity in waiting:
            receiver(message, severity)

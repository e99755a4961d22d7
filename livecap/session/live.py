"""LiveSession: one recording from its first sample to its last event, on a decode thread of its own.

    source ─▶ transcriber ─▶ log ─▶ listeners
"""

from collections.abc import Callable

from livecap.session.status import SessionStatus
from livecap.transcript import SessionEvent, TranscriptUpdate

Listener = Callable[[SessionEvent | TranscriptUpdate], None]
"""Called on the decode thread, after the log has what it is told. Must return soon and not raise."""


class LiveSession:
    """Used from two threads: its own decodes and publishes; any other may call what stands here.

    Interface under construction; names and meanings are settled.
    """

    def add_listener(self, listener: Listener) -> None:
        """Before `start`."""
        raise NotImplementedError

    def start(self) -> None:
        """Returns at once; loading and decoding happen on the decode thread."""
        raise NotImplementedError

    def pause(self) -> None:
        """Stop listening; what was heard is still decoded. Twice is harmless."""
        raise NotImplementedError

    def resume(self) -> None:
        raise NotImplementedError

    def stop(self) -> None:
        """Hear no more, decode the rest, finish the log. Returns at once; `wait` for the end."""
        raise NotImplementedError

    def wait(self, timeout: float | None = None) -> bool:
        """True when the session has ended (or failed) within `timeout` seconds."""
        raise NotImplementedError

    @property
    def status(self) -> SessionStatus:
        """A snapshot; cheap enough to poll at 15 Hz."""
        raise NotImplementedError

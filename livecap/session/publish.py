"""Publisher: every fact once, in the log before anywhere else, then to all who listen."""

import threading
from collections.abc import Callable

from livecap.archive.log import SessionLog
from livecap.transcript import SessionEvent, TextCommitted, TranscriptUpdate, UtteranceEnded

Listener = Callable[[SessionEvent | TranscriptUpdate], None]
"""Called after the log has what it is told, one call at a time, on the decode thread or the one that pauses. Must
return soon and not raise."""


class Publisher:
    """Any thread may publish; a lock keeps facts in one order for the log and all listeners."""

    def __init__(self, log: SessionLog, wall_seconds: Callable[[], float]) -> None:
        """
        Args:
            wall_seconds: since the session's start.
        """
        self._log = log
        self._wall_seconds = wall_seconds
        self.listeners: list[Listener] = []
        self.lock = threading.RLock()
        """Held while something is told; hold it to tell several things at once."""
        self.running = False
        """From the first fact to the last; guarded by the lock."""
        self._committed: dict[tuple[str, int], int] = {}
        """(track, utterance) to how many characters of it are facts."""

    def publish(self, event: SessionEvent) -> None:
        """Log first, then listeners."""
        with self.lock:
            self._log.append(event, self._wall_seconds())
            self._tell(event)

    def publish_while_running(self, event: SessionEvent) -> None:
        """What other threads say before the first fact or after the last is not heard."""
        with self.lock:
            if self.running:
                self.publish(event)

    def publish_update(self, update: TranscriptUpdate) -> None:
        """The facts in an update go to the log first; then the update itself goes to whoever watches."""
        key = (update.track, update.utterance)
        known = self._committed.get(key, 0)
        if len(update.stable) > known:
            self._committed[key] = len(update.stable)
            text = update.stable[known:]
            self.publish(TextCommitted(update.track, update.utterance, text, update.start_sample, update.end_sample))
        self._tell(update)
        if update.final:
            self._committed.pop(key, None)
            if update.stable:
                self.publish(
                    UtteranceEnded(
                        update.track,
                        update.utterance,
                        update.stable,
                        update.start_sample,
                        update.end_sample,
                        update.language,
                        update.words,
                    )
                )

    def _tell(self, item: SessionEvent | TranscriptUpdate) -> None:
        with self.lock:
            for listener in self.listeners:
                listener(item)

"""Publisher: writes each fact to the log, then hands it to the listeners."""

import platform
import threading
from collections.abc import Callable, Iterable
from importlib import metadata

from livecap.archive.log import SessionLog
from livecap.transcript import SessionEvent, TextCommitted, TranscriptUpdate, UtteranceEnded

Listener = Callable[[SessionEvent | TranscriptUpdate], None]
"""Called once the log has a fact, one call at a time, on the decode thread or the one that pauses. Must return soon and
not raise."""

LIBRARIES = ("mlx", "numpy", "tokenizers", "soxr", "webrtcvad-wheels")
"""Libraries whose version may change what is recognised."""


class Publisher:
    """Any thread may publish; a lock keeps one order of facts for the log and all listeners."""

    def __init__(self, log: SessionLog, wall_seconds: Callable[[], float], *listeners: Listener) -> None:
        """
        Args:
            wall_seconds: seconds since the session's start.
        """
        self._log = log
        self._wall_seconds = wall_seconds
        self._listeners = list(listeners)
        self.lock = threading.RLock()
        """Held while something is published; hold it to publish several things together."""
        self.running = False
        """True between the first fact and the last; guarded by the lock."""
        self._committed: dict[tuple[str, int], int] = {}
        """(track, utterance) of open utterances to the number of characters committed so far."""

    def add_listeners(self, listeners: Iterable[Listener]) -> None:
        """Before the first fact."""
        self._listeners += listeners

    def publish(self, item: SessionEvent | TranscriptUpdate) -> None:
        """Log the item, then call the listeners. An update is not logged itself, but the facts that follow from it are:
        newly stable text before it, the end of its utterance after it."""
        with self.lock:
            if not isinstance(item, TranscriptUpdate):
                self._log.append(item, self._wall_seconds())
                self._tell(item)
                return
            utterance = item.track, item.utterance
            n_known = self._committed.get(utterance, 0)
            if len(item.stable) > n_known:
                self._committed[utterance] = len(item.stable)
                self.publish(TextCommitted(*utterance, item.stable[n_known:], item.start_sample, item.end_sample))
            self._tell(item)
            if item.final:
                self._committed.pop(utterance, None)
                if item.stable:
                    span = item.start_sample, item.end_sample
                    self.publish(UtteranceEnded(*utterance, item.stable, *span, item.language, item.words))

    def publish_while_running(self, event: SessionEvent) -> None:
        """Publish, unless it is before the first fact or after the last."""
        with self.lock:
            if self.running:
                self.publish(event)

    def _tell(self, item: SessionEvent | TranscriptUpdate) -> None:
        for listener in self._listeners:
            listener(item)


def versions() -> dict[str, str]:
    """Name to version of what a session runs on: the system, Python, and the libraries that are installed."""
    found = {
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": platform.python_version(),
    }
    for name in LIBRARIES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found

"""Publisher: writes each fact to the log, then hands it to the listeners."""

import platform
import threading
from collections.abc import Callable, Iterable, Iterator
from importlib import metadata

from livecap.archive.log import SessionLog
from livecap.transcript import SessionEvent, TextCommitted, TranscriptUpdate, UtteranceEnded

Listener = Callable[[SessionEvent | TranscriptUpdate], None]
"""Called once the log has a fact, one call at a time, on the decode thread or the one that pauses. Must return soon and
not raise."""

LIBRARIES = ("mlx", "numpy", "tokenizers", "soxr", "webrtcvad-wheels")
"""Libraries whose version may change what is recognised."""


class Facts:
    """The facts that follow from updates: newly stable text before each, the end of its utterance after it."""

    def __init__(self) -> None:
        self._committed: dict[tuple[str, int], int] = {}
        """(track, utterance) of open utterances to the number of characters committed so far."""

    def of(self, update: TranscriptUpdate) -> Iterator[SessionEvent | TranscriptUpdate]:
        """The update with its facts, in the order of publication."""
        utterance, stable = (update.track, update.utterance), update.stable
        n_known = self._committed.get(utterance, 0)
        if len(stable) > n_known:
            self._committed[utterance] = len(stable)
            yield TextCommitted(*utterance, stable[n_known:], update.start_sample, update.end_sample)
        yield update
        if update.final:
            self._committed.pop(utterance, None)
            if stable:
                span = update.start_sample, update.end_sample
                yield UtteranceEnded(*utterance, stable, *span, update.language, update.words)


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
        self.has_begun = False
        """True from the first fact on, also after the last; guarded by the lock."""
        self._facts = Facts()

    def add_listeners(self, listeners: Iterable[Listener]) -> None:
        """Before the first fact."""
        self._listeners += listeners

    def publish(self, item: SessionEvent | TranscriptUpdate) -> None:
        """Log the item, then call the listeners. An update is not logged, but its facts are."""
        with self.lock:
            for each in self._facts.of(item) if isinstance(item, TranscriptUpdate) else [item]:
                if not isinstance(each, TranscriptUpdate):
                    self._log.append(each, self._wall_seconds())
                self._tell(each)

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

"""Captions: what the page shows, from the facts of a session, for any number of clients.

A client gets a snapshot of the last utterances, then each that changed, whole. So a client that reconnects loses and
doubles nothing, and one that reads slowly skips what has changed again.
"""

import asyncio
import threading
import time
from collections import OrderedDict
from collections.abc import AsyncGenerator, Callable
from typing import Any

from livecap.archive.speakers import Speakers
from livecap.session.status import SessionStatus, State
from livecap.text.safety import printable
from livecap.transcript import (
    SessionEvent,
    SessionStarted,
    SpeakerNamed,
    SpeakersHeard,
    SpeakersMerged,
    TranscriptUpdate,
)

KEPT = 40
"""Utterances that a new client gets; more than fit on a page."""
LOOK_SECONDS = 0.5
"""Time between two looks at the status."""
QUIET_SECONDS = 5.0
"""Without speech for this long, the page says so; so it does if speech has given no text for as long."""
COLORS = 8
"""Colours that the page has for speakers."""
TELL_SECONDS = 1.0
"""How long clients may take to hear that the session is over."""
OVER = (State.ENDED.value, State.FAILED.value)

Key = tuple[str, int]


class Captions:
    """The listener of a session, called on its threads; clients are served on the loop of the server."""

    def __init__(self, status: Callable[[], SessionStatus]) -> None:
        """
        Args:
            status: of the session; called twice a second while there are clients.
        """
        self._status = status
        self._lock = threading.Lock()
        self._left = threading.Condition(self._lock)
        """A client is gone."""
        self._utterances: OrderedDict[Key, dict[str, Any]] = OrderedDict()
        self._clients: set[_Client] = set()
        self._labels: tuple[str, ...] = ()
        self._speakers = Speakers()
        self._colors: dict[tuple[str, int | None], int] = {}
        """Who is shown, by track and number, in the order of their colours; None is the first voice of a track."""
        self._session = ""
        self._text_at = self._silence_at = time.monotonic()

    def __call__(self, item: SessionEvent | TranscriptUpdate) -> None:
        if isinstance(item, SessionStarted):
            self._labels, self._session = item.tracks, item.session
            self._colors = {(label, None): number for number, label in enumerate(item.tracks)}
        if isinstance(item, SpeakersHeard | SpeakerNamed | SpeakersMerged):
            self._label(item)
        if not isinstance(item, TranscriptUpdate):
            return
        key = item.track, item.utterance
        stable, partial = printable(item.stable), printable(item.partial)
        with self._lock:
            known = self._utterances.get(key)
            if known is None and not (stable + partial).strip():
                return
            if known is None or (known["stable"], known["partial"]) != (stable, partial):
                self._text_at = time.monotonic()
            self._utterances[key] = {
                "type": "line",
                "id": f"{printable(item.track)}:{item.utterance}",
                **self._speaker(key),
                "stable": stable.strip() if item.final else stable.lstrip(),
                "partial": partial,
                "final": item.final,
                "language": item.language,
            }
            while len(self._utterances) > KEPT:
                self._utterances.popitem(last=False)
            for client in self._clients:
                client.note(key)

    def _label(self, item: SessionEvent) -> None:
        """Take a fact about speakers, and show the lines again whose label it changes."""
        with self._lock:
            self._speakers.note(item)
            for key, line in self._utterances.items():
                speaker = self._speaker(key)
                if line != line | speaker:
                    line |= speaker
                    for client in self._clients:
                        client.note(key)

    def _speaker(self, key: Key) -> dict[str, Any]:
        """Name and colour of who speaks in an utterance. A name that is given or changed leaves the colour as it is."""
        track, number = key[0], self._speakers.speaker_of(*key)
        who = track, None if number in self._speakers.numbers(track)[:1] else number
        color = self._colors.setdefault(who, len(self._colors)) % COLORS
        return {"speaker": printable(self._speakers.label_of(*key)), "color": color}

    async def messages(self) -> AsyncGenerator[dict[str, Any], None]:
        """What one client gets, from now on: `hello`, then `line` and `status` messages. Ends with the session."""
        client = _Client(asyncio.get_running_loop())
        with self._lock:
            if not self._clients:
                self._silence_at = time.monotonic()  # the status was not looked at meanwhile
            self._clients.add(client)
            client.changed = list(self._utterances)
        try:
            yield {
                "type": "hello",
                "session": printable(self._session),
                "speakers": [printable(label) for label in self._labels],
            }
            shown: dict[str, Any] = {}
            while True:
                with self._lock:
                    changed = client.take()
                    lines = [dict(self._utterances[key]) for key in changed if key in self._utterances]
                for line in lines:
                    yield line
                status = self._state()
                if status != shown:
                    shown = status
                    yield {"type": "status", **status}
                if status["state"] in OVER:
                    return
                await client.wait(LOOK_SECONDS)
        finally:
            with self._lock:
                self._clients.discard(client)
                self._left.notify_all()

    def close(self) -> None:
        """Tell all clients at once that the session is over, if it is; returns when they know it. Not on the loop."""
        if self._state()["state"] not in OVER:
            return
        with self._lock:
            for client in self._clients:
                client.wake()
            self._left.wait_for(lambda: not self._clients, TELL_SECONDS)

    def _state(self) -> dict[str, Any]:
        """What the page says about the session, in one word for each fact."""
        status, now = self._status(), time.monotonic()
        if not status.speaking:
            self._silence_at = now
        listens = status.state is State.LISTENING and not status.muted
        silent = all(track.trouble == "silent" for track in status.tracks)
        away = next((track.trouble for track in status.tracks if track.trouble not in (None, "silent")), None)
        since_text = now - self._text_at
        return {
            "state": "muted" if status.muted and status.state is State.LISTENING else status.state.value,
            "hint": (
                "microphone away"
                if listens and away
                else "microphone silent"
                if listens and silent
                else "not understood"
                if listens and min(since_text, now - self._silence_at) >= QUIET_SECONDS
                else "nobody speaks"
                if listens and not status.speaking and since_text >= QUIET_SECONDS
                else ""
            ),
        }


class _Client:
    """What one client has not been sent yet."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._event = asyncio.Event()
        self.changed: list[Key] = []

    def note(self, key: Key) -> None:
        """An utterance changed. Any thread, with the lock held."""
        if key not in self.changed:
            self.changed.append(key)
            self.wake()

    def wake(self) -> None:
        """End the present `wait`. Any thread, with the lock held."""
        try:
            self._loop.call_soon_threadsafe(self._event.set)
        except RuntimeError:  # the server has been closed
            self.changed.clear()

    def take(self) -> list[Key]:
        """The utterances to send, with the lock held."""
        changed, self.changed = self.changed, []
        self._event.clear()
        return changed

    async def wait(self, seconds: float) -> None:
        """Return when something changed, or after a time."""
        try:
            await asyncio.wait_for(self._event.wait(), seconds)
        except TimeoutError:
            return

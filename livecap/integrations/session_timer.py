"""SessionTimer: ends a session in order after a time, or after a time without speech."""

import threading

from livecap.session.live import LiveSession
from livecap.transcript import SAMPLE_RATE, Jumped, SessionEvent, TranscriptUpdate

LOOK_SECONDS = 0.5


class SessionTimer:
    """A listener of the session, and a thread that watches its time."""

    def __init__(self, session: LiveSession, most_seconds: float | None, silent_seconds: float | None) -> None:
        """
        Args:
            most_seconds: from the start of the session, pauses included.
            silent_seconds: of sound without text; a pause does not count.
        """
        self._session = session
        self._most_seconds = most_seconds
        self._silent_seconds = silent_seconds
        self._last_text: dict[str, int] = {}
        """Track to where its text ends; a track without text is not in it."""
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="session timer", daemon=True)

    def __call__(self, item: SessionEvent | TranscriptUpdate) -> None:
        if isinstance(item, TranscriptUpdate) and item.text.strip():
            self._last_text[item.track] = max(self._end_of_text(item.track), item.end_sample)
        if isinstance(item, Jumped):  # sound that is skipped is not silence
            self._last_text[item.track] = self._end_of_text(item.track) + item.to_sample - item.from_sample

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._closing.set()
        self._thread.join()

    def silent_seconds(self, decoded_samples: int) -> float:
        """Sound without text before this position of the session."""
        last = max(map(self._end_of_text, (track.label for track in self._session.status.tracks)))
        return (decoded_samples - last) / SAMPLE_RATE

    def _end_of_text(self, track: str) -> int:
        return self._last_text.get(track, self._session.first_sample)

    def _watch(self) -> None:
        while not self._closing.wait(LOOK_SECONDS):
            if why := self._why_over():
                self._session.notice(why, "info")
                self._session.stop()
                return

    def _why_over(self) -> str:
        if self._most_seconds is not None and self._session.wall_seconds >= self._most_seconds:
            return f"The session ends after {_time(self._most_seconds)}, as set by --for."
        tracks = self._session.status.tracks
        late = [track.decoded_samples for track in tracks if track.lag_seconds > 0]  # they may have text still
        decoded = min(late, default=max(track.decoded_samples for track in tracks))
        if self._silent_seconds is not None and self.silent_seconds(decoded) >= self._silent_seconds:
            return (
                f"The session ends after {_time(self._silent_seconds)} without speech, as set by --stop-after-silence."
            )
        return ""


def _time(seconds: float) -> str:
    """A time in words: 1 h 30 min, 15 min, 90 s."""
    if seconds < 120 or seconds % 60:
        return f"{seconds:g} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return " ".join(filter(None, (f"{hours} h" if hours else "", f"{minutes} min" if minutes else "")))

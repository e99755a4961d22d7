"""SessionHistory: what the last ten minutes of a session were like, for the diagnostics screen."""

from collections import deque
from dataclasses import dataclass

from livecap.session.status import SessionStatus
from livecap.transcript import SAMPLE_RATE

NOTE_SECONDS = 1.0
KEPT_SECONDS = 600


@dataclass(frozen=True, slots=True)
class Moment:
    """One second of a session; each number is the worst of it."""

    at_seconds: float
    """On the session's clock."""
    lag_seconds: float
    rtf: float | None
    level: float


class SessionHistory:
    """A moment a second."""

    def __init__(self) -> None:
        self.moments: deque[Moment] = deque(maxlen=KEPT_SECONDS)
        self._began: float | None = None
        self._lag = self._level = 0.0

    def note(self, status: SessionStatus, now: float) -> None:
        """Look at the session now; `now` in seconds of a monotonic clock."""
        self._lag = max(self._lag, status.lag_seconds)
        self._level = max(self._level, status.level)
        if self._began is None:
            self._began = now
        elif now - self._began >= NOTE_SECONDS:
            at_seconds = status.arrived_samples / SAMPLE_RATE
            self.moments.append(Moment(at_seconds, self._lag, status.rtf, self._level))
            self._began, self._lag, self._level = now, 0.0, 0.0

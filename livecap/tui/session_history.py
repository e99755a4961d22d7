"""SessionHistory: the last ten minutes of a session, for the diagnostics screen."""

from collections import deque
from dataclasses import dataclass

from livecap.session.status import SessionStatus
from livecap.transcript import SAMPLE_RATE

KEPT_SECONDS = 600


@dataclass(frozen=True, slots=True)
class Moment:
    """One second of a session."""

    at_seconds: float
    """Time on the session's clock."""
    lag_seconds: float
    """The largest lag of this second."""
    rtf: float | None


class SessionHistory:
    """The last ten minutes of a session, one moment per second."""

    def __init__(self) -> None:
        self.moments: deque[Moment] = deque(maxlen=KEPT_SECONDS)
        self._began: float | None = None
        self._lag = 0.0

    def note(self, status: SessionStatus, now: float) -> None:
        """Add the current status; `now` in seconds of a monotonic clock."""
        self._lag = max(self._lag, status.lag_seconds)
        if self._began is None:
            self._began = now
        elif now - self._began >= 1.0:
            self.moments.append(Moment(status.arrived_samples / SAMPLE_RATE, self._lag, status.rtf))
            self._began, self._lag = now, 0.0

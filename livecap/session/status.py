"""What a session is doing, now: one value that the screen polls and never changes."""

from dataclasses import dataclass
from enum import Enum

from livecap.transcript import SAMPLE_RATE


class State(Enum):
    """What a session is doing."""

    LOADING = "loading"
    """The model is being loaded; sound already arrives."""
    LISTENING = "listening"
    PAUSED = "paused"
    FINISHING = "finishing"
    """No more sound; what had arrived is still being decoded."""
    ENDED = "ended"
    FAILED = "failed"
    """Ended by an error; the log so far is kept."""


@dataclass(frozen=True, slots=True)
class SessionStatus:
    """A snapshot. Every number is true now, or None."""

    state: State
    source: str
    model: str
    live: bool
    """True: times are wall times; False: a recording, times are elapsed."""
    started_wall: float
    """Unix time of sample 0."""
    arrived_samples: int
    """Sound heard so far, at 16 kHz: the session's clock."""
    decoded_samples: int
    """Sound that is decoded, silent, or not due yet because a step waits for more."""
    level: float
    """Peak of the last 100 ms, 0..1."""
    speaking: bool
    language: str | None
    """Detected or forced."""
    language_forced: bool
    rtf: float | None
    """Compute time over sound time of the last steps; None before the first."""
    n_gaps: int
    gap_samples: int
    log_path: str | None
    error: str | None
    """Why the session failed, in one line."""
    log_trouble: str | None = None
    """Why the log cannot be written now, in one line; facts wait in memory."""

    @property
    def lag_seconds(self) -> float:
        """Sound waiting to be decoded."""
        return max(0, self.arrived_samples - self.decoded_samples) / SAMPLE_RATE

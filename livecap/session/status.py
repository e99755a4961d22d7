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
class TrackStatus:
    """One track, now."""

    label: str
    """"me", "them"; "" where there is one track."""
    source: str
    arrived_samples: int
    decoded_samples: int
    level: float
    speaking: bool
    language: str | None
    trouble: str | None
    """What is wrong with its source now: "away", "silent" (exact zeros for seconds), or None."""

    @property
    def lag_seconds(self) -> float:
        """Sound waiting to be decoded."""
        return max(0, self.arrived_samples - self.decoded_samples) / SAMPLE_RATE


@dataclass(frozen=True, slots=True)
class SessionStatus:
    """A snapshot. Every number is true now, or None."""

    state: State
    source: str
    """Of two tracks both, with " + " between."""
    model: str
    live: bool
    """True: times are wall times; False: a recording, times are elapsed."""
    started_wall: float
    """Unix time of sample 0."""
    arrived_samples: int
    """Sound heard so far, at 16 kHz: the session's clock."""
    decoded_samples: int
    """Sound that is decoded, silent, or not due yet because a step waits for more. Of several tracks, of the one that
    lags most."""
    level: float
    """Peak of the last 100 ms, 0..1; of the loudest track."""
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
    tracks: tuple[TrackStatus, ...] = ()
    """At least one."""
    muted: bool = False
    """Sound is heard as silence, because a person wants it so; the clock goes on."""

    @property
    def lag_seconds(self) -> float:
        """Sound waiting to be decoded."""
        return max(0, self.arrived_samples - self.decoded_samples) / SAMPLE_RATE

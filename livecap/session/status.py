"""SessionStatus: what a session is doing now, as one immutable value that the screen polls."""

from dataclasses import dataclass
from enum import Enum

from livecap.transcript import SAMPLE_RATE


class State(Enum):
    """What a session is doing."""

    LOADING = "loading"
    """The model is being loaded; sound already arrives."""
    LISTENING = "listening"
    PAUSED = "paused"
    """The user paused it; the model may still be loaded meanwhile."""
    FINISHING = "finishing"
    """No more sound will arrive; what had arrived is still being decoded."""
    ENDED = "ended"
    FAILED = "failed"
    """Ended by an error; the log so far is kept."""


@dataclass(frozen=True, slots=True)
class TrackStatus:
    """What one track is doing now."""

    label: str
    """"me", "them"; "" for a single track."""
    source: str
    """Name of the device or file."""
    arrived_samples: int
    """How much sound has arrived, at 16 kHz: the track's clock."""
    decoded_samples: int
    """Samples of it that are decoded, silent, or wait for a step that is not due yet."""
    level: float
    """Peak of the last 100 ms, 0..1."""
    speaking: bool
    language: str | None
    """Detected or forced; None before the model has named one."""
    trouble: str | None
    """What is wrong with its source now, such as "away" or "silent" (exact zeros for seconds); None if nothing is."""
    n_gaps: int = 0
    """Losses of sound; a change of the input by the user is not one."""
    gap_samples: int = 0
    about: str = ""
    """What a name such as `default` stands for now; "" if the name says it."""

    @property
    def lag_seconds(self) -> float:
        """Sound that waits to be decoded."""
        return max(0, self.arrived_samples - self.decoded_samples) / SAMPLE_RATE


@dataclass(frozen=True, slots=True)
class SessionStatus:
    """A snapshot. Every number is true now, or None."""

    state: State
    model: str
    """The model's name for people."""
    live: bool
    """True: times are times of day; False: a recording, times are elapsed time."""
    started_wall: float
    """Unix time of sample 0."""
    forced_language: str | None
    rtf: float | None
    """Compute time over sound time of the last steps; None before the first step."""
    log_path: str | None
    error: str | None
    """Why the session failed, in one line."""
    tracks: tuple[TrackStatus, ...]
    """At least one."""
    log_trouble: str | None = None
    """Why the log cannot be written now, in one line; the facts wait in memory."""
    muted: bool = False
    """Sound is replaced by silence on the user's request; the clock goes on."""
    stopping: bool = False
    """The session was asked to end: by the user, another program, or its time."""
    remote: str = ""
    """The server that the sound of speech goes to; "" if it stays on this machine."""

    @property
    def source(self) -> str:
        """Names of all sources, with " + " between."""
        return " + ".join(f"{track.source} ({track.about})" if track.about else track.source for track in self.tracks)

    @property
    def arrived_samples(self) -> int:
        """Sound that has arrived so far, at 16 kHz: the session's clock."""
        return max(track.arrived_samples for track in self.tracks)

    @property
    def arrived_seconds(self) -> float:
        return self.arrived_samples / SAMPLE_RATE

    @property
    def lag_seconds(self) -> float:
        """Sound that waits to be decoded, of the track that lags most."""
        return max(track.lag_seconds for track in self.tracks)

    @property
    def level(self) -> float:
        """Level of the loudest track."""
        return max(track.level for track in self.tracks)

    @property
    def speaking(self) -> bool:
        return any(track.speaking for track in self.tracks)

    @property
    def language(self) -> str | None:
        """Detected or forced: of a track that speaks now, else of any."""
        speaking_first = sorted(self.tracks, key=lambda track: not track.speaking)
        return next((track.language for track in speaking_first if track.language), self.forced_language)

    @property
    def n_gaps(self) -> int:
        return sum(track.n_gaps for track in self.tracks)

    @property
    def gap_samples(self) -> int:
        return sum(track.gap_samples for track in self.tracks)

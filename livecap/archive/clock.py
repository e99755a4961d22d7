"""SessionClock: turns samples into times that people read; learns from the facts of a session."""

from bisect import bisect_right
from datetime import datetime, timedelta

from livecap.transcript import (
    SAMPLE_RATE,
    AudioGap,
    ClockAnchored,
    Marked,
    Paused,
    Resumed,
    SessionEvent,
    SessionStarted,
    UtteranceEnded,
    UtteranceSettled,
)

MIN_SHIFT_SECONDS = 2.0
"""A difference of this much between the computer's clock and ours means that it was moved; less is drift or a slow
correction."""
APART_SAMPLES = SAMPLE_RATE // 2
"""The positions at which the tracks of a session pause differ by less than this."""


class SessionClock:
    """Wall time for a live session, elapsed time for a recording. Used from one thread.

    Times of a track never run backwards, whatever the facts say.
    """

    def __init__(self, live: bool, started: datetime) -> None:
        """
        Args:
            live: True for wall time, False for time since the start.
            started: when sample 0 was heard; its offset to UTC holds for the whole session.
        """
        self.live = live
        self.started = started
        self.shift_seconds = 0.0
        """How far the computer's clock was moved since the start, by the newest anchor."""
        self._anchors: dict[str, list[tuple[int, datetime]]] = {}
        """Track to its anchors (sample, wall time), both ascending. Tracks without anchors use those of "". Marks and
        notices have the track "" also in a session with several tracks, and use those of the first one."""
        self._paused_at: int | None = None
        """The sample at which the session is paused."""
        self._shift = timedelta()
        """How far this copy is moved."""

    @classmethod
    def from_started(cls, started: SessionStarted) -> "SessionClock":
        """The clock of a session at its start."""
        return cls(started.live, datetime.fromisoformat(started.wall_time))

    def note(self, event: SessionEvent) -> None:
        """Take the anchor in `Resumed` and `ClockAnchored`, and where a pause begins; other events change nothing."""
        if isinstance(event, Paused | Resumed):
            self._paused_at = event.sample if isinstance(event, Paused) else None
        if isinstance(event, Resumed | ClockAnchored):
            self.anchor(event.track, event.sample, datetime.fromisoformat(event.wall_time))
        if isinstance(event, ClockAnchored):
            self.shift_seconds = event.step_seconds

    def anchor(self, track: str, sample: int, wall_time: datetime) -> None:
        """Set that `sample` of `track` was heard at `wall_time`; later samples count from there."""
        known = self.wall(sample, track)
        if (wall_time - known).total_seconds() < -MIN_SHIFT_SECONDS:
            wall_time = known  # the computer's clock was moved back: go on as before
        anchors = self._anchors.setdefault(track, [])
        last_sample, last = anchors[-1] if anchors else (0, self.started)
        anchors.append((max(sample, last_sample), max(wall_time, last)))

    def corrected(self) -> "SessionClock":
        """A copy moved by `shift_seconds`: when the computer's clock was set right during the session, all times before
        that were wrong by as much."""
        shift = timedelta(seconds=self.shift_seconds)
        clock = SessionClock(self.live, self.started + shift)
        clock._paused_at, clock._shift = self._paused_at, shift
        clock._anchors = {
            track: [(sample, wall + shift) for sample, wall in anchors] for track, anchors in self._anchors.items()
        }
        return clock

    @property
    def date(self) -> str:
        """Date and time of the session's start: 2026-03-01 10:02."""
        return f"{self.started:%Y-%m-%d %H:%M}"

    def wall(self, sample: int, track: str = "", wall_time: str = "") -> datetime:
        """When a sample was heard. For a recording: as if it had been played in real time from `started`.

        Args:
            wall_time: of a fact that has one, such as a mark. All moments of a pause have one sample; this tells them
                apart.
        """
        anchors = self._anchors.get(track) or self._anchors.get("") or []
        if not anchors and not track:
            anchors = next(iter(self._anchors.values()), [])
        heard = self._heard(anchors, sample, sample)
        if not wall_time:
            return heard
        said = datetime.fromisoformat(wall_time) + self._shift
        said = max(said, self._heard(anchors, sample, sample - APART_SAMPLES))
        is_paused = self._paused_at is not None and sample >= self._paused_at
        return said if is_paused else min(said, heard)

    def _heard(self, anchors: list[tuple[int, datetime]], sample: int, until: int) -> datetime:
        """The time of a sample by the last anchor until this one."""
        i = bisect_right(anchors, until, key=lambda anchor: anchor[0])
        anchor_sample, anchor_wall = anchors[i - 1] if i else (0, self.started)
        wall = anchor_wall + timedelta(seconds=(sample - anchor_sample) / SAMPLE_RATE)
        return min(wall, anchors[i][1]) if i < len(anchors) else wall

    def at(self, sample: int, track: str = "", wall_time: str = "") -> str:
        """A sample as text: 10:02:03 in wall time, or 0:12:03 since the start of a recording. `wall_time` as above."""
        return f"{self.wall(sample, track, wall_time):%H:%M:%S}" if self.live else elapsed(sample)

    def at_fact(self, fact: UtteranceEnded | UtteranceSettled | AudioGap | Marked | Paused | Resumed) -> str:
        """When a fact happened, as text."""
        if isinstance(fact, Marked | Paused | Resumed):
            return self.at(fact.sample, fact.track, fact.wall_time)
        return self.at(fact.start_sample, fact.track)


def elapsed(n_samples: int) -> str:
    """A number of samples as 0:12:03."""
    seconds = n_samples // SAMPLE_RATE
    return f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}"


def short_elapsed(n_samples: int) -> str:
    """A number of samples as 12:03, and as 1:12:03 from an hour on."""
    minutes, seconds = divmod(n_samples // SAMPLE_RATE, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def iso_time(unix_time: float) -> str:
    """A Unix time as ISO 8601 with milliseconds, in this computer's time zone."""
    return datetime.fromtimestamp(unix_time).astimezone().isoformat(timespec="milliseconds")

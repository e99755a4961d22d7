"""SessionClock: the sample clock as people read it."""

from bisect import bisect_right
from datetime import datetime, timedelta

from livecap.transcript import SAMPLE_RATE, Resumed, SessionEvent, SessionStarted


class SessionClock:
    """Wall time for a live session, whose pauses shift it; elapsed time for a recording."""

    def __init__(self, started: SessionStarted) -> None:
        self._live = started.live
        self._anchors = [(0, datetime.fromisoformat(started.wall_time))]
        """(sample, wall time), in order: the start, and each time listening went on."""

    def note(self, event: SessionEvent) -> None:
        """Learn from a `Resumed`; other events do not matter."""
        if isinstance(event, Resumed):
            self._anchors.append((event.sample, datetime.fromisoformat(event.wall_time)))

    @property
    def date(self) -> str:
        """Of the session's start: 2026-03-01 10:02."""
        return f"{self._anchors[0][1]:%Y-%m-%d %H:%M}"

    def at(self, sample: int) -> str:
        """10:02:03 by the wall, or 0:12:03 since the start of a recording."""
        if not self._live:
            return elapsed(sample)
        i = bisect_right(self._anchors, sample, key=lambda anchor: anchor[0]) - 1
        anchor_sample, wall = self._anchors[max(i, 0)]
        return f"{wall + timedelta(seconds=(sample - anchor_sample) / SAMPLE_RATE):%H:%M:%S}"


def elapsed(sample: int) -> str:
    """Samples as 0:12:03."""
    seconds = sample // SAMPLE_RATE
    return f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}"

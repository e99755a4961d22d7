"""What stands in the gutter: when it was said, as wall time or (in a recording) elapsed time."""

from bisect import bisect_right
from datetime import datetime, timedelta
from enum import Enum

from livecap.transcript import SAMPLE_RATE


class Times(Enum):
    """How much time the gutter shows."""

    QUIET = "quiet"
    """The minute, where it changes; in a recording, the begin of each utterance."""
    FULL = "full"
    """Every utterance to the second."""
    HIDDEN = "hidden"
    """None; labels stand before the text."""


class SessionClock:
    """Sample positions as people read them."""

    def __init__(self, live: bool, started: datetime) -> None:
        """
        Args:
            live: wall time, or time since the start.
            started: when sample 0 was heard.
        """
        self.live = live
        self._anchors: dict[str, list[tuple[int, datetime]]] = {}
        self._started = started

    def resumed(self, track: str, sample: int, wall_time: datetime) -> None:
        """After a pause, `sample` was heard at `wall_time`."""
        self._anchors.setdefault(track, []).append((sample, wall_time))

    def label(self, track: str, sample: int, times: Times) -> str:
        """The gutter's text for an utterance that begins at `sample`."""
        if times is Times.HIDDEN:
            return ""
        if not self.live:
            return elapsed(sample)
        return self._wall(track, sample).strftime("%H:%M:%S" if times is Times.FULL else "%H:%M")

    def _wall(self, track: str, sample: int) -> datetime:
        anchor_sample, anchor_time = 0, self._started
        anchors = self._anchors.get(track) or self._anchors.get("") or []
        found = bisect_right(anchors, sample, key=lambda anchor: anchor[0])
        if found:
            anchor_sample, anchor_time = anchors[found - 1]
        return anchor_time + timedelta(seconds=(sample - anchor_sample) / SAMPLE_RATE)


def elapsed(n_samples: int) -> str:
    """`m:ss`, and `h:mm:ss` from an hour on."""
    minutes, seconds = divmod(n_samples // SAMPLE_RATE, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"

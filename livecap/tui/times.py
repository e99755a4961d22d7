"""What stands in the gutter: when it was said, as wall time or (in a recording) elapsed time."""

from enum import Enum

from livecap.session.clock import SessionClock, short_elapsed


class Times(Enum):
    """How much time the gutter shows."""

    QUIET = "quiet"
    """The minute, where it changes; in a recording, the begin of each utterance."""
    FULL = "full"
    """Every utterance to the second."""
    HIDDEN = "hidden"
    """None; labels stand before the text."""


def gutter_time(clock: SessionClock, track: str, sample: int, times: Times) -> str:
    """The gutter's text for an utterance that begins at `sample`."""
    if times is Times.HIDDEN:
        return ""
    if not clock.live:
        return short_elapsed(sample)
    return clock.wall(sample, track).strftime("%H:%M:%S" if times is Times.FULL else "%H:%M")

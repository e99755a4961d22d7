"""What stands in the gutter: when it was said."""

from enum import Enum

from livecap.archive.clock import SessionClock, short_elapsed


class Times(Enum):
    """How much time the gutter shows; the values are those of the setting `screen.times`."""

    QUIET = "minutes"
    """The minute, where it changes; in a recording, the begin of each utterance."""
    FULL = "seconds"
    """Every utterance to the second; in a recording as above."""
    ELAPSED = "elapsed"
    """Every utterance, since the start of the session."""
    HIDDEN = "hidden"


def next_times(times: Times, live: bool) -> Times:
    """What the key for times shows next; a recording has no wall time."""
    modes = list(Times) if live else [Times.ELAPSED, Times.HIDDEN]
    shown = times if times in modes else Times.ELAPSED
    return modes[(modes.index(shown) + 1) % len(modes)]


def gutter_time(clock: SessionClock, track: str, sample: int, times: Times) -> str:
    """The gutter's text for an utterance that begins at `sample`."""
    if times is Times.HIDDEN:
        return ""
    if times is Times.ELAPSED or not clock.live:
        return short_elapsed(sample)
    return clock.wall(sample, track).strftime("%H:%M:%S" if times is Times.FULL else "%H:%M")

"""Timestamps beside the text."""

from enum import Enum

from livecap.archive.clock import SessionClock, short_elapsed


class Times(Enum):
    """Which timestamps are shown; the values are those of the setting `screen.times`."""

    QUIET = "minutes"
    """Hour and minute, when the minute changes; in a recording, the elapsed time of each utterance."""
    FULL = "seconds"
    """The time of each utterance to the second; in a recording, its elapsed time."""
    ELAPSED = "elapsed"
    """The time of each utterance since the start of the session."""
    HIDDEN = "hidden"


def next_times(times: Times, live: bool) -> Times:
    """The mode after `times` when the user presses the key; a recording has no wall time."""
    modes = list(Times) if live else [Times.ELAPSED, Times.HIDDEN]
    shown = times if times in modes else Times.ELAPSED
    return modes[(modes.index(shown) + 1) % len(modes)]


def gutter_time(clock: SessionClock, track: str, sample: int, times: Times) -> str:
    """The timestamp of an utterance that begins at `sample`; "" if times are hidden."""
    if times is Times.HIDDEN:
        return ""
    if times is Times.ELAPSED or not clock.live:
        return short_elapsed(sample)
    return clock.wall(sample, track).strftime("%H:%M:%S" if times is Times.FULL else "%H:%M")

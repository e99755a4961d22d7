"""Two tracks of which the first may hear the second: a microphone beside the loudspeakers that play a call."""

from collections.abc import Sequence
from dataclasses import replace

from livecap.audio_in.echo.feeds import EchoFree, Played
from livecap.audio_in.source import OnNotice
from livecap.session.tracks import TrackSource


def without_echo(tracks: Sequence[TrackSource], on_notice: OnNotice) -> list[TrackSource]:
    """The tracks, where the first of two is freed from what the second plays; other numbers of tracks as they are.

    Args:
        on_notice: told once, when there is an echo.
    """
    if len(tracks) != 2:
        return list(tracks)
    near, far = tracks
    played = Played(far.source)
    return [replace(near, feed=EchoFree(near.source, played, on_notice)), replace(far, feed=played)]

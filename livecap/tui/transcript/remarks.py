"""Remarks: paragraphs between utterances, for pauses, lost sound, jumps, and moments that the user marked."""

from datetime import datetime

from livecap.archive.clock import elapsed
from livecap.text.safety import printable
from livecap.text.units import length_of_time
from livecap.transcript import AudioGap, Jumped, Marked, Paused, Resumed, SessionEvent
from livecap.tui.transcript.paragraph import Paragraph


class Remarks:
    """Makes the remarks of one session from its events, in order."""

    def __init__(self, live: bool = True) -> None:
        """
        Args:
            live: show pauses; a pause of a recording has no meaning for the text.
        """
        self.live = live
        self._paused_at: dict[str, datetime] = {}
        self._jumping_track: str | None = None
        """The first track that jumped; all tracks jump together, and one remark is enough."""

    def of(self, event: SessionEvent) -> Paragraph | None:
        """The remark for an event, to be shown below all text before it; None for most events."""
        match event:
            case Marked(track=track, sample=sample, note=note):
                return Paragraph(track, sample, stable=printable(note) or "marked", kind="mark")
            case AudioGap(track=track, start_sample=start):
                label = f"{track}: " if track else ""
                return _remark(track, start, f"{label}{event.remark}")
            case Jumped(track=track, from_sample=start, to_sample=end):
                self._jumping_track = track if self._jumping_track is None else self._jumping_track
                if track == self._jumping_track:
                    return _remark(track, end, f"from {elapsed(start)} to {elapsed(end)}")
            case Paused(track=track, wall_time=wall_time):
                self._paused_at[track] = datetime.fromisoformat(wall_time)
            case Resumed(track=track, sample=sample, wall_time=wall_time):
                now = datetime.fromisoformat(wall_time)
                before = self._paused_at.pop(track, now)
                if self.live and not self._paused_at:
                    return _remark(track, sample, f"paused for {length_of_time((now - before).total_seconds())}")
        return None


def _remark(track: str, sample: int, sentence: str) -> Paragraph:
    return Paragraph(track, sample, stable=printable(f"— {sentence} —"), kind="remark")

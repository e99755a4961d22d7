"""WallClock: the time of day of a running session, whatever happens to the computer's clock."""

import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

from livecap.archive.clock import MIN_SHIFT_SECONDS
from livecap.steady_clock import steady_seconds
from livecap.transcript import ClockAnchored, Notice

ANCHOR_SECONDS = 60.0
"""Time between two anchors of one track."""


class WallClock:
    """Set once, then it never jumps. Any thread may ask for the time; `anchor` belongs to the decode thread."""

    def __init__(
        self,
        began: float | None = None,
        system: Callable[[], float] = time.time,
        steady: Callable[[], float] = steady_seconds,
    ) -> None:
        """
        Args:
            began: Unix time of a session that started a moment ago; None: it starts now.
            system: Unix time by the computer's clock, which users and time servers move.
            steady: seconds that only grow.
        """
        now = system()
        self._system = system
        self._steady = steady
        self.started = now if began is None else began
        """Unix time of the session's start."""
        self._started_steady = steady() - (now - self.started)
        self._zone = datetime.fromtimestamp(self.started).astimezone().tzinfo
        self._anchored: dict[str, tuple[float, float]] = {}
        """Track to (elapsed, shift) of its newest anchor."""
        self._shift_told = 0.0

    @property
    def elapsed_seconds(self) -> float:
        """Time since the session's start, sleep included."""
        return self._steady() - self._started_steady

    @property
    def shift_seconds(self) -> float:
        """How far the computer's clock was moved since the start; 0 if it only drifts."""
        shift = self._system() - self.started - self.elapsed_seconds
        return round(shift, 3) if abs(shift) >= MIN_SHIFT_SECONDS else 0.0

    def now(self) -> str:
        """ISO 8601 with milliseconds, in the time zone of the session's start."""
        return self._at(self.elapsed_seconds)

    def anchor(self, track: str, sample: int, heard: float) -> Iterator[ClockAnchored | Notice]:
        """When `sample` was heard, once a minute and whenever the computer's clock was moved; then a notice, too.

        Args:
            heard: by the steady clock. Not simply now: the decode thread may come to a sample only after the computer
                slept, or after a long step.
        """
        elapsed, shift = heard - self._started_steady, self.shift_seconds
        last_elapsed, last_shift = self._anchored.get(track, (0.0, 0.0))
        if elapsed - last_elapsed < ANCHOR_SECONDS and abs(shift - last_shift) < MIN_SHIFT_SECONDS:
            return
        self._anchored[track] = elapsed, shift
        yield ClockAnchored(track, sample, self._at(elapsed), shift)
        moved, self._shift_told = shift - self._shift_told, shift
        if abs(moved) >= 1:
            yield Notice(
                f"The computer's clock was moved by {moved:+.0f} s. This session keeps its times; its finished "
                "transcript will have the corrected ones.",
                sample,
            )

    def _at(self, elapsed: float) -> str:
        moment = datetime.fromtimestamp(self.started, self._zone) + timedelta(seconds=elapsed)
        return moment.isoformat(timespec="milliseconds")

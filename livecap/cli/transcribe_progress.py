"""What `livecap transcribe` prints while it works: one line that is redrawn on a terminal, else a line now and then."""

import shutil
import sys
import threading
import time
from collections.abc import Callable

from livecap.archive.clock import short_elapsed
from livecap.text.printing import Style, draws, say
from livecap.text.scripts import cells
from livecap.transcript import SAMPLE_RATE

BAR_CELLS = 20
SECONDS_BETWEEN_LINES = 10.0
"""Time between lines where standard error is not a terminal."""
SECONDS_BETWEEN_DRAWINGS = 0.1


class ProgressLine:
    """Shows how far all recordings are. Work is counted in bytes of files, which are known without opening them."""

    def __init__(self, sizes: list[int], is_shown: bool, now: Callable[[], float] = time.monotonic) -> None:
        """
        Args:
            sizes: bytes of each recording, in order.
        """
        self._sizes = [max(1, size) for size in sizes]
        self._is_shown, self._draws = is_shown, is_shown and draws(sys.stderr)
        self._now = now
        self._number, self._name = -1, ""
        self._began, self._file_began, self._shown = now(), now(), -SECONDS_BETWEEN_LINES
        self._skipped_bytes = 0
        self._is_drawn = False

    def add(self, size: int) -> None:
        """One more recording was found, after all others were done. It does not count for the time left how long they
        took, nor how long this one was waited for."""
        self._began, self._skipped_bytes = self._now(), sum(self._sizes)
        self._sizes.append(max(1, size))

    def begin(self, name: str) -> None:
        """The next recording begins."""
        self._number += 1
        self._name, self._file_began = name, self._now()

    def skip(self) -> None:
        """The recording that began needed no work, so it does not count for the time left."""
        self._skipped_bytes += self._sizes[self._number]

    def tell(self, done_seconds: float, duration_seconds: float | None, text: str) -> None:
        """Show how far the recording is, if it is time to."""
        now = self._now()
        wait = SECONDS_BETWEEN_DRAWINGS if self._draws else SECONDS_BETWEEN_LINES
        if not self._is_shown or now - self._shown < wait:
            return
        self._shown = now
        share = min(1.0, done_seconds / duration_seconds) if duration_seconds else 0.0
        line = self._line(share, done_seconds, duration_seconds, now)
        if self._draws:
            width = shutil.get_terminal_size().columns - 1
            filled = round(BAR_CELLS * share)
            line = f"{'█' * filled}{'░' * (BAR_CELLS - filled)} {line}"
            say(Style.REDRAW, _fitting(line, text, width), end="", file=sys.stderr, flush=True)
            self._is_drawn = True
        else:
            say(f"{line}  {text[-60:]}" if text else line, file=sys.stderr, flush=True)

    def clear(self) -> None:
        """Remove the line that is drawn, so that something else can be printed."""
        if self._is_drawn:
            say(Style.REDRAW, end="", file=sys.stderr, flush=True)
            self._is_drawn = False

    def _line(self, share: float, done_seconds: float, duration_seconds: float | None, now: float) -> str:
        of_many = f"{self._number + 1} of {len(self._sizes)}: " if len(self._sizes) > 1 else ""
        at = short_elapsed(round(done_seconds * SAMPLE_RATE))
        whole = f" of {short_elapsed(round(duration_seconds * SAMPLE_RATE))}" if duration_seconds else ""
        speed = done_seconds / max(now - self._file_began, 1e-3)
        parts = [f"{of_many}{self._name}", f"{at}{whole}", f"{speed:.1f}x real time"]
        left = self._seconds_left(share, now)
        if left is not None:
            parts.append(f"{short_elapsed(round(left) * SAMPLE_RATE)} left")
        return "  ".join(parts)

    def _seconds_left(self, share: float, now: float) -> float | None:
        """By the work that is done; None before there is some."""
        done = sum(self._sizes[: self._number]) - self._skipped_bytes + share * self._sizes[self._number]
        total = sum(self._sizes) - self._skipped_bytes
        return (now - self._began) * (total - done) / done if done > 0 and share > 0 else None


class ProgressOfAll(ProgressLine):
    """The same for recordings that are transcribed at the same time, each on a thread of its own. Use it under a
    lock."""

    def __init__(self, sizes: list[int], is_shown: bool, now: Callable[[], float] = time.monotonic) -> None:
        super().__init__(sizes, is_shown, now)
        self._open: dict[int, tuple[int, float, float]] = {}
        """Thread to the bytes of its recording, the share of them that is done, and the seconds of sound."""
        self._done_bytes = self._done_seconds = 0.0
        self._n_done = 0

    def begin(self, name: str) -> None:
        """The next recording begins, on the calling thread; the one before on it has ended."""
        self._number += 1
        size, _, seconds = self._open.get(threading.get_ident(), (0, 0.0, 0.0))
        self._n_done += bool(size)
        self._done_bytes += size
        self._done_seconds += seconds
        self._open[threading.get_ident()] = (self._sizes[self._number], 0.0, 0.0)

    def skip(self) -> None:
        """The recording of the calling thread needed no work."""
        self._skipped_bytes += self._open[threading.get_ident()][0]

    def tell(self, done_seconds: float, duration_seconds: float | None, text: str) -> None:
        """Show how far all are, after the recording of the calling thread has gone on."""
        size = self._open[threading.get_ident()][0]
        share = min(1.0, done_seconds / duration_seconds) if duration_seconds else 0.0
        self._open[threading.get_ident()] = (size, share, done_seconds)
        super().tell(
            self._done_bytes + sum(size * part for size, part, _ in self._open.values()), sum(self._sizes), text
        )

    def _line(self, share: float, done_seconds: float, duration_seconds: float | None, now: float) -> str:
        seconds = self._done_seconds + sum(each[2] for each in self._open.values())
        parts = [f"{self._n_done} of {len(self._sizes)} recordings", f"{share:.0%}"]
        parts.append(f"{seconds / max(now - self._began, 1e-3):.1f}x real time")
        total = sum(self._sizes)
        worked = share * total - self._skipped_bytes
        if worked > 0:
            left = (now - self._began) * (1 - share) * total / worked
            parts.append(f"{short_elapsed(round(left) * SAMPLE_RATE)} left")
        return "  ".join(parts)


def _fitting(line: str, text: str, width: int) -> str:
    """The line, and as much of the end of the text as fits behind it, in `width` cells."""
    while cells(line) > width:
        line = line[:-1]
    room = width - cells(line) - 2
    tail = text
    while tail and cells(tail) > room:
        tail = tail[1:]
    return f"{line}  {tail}" if tail else line

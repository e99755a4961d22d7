"""The folder of a model before a session starts: found in the cache, or downloaded with progress on the terminal."""

import sys
import time
from pathlib import Path

from livecap.cli.terminal import warn
from livecap.model.checkpoint.find import read_config, resolve
from livecap.text.printing import Style, draws, say

SECONDS_BETWEEN_LINES = 5.0
"""Time between lines of progress when standard error is not a terminal."""


def find_model(name: str, aligner: bool = False) -> Path:
    """The folder of a model with a valid configuration, downloaded if needed; progress goes to standard error.

    Args:
        aligner: a forced aligner is wanted; otherwise a recogniser.

    Raises:
        ModelError: no such model, no valid configuration, or neither network nor a copy in the cache.
    """
    folder = download(name, aligner)
    read_config(folder, aligner)
    return folder


def download(name: str, aligner: bool = False) -> Path:
    """The folder of a model, downloaded if needed; progress, and a licence that is not free, go to standard error.

    Args:
        aligner: a forced aligner is wanted; otherwise a recogniser.

    Raises:
        ModelError: as `find_model`, but its configuration was not read.
    """
    progress = _Progress(name)
    try:
        return resolve(name, progress=progress, tell=warn, aligner=aligner)
    except KeyboardInterrupt:
        if progress.began:
            progress.end()
            warn("Stopped. What has arrived is kept; the same command continues the download.")
        raise
    finally:
        progress.end()


class _Progress:
    """Shows how many bytes have arrived: one line that is redrawn on a terminal, else a line every few seconds."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._started = self._shown = 0.0
        self._before = 0
        """Bytes that were there at the start: an earlier download was stopped."""
        self._drawing = draws(sys.stderr)

    def __call__(self, done: int, total: int) -> None:
        now = time.monotonic()
        if not self._started:
            self._started, self._before = now, done
        if now - self._shown < (0.1 if self._drawing else SECONDS_BETWEEN_LINES):
            return
        self._shown = now
        of = f" of {total / 1e6:,.0f}" if total else ""
        line = f"Downloading {self._name}: {done / 1e6:,.0f}{of} MB"
        if now > self._started:
            line += f", {(done - self._before) / (now - self._started) / 1e6:.1f} MB/s"
        if self._drawing:
            say(Style.REDRAW, line, end="", file=sys.stderr, flush=True)
        else:
            say(line, file=sys.stderr, flush=True)

    @property
    def began(self) -> bool:
        """Whether bytes of the model were asked for."""
        return self._started > 0

    def end(self) -> None:
        """Move to a new line after the last one that was drawn."""
        if self._drawing and self._shown:
            say(file=sys.stderr)
            self._shown = 0.0

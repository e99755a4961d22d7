"""SoundFolder: the sound of a session beside its log, in `audio/`: `sound.wav`, or one file for each label.

It is there while the session runs, so that a slow decoder can be late and a crash loses nothing. At a clean end it is
deleted, unless the person wants to keep it; what a crash leaves behind is kept for seven days.

    sound.wav       16 bit, 16 kHz, mono, from sample 0; plays as it is, whenever the program was killed
    steps.jsonl     the steps that were made, so that a replay makes the same (only of sound that is kept)
    unsaved         there unless the sound is to be kept: whoever finds it after seven days may delete the folder
"""

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

from livecap.archive.folder import AUDIO, EVENTS, SINGLE, UNSAVED, is_being_written
from livecap.archive.steps import Step, StepsFile
from livecap.audio_in.spool import Spool

KEPT_SECONDS = timedelta(days=7).total_seconds()


class SoundFolder:
    """The sound files of one running session. `note_step` on the decode thread, the rest before and after it."""

    def __init__(self, session_folder: Path, save: bool) -> None:
        """
        Args:
            save: the sound stays after a clean end.
        """
        self.folder = session_folder / AUDIO
        self._save = save
        self._spools: list[Spool] = []
        self._steps = StepsFile(self.folder)

    def add(self, label: str, spool: Spool) -> None:
        """From now on the sound of this track is kept here. A disk that does not let it is a notice of the spool's."""
        with suppress(OSError):
            self.folder.mkdir(mode=0o700, exist_ok=True)
            if not self._save:
                (self.folder / UNSAVED).touch(mode=0o600)
        spool.keep_in(self.folder / f"{label or SINGLE}.wav")
        self._spools.append(spool)

    def mute(self, muted: bool) -> None:
        """From now on the sound of all tracks is kept as silence, or as it is again."""
        for spool in self._spools:
            spool.mute(muted)

    def note_step(self, track: str, step: Step) -> None:
        """This step is made with the sound of a track."""
        if self._save:
            self._steps.note(track, step)

    def close(self, clean: bool) -> None:
        """The session is over; after a clean end unsaved sound goes."""
        self._steps.close()
        for spool in self._spools:
            spool.close()
        if clean and not self._save:
            shutil.rmtree(self.folder, ignore_errors=True)


def left_behind(parent: Path) -> Iterator[Path]:
    """The sessions below `parent` whose sound a crash left behind."""
    for marker in sorted(parent.glob(f"*/{AUDIO}/{UNSAVED}")):
        session = marker.parent.parent
        try:
            running = is_being_written(session)
        except OSError:
            running = False  # sound without a log
        if not running:
            yield session


def tidy(parent: Path, now: float | None = None) -> list[Path]:
    """Delete the sound that crashes left behind seven days ago; returns the sessions with younger sound that nobody was
    told of yet. They count as told from now on."""
    now = time.time() if now is None else now
    untold = []
    for session in left_behind(parent):
        marker = session / AUDIO / UNSAVED
        with suppress(OSError):
            if now - marker.stat().st_mtime > KEPT_SECONDS:
                shutil.rmtree(session / AUDIO, ignore_errors=True)
            elif not marker.read_text() and (session / EVENTS).exists():
                times = marker.stat()
                marker.write_text("told\n")
                os.utime(marker, (times.st_mtime, times.st_mtime))  # the seven days count from the crash
                untold.append(session)
    return untold

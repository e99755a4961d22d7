"""SoundFolder: the sound of a session, in the folder `audio/` beside its log.

Sound is kept while the session runs, so that a slow decoder can lag and a crash loses nothing. At a clean end it is
deleted, unless the user wants to keep it. What a crash leaves behind is kept for seven days.

    sound.wav       16 bit, 16 kHz, mono, from sample 0; two tracks have a file each, named by label. The header is
                    valid at every moment, so the file plays even if the program was killed.
    steps.jsonl     the steps that were made, so that a replay repeats them; only if the sound is to be kept
    unsaved         a marker: the sound is not to be kept, and may be deleted after seven days
"""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

from livecap.archive.delete import delete_sound
from livecap.archive.folder import AUDIO, EVENTS, SINGLE, UNSAVED, has_end, is_being_written
from livecap.archive.steps import Step, StepsFile
from livecap.audio_in.spool import Spool
from livecap.files import read_regular, replace_file

KEPT_SECONDS = timedelta(days=7).total_seconds()
"""How long the sound of a session that crashed is kept."""


class SoundFolder:
    """The sound files of a running session. `note_step` belongs to the decode thread, `mute` may be called on any."""

    def __init__(self, session_folder: Path, save: bool, moved: Callable[[], Path] | None = None) -> None:
        """
        Args:
            save: keep the sound after a clean end.
            moved: where the session's folder is at the end, if another program may rename it.
        """
        self.folder = session_folder / AUDIO
        self._save = save
        self._moved = moved or (lambda: session_folder)
        self._spools: list[Spool] = []
        self._steps = StepsFile(self.folder)

    def add(self, label: str, spool: Spool) -> None:
        """Keep the sound of this track from now on. If the disk does not allow it, the spool sends a notice."""
        self._spools.append(spool)
        if spool.repeatable and not self._save:
            return
        with suppress(OSError):
            self.folder.mkdir(mode=0o700, exist_ok=True)
            if not self._save:
                (self.folder / UNSAVED).touch(mode=0o600)
        spool.keep_in(self.folder / f"{label or SINGLE}.wav")

    def mute(self, muted: bool) -> None:
        """Keep silence instead of sound from now on, or sound again."""
        for spool in self._spools:
            spool.mute(muted)

    def note_step(self, track: str, step: Step) -> None:
        """Record a step that is about to be made."""
        if self._save:
            self._steps.note(track, step)

    def close(self, clean: bool) -> None:
        """End the files. They are deleted after a clean end if they are not to be kept, and after another end if
        nothing was heard; other files in the folder stay."""
        self._steps.close()
        for spool in self._spools:
            spool.close()
        if not self._save if clean else not any(spool.end_sample for spool in self._spools):
            with suppress(OSError):
                delete_sound(self.folder.parent)
            delete_unsaved_sound(self._moved())


def delete_unsaved_sound(session: Path) -> None:
    """Delete the sound of a session that is marked as not to be kept, as far as the disk allows."""
    with suppress(OSError):
        if (session / AUDIO / UNSAVED).is_file():
            delete_sound(session)


def left_behind(parent: Path) -> Iterator[Path]:
    """Folders of the sessions below `parent` whose sound a crash left behind."""
    for marker in sorted(parent.glob(f"*/{AUDIO}/{UNSAVED}")):
        session = marker.parent.parent
        try:
            running = is_being_written(session)
        except OSError:
            running = False  # sound without a log
        if not running:
            yield session


def tidy(parent: Path, now: float | None = None) -> list[Path]:
    """Delete sound that crashes left behind more than seven days ago, and what is left beside a log that has ended.

    Returns:
        The folders of sessions with younger sound, each session only once: the marker remembers that it was returned.
    """
    now = time.time() if now is None else now
    found = []
    for session in left_behind(parent):
        marker = session / AUDIO / UNSAVED
        with suppress(OSError):
            crashed = max(path.lstat().st_mtime for path in (marker, *marker.parent.glob("*.wav")))
            if now - crashed > KEPT_SECONDS or has_end(session / EVENTS):
                delete_sound(session)
            elif not read_regular(marker, 100) and (session / EVENTS).exists():
                replace_file(marker, ["told\n"])
                os.utime(marker, (crashed, crashed))  # the seven days count from the crash
                found.append(session)
    return found

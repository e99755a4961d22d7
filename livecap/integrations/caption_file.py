"""CaptionFile: the last lines of what is said, in a text file that other programs watch, such as OBS."""

import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

from livecap.archive.speakers import Speakers
from livecap.errors import LogError
from livecap.files import replace_file
from livecap.text.safety import printable
from livecap.text.scripts import cells
from livecap.transcript import SessionEvent, SpeakerNamed, SpeakersHeard, SpeakersMerged, TranscriptUpdate

WIDTH = 42
"""Columns of a line, as in subtitles; wide characters take two."""
KEPT = 8
"""Utterances that are kept, more than fill the lines."""
WRITE_SECONDS = 0.2
"""The shortest time between two writes."""
CLEAR_SECONDS = 10.0
"""The file becomes empty after this time without new text."""

OnNotice = Callable[[str, str], None]


class CaptionFile:
    """The listener of a session that writes the file, on a thread of its own. Each write replaces the file whole."""

    def __init__(self, path: Path, n_lines: int, with_partial: bool, notice: OnNotice) -> None:
        """
        Args:
            with_partial: text that may still change is written, too.
            notice: told once if the file cannot be written later.

        Raises:
            LogError: the file cannot be written.
        """
        self._path = path
        self._n_lines = n_lines
        self._with_partial = with_partial
        self._notice = notice
        self._shown: deque[tuple[tuple[str, int], str]] = deque(maxlen=KEPT)
        """(track, utterance) and its text, oldest first."""
        self._speakers = Speakers()
        self._changed = threading.Event()
        self._has_text = False
        """Text came since the last write."""
        self._closing = False
        self._lock = threading.Lock()
        try:
            replace_file(path, [""], durable=False)
        except OSError as error:
            raise LogError(f"Cannot write captions to {path}: {error.strerror or error}.") from None
        self._thread = threading.Thread(target=self._write, name="caption file", daemon=True)
        self._thread.start()

    def __call__(self, item: SessionEvent | TranscriptUpdate) -> None:
        if isinstance(item, SpeakersHeard | SpeakerNamed | SpeakersMerged):
            with self._lock:
                self._speakers.note(item)
            self._changed.set()
        if not isinstance(item, TranscriptUpdate):
            return
        text = printable(item.text if self._with_partial else item.stable).strip()
        key = item.track, item.utterance
        with self._lock:
            known = [number for number, (at, _) in enumerate(self._shown) if at == key]
            if known:
                self._shown[known[0]] = key, text
            elif text:
                self._shown.append((key, text))
            else:
                return
            self._has_text = True
        self._changed.set()

    def _labelled(self, key: tuple[str, int], text: str) -> str:
        label = printable(self._speakers.label_of(*key))
        return f"{label}: {text}" if label else text

    def close(self) -> None:
        """Empty the file: nothing is said any more."""
        self._closing = True
        self._changed.set()
        self._thread.join()

    def _write(self) -> None:
        written, told = "", False
        clears_at = time.monotonic() + CLEAR_SECONDS
        while True:
            self._changed.wait(max(0.0, clears_at - time.monotonic()))
            self._changed.clear()
            is_end, now = self._closing, time.monotonic()
            with self._lock:
                if is_end or not self._has_text and now >= clears_at:
                    self._shown.clear()  # nothing is said
                if self._has_text or now >= clears_at:
                    self._has_text, clears_at = False, now + CLEAR_SECONDS
                said = [self._labelled(key, text) for key, text in self._shown if text]
            lines = [line for text in said for line in wrapped(text)][-self._n_lines :]
            text = "".join(f"{line}\n" for line in lines)
            try:
                if text != written:
                    replace_file(self._path, [text], durable=False)
                    written = text
            except OSError as error:
                if not told:
                    why = error.strerror or error
                    self._notice(f"Cannot write captions to {self._path}: {why}. Trying again.", "warning")
                told = True
            if is_end:
                return
            time.sleep(WRITE_SECONDS)


def wrapped(text: str, width: int = WIDTH) -> list[str]:
    """The lines of a text: filled with whole words, or broken anywhere in a word that is longer than a line, as in
    scripts without spaces."""
    lines, line, used = [], "", 0
    for word in text.split():
        if line and used + 1 + cells(word) <= width:
            line, used = f"{line} {word}", used + 1 + cells(word)
            continue
        if line:
            lines.append(line)
        line, used = "", 0
        for character in word:
            if used + cells(character) > width:
                lines.append(line)
                line, used = "", 0
            line, used = line + character, used + cells(character)
    return [*lines, line] if line else lines

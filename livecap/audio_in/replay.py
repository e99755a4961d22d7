"""A recording heard as if it were live, at a chosen pace, or as fast as it can be read.

The file is read a second at a time, and at most `MAX_AHEAD_SAMPLES` wait in memory: an hour costs what a
minute does.
"""

import math
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from livecap.audio_in.resample import Resampler
from livecap.audio_in.source import AudioChunk
from livecap.errors import AudioError, SettingsError
from livecap.transcript import SAMPLE_RATE

WAKE_SECONDS = 0.05
"""A reader that keeps up is woken this often, by the clock."""

MAX_AHEAD_SAMPLES = 30 * SAMPLE_RATE
"""The most sound in memory, and in one chunk: a reader later than this gets the rest in its next chunks."""

LEVEL_SAMPLES = SAMPLE_RATE // 10
"""The level is the peak of the last 100 ms."""

PAUSED_WAIT_SECONDS = 1.0
"""Only a bound: `resume` and `close` wake a paused reader at once."""

NEEDS_CONVERTER = {".m4a", ".m4b", ".mp4", ".mov", ".aac", ".webm", ".mkv", ".wma", ".amr", ".3gp"}
"""What soundfile cannot read, and ffmpeg or afconvert can."""


class Replay:
    """An `AudioSource` over a file. One thread iterates, any may ask, pause, close; a lock guards it all."""

    live = False

    def __init__(
        self,
        path: str | Path,
        pace: float | None = 1.0,
        *,
        max_chunk_samples: int = 2 * SAMPLE_RATE,
        on_notice: Callable[[str], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] | None = None,
    ) -> None:
        """Opens the file and reads its first second. The clock starts with the first iteration.

        Args:
            path: WAV, FLAC, OGG, MP3, AIFF and what else libsndfile reads; M4A and MP4 through a converter.
            pace: times real time; None is as fast as it can be read: sound arrives when it is handed over.
            max_chunk_samples: length of a chunk where `pace` is None.
            on_notice: told, on the reader's thread, what a person should know: that the file is cut short.
            clock: seconds, never falling.
            sleep: in place of waiting so many seconds, for tests.

        Raises:
            AudioError: no such file, a folder, empty, not audio, no samples, a first second with NaN.
            SettingsError: a pace that is not above zero.
        """
        if pace is not None and not (math.isfinite(pace) and pace > 0):
            raise SettingsError(f"Cannot replay at pace {pace}: give a number above 0, or max.")
        assert max_chunk_samples > 0
        self._path = Path(path)
        self._pace = pace
        self._max_chunk_samples = max_chunk_samples
        self._on_notice = on_notice or (lambda message: None)
        self._clock = clock
        self._wake = threading.Event()
        self._sleep = sleep or self._wake.wait
        self._lock = threading.Lock()

        self._iterating = self._closed = self._paused = self._at_end = False
        self._failure: AudioError | None = None
        self._running_since: float | None = None  # None: the clock stands
        self._ran_seconds = 0.0  # before that
        self._arrived = 0
        self._handed = 0  # end of what was handed over
        self._read = 0  # end of what was read, >= _handed
        self._recent = np.zeros(0, np.float32)  # up to _read: 100 ms that were handed over, and what waits
        self._notices: list[str] = []  # for the reader's thread to tell

        self._file = _open(self._path)
        self._frames_read = 0
        self._broken = False  # cannot be read on
        self._resampler = Resampler(self._file.samplerate, self._file.channels)
        try:
            self._read_to(1)
            if self._failure is not None:
                raise self._failure
            if self._read == 0:
                raise AudioError(f"Cannot replay {self._path}: there is not one sample in it.")
        except BaseException:
            self._file.close()
            raise

    @property
    def name(self) -> str:
        """The file's name."""
        return self._path.name

    @property
    def duration_seconds(self) -> float | None:
        """What the file's header says; None where it does not. A file cut short is shorter."""
        frames = self._file.frames
        return frames / self._file.samplerate if 0 < frames < 2**62 else None

    @property
    def arrived_samples(self) -> int:
        """How much sound is due by the clock. With no pace: what was handed over."""
        with self._lock:
            due = self._due()
            self._read_to(min(due, self._handed + MAX_AHEAD_SAMPLES))
            if self._at_end:
                due = min(due, self._read)
            self._arrived = max(self._arrived, due)
            return self._arrived

    @property
    def level(self) -> float:
        """Peak of the last 100 ms that were due, however late the reader; 0 while paused, and at the end."""
        with self._lock:
            if self._running_since is None:
                return 0.0
            due = self._due()
            self._read_to(min(due, self._handed + MAX_AHEAD_SAMPLES))
            first = self._read - len(self._recent)
            heard = self._recent[max(0, due - LEVEL_SAMPLES - first) : max(0, due - first)]
            return float(np.abs(heard).max(initial=0.0))

    def __iter__(self) -> Iterator[AudioChunk]:
        """See `AudioSource`. A chunk is at most 30 s long; a later reader is given the next one at once."""
        with self._lock:
            assert not self._iterating, "a source is iterated once"
            self._iterating = True
            if not (self._paused or self._closed):
                self._running_since = self._clock()
        pause_told = False
        try:
            while not self._finished:
                self._wake.clear()
                with self._lock:
                    chunk, wait_seconds = self._take()
                    notices, self._notices = self._notices, []
                for notice in notices:
                    self._on_notice(notice)
                if chunk is not None:
                    yield chunk
                elif self._paused and not pause_told:
                    pause_told = True
                    yield AudioChunk(self._handed, np.zeros(0, np.float32))
                elif not self._finished:
                    self._sleep(wait_seconds)
                pause_told = pause_told and self._paused
            if self._failure is not None:
                raise self._failure
        finally:
            with self._lock:
                self._stop_clock()
                self._file.close()

    def pause(self) -> None:
        """The recording stands still."""
        with self._lock:
            self._paused = True
            self._stop_clock()
        self._wake.set()

    def resume(self) -> None:
        """The recording goes on where it stood."""
        with self._lock:
            self._paused = False
            if self._iterating and not self._closed and self._running_since is None:
                self._running_since = self._clock()
        self._wake.set()

    def close(self) -> None:
        """What is due by now is still handed over, then iteration ends."""
        with self._lock:
            self._closed = True
            self._stop_clock()
            if not self._iterating:
                self._file.close()
        self._wake.set()

    # Below: with the lock held, or before a second thread knows this object.

    @property
    def _finished(self) -> bool:
        due = self._due()
        return (self._at_end and self._handed >= self._read) or (self._closed and self._handed >= due)

    def _stop_clock(self) -> None:
        if self._running_since is not None:
            self._ran_seconds += self._clock() - self._running_since
            self._running_since = None

    def _due(self) -> int:
        """Samples that should have been heard by now; may lie beyond the end of the file."""
        if self._pace is None:
            return self._handed
        seconds = self._ran_seconds
        if self._running_since is not None:
            seconds += self._clock() - self._running_since
        return int(seconds * self._pace * SAMPLE_RATE)

    def _take(self) -> tuple[AudioChunk | None, float]:
        """The chunk that is due, or None and for how long to wait."""
        if self._pace is None:
            if self._paused or self._closed:
                return None, PAUSED_WAIT_SECONDS
            return self._hand_over(self._handed + self._max_chunk_samples), 0.0
        due = self._due()
        step_samples = max(1, int(WAKE_SECONDS * self._pace * SAMPLE_RATE))
        if due - self._handed >= step_samples or self._closed or self._at_end:
            chunk = self._hand_over(min(due, self._handed + MAX_AHEAD_SAMPLES))
            if chunk is not None:
                return chunk, 0.0
        if self._paused:
            return None, PAUSED_WAIT_SECONDS
        missing_samples = self._handed + step_samples - due
        return None, max(0.001, missing_samples / (self._pace * SAMPLE_RATE))

    def _hand_over(self, end: int) -> AudioChunk | None:
        self._read_to(end)
        start, end = self._handed, min(end, self._read)
        if end <= start:
            return None
        first = self._read - len(self._recent)
        chunk = AudioChunk(start, self._recent[start - first : end - first].copy())
        self._recent = self._recent[max(0, end - LEVEL_SAMPLES - first) :]
        self._handed = end
        self._arrived = max(self._arrived, end)
        return chunk

    def _read_to(self, end: int) -> None:
        """Read until `end` is in memory, or the file ends. Faults are kept for the reader's thread."""
        pieces = [self._recent]
        while self._read < end and not self._at_end and not self._file.closed:
            piece = self._read_second()
            if piece is None:
                self._at_end = True
                piece = self._resampler.flush()
            pieces.append(piece)
            self._read += len(piece)
        if len(pieces) > 1:
            self._recent = np.concatenate(pieces)

    def _read_second(self) -> NDArray[np.float32] | None:
        """The next second at 16 kHz mono, or None at the end of the file or where it cannot be read on."""
        if self._broken:
            return None
        sound = np.full((self._file.samplerate, self._file.channels), np.nan, np.float32)
        try:
            sound = self._file.read(out=sound)
        except soundfile.LibsndfileError as error:
            self._broken = True
            filled = np.flatnonzero(~np.isnan(sound).all(axis=1))
            sound = sound[: filled[-1] + 1 if len(filled) else 0]
            if self.duration_seconds is not None:  # else that is how libsndfile meets the end
                self._notices.append(
                    f"{self.name} is damaged: it ends at {self._position(len(sound))}. {error.error_string}"
                )
        if len(sound) == 0:
            if not self._broken and self.duration_seconds is not None and self._frames_read < self._file.frames:
                self._notices.append(f"{self.name} is cut short: it ends at {self._position()}.")
            return None
        bad = np.flatnonzero(~np.isfinite(sound).all(axis=1))
        if len(bad):
            self._broken = True
            self._failure = AudioError(
                f"Cannot replay {self._path}: its sample at {self._position(int(bad[0]))} is not a number "
                "(NaN or infinite). Whatever wrote the file went wrong there."
            )
            sound = sound[: bad[0]]
        self._frames_read += len(sound)
        return self._resampler.process(sound)

    def _position(self, frames_ahead: int = 0) -> str:
        seconds = (self._frames_read + frames_ahead) / self._file.samplerate
        return f"{int(seconds // 60)}:{seconds % 60:06.3f}"


def _open(path: Path) -> soundfile.SoundFile:
    """The open file, converted where it must be.

    Raises:
        AudioError: anything that keeps it from being played.
    """
    if path.is_dir():
        raise AudioError(f"Cannot replay {path}: it is a folder. Give a recording in it.")
    if not path.exists():
        raise AudioError(f"Cannot replay {path}: no such file.")
    if not path.is_file():
        raise AudioError(f"Cannot replay {path}: it is not a regular file.")
    try:
        with path.open("rb") as file:
            head = file.read(12)
    except OSError as error:
        raise AudioError(f"Cannot replay {path}: {error.strerror}.") from None
    if not head:
        raise AudioError(f"Cannot replay {path}: the file is empty (0 bytes).")
    try:
        return soundfile.SoundFile(path)
    except UnicodeError:
        raise AudioError(f"Cannot replay {str(path)!a}: its name is not text. Rename the file.") from None
    except (soundfile.LibsndfileError, TypeError):  # TypeError: .raw, which says neither rate nor channels
        pass
    if path.suffix.lower() in NEEDS_CONVERTER or head[4:8] == b"ftyp":
        return _open_converted(path)
    raise AudioError(
        f"Cannot replay {path}: it is not audio, or of a kind that livecap does not read. "
        "It reads WAV, FLAC, OGG, MP3 and AIFF; ffmpeg converts others."
    )


def _open_converted(path: Path) -> soundfile.SoundFile:
    """The open WAV, 16 kHz mono, that ffmpeg or macOS's afconvert made of `path`. Closing it frees the space.

    Raises:
        AudioError: no converter, or it failed.
    """
    with tempfile.TemporaryDirectory(prefix="livecap.") as folder:
        wav = Path(folder, "converted.wav")
        if ffmpeg := shutil.which("ffmpeg"):
            command = [ffmpeg, "-nostdin", "-v", "error", "-i", str(path.absolute()), "-vn"]
            command += ["-ac", "1", "-ar", str(SAMPLE_RATE), "-c:a", "pcm_s16le", str(wav)]
        elif afconvert := shutil.which("afconvert"):
            command = [afconvert, "-f", "WAVE", "-d", f"LEI16@{SAMPLE_RATE}", "-c", "1"]
            command += [str(path.absolute()), str(wav)]
        else:
            raise AudioError(
                f"Cannot replay {path}: such a file needs ffmpeg, or afconvert of macOS; neither was found. "
                "Install ffmpeg, or convert the file to WAV."
            )
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
        if done.returncode == 0:
            return soundfile.SoundFile(wav)
        *_, reason = ["no reason given", *done.stderr.strip().splitlines()]
        raise AudioError(f"Cannot replay {path}: {Path(command[0]).name} could not read it: {reason}")

"""Recording: the sound of a file by its position, at 16 kHz mono, read a second at a time.

libsndfile reads WAV, FLAC, OGG, MP3 and AIFF; ffmpeg or macOS's afconvert converts other kinds first.
"""

import re
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from livecap.audio_in.resample import Resampler
from livecap.errors import AudioError
from livecap.transcript import SAMPLE_RATE

NEEDS_CONVERTER = {".m4a", ".m4b", ".mp4", ".mov", ".aac", ".webm", ".mkv", ".wma", ".amr", ".3gp"}
"""Kinds of files that soundfile cannot read, and ffmpeg or afconvert can."""
PROMISED = re.compile(r"^\s*(?:data|SSND|Data Size)\s*: (\d+) \(should be (\d+)\)", re.MULTILINE)
"""libsndfile's log line about a file that is shorter than its header says: (bytes in the header, bytes found)."""
PLACEHOLDER_BYTES = 0x7FFF0000
"""Lengths from here on are placeholders: a program that writes to a pipe cannot know the length."""
MOST_PADDING_SECONDS = 0.01
"""A file may be this much shorter than its header says: some writers count the header or padding as sound."""


class Recording:
    """One file, used by one thread at a time. What is read stays in memory until it is forgotten."""

    def __init__(self, path: Path, end_sample: int | None = None) -> None:
        """
        Args:
            end_sample: read no further than this.

        Raises:
            AudioError: no such file, a folder, empty, not audio.
        """
        self._path = path
        self._end_sample = end_sample
        self._file = _open(path)
        self._resampler = Resampler(self._file.samplerate, self._file.channels)
        self._promised_frames = _promised_frames(self._file)
        self._frames_read = 0
        self._broken = False
        self._sound = np.zeros(0, np.float32)  # up to read_samples
        self.read_samples = 0
        """Sound before this position was read."""
        self.at_end = False
        """There is nothing more to read."""
        self.notices: list[str] = []
        """What the user should know about the file, and was not told yet."""
        self.failure: AudioError | None = None
        """What is wrong with the sound behind `read_samples`."""

    @property
    def duration_seconds(self) -> float | None:
        """Length by the file's header; None where it does not say. A file that was cut short is shorter."""
        frames = self._file.frames
        return frames / self._file.samplerate if 0 < frames < 2**62 else None

    def close(self) -> None:
        """Read no more, until `seek`. Twice is harmless."""
        if not self._file.closed:
            self._file.close()
            self._resampler = self._resampler.renewed()

    def read_to(self, sample: int) -> None:
        """Read until the sound before `sample` is in memory, or there is no more."""
        pieces = [self._sound]
        while self.read_samples < sample and not self.at_end and not self._file.closed:
            piece = self._next_second()
            if self._end_sample is not None and self.read_samples + len(piece) >= self._end_sample:
                self.at_end = True
                piece = piece[: max(0, self._end_sample - self.read_samples)]
            pieces.append(piece)
            self.read_samples += len(piece)
        if len(pieces) > 1:
            self._sound = np.concatenate(pieces)

    def skip_to(self, sample: int) -> None:
        """Read up to `sample` and forget what is before it. The resampler hears it, so that what follows is exact."""
        while self.read_samples <= sample and not self.at_end:
            self.read_to(self.read_samples + SAMPLE_RATE)
            self.forget(self.read_samples - 2 * SAMPLE_RATE)

    def sound(self, start_sample: int, end_sample: int) -> NDArray[np.float32]:
        """[n] float32: what is in memory of [start_sample, end_sample); a view."""
        first = self.read_samples - len(self._sound)
        return self._sound[max(0, start_sample - first) : max(0, end_sample - first)]

    def forget(self, sample: int) -> None:
        """Sound before this position is not needed any more."""
        self._sound = self.sound(sample, self.read_samples)

    def seek(self, sample: int) -> None:
        """`read_to` and `sound` go on here; also behind the end of the file and after `close`.

        Raises:
            AudioError: the file cannot be opened again, or can only be read from its beginning.
        """
        if self._file.closed:
            self._file = _open(self._path)
        second = max(
            0, sample // SAMPLE_RATE - 1
        )  # earlier, so that the filter of the resampler is settled at `sample`
        try:
            self._frames_read = self._file.seek(min(second * self._file.samplerate, self._file.frames))
        except soundfile.LibsndfileError as error:
            raise AudioError(f"{self._path.name} can only be played from its beginning: {error.error_string}") from None
        self._resampler = self._resampler.renewed()
        self._broken = self.at_end = False
        self.failure = None
        self.read_samples, self._sound = second * SAMPLE_RATE, np.zeros(0, np.float32)
        self.skip_to(sample)

    def _next_second(self) -> NDArray[np.float32]:
        """About 16000 samples: the resampler holds a little back, which comes with the next second, or at the end."""
        frames = None if self._broken else self._next_frames()
        if frames is not None:
            return self._resampler.process(frames)
        self.at_end = True
        return self._resampler.flush()

    def _next_frames(self) -> NDArray[np.float32] | None:
        """[n_frames, n_channels] at the file's rate; None at its end."""
        sound = np.full((self._file.samplerate, self._file.channels), np.nan, np.float32)
        try:
            sound = self._file.read(out=sound)
        except soundfile.LibsndfileError as error:
            self._broken = True
            filled = np.flatnonzero(~np.isnan(sound).all(axis=1))
            sound = sound[: filled[-1] + 1 if len(filled) else 0]
            if self.duration_seconds is not None:  # otherwise libsndfile reports the normal end like this
                self.notices.append(
                    f"{self._path.name} is damaged: it ends at {self._position(len(sound))}. {error.error_string}"
                )
        if len(sound) == 0:
            if not self._broken and self._frames_read < self._promised_frames:
                self.notices.append(f"{self._path.name} is cut short: it ends at {self._position()}.")
            return None
        bad = np.flatnonzero(~np.isfinite(sound).all(axis=1))
        if len(bad):
            self._broken = True
            self.failure = AudioError(
                f"Cannot replay {self._path}: its sample at {self._position(int(bad[0]))} is not a number "
                "(NaN or infinite). The program that wrote the file failed there."
            )
            sound = sound[: bad[0]]
        self._frames_read += len(sound)
        return sound

    def _position(self, frames_ahead: int = 0) -> str:
        seconds = (self._frames_read + frames_ahead) / self._file.samplerate
        return f"{int(seconds // 60)}:{seconds % 60:06.3f}"


def _promised_frames(file: soundfile.SoundFile) -> int:
    """The number of frames by the header; 0 where it does not say. For a file that ends earlier, libsndfile reports the
    frames that exist, and the header's number only in its log."""
    frames = int(file.frames)
    if not 0 < frames < 2**62:
        return 0
    said = PROMISED.search(file.extra_info)
    promised, found = (int(number) for number in said.groups()) if said else (0, 1)
    if not found < promised < PLACEHOLDER_BYTES:
        return frames
    missing = frames * promised // found - frames
    return frames + missing if missing > MOST_PADDING_SECONDS * file.samplerate else frames


def _open(path: Path) -> soundfile.SoundFile:
    """The open file, converted where necessary.

    Raises:
        AudioError: it cannot be played, for any reason.
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
        raise AudioError(f"Cannot replay {str(path)!a}: its name is not valid text. Rename the file.") from None
    except (soundfile.LibsndfileError, TypeError):  # TypeError: .raw, which says neither rate nor channels
        pass
    if path.suffix.lower() in NEEDS_CONVERTER or head[4:8] == b"ftyp":
        return _converted(path)
    raise AudioError(
        f"Cannot replay {path}: it is not audio, or in a format that livecap does not read. "
        "It reads WAV, FLAC, OGG, MP3 and AIFF; convert others with ffmpeg."
    )


def _converted(path: Path) -> soundfile.SoundFile:
    """The open WAV, 16 kHz mono, that ffmpeg or macOS's afconvert made of `path`. Closing it frees the disk space.

    Raises:
        AudioError: there is no converter, or it failed.
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
                f"Cannot replay {path}: this format needs ffmpeg, or afconvert on macOS; neither was found. "
                "Install ffmpeg, or convert the file to WAV."
            )
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
        if done.returncode == 0:
            return soundfile.SoundFile(wav)
        *_, reason = ["no reason given", *done.stderr.strip().splitlines()]
        raise AudioError(f"Cannot replay {path}: {Path(command[0]).name} could not read it: {reason}")

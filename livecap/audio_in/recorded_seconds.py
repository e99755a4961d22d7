"""RecordedSeconds: a recording second by second at 16 kHz mono, from any second on."""

import re
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from livecap.audio_in.recording import open_recording
from livecap.audio_in.resample import Resampler
from livecap.errors import AudioError

PROMISED = re.compile(r"^\s*(?:data|SSND|Data Size)\s*: (\d+) \(should be (\d+)\)", re.MULTILINE)
"""What libsndfile says of a header whose sound ends before its time: bytes there should be, bytes there are."""
PLACEHOLDER_BYTES = 0x7FFF0000
"""What writes into a pipe cannot know the length, and promises this or more."""

MOST_PADDING_SECONDS = 0.01
"""Some writers count the header, or what fills up the last block, as sound."""


class RecordedSeconds:
    """One file. What is wrong with it is told in `notices`, what ends it at once in `failure`."""

    def __init__(self, path: Path) -> None:
        """
        Raises:
            AudioError: no such file, a folder, empty, not audio.
        """
        self._path = path
        self._file = open_recording(path)
        self._resampler = Resampler(self._file.samplerate, self._file.channels)
        self._promised_frames = promised_frames(self._file)
        self._frames_read = 0
        self._broken = False
        self.ended = False
        """All was read."""
        self.notices: list[str] = []
        self.failure: AudioError | None = None
        """Of the sound behind what was read."""

    @property
    def duration_seconds(self) -> float | None:
        """What the file's header says; None where it does not. A file cut short is shorter."""
        frames = self._file.frames
        return frames / self._file.samplerate if 0 < frames < 2**62 else None

    @property
    def closed(self) -> bool:
        return bool(self._file.closed)

    def close(self) -> None:
        """Read no more. Twice is harmless."""
        if not self._file.closed:
            self._file.close()
            self._resampler = self._resampler.renewed()

    def seek(self, second: int) -> None:
        """`read` goes on here; also behind the end of the file and after `close`.

        Raises:
            AudioError: the file cannot be opened again, or has no places to go to.
        """
        if self._file.closed:
            self._file = open_recording(self._path)
        frame = second * self._file.samplerate
        try:
            self._frames_read = self._file.seek(min(frame, self._file.frames))
        except soundfile.LibsndfileError as error:
            raise AudioError(f"{self._path.name} can only be heard from its beginning: {error.error_string}") from None
        self._resampler = self._resampler.renewed()
        self._broken = self.ended = False
        self.failure = None

    def read(self) -> NDArray[np.float32]:
        """The next second, [n] float32 with n about 16000. The filter holds back a little, which comes with the next
        one; the rest comes at the end of the file, or where it cannot be read on. Not behind that."""
        assert not self.ended, "there is no more"
        sound = None if self._broken else self._read_frames()
        if sound is not None:
            return self._resampler.process(sound)
        self.ended = True
        return self._resampler.flush()

    def _read_frames(self) -> NDArray[np.float32] | None:
        """[n_frames, n_channels] at the file's rate."""
        sound = np.full((self._file.samplerate, self._file.channels), np.nan, np.float32)
        try:
            sound = self._file.read(out=sound)
        except soundfile.LibsndfileError as error:
            self._broken = True
            filled = np.flatnonzero(~np.isnan(sound).all(axis=1))
            sound = sound[: filled[-1] + 1 if len(filled) else 0]
            if self.duration_seconds is not None:  # else that is how libsndfile meets the end
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
                "(NaN or infinite). Whatever wrote the file went wrong there."
            )
            sound = sound[: bad[0]]
        self._frames_read += len(sound)
        return sound

    def _position(self, frames_ahead: int = 0) -> str:
        seconds = (self._frames_read + frames_ahead) / self._file.samplerate
        return f"{int(seconds // 60)}:{seconds % 60:06.3f}"


def promised_frames(file: soundfile.SoundFile) -> int:
    """What the header of an open file says; 0 where it does not know.

    Of a file that ends before its header says so, libsndfile tells the frames there are, and the promise in its log.
    """
    frames = int(file.frames)
    if not 0 < frames < 2**62:
        return 0
    said = PROMISED.search(file.extra_info)
    promised, found = (int(number) for number in said.groups()) if said else (0, 1)
    if not found < promised < PLACEHOLDER_BYTES:
        return frames
    missing = frames * promised // found - frames
    return frames + missing if missing > MOST_PADDING_SECONDS * file.samplerate else frames

"""Recording: the sound of a file by its position, at 16 kHz mono, read a second at a time.

A file may hold several sounds, one after another; they are heard as one.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from livecap.audio_in.resample import Resampler
from livecap.audio_in.sound_files import MP3, open_converted, open_sounds
from livecap.errors import AudioError
from livecap.transcript import SAMPLE_RATE

MOST_VALUES = 2**20
"""How many samples of all channels are read at once."""
LEAST_REST_SECONDS = 0.1
"""What a converter reads behind damage is heard if it is longer than this."""


class Recording:
    """One file, used by one thread at a time. What is read stays in memory until it is forgotten."""

    def __init__(self, path: Path, end_sample: int | None = None, meanwhile: Callable[[], None] = lambda: None) -> None:
        """
        Args:
            end_sample: read no further than this.
            meanwhile: called often while the file is converted, which can take long; what it raises ends that.

        Raises:
            AudioError: no such file, a folder, empty, not audio.
        """
        self._path = path
        self._end_sample = end_sample
        self._meanwhile = meanwhile
        self._sounds, notices = open_sounds(path, meanwhile)
        self._index = 0  # of the sound that is read now
        self._file = self._sounds[0].open()
        self._resampler = Resampler(self._sounds[0].rate, self._sounds[0].n_channels)
        self._frames_read = 0
        self._broken = False
        self._damage = ""  # what libsndfile says about this sound where it reads no further
        self._sound = np.zeros(0, np.float32)  # up to read_samples
        self.read_samples = 0
        """Sound before this position was read."""
        self.at_end = False
        """There is nothing more to read."""
        self.notices = notices
        """What the user should know about the file, and was not told yet."""
        self.failure: AudioError | None = None
        """What is wrong with the sound behind `read_samples`."""

    @property
    def duration_seconds(self) -> float | None:
        """Length by the file's header; None where it does not say. A file that was cut short is shorter."""
        lengths = [sound.n_frames / sound.rate for sound in self._sounds if sound.n_frames is not None]
        return sum(lengths) or None if len(lengths) == len(self._sounds) else None

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

    def blocks(self, n_samples: int) -> Iterator[NDArray[np.float32]]:
        """The rest of the sound in blocks of at least `n_samples`, of which the last is shorter; each is forgotten once
        it is read.

        Raises:
            AudioError: the recording is damaged so that what was heard cannot be used.
        """
        while not self.at_end:
            start = self.read_samples
            self.read_to(start + n_samples)
            yield self.sound(start, self.read_samples)
            self.forget(self.read_samples)
        if self.failure is not None:
            raise self.failure

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
        second = max(0, sample // SAMPLE_RATE - 1)  # earlier: the filter of the resampler is settled at `sample`
        index, first = 0, 0.0  # the sound in which that lies, and where it begins, in seconds
        for sound in self._sounds[:-1]:
            if sound.n_frames is None or first + sound.n_frames / sound.rate > second:
                break
            index, first = index + 1, first + sound.n_frames / sound.rate
        if self._file.closed or index != self._index:
            self._begin(index)
        frame = max(0, round((second - first) * self._file.samplerate))
        try:
            self._frames_read = self._file.seek(min(frame, self._file.frames))
        except soundfile.LibsndfileError as error:
            raise AudioError(f"{self._path.name} can only be played from its beginning: {error.error_string}") from None
        self._resampler = self._resampler.renewed()
        self._broken = self.at_end = False
        self._damage = ""
        self.failure = None
        self.read_samples, self._sound = second * SAMPLE_RATE, np.zeros(0, np.float32)
        self.skip_to(sample)

    def _begin(self, index: int) -> None:
        """Go on with the beginning of a sound."""
        self._file.close()
        self._index = index
        sound = self._sounds[index]
        self._file = sound.open()
        if (self._resampler.rate_in, self._resampler.n_channels) == (sound.rate, sound.n_channels):
            self._resampler = self._resampler.renewed()
        else:
            self._resampler = Resampler(sound.rate, sound.n_channels)
        self._frames_read = 0
        self._broken = False
        self._damage = ""

    def _next_second(self) -> NDArray[np.float32]:
        """About 16000 samples: the resampler holds a little back, which comes with the next second, or at the end."""
        frames = None if self._broken else self._next_frames()
        if frames is not None:
            return self._resampler.process(frames)
        rest = self._resampler.flush()
        if self._damage and self._goes_on_converted():
            return rest
        if self.failure is None and self._index + 1 < len(self._sounds):
            self._begin(self._index + 1)
        else:
            self.at_end = True
        return rest

    def _next_frames(self) -> NDArray[np.float32] | None:
        """[n_frames, n_channels] at the file's rate, at most a second; None at the end of this sound."""
        n_frames = min(self._file.samplerate, max(1, MOST_VALUES // self._file.channels))
        sound = np.full((n_frames, self._file.channels), np.nan, np.float32)
        try:
            sound = self._file.read(out=sound)
        except soundfile.LibsndfileError as error:
            self._broken = True
            filled = np.flatnonzero(~np.isnan(sound).all(axis=1))
            sound = sound[: filled[-1] + 1 if len(filled) else 0]
            if self._sounds[self._index].n_frames is not None:  # otherwise libsndfile reports the normal end like this
                self._damage = error.error_string
        if len(sound) == 0:
            if not self._broken and self._frames_read < self._sounds[self._index].promised_frames:
                self.notices.append(self._cut_short())
            return None
        bad = np.flatnonzero(~np.isfinite(sound).all(axis=1))
        if len(bad):
            self._broken = True
            self.failure = AudioError(
                f"Cannot read {self._path}: its sample at {self._position(int(bad[0]))} is not a number "
                "(NaN or infinite). The program that wrote the file failed there."
            )
            sound = sound[: bad[0]]
        if self._frames_read == 0:
            self._resampler.learn(sound)
        self._frames_read += len(sound)
        return sound

    def _goes_on_converted(self) -> bool:
        """Whether a converter reads what libsndfile does not: a FLAC is lost to it from the first damaged frame on. The
        sound goes on with that. Several sounds in one file are not converted."""
        said, self._damage = self._damage, ""
        place, seconds = self._position(), self._frames_read / self._file.samplerate
        notice = f"{self._path.name} is damaged: it ends at {place}. {said}"
        if len(self._sounds) == 1:
            try:
                converted, _ = open_converted(self._path, True, self._meanwhile)
            except (AudioError, OSError):
                notice = f"{self._path.name} is damaged: without ffmpeg it ends at {place}. {said}"
            else:
                frames = converted.n_frames or 0
                if frames / converted.rate > seconds + LEAST_REST_SECONDS:
                    self._sounds = [converted]
                    self._begin(0)
                    self._frames_read = self._file.seek(round(seconds * converted.rate))
                    end = self._position(frames - self._frames_read)
                    notice = (
                        f"{self._path.name} is damaged at {place}; what can be read after it is heard, up to {end}."
                    )
        self.notices.append(notice)
        return not self._broken

    def _cut_short(self) -> str:
        name, place = self._path.name, self._position()
        if self._file.format != MP3:
            return f"{name} is cut short: it ends at {place}."
        return f"{name} is cut short or damaged: it ends at {place}. ffmpeg may convert more of it to WAV."

    def _position(self, frames_ahead: int = 0) -> str:
        before = sum((sound.n_frames or 0) / sound.rate for sound in self._sounds[: self._index])
        seconds = before + (self._frames_read + frames_ahead) / self._file.samplerate
        return f"{int(seconds // 60)}:{seconds % 60:06.3f}"

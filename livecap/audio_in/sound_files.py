"""The sounds of a recording, opened: by libsndfile where it can, else through a converter, whatever the file's name."""

import os
import re
import stat
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import soundfile

from livecap.audio_in.converter import convert, not_audio
from livecap.audio_in.file_parts import Part, PartFile, find_parts
from livecap.audio_in.formats import LOOK_BYTES, format_of
from livecap.audio_in.mpeg_prints import without_mpeg_prints
from livecap.errors import AudioError

CONVERTED = {".m4a", ".m4b", ".mp4", ".mov", ".aac", ".webm", ".mkv", ".wma", ".amr", ".3gp"}
"""Suffixes of files that soundfile cannot read, and ffmpeg or afconvert can."""
MP3 = "MP3"
"""The format of a file whose end libsndfile does not tell from damage."""
RATES = range(1000, 768_001)
"""Rates that sound has. A header with another rate is wrong, and would make a second of sound any size."""
MOST_CHANNELS = 1024
MOST_PADDING_SECONDS = 0.01
"""A file may be this much shorter than its header says: some writers count the header or padding as sound."""


class _File(soundfile.SoundFile):  # type: ignore[misc]
    """A sound file that closes what it reads from."""

    def __init__(self, source: PartFile) -> None:
        self._source = source
        try:
            with without_mpeg_prints():
                super().__init__(source)
        except BaseException:
            source.close()
            raise

    def read(self, *arguments: Any, **named: Any) -> Any:
        with without_mpeg_prints() if self.format == MP3 else nullcontext():
            return super().read(*arguments, **named)

    def close(self) -> None:
        super().close()
        self._source.close()


class _Kept:
    """A file without a name, which is there as long as this object."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor

    def __del__(self) -> None:
        os.close(self.descriptor)


@dataclass(frozen=True, slots=True)
class Sound:
    """One sound of a recording."""

    open: Callable[[], soundfile.SoundFile]
    """Opens it at its beginning."""
    rate: int
    n_channels: int
    n_frames: int | None
    """By its header; None where that does not say."""
    promised_frames: int
    """As many frames as the file should have; 0 where that is not known."""


def open_sounds(path: Path, meanwhile: Callable[[], None]) -> tuple[list[Sound], list[str]]:
    """(the sounds of a recording in order, at least one; what the user should know about it).

    Args:
        meanwhile: called often while the recording is converted; what it raises ends that.

    Raises:
        AudioError: it cannot be played, for any reason.
    """
    descriptor = _open(path)
    try:
        head = os.pread(descriptor, LOOK_BYTES, 0)
        if not head:
            raise AudioError(f"Cannot read {path}: the file is empty (0 bytes).")
        parts = find_parts(descriptor, os.fstat(descriptor).st_size)
        sounds, notices = [], []
        for part in parts:
            try:
                sounds.append(_sound(path, part, descriptor))
            except soundfile.LibsndfileError as error:
                if not sounds:
                    break
                notices.append(
                    f"{path.name} is damaged: from byte {part.start} on it is not heard. {error.error_string}"
                )
                break
    except OSError as error:  # the disk or the network drive fails
        raise AudioError(f"Cannot read {path}: {error.strerror or error}.") from None
    finally:
        os.close(descriptor)
    if sounds:
        if any(part.understated for part in parts):
            notices.append(f"The header of {path.name} declares less sound than the file has; all of it is heard.")
        return sounds, notices
    kind = format_of(head)
    if kind in ("text", "MIDI", "a compressed archive", "an image or a document"):
        raise AudioError(not_audio(path))
    sound, notices = open_converted(path, bool(kind) or path.suffix.lower() in CONVERTED, meanwhile)
    return [sound], notices


def open_converted(path: Path, known: bool, meanwhile: Callable[[], None]) -> tuple[Sound, list[str]]:
    """(all sound of a file, converted to 16 kHz; what the user should know). Arguments and errors as of `convert`."""
    converted, notices = convert(path, known, meanwhile)
    return _sound(path, Part(0, os.fstat(converted).st_size), converted, _Kept(converted)), notices


def _open(path: Path) -> int:
    """A descriptor of a regular file."""
    if os.path.isdir(path):  # unlike `Path.is_dir`, it leaves errors to `os.open`
        raise AudioError(f"Cannot read {path}: it is a folder. Give a recording in it.")
    try:
        # Not blocking: a pipe that nobody writes to would never open.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        if str(path) == "-":
            raise AudioError("Cannot read -: use --stdin for sound on standard input.") from None
        if address := re.match(r"([a-z]+):/+(.*)", str(path)):  # a Path keeps one slash
            raise AudioError(
                f"Cannot read {address[1]}://{address[2]}: livecap does not open web addresses. Download it first, "
                "for example with yt-dlp -x or curl -LO, and give the file."
            ) from None
        raise AudioError(f"Cannot read {path}: no such file.") from None
    except (OSError, ValueError) as error:
        raise AudioError(f"Cannot read {path}: {getattr(error, 'strerror', None) or error}.") from None
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return descriptor
    is_pipe = stat.S_ISFIFO(os.fstat(descriptor).st_mode)
    os.close(descriptor)
    if is_pipe:
        raise AudioError(f"Cannot read {path}: it is a pipe. For a pipe use livecap --stdin < {path}")
    raise AudioError(
        f"Cannot read {path}: it is not a regular file. Pipe the sound of another program into livecap --stdin"
    )


def _sound(path: Path, part: Part, descriptor: int, kept: _Kept | None = None) -> Sound:
    """Raises LibsndfileError.

    Args:
        kept: the file to read, where that is not the one at `path`.
    """

    def open_again() -> soundfile.SoundFile:
        return _File(PartFile(_open(path) if kept is None else os.dup(kept.descriptor), part))

    with _File(PartFile(os.dup(descriptor), part)) as file:
        rate, n_channels, frames = int(file.samplerate), int(file.channels), int(file.frames)
    if rate not in RATES or n_channels > MOST_CHANNELS:
        channels = "1 channel" if n_channels == 1 else f"{n_channels} channels"
        raise AudioError(
            f"Cannot read {path}: its header says {rate} Hz and {channels}. "
            f"livecap reads rates from {RATES.start} to {RATES.stop - 1} Hz; the file is damaged."
        )
    n_frames = frames if 0 <= frames < 2**62 else None
    promised = n_frames or 0
    missing = promised * part.missing_share
    if part.is_cut or missing > MOST_PADDING_SECONDS * rate:
        promised += max(1, round(missing))
    return Sound(open_again, rate, n_channels, n_frames, promised)

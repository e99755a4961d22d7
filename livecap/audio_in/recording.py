"""A recording opened for reading: by libsndfile, or converted first where only ffmpeg or macOS can read it."""

import shutil
import subprocess
import tempfile
from pathlib import Path

import soundfile

from livecap.errors import AudioError
from livecap.transcript import SAMPLE_RATE

NEEDS_CONVERTER = {".m4a", ".m4b", ".mp4", ".mov", ".aac", ".webm", ".mkv", ".wma", ".amr", ".3gp"}
"""What soundfile cannot read, and ffmpeg or afconvert can."""


def open_recording(path: Path) -> soundfile.SoundFile:
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
        return _converted(path)
    raise AudioError(
        f"Cannot replay {path}: it is not audio, or of a kind that livecap does not read. "
        "It reads WAV, FLAC, OGG, MP3 and AIFF; ffmpeg converts others."
    )


def _converted(path: Path) -> soundfile.SoundFile:
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

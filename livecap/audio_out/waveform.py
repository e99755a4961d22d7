"""A saved recording for a web page: its waveform, and a copy that every browser plays."""

from pathlib import Path

import numpy as np
import soundfile

from livecap.errors import AudioError

BLOCK_SAMPLES = 1 << 16


def length_seconds(path: Path) -> float:
    """The length of a sound.

    Raises:
        AudioError: the file is not audio.
    """
    try:
        with soundfile.SoundFile(path) as file:
            seconds: float = max(0, file.frames) / file.samplerate
            return seconds
    except (soundfile.LibsndfileError, OSError) as error:
        raise AudioError(f"Cannot read the sound {path}: {error}.") from None


def peaks(path: Path, n_peaks: int, seconds: float) -> list[int]:
    """The loudest sample of each of `n_peaks` equal parts of a time from the start of the sound, in percent of full
    scale, rounded up.

    Args:
        seconds: the time, at least the length of the sound.

    Raises:
        AudioError: the file is not audio.
    """
    try:
        with soundfile.SoundFile(path) as file:
            loudest = np.zeros(n_peaks)
            at, n_frames = 0, max(1, round(seconds * file.samplerate))
            for block in file.blocks(BLOCK_SAMPLES, dtype="float32", always_2d=True):
                part = (np.arange(at, at + len(block)) * n_peaks) // n_frames
                np.maximum.at(loudest, np.minimum(part, n_peaks - 1), np.abs(np.nan_to_num(block)).max(axis=1))
                at += len(block)
    except (soundfile.LibsndfileError, OSError) as error:
        raise AudioError(f"Cannot read the sound {path}: {error}.") from None
    return [int(value) for value in np.minimum(100, np.ceil(loudest * 100))]


def write_flac(source: Path, target: Path) -> None:
    """Write a FLAC file with the same sound, exactly where it has 16 bits, a third of the size.

    Raises:
        AudioError: the source is not audio, or the target cannot be written.
    """
    try:
        with soundfile.SoundFile(source) as file:
            form = {"samplerate": file.samplerate, "channels": file.channels, "format": "FLAC", "subtype": "PCM_16"}
            with soundfile.SoundFile(target, "w", **form) as flac:
                # As int16, libsndfile would give the samples of a float file without scaling them: silence.
                for block in file.blocks(BLOCK_SAMPLES, dtype="float32", always_2d=True):
                    scaled = np.rint(np.clip(np.nan_to_num(block), -1, 1) * np.float32(1 << 15))
                    flac.write(np.minimum(scaled, (1 << 15) - 1).astype(np.int16))
    except (soundfile.LibsndfileError, OSError) as error:
        raise AudioError(f"Cannot make a FLAC file of {source}: {error}.") from None

"""Player: plays saved sound."""

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from livecap.audio_in.device.capture import CaptureConfig
from livecap.audio_in.device.devices import close_output, open_output
from livecap.audio_in.device.enumeration import OURS
from livecap.errors import AudioError
from livecap.transcript import SAMPLE_RATE

BLOCK_SAMPLES = SAMPLE_RATE // 20
"""How much is read and played at a time."""
SPARE_SECONDS = 0.1
"""Silence at the end, beyond the latency that the output reports."""


class Player:
    """Plays files of 16 kHz mono sound, mixed, on a thread of its own. Used from two threads."""

    def __init__(self, files: Sequence[Path], sample: int) -> None:
        """
        Args:
            files: one for each track, each from sample 0.
            sample: where to begin.

        Raises:
            AudioError: a file or an output cannot be opened.
        """
        import soundfile

        self._files: list[Any] = []
        try:
            for path in files:
                file = soundfile.SoundFile(path)
                self._files.append(file)
                file.seek(min(sample, len(file)))
            with OURS.opening(CaptureConfig().aside_seconds):
                self._stream = open_output(SAMPLE_RATE)
        except soundfile.SoundFileError as error:
            self._close_files()
            raise AudioError(f"The sound cannot be played: {error}.") from None
        except AudioError:
            self._close_files()
            raise
        self.sample = sample
        """The position that is playing now."""
        self.ended = False
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="player", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop playing; returns at once."""
        self._stopping.set()

    def _run(self) -> None:
        try:
            # Stop for an input that is searched for: the devices are listed again, which ends every stream.
            while not (self._stopping.is_set() or OURS.wanted):
                pieces = [file.read(BLOCK_SAMPLES, dtype="float32") for file in self._files]
                longest = max(map(len, pieces), default=0)
                if not longest:
                    # Closing the output at once would cut off the sound in its buffer.
                    held = round((self._stream.latency + SPARE_SECONDS) * SAMPLE_RATE)
                    self._stream.write(np.zeros((held, 1), np.float32))
                    break
                mixed = np.zeros((longest, 1), np.float32)
                for piece in pieces:
                    mixed[: len(piece), 0] += piece
                self._stream.write(np.clip(mixed, -1.0, 1.0))
                self.sample += longest
        finally:
            self.ended = True
            self._close_files()
            try:
                close_output(self._stream)
            finally:
                OURS.closed()

    def _close_files(self) -> None:
        for file in self._files:
            file.close()

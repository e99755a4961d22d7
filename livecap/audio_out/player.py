"""Player: plays saved sound."""

import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from livecap.audio_in.device.capture import CaptureConfig
from livecap.audio_in.device.devices import close_output, open_output, write_output
from livecap.audio_in.device.enumeration import OURS
from livecap.audio_in.recording import Recording
from livecap.errors import AudioError
from livecap.transcript import SAMPLE_RATE

BLOCK_SAMPLES = SAMPLE_RATE // 20
"""How much is read and played at a time."""
SPARE_SECONDS = 0.1
"""Silence at the end, beyond the latency that the output reports."""


class Player:
    """Plays recordings, mixed, on a thread of its own. Used from two threads."""

    def __init__(self, files: Sequence[Path], sample: int) -> None:
        """
        Args:
            files: one for each track, each from sample 0. The user may have put one there, of any rate and channels.
            sample: where to begin, at 16 kHz.

        Raises:
            AudioError: a file or an output cannot be opened.
        """
        self._sounds: list[Recording] = []
        try:
            try:
                for path in files:
                    self._sounds.append(Recording(path))
                    self._sounds[-1].seek(sample)
            except AudioError as error:
                raise AudioError(f"The sound cannot be played: {error}") from None
            with OURS.opening(CaptureConfig().aside_seconds):
                self._stream = open_output(SAMPLE_RATE)
        except AudioError:
            self._close_sounds()
            raise
        self.sample = sample
        """The position that is playing now."""
        self.trouble: str | None = None
        """Why it ended before the end of the sound; None if it did not."""
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
            while not self._stopping.is_set():
                if OURS.wanted:
                    raise AudioError("Playing stopped, since livecap is looking for an input.")
                pieces = [_next(sound, self.sample) for sound in self._sounds]
                longest = max(map(len, pieces), default=0)
                if not longest:
                    # Closing the output at once would cut off the sound in its buffer.
                    held = round((self._stream.latency + SPARE_SECONDS) * SAMPLE_RATE)
                    write_output(self._stream, np.zeros((held, 1), np.float32))
                    break
                mixed = np.zeros((longest, 1), np.float32)
                for piece in pieces:
                    mixed[: len(piece), 0] += piece
                write_output(self._stream, np.clip(mixed, -1.0, 1.0))
                self.sample += longest
            self.trouble = next((str(sound.failure) for sound in self._sounds if sound.failure), None)
        except AudioError as error:
            self.trouble = str(error)
        finally:
            self.ended = True
            self._close_sounds()
            try:
                close_output(self._stream)
            finally:
                OURS.closed()

    def _close_sounds(self) -> None:
        for sound in self._sounds:
            sound.close()


def _next(sound: Recording, sample: int) -> NDArray[np.float32]:
    """A block from `sample` on; shorter at the end. What is before its end is forgotten."""
    end = sample + BLOCK_SAMPLES
    sound.read_to(end)
    piece = sound.sound(sample, end)
    sound.forget(end)
    return piece

"""Handover: what a live source hands to the thread that takes from it, one thing after the other."""

import numpy as np

from livecap.audio_in.source import AudioChunk
from livecap.audio_in.spool import Spool
from livecap.errors import AudioError


class Handover:
    """The spooled sound first; then an empty chunk where listening pauses, and a failure once. See `AudioSource.take`.

    Used from two threads: the source's own sets `failure` before it says that it is drained; the other one takes.
    """

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self._pause_told = False
        self.failure: AudioError | None = None

    def take(self, paused: bool, drained: bool) -> AudioChunk | None:
        """The next chunk, or None where there is none now.

        Args:
            paused: nothing is listened to.
            drained: nothing more will be spooled.

        Raises:
            AudioError: `failure`, once all sound was taken.
        """
        chunk = self._spool.take()
        if chunk is not None:
            return chunk
        if drained and self.failure is not None:
            failure, self.failure = self.failure, None
            raise failure
        if paused == self._pause_told or drained:
            return None
        self._pause_told = paused
        return AudioChunk(self._spool.end_sample, np.zeros(0, np.float32)) if paused else None

    def is_over(self, drained: bool) -> bool:
        """Nothing more will come, and all that came is taken and told."""
        return drained and self.failure is None and not self._spool.waiting_samples

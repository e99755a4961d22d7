"""Handover: what a live source hands to the thread that takes from it, one thing after the other."""

from collections import deque

import numpy as np

from livecap.audio_in.source import AudioBlock
from livecap.audio_in.spool import Spool
from livecap.errors import AudioError


class Handover:
    """The spooled sound, an empty chunk where listening paused, however late that is taken, and at last a failure. See
    `AudioSource.take`.

    Used from several threads: the source's own sets `failure` before it says that it is drained; one takes.
    """

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self._pauses: deque[int] = deque()
        """Where listening paused, and nobody was told of it yet."""
        self.failure: AudioError | None = None

    def pause(self) -> None:
        """Listening pauses behind all that was spooled."""
        self._pauses.append(self._spool.end_sample)

    def take(self, drained: bool) -> AudioBlock | None:
        """The next chunk, or None where there is none now.

        Args:
            drained: nothing more will be spooled.

        Raises:
            AudioError: `failure`, once all sound was taken.
        """
        paused_at = self._pauses[0] if self._pauses else None
        chunk = self._spool.take(paused_at)
        if chunk is not None:
            return chunk
        if paused_at is not None:
            self._pauses.popleft()
            return AudioBlock(paused_at, np.zeros(0, np.float32))
        if drained and self.failure is not None:
            failure, self.failure = self.failure, None
            raise failure
        return None

    def is_over(self, drained: bool) -> bool:
        """Nothing more will come, and all that came is taken and told."""
        return drained and self.failure is None and not self._spool.waiting_samples

"""TemporarySound: a whole sound in a private file without a name, read in any order. Memory holds none of it."""

import os
from collections.abc import Iterable
from tempfile import TemporaryFile

import numpy as np
from numpy.typing import NDArray

from livecap.errors import AudioError

FULL_SCALE = 32767
SAMPLE_BYTES = 2
"""A sample is kept in 16 bits."""


class TemporarySound:
    """[n] samples; a slice of it is an array of float32 within -1..1. The file is gone once it is closed."""

    def __init__(self, blocks: Iterable[NDArray[np.float32]] = ()) -> None:
        """
        Args:
            blocks: the sound in arrays [n] of any length.

        Raises:
            AudioError: the disk for temporary files is full.
        """
        self._n_samples = 0
        self._file = TemporaryFile(buffering=0)  # noqa: SIM115 - closed by `close`
        try:
            for block in blocks:
                self.append(block)
        except BaseException:
            self._file.close()
            raise

    def append(self, block: NDArray[np.float32]) -> None:
        """Add [n] samples.

        Raises:
            AudioError: the disk for temporary files is full.
        """
        data = memoryview(np.round(np.clip(block, -1, 1) * FULL_SCALE).astype("<i2").tobytes())
        try:
            while data:  # one call may write only a part
                data = data[self._file.write(data) :]
        except OSError as error:
            raise AudioError(f"Cannot keep the sound in a temporary file: {error.strerror or error}.") from None
        self._n_samples += len(block)

    def __len__(self) -> int:
        return self._n_samples

    def __getitem__(self, span: slice, /) -> NDArray[np.float32]:
        start, stop, step = span.indices(self._n_samples)
        assert step == 1, "sound is read in its own order"
        n_bytes, data = SAMPLE_BYTES * max(0, stop - start), b""
        while len(data) < n_bytes:
            piece = os.pread(self._file.fileno(), n_bytes - len(data), SAMPLE_BYTES * start + len(data))
            if not piece:
                raise AudioError("The temporary file of the sound was cut off.")
            data += piece
        return np.frombuffer(data, "<i2").astype(np.float32) / np.float32(FULL_SCALE)

    def close(self) -> None:
        """Give the space back. A second call does nothing."""
        self._file.close()

    def __enter__(self) -> "TemporarySound":
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()

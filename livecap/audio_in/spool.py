"""Spool: where captured sound waits, by its position, until it is decoded.

It is a WAV file (16 bit, 16 kHz, mono) while a disk has space for it, and memory otherwise. The file's header is
correct after every write, so that a killed program leaves a file that plays. Lost sound is a hole in the file, which
plays as silence and takes no space. Sound is kept as 16 bits in memory too, so that a replay of the file is decoded
exactly as the session was.
"""

import os
import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from livecap.audio_in.wav_header import HEADER_BYTES, SAMPLE_BYTES, wav_header
from livecap.errors import AudioError
from livecap.transcript import SAMPLE_RATE

MAX_BLOCK_SAMPLES = 30 * SAMPLE_RATE
"""The most sound that is taken at once: a later reader gets the rest with its next calls."""
KEEP_FREE_BYTES = 256 * 2**20
"""Less free space than this is left to the log: the spool goes on in memory."""
CHECK_SAMPLES = 5 * SAMPLE_RATE
"""How much sound is written between two looks at the free space."""


def _free_bytes(file: int) -> int:
    disk = os.fstatvfs(file)
    return disk.f_bavail * disk.f_frsize


class Spool:
    """Used from two threads: one appends, one takes. The reader never delays the writer: it reads the file without the
    lock, which guards positions and memory only."""

    def __init__(
        self,
        *,
        on_notice: Callable[[str], None] | None = None,
        free_bytes: Callable[[int], int] = _free_bytes,
    ) -> None:
        """In memory, until `keep_in` gives it a file.

        Args:
            on_notice: called on the writer's thread when the file cannot grow any more.
            free_bytes: the free space on the disk of an open file; another program may rename its folder.
        """
        self._on_notice = on_notice or (lambda message: None)
        self._free_bytes = free_bytes
        self._lock = threading.Lock()
        self._end = 0
        self._taken = 0
        self._gaps: deque[tuple[int, int]] = deque()
        """[start, end) of lost sound that the reader has not passed yet."""
        self._blocks: deque[tuple[int, NDArray[np.int16]]] = deque()
        """(start_sample, samples) of sound that is not in the file."""
        self._muted = False
        self.path: Path | None = None
        self._file: int | None = None
        self._file_end = 0
        """The file holds the samples before this."""
        self._growing = False
        self._checked_at = 0
        self.repeatable = False
        """The sound is in a file already: it goes to the disk only if it is to be saved."""

    @property
    def end_sample(self) -> int:
        """The end of what was appended, gaps included. Any thread."""
        return self._end

    @property
    def waiting_samples(self) -> int:
        """Appended and not taken yet. Any thread."""
        return self._end - self._taken

    def mute(self, muted: bool) -> None:
        """While muted, sound is kept as silence of the same length. Any thread."""
        with self._lock:
            self._muted = muted

    # ---- the writer

    def append(self, samples: NDArray[np.float32]) -> None:
        """Add sound at `end_sample`: [n] float32 within -1..1, kept as 16 bits."""
        if not len(samples):
            return
        data = np.clip(np.rint(samples * 32768.0), -32768, 32767).astype("<i2")
        with self._lock:
            trouble = self._put(self._end, np.zeros_like(data) if self._muted else data)
            self._end += len(data)  # last: the reader looks at this first
        if trouble:
            self._on_notice(trouble)

    def append_gap(self, n_samples: int) -> None:
        """Sound of this length was lost at `end_sample`."""
        if n_samples <= 0:
            return
        with self._lock:
            if self._gaps and self._gaps[-1][1] == self._end:
                start, _ = self._gaps.pop()
            else:
                start = self._end
            self._end += n_samples
            self._gaps.append((start, self._end))

    # ---- the reader

    def take(self, before_sample: int | None = None) -> tuple[int, NDArray[np.float32]] | None:
        """(start_sample, samples): everything appended since the last call, up to the next gap and at most 30 s; None
        if there is nothing.

        Args:
            before_sample: take no sound from here on.

        Raises:
            AudioError: another program changed the file.
        """
        with self._lock:
            while self._gaps and self._gaps[0][0] <= self._taken:
                self._taken = max(self._taken, self._gaps.popleft()[1])
            start = self._taken
            end = min(self._gaps[0][0] if self._gaps else self._end, start + MAX_BLOCK_SAMPLES)
            end = end if before_sample is None else min(end, before_sample)
            if end <= start:
                return None
            out = np.zeros(end - start, "<i2")
            for block_start, block in self._blocks:
                if block_start >= end:
                    break
                low, high = max(start, block_start), min(end, block_start + len(block))
                if low < high:
                    out[low - start : high - start] = block[low - block_start : high - block_start]
            while self._blocks and self._blocks[0][0] + len(self._blocks[0][1]) <= end:
                self._blocks.popleft()
            self._taken = end
            file, file_end = self._file, self._file_end
        if file is not None and start < file_end:
            n = min(end, file_end) - start
            data = os.pread(file, n * SAMPLE_BYTES, HEADER_BYTES + start * SAMPLE_BYTES)
            if len(data) < n * SAMPLE_BYTES:
                raise AudioError(f"{self.path} is shorter than what was written to it: another program changed it.")
            out[:n] = np.frombuffer(data, "<i2")
        return start, out.astype(np.float32) / np.float32(32768)

    # ---- the file

    def keep_in(self, path: Path) -> None:
        """Keep sound in this new file, with what waits in memory first; only its owner may read it. Call it before the
        first `take`. If the file cannot be written, a notice says so, and sound stays in memory.
        """
        trouble = None
        with self._lock:
            assert self.path is None and self._taken == 0, "a spool has one file, from its first sample on"
            try:
                path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
                self.path = path
                self._growing = True
                _write(self._file, wav_header(0), 0)
                blocks, self._blocks = self._blocks, deque()
                for start, block in blocks:
                    trouble = self._put(start, block) or trouble
            except OSError as error:
                trouble = self._stop_growing(error.strerror or str(error))
        if trouble:
            self._on_notice(trouble)

    def close(self) -> None:
        """Nothing is appended or taken after this. The file stays, with gaps at its end as silence."""
        with self._lock:
            file, self._file = self._file, None
            if file is None:
                return
            try:
                if self._growing and self._file_end < self._end:
                    os.ftruncate(file, HEADER_BYTES + self._end * SAMPLE_BYTES)
                    _write(file, wav_header(self._end), 0)
            except OSError:
                pass  # only the silence at the end is missing
            finally:
                os.close(file)

    def _put(self, start: int, data: NDArray[np.int16]) -> str | None:
        """With the lock: into the file if it can grow, else into memory. Returns a notice for the user, if any."""
        trouble = None
        if self._growing and self._file is not None:
            try:
                if start == 0 or start - self._checked_at >= CHECK_SAMPLES:
                    self._checked_at = start
                    free = self._free_bytes(self._file)
                    if free < KEEP_FREE_BYTES:
                        trouble = self._stop_growing(f"only {free / 2**20:,.0f} MB are free")
                if self._growing:
                    _write(self._file, data.tobytes(), HEADER_BYTES + start * SAMPLE_BYTES)
                    self._file_end = start + len(data)
                    _write(self._file, wav_header(self._file_end), 0)
                    return None
            except OSError as error:
                trouble = self._stop_growing(error.strerror or str(error))
        self._blocks.append((start, data))
        return trouble

    def _stop_growing(self, reason: str) -> str:
        self._growing = False
        return f"Sound is no longer kept on disk ({reason}). It is still captured and transcribed."


def _write(file: int, data: bytes, at: int) -> None:
    """Write all of it: one call may write only a part."""
    while data:
        n = os.pwrite(file, data, at)
        data, at = data[n:], at + n

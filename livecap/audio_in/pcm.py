"""The formats of sound in a pipe: raw samples, or WAV, whose header describes them."""

import re
import struct
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from livecap.audio_in.file_parts import CHUNK_NAME, MOST_CHUNK_BYTES, USUAL_CHUNKS
from livecap.audio_in.formats import LOOK_BYTES, format_of
from livecap.errors import AudioError

PCM, FLOAT, EXTENSIBLE = 1, 3, 0xFFFE
KINDS = {PCM: "PCM", 2: "MS ADPCM", FLOAT: "float", 6: "A-law", 7: "mu-law", 17: "IMA ADPCM", 85: "MP3"}
LEAST_PLACEHOLDER = 0x7FFF0000
"""A length from here on says that a program that writes to a pipe cannot know the length."""
BEHIND = re.compile(rb"(?:RIFF|RF64)....WAVE|LIST....(?:INFO|adtl)|id3 ....ID3", re.DOTALL)
"""What can end samples of unknown length: another WAV, or a chunk that is not sound."""
SMALL_CHUNK = re.compile(
    rb"(?:LIST|id3 |ID3 |bext|iXML|axml|cue |smpl|inst|fact|PEAK|JUNK|PAD |FLLR|LGWV|_PMX|cart)(..)\0\0", re.DOTALL
)
"""Name and length of a chunk below 64 KiB. Samples may look like that, so it only counts if the next one begins, or the
stream ends, where it ends."""


@dataclass(frozen=True, slots=True)
class PcmFormat:
    """The layout of samples in a stream of bytes."""

    rate: int = 16_000
    n_channels: int = 1
    n_bits: int = 16
    is_float: bool = False
    n_bytes: int | None = None
    """Length of all samples; 0 or None where the header does not say."""

    @property
    def frame_bytes(self) -> int:
        """Size of one sample of each channel."""
        return self.n_channels * self.n_bits // 8

    def samples(self, data: bytes) -> NDArray[np.float32]:
        """[n, n_channels] float32, from whole frames."""
        if self.is_float:
            flat = np.frombuffer(data, f"<f{self.n_bits // 8}").astype(np.float32)
        elif self.n_bits == 8:
            flat = (np.frombuffer(data, np.uint8).astype(np.float32) - 128) / np.float32(128)
        elif self.n_bits == 24:
            wide = np.zeros((len(data) // 3, 4), np.uint8)
            wide[:, 1:] = np.frombuffer(data, np.uint8).reshape(-1, 3)
            flat = wide.view("<i4")[:, 0].astype(np.float32) / np.float32(2**31)
        else:
            flat = np.frombuffer(data, f"<i{self.n_bits // 8}").astype(np.float32) / np.float32(2 ** (self.n_bits - 1))
        return flat.reshape(-1, self.n_channels)


class PcmStream:
    """Cuts the bytes of a pipe into samples, as they come: raw, or one WAV after another."""

    def __init__(self, raw: PcmFormat) -> None:
        """
        Args:
            raw: the format of a stream without a header.
        """
        self._raw = raw
        self._waiting = bytearray()  # bytes that are not understood yet
        self._format: PcmFormat | None = None  # None before and between WAVs
        self._is_wav = False
        self._left: int | None = None  # bytes of samples still to come; None where that is not known
        self._skip = 0  # bytes of a chunk to pass over
        self._is_behind = False  # the samples of a WAV are over
        self._is_over = False  # what still comes is not sound
        self.notices: list[str] = []
        """What the user should know, and was not told yet."""

    def feed(self, data: bytes, at_end: bool = False) -> list[tuple[PcmFormat, bytes]]:
        """(format, whole frames) that are complete now; each WAV has a format object of its own.

        Raises:
            AudioError: neither WAV nor raw samples, or a WAV that cannot be read.
        """
        self._waiting += data
        pieces = []
        before: object = None
        while not self._is_over and before != (before := self._state):
            if self._skip:
                n = min(self._skip, len(self._waiting))
                del self._waiting[:n]
                self._skip -= n
            elif self._format is None:
                self._begin(at_end)
            elif self._is_behind:
                self._look_behind(at_end)
            elif frames := self._frames(at_end):
                pieces.append((self._format, frames))
        if at_end:
            self._end()
        elif self._is_over:
            self._waiting.clear()
        return pieces

    @property
    def _state(self) -> object:
        return len(self._waiting), self._format is None, self._is_behind, self._left, self._skip

    def _begin(self, at_end: bool) -> None:
        """Find out what the stream is, or read the header of the next WAV."""
        head = bytes(self._waiting)
        kind = format_of(head[:LOOK_BYTES], at_end)
        if kind is None:
            return
        if kind not in ("", "WAV"):
            raise AudioError(
                f"Standard input is {kind}, not WAV or raw samples. "
                "Give the file with --replay, or decode it first: ffmpeg -i - -f wav - | livecap --stdin"
            )
        found = parse_header(head, at_end) if kind else (self._raw, 0)
        if found is None:
            return
        self._format, first = found
        self._is_wav = kind == "WAV"
        self._left = self._format.n_bytes
        self._is_behind = self._left == 0  # which may be true, or the length is not known
        del self._waiting[:first]

    def _frames(self, at_end: bool) -> bytes:
        """Whole frames that wait, up to where the samples end."""
        assert self._format is not None
        n = over = len(self._waiting)
        if self._left is not None:
            n = min(n, self._left)
            self._is_behind = n == self._left
        elif self._is_wav:
            n, self._is_behind = _end_of_samples(self._waiting, at_end)
        over = n if self._left is None and self._is_behind else n - n % self._format.frame_bytes
        frames = bytes(self._waiting[: n - n % self._format.frame_bytes])
        del self._waiting[:over]
        if self._left is not None:
            self._left -= len(frames)
        return frames

    def _look_behind(self, at_end: bool) -> None:
        """Decide what follows the samples of a WAV: another one, a chunk, or samples that its header does not count."""
        assert self._format is not None
        is_first = self._left is not None and self._left >= 0
        rest = max(0, self._left or 0)  # a part of a frame: the header's length is not one of whole frames
        if len(self._waiting) < rest + 13 and not at_end:
            return
        n_bytes = self._format.n_bytes or 0
        for at in (rest + n_bytes % 2, rest) if is_first else (0,):
            match = BEHIND.match(self._waiting, at)
            if match and match[0][:1] == b"R":
                del self._waiting[:at]
                self._format, self._is_behind = None, False
                return
            if len(self._waiting) >= at + 8 and CHUNK_NAME.match(self._waiting, at):
                n_chunk = struct.unpack_from("<I", self._waiting, at + 4)[0]
                if n_chunk <= MOST_CHUNK_BYTES:
                    self._skip, self._left = at + 8 + n_chunk + n_chunk % 2, -1
                    return
        if not is_first or len(self._waiting) < rest + 8 or bytes(self._waiting[rest : rest + 3]) in (b"TAG", b"ID3"):
            self._is_over = True
            return
        if n_bytes:
            self.notices.append("The header on standard input declares less sound than there is; all of it is heard.")
        self._left, self._is_behind = None, False

    def _end(self) -> None:
        if self._format is None or self._is_behind:
            return
        if self._left is not None and self._left >= self._format.frame_bytes:
            seconds = self._left / self._format.frame_bytes / self._format.rate
            self.notices.append(
                f"Standard input ended early: according to its header, {seconds:.1f} s of sound are missing."
            )
        elif self._waiting and self._left is None:
            n = len(self._waiting)
            self.notices.append(f"Standard input ended in the middle of a sample; the last {n} bytes were ignored.")


def _end_of_samples(data: bytearray, at_end: bool) -> tuple[int, bool]:
    """(how many bytes are certainly samples of unknown length, whether they end there)."""
    behind = BEHIND.search(data)
    for match in SMALL_CHUNK.finditer(data, 0, behind.start() if behind else len(data)):
        n_bytes = int.from_bytes(match[1], "little")
        after, padded = match.end() + n_bytes, match.end() + n_bytes + n_bytes % 2
        if len(data) < padded + 8 and not at_end:
            return match.start(), False
        if len(data) in (after, padded) or SMALL_CHUNK.match(data, padded) or BEHIND.match(data, padded):
            return match.start(), True
    if behind:
        return behind.start(), True
    return len(data) if at_end else max(0, len(data) - 11), False


def parse_header(data: bytes, at_end: bool = False) -> tuple[PcmFormat, int] | None:
    """The format, and the byte at which the samples begin; None if more has to be read first.

    Args:
        data: a WAV from its first byte on.
        at_end: no more will come.

    Raises:
        AudioError: a WAV that cannot be read.
    """
    wave, at, long_bytes = None, 12, 0
    while len(data) >= at + 8:
        name, n_bytes = struct.unpack_from("<4sI", data, at)
        if name == b"data":
            if wave is None:
                raise AudioError("The WAV on standard input has its samples before their format.")
            if data.startswith(b"RF64") and n_bytes == 0xFFFFFFFF and long_bytes > 0:
                return PcmFormat(*wave, long_bytes), at + 8
            return PcmFormat(*wave, None if n_bytes >= LEAST_PLACEHOLDER else n_bytes), at + 8
        if name == b"fmt " and len(data) >= at + 8 + n_bytes:
            wave = _wave_format(data[at + 8 : at + 8 + n_bytes])
        if name == b"ds64" and len(data) >= at + 24:
            long_bytes = struct.unpack_from("<q", data, at + 16)[0]
        after = at + 8 + n_bytes
        at = after + n_bytes % 2
        if at != after and data[after : after + 4] in USUAL_CHUNKS and data[at : at + 4] not in USUAL_CHUNKS:
            at = after  # a chunk of odd length without the padding that it should have
        if not CHUNK_NAME.match(name) or at > MOST_CHUNK_BYTES:
            raise AudioError("The WAV on standard input has a damaged header: there are no samples near its beginning.")
    if at_end:
        raise AudioError("The WAV on standard input ends before its first sample.")
    return None


def _wave_format(riff_chunk: bytes) -> tuple[int, int, int, bool]:
    """(rate, n_channels, n_bits, is_float) from a `fmt ` chunk."""
    if len(riff_chunk) < 16:
        raise AudioError("The WAV on standard input has a damaged header.")
    kind, n_channels, rate, _, _, n_bits = struct.unpack_from("<HHIIHH", riff_chunk)
    if kind == EXTENSIBLE and len(riff_chunk) >= 26:
        kind = struct.unpack_from("<H", riff_chunk, 24)[0]
    known = kind == PCM and n_bits in (8, 16, 24, 32) or kind == FLOAT and n_bits in (32, 64)
    if not known or not 0 < n_channels <= 64 or not 1000 <= rate <= 768_000:
        name = KINDS.get(kind, f"format {kind}")
        raise AudioError(
            f"livecap does not read the WAV format on standard input ({name}, {n_bits} bits, "
            f"{n_channels} channels, {rate} Hz). Use PCM or float samples: ffmpeg -i - -f wav - | livecap --stdin"
        )
    return rate, n_channels, n_bits, kind == FLOAT

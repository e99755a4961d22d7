"""The formats of sound in a pipe: raw samples, or WAV, whose header describes them."""

import struct
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from livecap.errors import AudioError

PCM, FLOAT, EXTENSIBLE = 1, 3, 0xFFFE
HEADER_BYTES = 64 * 1024
"""The longest WAV header that is accepted."""
OTHER_FORMATS = {
    b"fLaC": "FLAC",
    b"OggS": "Ogg",
    b"ID3": "MP3",
    b"FORM": "AIFF",
    b"caff": "CAF",
    b"\x1aE\xdf\xa3": "WebM",
}
"""First bytes of formats that would sound like noise if they were taken for raw samples."""


@dataclass(frozen=True, slots=True)
class PcmFormat:
    """The layout of samples in a stream of bytes."""

    rate: int = 16_000
    n_channels: int = 1
    n_bits: int = 16
    is_float: bool = False
    n_bytes: int | None = None
    """Length of all samples, if the header says; None means to the end of the stream."""

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


def parse_header(data: bytes, raw: PcmFormat, at_end: bool = False) -> tuple[PcmFormat, int] | None:
    """The format, and the byte at which the samples begin; None if more has to be read first.

    Args:
        data: the stream from its first byte on.
        raw: the format of a stream without a header.
        at_end: no more will come.

    Raises:
        AudioError: neither WAV nor raw samples, or a WAV that cannot be read.
    """
    for magic, name in OTHER_FORMATS.items():
        if data.startswith(magic):
            raise AudioError(
                f"Standard input is {name}, not WAV or raw samples. "
                "Convert it first: ffmpeg -i - -f s16le -ac 1 -ar 16000 - | livecap --stdin"
            )
    if len(data) < 4 and not at_end:
        return None
    if data[:4] not in (b"RIFF", b"RF64"):
        return raw, 0
    wave, at = None, 12
    while True:
        if len(data) < at + 8:
            break
        name, n_bytes = struct.unpack_from("<4sI", data, at)
        if name == b"data":
            if wave is None:
                raise AudioError("The WAV on standard input has its samples before their format.")
            unknown = (
                n_bytes in (0, 0xFFFFFFFF) or n_bytes >= 0x7FFFF000
            )  # placeholders of programs that write to a pipe
            return PcmFormat(*wave, None if unknown else n_bytes), at + 8
        if name == b"fmt " and len(data) >= at + 8 + n_bytes:
            wave = _wave_format(data[at + 8 : at + 8 + n_bytes])
        at += 8 + n_bytes + n_bytes % 2
        if at > HEADER_BYTES:
            raise AudioError("The WAV on standard input has no samples after 64 kB of header.")
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
        raise AudioError(
            f"livecap does not read the WAV format on standard input (format {kind}, {n_bits} bits, "
            f"{n_channels} channels, {rate} Hz). Use PCM or float samples."
        )
    return rate, n_channels, n_bits, kind == FLOAT

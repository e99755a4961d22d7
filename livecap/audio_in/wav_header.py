"""The header of the WAV files that livecap writes. Without NumPy, since `archive` uses it too."""

import struct

from livecap.transcript import SAMPLE_RATE

SAMPLE_BYTES = 2
HEADER_BYTES = 80
_FORMAT = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, SAMPLE_RATE, SAMPLE_RATE * SAMPLE_BYTES, SAMPLE_BYTES, 16)
"""The `fmt ` chunk: PCM, one channel, 16 bits."""


def wav_header(n_samples: int) -> bytes:
    """The 80 bytes before 16-bit mono samples at 16 kHz: WAV, and RF64 from 4 GiB on, which is 37 hours."""
    n_bytes = n_samples * SAMPLE_BYTES
    riff_bytes = HEADER_BYTES - 8 + n_bytes
    if riff_bytes < 2**32 - 1:
        unused = struct.pack("<4sI28x", b"JUNK", 28)  # as long as the ds64 chunk that may replace it
        head = struct.pack("<4sI4s", b"RIFF", riff_bytes, b"WAVE") + unused + _FORMAT
        return head + struct.pack("<4sI", b"data", n_bytes)
    wide = struct.pack("<4sIQQQI", b"ds64", 28, riff_bytes, n_bytes, n_samples, 0)
    head = struct.pack("<4sI4s", b"RF64", 2**32 - 1, b"WAVE") + wide + _FORMAT
    return head + struct.pack("<4sI", b"data", 2**32 - 1)


def is_our_header(data: bytes) -> bool:
    """True where `data` begins as a file begins that livecap wrote, whatever its length."""
    return data[8:16] in (b"WAVEJUNK", b"WAVEds64") and data[48:76] == _FORMAT + b"data"

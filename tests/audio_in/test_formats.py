"""The frames of MP3 by their four bytes: each length and each size of side information is that of the standard."""

import pytest

from livecap.audio_in.formats import LOOK_BYTES, format_of, mpeg_frame


def head(version: int, layer: int, bits: int, rate: int, padding: int = 0, mode: int = 0, emphasis: int = 0) -> bytes:
    """A frame header: versions are 3 (MPEG-1), 2 (MPEG-2) and 0 (MPEG-2.5)."""
    second = 0xE0 | version << 3 | (4 - layer) << 1 | 1
    return bytes([0xFF, second, bits << 4 | rate << 2 | padding << 1, mode << 6 | emphasis])


@pytest.mark.parametrize(
    ("version", "layer", "bits", "rate", "mode", "n_bytes", "side_bytes"),
    [
        (3, 3, 9, 0, 0, 417, 32),  # 128 kbit/s, 44.1 kHz
        (3, 3, 1, 1, 3, 96, 17),  # 32 kbit/s, 48 kHz, mono
        (3, 3, 14, 2, 1, 1440, 32),  # 320 kbit/s, 32 kHz
        (3, 2, 10, 1, 0, 576, 32),  # layer II, 192 kbit/s, 48 kHz
        (3, 1, 1, 0, 0, 32, 32),  # layer I, 32 kbit/s, 44.1 kHz
        (2, 3, 8, 0, 0, 208, 17),  # MPEG-2, 64 kbit/s, 22.05 kHz
        (2, 3, 8, 0, 3, 208, 9),
        (2, 2, 8, 1, 0, 384, 17),  # layer II, 64 kbit/s, 24 kHz
        (2, 1, 1, 2, 0, 96, 17),  # layer I, 32 kbit/s, 16 kHz
        (0, 3, 1, 2, 3, 72, 9),  # MPEG-2.5, 8 kbit/s, 8 kHz
        (0, 3, 3, 0, 3, 156, 9),  # MPEG-2.5, 24 kbit/s, 11.025 kHz
    ],
)
def test_a_frame_is_as_long_as_the_standard_says(version, layer, bits, rate, mode, n_bytes, side_bytes):
    assert mpeg_frame(head(version, layer, bits, rate, 0, mode)) == (n_bytes, side_bytes)
    padded = 4 if layer == 1 else 1
    assert mpeg_frame(head(version, layer, bits, rate, 1, mode)) == (n_bytes + padded, side_bytes)


@pytest.mark.parametrize(
    "data",
    [
        head(3, 3, 9, 0)[:3],
        b"\xfe" + head(3, 3, 9, 0)[1:],
        b"\xff\xdb" + head(3, 3, 9, 0)[2:],
        head(1, 3, 9, 0),  # a version that does not exist
        head(3, 4, 9, 0),
        head(3, 3, 0, 0),
        head(3, 3, 15, 0),
        head(3, 3, 9, 3),
        head(3, 3, 9, 0, emphasis=2),
    ],
)
def test_what_the_standard_reserves_is_no_frame(data):
    assert mpeg_frame(data) is None


def stream(frame: bytes, n_bytes: int, then: bytes | None = None) -> bytes:
    """A frame of this length and the beginning of another one."""
    return frame.ljust(n_bytes, b"\x11") + (frame if then is None else then).ljust(8, b"\x11")


MP3 = head(3, 3, 9, 0)
ADTS = bytes([0xFF, 0xF1, 0x50, 0x80, 100 >> 3, (100 & 7) << 5, 0xFC])
TS = b"\x47" + bytes(187)


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (stream(MP3, 417), "MP3"),
        (stream(MP3, 417, head(3, 3, 5, 0)), "MP3"),  # another bit rate
        (stream(MP3, 417, head(3, 3, 9, 1)), ""),  # another rate
        (stream(MP3, 417, head(3, 2, 9, 0)), ""),  # another layer
        (stream(MP3, 416), ""),
        (stream(ADTS, 100), "AAC"),
        (stream(ADTS, 100, bytes([0xFF, 0xF1, 0x4C])), ""),
        (stream(bytes([0xFF, 0xF1, 0x74]) + ADTS[3:], 100), ""),  # a rate that does not exist
        (stream(bytes([0xFF, 0xF1, 0x70]) + ADTS[3:], 100), "AAC"),
        (stream(ADTS[:4] + bytes([0, 7 << 5, 0xFC]), 100), ""),  # a frame without content
        (TS * 2, "MPEG-TS"),
        ((bytes(4) + TS) * 2, "MPEG-TS"),
        ((b"\x47" + bytes(93)) * 4, ""),  # samples that repeat: the byte is between packets, too
        (stream(b"\x0b\x77\x11\x11\x08\x40", 256), "AC-3"),  # 64 kbit/s at 48 kHz
        (stream(b"\x0b\x77\x11\x11\x49\x40", 280), "AC-3"),  # 64 kbit/s at 44.1 kHz
        (stream(b"\x0b\x77\x00\x7f\x3f\x80", 256), "AC-3"),  # E-AC-3
        (stream(b"\x0b\x77\x11\x11\x08\x40", 200), ""),
        (b"\x0b\x77".ljust(200, b"\x11"), ""),
    ],
)
def test_two_frames_in_a_row_tell_a_format_from_samples(data, name):
    assert format_of(data) == name


@pytest.mark.parametrize("data", [stream(MP3, 417), stream(ADTS, 100), TS * 2, stream(b"\x0b\x77", 200)])
def test_more_bytes_are_waited_for_where_a_frame_could_begin(data):
    assert format_of(data[:66], at_end=False) is None
    assert format_of(data[:66], at_end=True) == ""


def test_samples_are_known_after_64_bytes_and_no_format_is_waited_for_without_end():
    assert format_of(b"\x11" * 63, at_end=False) is None
    assert format_of(b"\x11" * 64, at_end=False) == ""
    assert format_of(b"\x0b\x77".ljust(LOOK_BYTES, b"\x11"), at_end=False) == ""


@pytest.mark.parametrize("n_before", range(4))
def test_text_is_not_taken_for_samples(n_before):
    """Wherever a character of several bytes is cut."""
    assert format_of((" " * n_before + "Grüße, 世界. " * 60).encode()) == "text"
    assert format_of(b"\xe4\xf6\xfc " * 40) == ""

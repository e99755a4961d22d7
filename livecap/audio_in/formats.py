"""The formats of sound by their first bytes, whatever a file is called."""

import codecs
import re

GUIDS = b"\x2e\x91\xcf\x11\xa5\xd6\x28\xdb\x04\xc1\x00\x00"
"""How the identifiers of Wave64 go on after "riff"."""
LOOK_BYTES = 8192
"""How many bytes `format_of` looks at, at most."""
LEAST_BYTES = 64
"""With fewer bytes, the format is not known."""

MAGIC = [
    (rb"RIFF....WAVE|RF64....WAVE", "WAV"),
    (rb"RIFX....WAVE", "RIFX, a big-endian WAV"),
    (rb"RIFF....AVI ", "AVI"),
    (rb"riff" + re.escape(GUIDS), "Wave64"),
    (rb"fLaC", "FLAC"),
    (rb"OggS", "Ogg"),
    (rb"ID3[\x02-\x04]", "MP3"),
    (rb"FORM....AIF[FC]", "AIFF"),
    (rb"caff\x00", "CAF"),
    (rb"\.snd|dns\.", "AU"),
    (rb"\x1aE\xdf\xa3", "Matroska or WebM"),
    (rb"....(?:ftyp|moov|mdat|wide|styp)", "MP4 or M4A"),
    (rb"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "WMA"),
    (rb"#!AMR", "AMR"),
    (rb"#!SILK|\x02#!SILK", "SILK"),
    (rb"ADIF", "AAC"),
    (rb"wvpk", "WavPack"),
    (rb"MAC ", "Monkey's Audio"),
    (rb"TTA[12]", "TTA"),
    (rb"MPCK|MP\+", "Musepack"),
    (rb"DSD |FRM8", "DSD"),
    (rb"FLV\x01", "FLV"),
    (rb"\.RMF|\.ra\xfd", "RealAudio"),
    (rb"Creative Voice File", "VOC"),
    (rb"NIST_1A", "NIST SPHERE"),
    (rb"\x7f\xfe\x80\x01|\xfe\x7f\x01\x80", "DTS"),
    (rb"\x00\x00\x01\xba", "an MPEG program stream"),
    (rb"MThd", "MIDI"),
    (rb"\x1f\x8b\x08|PK\x03\x04|BZh[1-9]|\xfd7zXZ|\x28\xb5\x2f\xfd|7z\xbc\xaf", "a compressed archive"),
    (rb"(?:RIFF|RIFX|RF64).{8}", "RIFF, but without sound"),
    (rb"\x89PNG|\xff\xd8\xff[\xe0-\xef\xdb]|GIF8|%PDF", "an image or a document"),
]
"""Regular expressions for the first bytes of a format, and its name."""
_MAGIC = [(re.compile(pattern, re.DOTALL), name) for pattern, name in MAGIC]
TEXT = re.compile(rb"[\t\n\r\x20-\x7e\x80-\xff]{64}")

_MPEG_RATES = (44_100, 48_000, 32_000)
_MPEG_KBPS = {  # by (MPEG-1?, layer)
    (True, 1): (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (True, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (True, 3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (False, 1): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (False, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (False, 3): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}


AC3_KBITS = (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512, 576, 640)
"""Bit rates of AC-3 in kbit/s, by code."""


def format_of(head: bytes, at_end: bool = True) -> str | None:
    """The name of the format, "" where the bytes fit none, and None where more bytes have to be seen.

    Raw samples can look like a frame of MP3, AAC or AC-3, or like a packet of MPEG-TS: of these, two in a row count.

    Args:
        head: the first bytes, up to `LOOK_BYTES`.
        at_end: there are no more.
    """
    for pattern, name in _MAGIC:
        if pattern.match(head):
            return name
    if TEXT.match(head) and _is_text(head[:512]):
        return "text"
    for name, length in _possible_frames(head):
        if len(head) >= length + 5:
            if _same_stream(name, head, head[length:]):
                return name
        elif not at_end and len(head) < LOOK_BYTES:
            return None
    return "" if len(head) >= LEAST_BYTES or at_end else None


def mpeg_frame(head: bytes) -> tuple[int, int] | None:
    """(bytes of the frame, bytes of its side information) where an MPEG audio frame begins here; None where not."""
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return None
    version, layer = head[1] >> 3 & 3, 4 - (head[1] >> 1 & 3)
    bits, rate = head[2] >> 4, head[2] >> 2 & 3
    if version == 1 or layer == 4 or bits in (0, 15) or rate == 3 or head[3] & 3 == 2:
        return None
    is_mpeg1 = version == 3
    hertz = _MPEG_RATES[rate] >> (0 if is_mpeg1 else 1 if version == 2 else 2)
    bits_a_second = _MPEG_KBPS[is_mpeg1, layer][bits - 1] * 1000
    padding = head[2] >> 1 & 1
    is_mono = head[3] >> 6 == 3
    side_bytes = (17 if is_mono else 32) if is_mpeg1 else (9 if is_mono else 17)
    if layer == 1:
        return (12 * bits_a_second // hertz + padding) * 4, side_bytes
    samples_by_8 = 72 if layer == 3 and not is_mpeg1 else 144
    return samples_by_8 * bits_a_second // hertz + padding, side_bytes


def _possible_frames(head: bytes) -> list[tuple[str, int]]:
    """(format, where its next frame would begin) for what could begin here."""
    found = []
    if frame := mpeg_frame(head):
        found.append(("MP3", frame[0]))
    if len(head) >= 6 and head[0] == 0xFF and head[1] & 0xF6 == 0xF0 and head[2] >> 2 & 15 < 13:
        length = (head[3] & 3) << 11 | head[4] << 3 | head[5] >> 5
        found += [("AAC", length)] if length > 7 else []
    if head[:1] == b"\x47":
        found.append(("MPEG-TS", 188))
    if head[4:5] == b"\x47":
        found.append(("MPEG-TS", 192))
    if head[:2] == b"\x0b\x77" and (next_frame := _ac3_length(head)):
        found.append(("AC-3", next_frame))
    return found


def _ac3_length(head: bytes) -> int | None:
    """Bytes of an AC-3 or E-AC-3 frame by its first six bytes; None where they are not one. Source: ETSI TS 102 366."""
    if len(head) < 6:
        return LOOK_BYTES
    version = head[5] >> 3
    if 10 < version <= 16:
        return 2 * ((head[2] & 7) << 8 | head[3]) + 2
    rate_code, size_code = head[4] >> 6, head[4] & 0x3F
    if version > 16 or rate_code == 3 or size_code >= 2 * len(AC3_KBITS):
        return None
    kbits = AC3_KBITS[size_code >> 1]
    return 2 * (2 * kbits, 320 * kbits // 147 + (size_code & 1), 3 * kbits)[rate_code]


def _same_stream(name: str, first: bytes, second: bytes) -> bool:
    """Whether two frames or packets belong to one stream of this format."""
    if name == "MP3":
        return mpeg_frame(second) is not None and first[1] == second[1] and (first[2] ^ second[2]) & 0x0C == 0
    if name == "AAC":
        return first[:2] == second[:2] and (first[2] ^ second[2]) & 0xFC == 0
    if name == "MPEG-TS":  # the byte between two packets tells them from samples that are all alike
        sync = 0 if first[:1] == b"\x47" else 4
        return second[sync : sync + 1] == b"\x47" and first[sync + 94] != 0x47
    return second[:2] == first[:2]


def _is_text(data: bytes) -> bool:
    try:
        codecs.getincrementaldecoder("utf-8")().decode(data)  # the last character may be incomplete
    except UnicodeDecodeError:
        return False
    return True

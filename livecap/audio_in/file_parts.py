"""The sounds within one file, found by its bytes: where each begins and ends, whatever the file's header says.

A recorder that was killed leaves a header without a length, or with an old one; sizes past 4 GiB do not fit a WAV; and
recordings are joined by appending one file to another. libsndfile believes the first header. So it gets each sound as
a file of its own: a `PartFile`, which is a corrected header and a range of the real file.
"""

import io
import os
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

from livecap.audio_in.formats import LOOK_BYTES, format_of, mpeg_frame

PLACEHOLDER_BYTES = 0x7FFF0000
"""32-bit lengths from here on are placeholders: a program that writes to a pipe cannot know the length."""
MOST_HEADER_BYTES = 64 * 2**20
"""What comes before the samples may be this long; a longer header is left to libsndfile."""
MOST_CHUNK_BYTES = 16 * 2**20
"""A longer chunk behind the samples is not believed to be one."""
MOST_SEARCHED_BYTES = 2**31
"""In a longer WAV whose length is wrong, another WAV is not looked for: reading it all would delay the start."""
MOST_PARTS = 10_000
SCAN_BYTES = 2**20
TAIL_BYTES = 2**20
"""How far from the end of a file chunks are looked for where the header does not say where the samples end."""
LAYER_3, NO_CHECKSUM, BIT_RATE_9, SAMPLE_RATE_BITS = 0x02, 0x01, 0x90, 0x0C
"""Bits in the second and third byte of an MPEG audio frame. At the ninth bit rate a frame has room for a count."""
XING_HAS_FRAMES, XING_HAS_BYTES = 1, 2
MOST_FRAME_BYTES = 4096
"""No frame of MPEG audio is longer, with the four bytes that begin the next one."""
LEAST_JOINED_BYTES = 2048
"""Fewer bytes behind an MP3 are tags, not another MP3."""

WAV_START = re.compile(rb"(?:RIF[FX]|RF64)....WAVE", re.DOTALL)
CHUNK_NAME = re.compile(rb"[A-Za-z0-9_][A-Za-z0-9_ ]{3}")
USUAL_CHUNKS = (b"fmt ", b"data", b"fact", b"LIST", b"bext", b"id3 ", b"JUNK", b"COMM", b"SSND")
OGG_START = re.compile(rb"OggS\x00[\x02\x03\x06\x07]")
FLAC_START = re.compile(rb"fLaC[\x00\x80]\x00\x00\x22")


@dataclass(frozen=True, slots=True)
class Part:
    """One sound of a file: `header` followed by the bytes [start, end) of the file."""

    start: int
    end: int
    header: bytes = b""
    """What stands before the samples, corrected; empty where the file itself holds it."""
    missing_share: float = 0.0
    """How much of the sound that the header promises is not there, as a share of what is there."""
    is_cut: bool = False
    """The file ends before the sound does, and how much is missing is not known."""
    understated: bool = False
    """There is more sound than the header says."""


class PartFile(io.RawIOBase):
    """A part as a file to read, for one thread."""

    def __init__(self, descriptor: int, part: Part) -> None:
        """The descriptor is this object's from now on."""
        super().__init__()
        self._descriptor = descriptor
        self._part = part
        self._at = 0
        self._length = len(part.header) + part.end - part.start

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._at = max(0, offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._length}[whence])
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Fill `buffer` as far as the part goes, across the end of the header too."""
        n = max(0, min(len(buffer), self._length - self._at))
        data = self._part.header[self._at : self._at + n]
        while len(data) < n:
            offset = self._part.start + self._at + len(data) - len(self._part.header)
            try:
                more = os.pread(self._descriptor, n - len(data), offset)
            except OSError:  # its disk left; libsndfile would print a traceback
                more = b""
            if not more:
                break  # the file became shorter
            data += more
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)

    def close(self) -> None:
        if not self.closed:
            os.close(self._descriptor)
        super().close()


def find_parts(descriptor: int, n_bytes: int) -> list[Part]:
    """The sounds of a file, in order, at least one. A format that is not looked into is one part."""
    file = _Bytes(descriptor, n_bytes)
    whole = Part(0, n_bytes)
    kind = format_of(file.read(0, LOOK_BYTES)) or ""
    if kind in ("WAV", "RIFX, a big-endian WAV"):
        parts = list(_wav_parts(file))
    elif kind in _CHUNKED:
        parts = [_chunked_part(file, _CHUNKED[kind]) or whole]
    elif kind == "AU":
        parts = [_au_part(file)]
    elif kind == "Ogg":
        parts = _ogg_parts(file)
    elif kind == "FLAC":
        parts = _between([at for at in file.find(b"fLaC", 0) if FLAC_START.match(file.read(at, 8))], n_bytes)
    elif kind == "MP3":
        parts = list(_mp3_parts(file))
    else:
        parts = [whole]
    return parts or [whole]


class _Bytes:
    """The bytes of a file by their position."""

    def __init__(self, descriptor: int, n_bytes: int) -> None:
        self._descriptor = descriptor
        self.n_bytes = n_bytes

    def read(self, at: int, n: int) -> bytes:
        return os.pread(self._descriptor, n, at) if 0 <= at < self.n_bytes else b""

    def find(self, text: bytes, start: int) -> Iterator[int]:
        """Every position of `text` from `start` on."""
        at, rest = start, b""
        while piece := self.read(at, SCAN_BYTES):
            data, first = rest + piece, at - len(rest)
            at += len(piece)
            found = data.find(text)
            while found >= 0:
                yield first + found
                found = data.find(text, found + 1)
            rest = data[1 - len(text) :]


class _Chunk(NamedTuple):
    name: bytes
    size_at: int
    start: int
    """Start of its content, in bytes."""
    n_bytes: int


class _Layout(NamedTuple):
    """How a format stores its chunks."""

    first: int
    """Where the first chunk begins."""
    head: str
    """The `struct` of name and length."""
    data: bytes
    """Name of the chunk that holds the samples."""
    lead: int = 0
    """Bytes of that chunk before the samples."""
    align: int = 2
    counts_head: bool = False
    """The length includes name and length."""


_CHUNKED = {
    "AIFF": _Layout(12, ">4sI", b"SSND", lead=8),
    "CAF": _Layout(8, ">4sq", b"data", lead=4, align=1),
    "Wave64": _Layout(40, "<16sq", b"data\xf3\xac\xd3\x11\x8c\xd1\x00\xc0\x4f\x8e\xdb\x8a", align=8, counts_head=True),
}


def _chunks(file: _Bytes, at: int, layout: _Layout, start: int = 0) -> Iterator[_Chunk]:
    """Chunks from `at` on. One after an odd length is looked for with and without the padding that it should have."""
    head_bytes = struct.calcsize(layout.head)
    while len(head := file.read(at, head_bytes)) == head_bytes:
        name, n_bytes = struct.unpack(layout.head, head)
        size_at = at + head_bytes - struct.calcsize(layout.head[0] + layout.head[-1])
        n_bytes -= head_bytes if layout.counts_head else 0
        yield _Chunk(name, size_at, at + head_bytes, n_bytes)
        if n_bytes < 0:
            return
        after = at + head_bytes + n_bytes
        at = after + (start - after) % layout.align
        if at != after and file.read(at, 4) not in USUAL_CHUNKS and file.read(after, 4) in USUAL_CHUNKS:
            at = after


def _wav_parts(file: _Bytes) -> Iterator[Part]:
    """One WAV after another, as `cat` joins them."""
    at: int | None = 0
    for _ in range(MOST_PARTS):
        if at is None:
            return
        part, at = _wav_part(file, at)
        if part is None:
            return
        yield part


def _wav_part(file: _Bytes, start: int) -> tuple[Part | None, int | None]:
    """(the WAV that begins at `start`, where the next one begins); None for what is not there or cannot be read."""
    riff = file.read(start, 4)
    layout = _Layout(12, ">4sI" if riff == b"RIFX" else "<4sI", b"data")
    header = b""
    long_bytes = 0
    is_odd = False  # a chunk of odd length is not padded, as libsndfile expects it to be
    data: _Chunk | None = None
    for chunk in _chunks(file, start + 12, layout, start):
        is_odd |= (chunk.start - start) % 2 == 1
        if chunk.name == b"data":
            data = chunk
            break
        if chunk.start - start > MOST_HEADER_BYTES:
            break
        if chunk.name == b"ds64":
            _, long_bytes = struct.unpack("<qq", file.read(chunk.start, 16).ljust(16, b"\0"))
        if chunk.name == b"fmt " and chunk.n_bytes <= 4096:
            header = file.read(chunk.start - 8, 8 + chunk.n_bytes + chunk.n_bytes % 2)
    if data is None or not header:
        return None, None

    def part(end: int) -> Part:
        return Part(data.start, end, _wav_header(header, layout.head[0], end - data.start))

    n_bytes, n_there = data.n_bytes, file.n_bytes - data.start
    if riff == b"RF64" and n_bytes == 0xFFFFFFFF:
        n_bytes = max(0, long_bytes)
    is_placeholder = n_bytes == 0 or (PLACEHOLDER_BYTES <= n_bytes <= 0xFFFFFFFF and n_bytes > n_there)
    if n_bytes > n_there and not is_placeholder:
        return replace(part(file.n_bytes), missing_share=(n_bytes - n_there) / max(1, n_there)), None
    more, next_start = _after_samples(file, data.start + n_bytes, start, layout)
    if not is_placeholder and not more:
        is_plain = start == 0 and next_start is None and not is_odd
        return Part(0, file.n_bytes) if is_plain else part(data.start + n_bytes), next_start
    if n_bytes == 0 and not more:
        return part(data.start), next_start
    end = next(_wav_starts(file, data.start), file.n_bytes)
    next_start = end if end < file.n_bytes else None
    if next_start is None:
        end = _before_last_chunks(file, data.start, layout)
    return replace(part(end), understated=not is_placeholder), next_start


def _wav_starts(file: _Bytes, start: int) -> Iterator[int]:
    if file.n_bytes > MOST_SEARCHED_BYTES:
        return
    for at in file.find(b"WAVE", start):
        if at - 8 >= start and WAV_START.match(file.read(at - 8, 12)):
            yield at - 8


def _wav_header(fmt_chunk: bytes, order: str, n_bytes: int) -> bytes:
    """What stands before `n_bytes` of samples; RF64 where the length needs it."""
    if n_bytes < 0xFFFF0000:
        head = struct.pack(
            f"{order}4sI4s", b"RIFX" if order == ">" else b"RIFF", n_bytes + 12 + len(fmt_chunk), b"WAVE"
        )
        return head + fmt_chunk + struct.pack(f"{order}4sI", b"data", n_bytes)
    sizes = struct.pack("<4sIQQQI", b"ds64", 28, n_bytes + 48 + len(fmt_chunk), n_bytes, 0, 0)
    head = struct.pack("<4sI4s", b"RF64", 0xFFFFFFFF, b"WAVE") + sizes
    return head + fmt_chunk + struct.pack("<4sI", b"data", 0xFFFFFFFF)


def _after_samples(file: _Bytes, at: int, start: int, layout: _Layout) -> tuple[bool, int | None]:
    """(whether more samples follow at `at`, where the next WAV begins)."""
    padded = at + (at - start) % layout.align
    for next_start in (at, padded):
        if WAV_START.match(file.read(next_start, 12)):
            return False, next_start
    rest = file.read(at, 65_536)
    if len(rest) < 64 or rest[:3] in (b"TAG", b"ID3") or (at + len(rest) == file.n_bytes and not any(rest)):
        return False, None
    first = padded if CHUNK_NAME.match(file.read(padded, 4)) else at
    is_first = True
    for chunk in _chunks(file, first, layout, start):
        if WAV_START.match(file.read(chunk.start - 8, 12)):
            return False, chunk.start - 8
        if not CHUNK_NAME.fullmatch(chunk.name) or chunk.n_bytes > MOST_CHUNK_BYTES:
            return is_first, None
        is_first = False
    return False, None


def _before_last_chunks(file: _Bytes, start: int, layout: _Layout) -> int:
    """Where samples of unknown length end: where chunks begin that reach to the end of the file, or at its end."""
    first = max(start, file.n_bytes - TAIL_BYTES)
    tail = file.read(first, TAIL_BYTES)
    for match in re.finditer(rb"(?=" + CHUNK_NAME.pattern + rb"....)", tail, re.DOTALL):
        at = match.start()
        while at + 8 <= len(tail) and CHUNK_NAME.match(tail, at):
            at += 8 + struct.unpack_from(layout.head[0] + "I", tail, at + 4)[0]
            if at in (len(tail), len(tail) - 1):
                return first + match.start()
            at += at % 2
    return file.n_bytes


def _chunked_part(file: _Bytes, layout: _Layout) -> Part | None:
    """AIFF, CAF or Wave64; None where libsndfile has to find out."""
    patches = []
    for chunk in _chunks(file, layout.first, layout):
        if chunk.name == b"COMM" and chunk.n_bytes >= 18:
            patches.append((chunk.start + 2, file.read(chunk.start, 8)))
        if chunk.name == layout.data:
            break
        if chunk.start > MOST_HEADER_BYTES:
            return None
    else:
        return None
    first, n_there = chunk.start + layout.lead, file.n_bytes - chunk.start
    n_bytes = chunk.n_bytes
    is_placeholder = n_bytes <= layout.lead or (layout.head[-1] == "I" and n_there < n_bytes >= PLACEHOLDER_BYTES)
    missing_share = max(0.0, (n_bytes - n_there) / max(1, n_there - layout.lead)) if not is_placeholder else 0.0
    if not is_placeholder and not missing_share:
        after = next(_chunks(file, chunk.start + n_bytes + -n_bytes % layout.align, layout), None)
        is_name = after is None or layout.first == 40 or CHUNK_NAME.fullmatch(after.name)
        if file.n_bytes - chunk.start - n_bytes < 64 or (is_name and after and 0 <= after.n_bytes <= n_there):
            return None
    header = bytearray(file.read(0, first))
    n_head = struct.calcsize(layout.head) if layout.counts_head else 0
    number = layout.head[0] + layout.head[-1]
    most = 0x7FFFFFFF if layout.head[-1] == "I" else 2**62
    struct.pack_into(number, header, chunk.size_at, min(most, n_there + n_head))
    for at, comm in patches:
        frame_bytes = max(1, struct.unpack(">H", comm[:2])[0] * (-(-struct.unpack(">H", comm[6:8])[0] // 8)))
        struct.pack_into(">I", header, at, min(most, (n_there - layout.lead) // frame_bytes))
    return Part(first, file.n_bytes, bytes(header), missing_share, understated=not (is_placeholder or missing_share))


def _au_part(file: _Bytes) -> Part:
    head = file.read(0, 24)
    order = ">" if head[:1] == b"." else "<"
    if len(head) < 24:
        return Part(0, file.n_bytes)
    first, n_bytes = struct.unpack_from(f"{order}II", head, 4)
    n_there = file.n_bytes - first
    if not 24 <= first <= min(MOST_HEADER_BYTES, file.n_bytes) or n_bytes == n_there:
        return Part(0, file.n_bytes)
    if 0 < n_bytes < PLACEHOLDER_BYTES and n_bytes > n_there:
        return Part(0, file.n_bytes, missing_share=(n_bytes - n_there) / max(1, n_there))
    header = bytearray(file.read(0, first))
    struct.pack_into(f"{order}I", header, 8, min(n_there, 0x7FFFFFFF))
    return Part(first, file.n_bytes, bytes(header), understated=0 < n_bytes < n_there - 64)


def _between(starts: list[int], n_bytes: int) -> list[Part]:
    """The parts that begin at these bytes; none where a damaged file shows no beginning."""
    starts = starts[:MOST_PARTS]
    return [Part(start, end) for start, end in zip(starts, [*starts[1:], n_bytes], strict=True)] if starts else []


def _ogg_parts(file: _Bytes) -> list[Part]:
    """The links of a chain: each begins with pages that are the first of their streams."""
    starts, after_first = [], -1
    for at in file.find(b"OggS\0", 0):
        if not OGG_START.match(file.read(at, 6)):
            continue
        if at != after_first:
            starts.append(at)
        after_first = at + _page_bytes(file.read(at, 282))
    parts = _between(starts, file.n_bytes)
    if parts:
        parts[-1] = replace(parts[-1], is_cut=not _ends_ogg(file, parts[-1]))
    return parts


def _page_bytes(head: bytes) -> int:
    """Length of the Ogg page that begins with these bytes."""
    n_segments = head[26] if len(head) > 26 else 0
    return 27 + n_segments + sum(head[27 : 27 + n_segments])


def _ends_ogg(file: _Bytes, part: Part) -> bool:
    """Whether the last page is whole, and is the last of its stream."""
    first = max(part.start, part.end - 2 * 65_536)
    tail = file.read(first, part.end - first)
    at = tail.rfind(b"OggS\x00")
    return at >= 0 and bool(tail[at + 5 : at + 6] and tail[at + 5] & 4) and at + _page_bytes(tail[at:]) <= len(tail)


def _mp3_parts(file: _Bytes) -> Iterator[Part]:
    """Joined MP3s: the first frame of each says how many bytes belong to it."""
    start = 0
    for _ in range(MOST_PARTS):
        end = _mp3_end(file, start)
        if end is None or file.n_bytes - end < LEAST_JOINED_BYTES or not _begins_mp3(file, end):
            break
        yield Part(start, end)
        start = end
    count, is_cut = _frame_count(file, start), _ends_in_frame(file, start)
    yield Part(_after_id3(file, start) if count else start, file.n_bytes, count, is_cut=is_cut)


def _frame_count(file: _Bytes, start: int) -> bytes:
    """A first frame that says how many frames the MP3 at `start` has, where its own does not: programs that write to a
    pipe leave that out. libsndfile would take the bit rate of the first frame for that of all, and stop too early."""
    at = _after_id3(file, start)
    head = file.read(at, 256)
    frame = mpeg_frame(head)
    if (
        frame is None
        or head[1] & 6 != LAYER_3
        or head[4 + frame[1] :][:4] in (b"Xing", b"Info")
        or head[36:40] == b"VBRI"
    ):
        return b""
    n_frames, end = 0, at
    for begin, n_bytes in _mpeg_frames(file, at):
        n_frames, end = n_frames + 1, begin + n_bytes
    first = bytes((0xFF, head[1] | NO_CHECKSUM, BIT_RATE_9 | head[2] & SAMPLE_RATE_BITS, head[3]))
    n_bytes, side_bytes = mpeg_frame(first) or frame
    says = struct.pack(">4sIII", b"Xing", XING_HAS_FRAMES | XING_HAS_BYTES, n_frames, end - at + n_bytes)
    return (first + bytes(side_bytes) + says).ljust(n_bytes, b"\0")


def _mpeg_frames(file: _Bytes, start: int) -> Iterator[tuple[int, int]]:
    """(begin, length) of each frame of the kind that is at `start`. Damage between two frames is passed over."""
    kind = file.read(start, 4)
    data, first, at = b"", start, start

    def frame_at(place: int) -> int:
        """Length of the frame that begins there; 0 where none does."""
        head = data[place - first : place - first + 4]
        frame = mpeg_frame(head)
        return frame[0] if frame and (head[1] ^ kind[1]) & 0xFE == 0 == (head[2] ^ kind[2]) & SAMPLE_RATE_BITS else 0

    in_step = True
    while at + 4 <= file.n_bytes:
        if at + MOST_FRAME_BYTES > first + len(data):
            data, first = file.read(at, SCAN_BYTES), at
        n_bytes = frame_at(at)
        if n_bytes and (in_step or frame_at(at + n_bytes)):
            in_step = True
            yield at, n_bytes
            at += n_bytes
        else:
            in_step = False
            found = data.find(b"\xff", at - first + 1)
            at = first + (found if found >= 0 else max(1, len(data)))


def _ends_in_frame(file: _Bytes, start: int) -> bool:
    """Whether the last frame of an MP3 is cut off."""
    tail = file.read(max(start, file.n_bytes - 16_384), 16_384)
    for first in range(min(4096, len(tail))):
        at, n_frames = first, 0
        while frame := mpeg_frame(tail[at : at + 4]):
            at, n_frames = at + frame[0], n_frames + 1
        if n_frames >= 4:
            return at > len(tail)
    return False


def _after_id3(file: _Bytes, at: int) -> int:
    """Behind the ID3v2 tags at `at`, which may be several."""
    while len(head := file.read(at, 10)) == 10 and head[:3] == b"ID3":
        at += 10 + (head[6] << 21 | head[7] << 14 | head[8] << 7 | head[9]) + (10 if head[5] & 0x10 else 0)
    return at


def _begins_mp3(file: _Bytes, at: int) -> bool:
    frame = mpeg_frame(file.read(_after_id3(file, at), 4))
    return frame is not None and mpeg_frame(file.read(_after_id3(file, at) + frame[0], 4)) is not None


def _mp3_end(file: _Bytes, start: int) -> int | None:
    """Where the MP3 at `start` ends with the tags behind it, by its first frame (Xing, Info or VBRI); None where that
    does not say."""
    at = _after_id3(file, start)
    head = file.read(at, 256)
    frame = mpeg_frame(head)
    if frame is None:
        return None
    xing = 4 + frame[1]
    if head[xing : xing + 4] in (b"Xing", b"Info") and head[xing + 7] & 2:
        count_at = xing + 8 + (4 if head[xing + 7] & 1 else 0)
    elif head[36:40] == b"VBRI":
        count_at = 46
    else:
        return None
    n_bytes = int.from_bytes(head[count_at : count_at + 4], "big")
    if n_bytes <= len(head):
        return None
    end = at + n_bytes
    if file.read(end, 3) == b"TAG":
        end += 128
    if file.read(end, 8) == b"APETAGEX":
        end += 32 + int.from_bytes(file.read(end + 12, 4), "little")
    if file.read(end, 3) == b"TAG":
        end += 128
    return end


ASF_PROPERTIES = b"\xa1\xdc\xab\x8c\x47\xa9\xcf\x11\x8e\xe4\x00\xc0\x0c\x20\x53\x65"


def promised_bytes(descriptor: int, n_bytes: int) -> int:
    """How long a container with video or compressed sound is by its own account; 0 where it does not say."""
    file = _Bytes(descriptor, n_bytes)
    head = file.read(0, 65_536)
    if head[:4] == b"RIFF":
        return 8 + int.from_bytes(head[4:8], "little")
    if (at := head.find(ASF_PROPERTIES)) > 0:
        return int.from_bytes(head[at + 40 : at + 48], "little")
    if head[:1] == b"\x47" and head[188:189] == b"\x47":
        return n_bytes + -n_bytes % 188
    if head[:4] == b"\x1aE\xdf\xa3":
        at = 4
        for _ in range(2):  # the header, and the segment, which holds everything else
            n_length = 9 - head[at].bit_length() if len(head) > at else 9
            length = int.from_bytes(head[at : at + n_length], "big") & ((1 << 7 * n_length) - 1)
            after = at + n_length + length
            at = after + 4
        return after if length != (1 << 7 * n_length) - 1 else 0
    if head[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"styp"):
        at = 0
        while len(box := file.read(at, 16)) >= 8:
            length = int.from_bytes(box[:4], "big")
            length = int.from_bytes(box[8:16], "big") if length == 1 else length
            at = n_bytes if length < 8 else at + length
        return at
    return 0

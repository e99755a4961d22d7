"""Where the sounds of a file begin and end, by its bytes alone."""

import os
import struct

import pytest

from livecap.audio_in import file_parts
from livecap.audio_in.file_parts import Part, PartFile, find_parts, promised_bytes

FMT = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, 16_000, 32_000, 2, 16)
N = 4000
"""Bytes of samples."""
SAMPLES = bytes(range(1, 251)) * 16


def wav(data=None, after=b"", samples=SAMPLES, before=b"", riff=b"RIFF"):
    body = (
        b"WAVE" + before + FMT + b"data" + struct.pack("<I", len(samples) if data is None else data) + samples + after
    )
    return riff + struct.pack("<I", len(body)) + body


def chunk(name, content):
    return name + struct.pack("<I", len(content)) + content + bytes(len(content) % 2)


@pytest.fixture
def opened(tmp_path):
    """(descriptor, length) of a file with these bytes."""
    descriptors = []

    def make(data):
        path = tmp_path / "sound"
        path.write_bytes(data)
        descriptors.append(os.open(path, os.O_RDONLY))
        return descriptors[-1], len(data)

    yield make
    for descriptor in descriptors:
        os.close(descriptor)


@pytest.fixture
def parts(opened):
    """The parts of a file with these bytes."""
    return lambda data: find_parts(*opened(data))


def sounds(data, parts):
    """The bytes of each part as libsndfile reads them."""
    return [part.header + data[part.start : part.end] for part in parts]


def test_a_file_whose_header_is_right_is_left_as_it_is(parts):
    for data in (wav(), wav(after=chunk(b"LIST", b"INFO")), wav(before=chunk(b"JUNK", bytes(28)))):
        assert parts(data) == [Part(0, len(data))]


@pytest.mark.parametrize("length", [0, 0x7FFF0000, 0xFFFFFFFF])
def test_a_length_that_nobody_filled_in_is_that_of_the_file(parts, length):
    data = wav(length)
    (part,) = parts(data)
    assert sounds(data, [part]) == [wav()]
    assert not part.understated and not part.missing_share


def test_what_follows_sound_of_unknown_length_is_no_sound(parts):
    data = wav(0, after=chunk(b"LIST", b"INFOISFT") + chunk(b"id3 ", bytes(10)))
    assert sounds(data, parts(data)) == [wav()]


def test_a_header_that_promises_more_says_how_much_is_missing(parts):
    (part,) = parts(wav(2 * N))
    assert part.missing_share == 1.0
    (part,) = parts(wav(N + N // 4))
    assert part.missing_share == 0.25


def test_a_header_that_promises_less_is_not_believed(parts):
    data = wav(1000)
    (part,) = parts(data)
    assert sounds(data, [part]) == [wav()] and part.understated


@pytest.mark.parametrize(("n_more", "understated"), [(63, False), (64, True)])
def test_a_few_bytes_behind_the_samples_are_no_sound(parts, n_more, understated):
    data = wav(after=b"\x80" * n_more)
    (part,) = parts(data)
    assert part.understated == understated
    assert part.end - part.start == (N + n_more if understated else len(data))


@pytest.mark.parametrize("after", [bytes(5000), b"TAG" + b"\x80" * 125, b"ID3" + b"\x80" * 500])
def test_padding_and_tags_behind_the_samples_are_no_sound(parts, after):
    data = wav(after=after)
    assert parts(data) == [Part(0, len(data))]


def test_joined_wavs_are_parts_each_with_its_own_header(parts):
    odd = wav(samples=SAMPLES[:-1])
    for second in (odd, b"\0" + odd):  # with and without the padding
        data = odd + second + wav(0) + wav(after=chunk(b"LIST", b"INFO")) + wav()
        found = sounds(data, parts(data))
        assert [len(sound) - 44 for sound in found] == [N - 1, N - 1, N, N, N]
        assert all(sound[44:] == SAMPLES[: len(sound) - 44] for sound in found)
        assert all(struct.unpack("<I", sound[40:44])[0] == len(sound) - 44 for sound in found)


@pytest.mark.parametrize("riff", [b"RF64", b"RIFF"])
def test_a_long_wav_has_its_length_in_another_chunk(parts, riff):
    def long(n_bytes):
        sizes = struct.pack("<4sIQQQI", b"ds64", 28, 0, n_bytes, 0, 0)
        return wav(0xFFFFFFFF, before=sizes, riff=riff)

    first, second = parts(long(N) + wav())
    assert (first.end - first.start, second.end - second.start) == (N, N)
    (only,) = parts(long(2 * N))
    assert only.missing_share == (1.0 if riff == b"RF64" else 0), "a RIFF has no such chunk"


def test_a_corrected_header_of_more_than_4_gib_is_rf64():
    short, long = (file_parts._wav_header(FMT, "<", n) for n in (0xFFFF0000 - 1, 0xFFFF0000))
    assert short[:4] == b"RIFF" and struct.unpack("<I", short[4:8])[0] == 0xFFFF0000 - 1 + 36
    assert long[:4] == b"RF64" and long[12:16] == b"ds64"
    assert struct.unpack("<QQ", long[20:36]) == (0xFFFF0000 + 72, 0xFFFF0000)
    assert len(long) == 80 and long[-8:] == b"data\xff\xff\xff\xff"


def page(first, last, content=b"x" * 300):
    """An Ogg page."""
    n, rest = divmod(len(content), 255)
    segments = bytes([255] * n + [rest])
    return b"OggS\0" + bytes([2 * first + 4 * last]) + bytes(20) + bytes([len(segments)]) + segments + content


def test_the_links_of_a_chained_ogg_are_parts(parts):
    link = page(True, False) + page(True, False) + page(False, False) + page(False, True)
    assert parts(link * 3) == [Part(n * len(link), (n + 1) * len(link)) for n in range(3)]
    assert [part.is_cut for part in parts(link * 2 + link[:-1])] == [False, False, True]
    assert [part.is_cut for part in parts(link + page(True, False) + page(False, False))] == [False, True]


FRAME = b"\xff\xfb\x90\x40".ljust(417, b"\x11")


def mp3(n_frames, tag=b"Xing", flags=3, n_bytes=None):
    """Frames of MP3, the first of which says how many bytes there are."""
    n_bytes = 417 * (n_frames + 1) if n_bytes is None else n_bytes
    if tag == b"VBRI":
        says = bytes(32) + b"VBRI" + bytes(6) + struct.pack(">I", n_bytes)
    else:
        says = (
            bytes(32) + tag + struct.pack(">I", flags) + (bytes(4) if flags & 1 else b"") + struct.pack(">I", n_bytes)
        )
    return (FRAME[:4] + says).ljust(417, b"\x11") + FRAME * n_frames


TAG, APE = b"TAG".ljust(128, b"\x11"), b"APETAGEX" + struct.pack("<III", 2000, 64, 0) + bytes(12) + bytes(64)
ID3 = b"ID3\4\0\0" + bytes([0, 0, 1, 72]) + bytes(200)


@pytest.mark.parametrize("tag", [b"Xing", b"Info", b"VBRI"])
@pytest.mark.parametrize("flags", [2, 3])
@pytest.mark.parametrize("behind", [b"", TAG, TAG + APE, APE + TAG])
def test_joined_mp3s_are_parts_with_the_tags_behind_them(parts, tag, flags, behind):
    one = mp3(6, tag, flags) + behind
    data = one + ID3 + one + one
    assert [(part.start, part.end) for part in parts(data)] == [
        (0, len(one)),
        (len(one), 2 * len(one) + len(ID3)),
        (2 * len(one) + len(ID3), len(data)),
    ]


def test_an_mp3_that_does_not_say_its_length_is_one_part(parts):
    for one in (FRAME * 9, mp3(6, flags=1), mp3(6, tag=b"None"), mp3(6, n_bytes=256)):
        assert len(parts(one + one)) == 1


def test_what_is_short_or_no_mp3_behind_one_is_no_part(parts):
    one = mp3(6)
    assert len(parts(one + FRAME * 4)) == 1
    assert len(parts(one + FRAME * 5)) == 2
    assert len(parts(one + b"\x11" * 5000)) == 1


def test_an_mp3_that_ends_in_a_frame_is_cut(parts):
    data = mp3(9)
    assert [part.is_cut for part in parts(data)] == [False]
    assert [part.is_cut for part in parts(data[:-1])] == [True]
    assert [part.is_cut for part in parts(data[:-413])] == [True]


def test_tags_before_an_mp3_are_passed_over(opened):
    for before in (ID3, ID3 * 2, b"ID3\4\0\x10" + bytes([0, 0, 1, 72]) + bytes(210)):
        descriptor, n_bytes = opened(before + mp3(3))
        assert file_parts._after_id3(file_parts._Bytes(descriptor, n_bytes), 0) == len(before)


@pytest.mark.parametrize("most", [1, 7, 1000])
def test_a_part_reads_as_one_file_though_the_system_gives_it_in_pieces(opened, monkeypatch, most):
    descriptor, _ = opened(b"before" + SAMPLES + b"behind")
    pread = os.pread
    monkeypatch.setattr(os, "pread", lambda file, n, at: pread(file, min(n, most), at))
    file = PartFile(os.dup(descriptor), Part(6, 6 + N, b"HEADER"))
    whole = b"HEADER" + SAMPLES
    assert file.read(N + 100) == whole and file.read(1) == b"" and file.tell() == N + 6
    for at, n in ((0, 3), (4, 5), (6, 2), (N, 100)):
        assert file.seek(at) == at
        assert file.read(n) == whole[at : at + n]
        assert file.tell() == min(at + n, N + 6)
    assert file.seek(-2, os.SEEK_END) == N + 4 and file.seek(1, os.SEEK_CUR) == N + 5 and file.seek(-9) == 0
    file.close()
    file.close()


def test_a_part_of_a_file_that_became_shorter_ends_there(opened):
    descriptor, _ = opened(SAMPLES)
    with PartFile(os.dup(descriptor), Part(0, 2 * N)) as file:
        assert file.read(2 * N) == SAMPLES


def box(name, n_bytes, long=False):
    head = struct.pack(">I4sQ", 1, name, n_bytes) if long else struct.pack(">I4s", n_bytes, name)
    return head.ljust(min(n_bytes, 600), b"\0")


def ebml(length_bytes, length):
    """An EBML length of this many bytes."""
    return (length | 1 << 7 * length_bytes).to_bytes(length_bytes, "big")


MATROSKA = b"\x1aE\xdf\xa3" + ebml(1, 20) + bytes(20) + b"\x18\x53\x80\x67"
ASF = (
    b"\x30\x26\xb2\x75\x8e\x66\xcf\x11" + bytes(40) + file_parts.ASF_PROPERTIES + bytes(24) + struct.pack("<Q", 123_456)
)


@pytest.mark.parametrize(
    ("data", "n_bytes"),
    [
        (b"RIFF" + struct.pack("<I", 5000) + b"AVI ", 5008),
        (ASF + bytes(100), 123_456),
        ((b"\x47" + bytes(187)) * 3, 564),
        ((b"\x47" + bytes(187)) * 3 + b"\x47", 752),
        (MATROSKA + ebml(8, 5000) + bytes(100), len(MATROSKA) + 8 + 5000),
        (MATROSKA + ebml(2, 5000) + bytes(100), len(MATROSKA) + 2 + 5000),
        (MATROSKA + b"\x01" + b"\xff" * 7 + bytes(100), 0),  # a live stream does not know its length
        (box(b"ftyp", 24) + box(b"moov", 300) + box(b"mdat", 9000), 9324),
        (box(b"ftyp", 24) + box(b"mdat", 9000, long=True), 9024),
        (box(b"ftyp", 24) + box(b"free", 8) + box(b"mdat", 5000), 5032),
        (box(b"ftyp", 24) + box(b"mdat", 0)[:8] + bytes(700), 732),  # "to the end of the file"
        (b"no container at all" * 20, 0),
    ],
)
def test_a_container_says_how_long_it_should_be(opened, data, n_bytes):
    assert promised_bytes(*opened(data)) == n_bytes


@pytest.mark.parametrize("order", [">", "<"])
def test_an_au_ends_where_the_file_does(parts, order):
    """Its length is corrected, and more sound than it said is told where that is more than a few bytes."""

    def au(n_bytes, n_there=N, first=32):
        head = b".snd" if order == ">" else b"dns."
        return (head + struct.pack(f"{order}IIIII", first, n_bytes, 3, 16_000, 1)).ljust(32, b"\0") + SAMPLES[:n_there]

    for n_bytes, understated in ((0, False), (0xFFFFFFFF, False), (N - 64, False), (N - 65, True), (100, True)):
        data = au(n_bytes)
        (part,) = parts(data)
        assert sounds(data, [part]) == [au(N)] and part.understated == understated, n_bytes
        assert part.missing_share == 0
    assert parts(au(N)) == [Part(0, N + 32)]
    assert parts(au(N, N // 4)) == [Part(0, N // 4 + 32, missing_share=3.0)]
    for first in (23, N + 33):  # where no samples can begin
        assert parts(au(0, first=first)) == [Part(0, N + 32)]


def test_a_damaged_flac_without_a_beginning_is_one_part(parts):
    data = b"fLaC\x7f\x00\x00\x22" + bytes(100)
    assert parts(data) == [Part(0, len(data))]

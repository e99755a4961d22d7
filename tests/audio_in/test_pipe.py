"""Sound in a pipe is heard while it comes, however it is cut, and a pipe may stay open for ever."""

import io
import os
import struct
import subprocess
import threading

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from livecap.audio_in.pcm import PcmFormat, PcmStream, parse_header
from livecap.audio_in.pipe import Pipe
from livecap.audio_in.spool import Spool
from livecap.errors import AudioError
from livecap.session.sound_folder import SoundFolder
from livecap.transcript import SAMPLE_RATE
from tests.audio_in.waiting import blocks, eventually

SOUND = (np.sin(np.arange(SAMPLE_RATE) * 0.05) * 20_000).astype("<i2")


@pytest.fixture
def pipe():
    """Makes a Pipe, and a file that writes into it; closes both at the end."""
    made = []

    def make(**options):
        out, into = os.pipe()
        file = os.fdopen(into, "wb", buffering=0)
        made.append((Pipe(out, **options), out, file))
        return made[-1][0], file

    yield make
    for source, out, file in made:
        file.close()
        source.close()
        os.close(out)


def test_sound_that_comes_in_the_moment_of_a_pause_is_not_given_twice(pipe, monkeypatch):
    source, file = pipe()
    source.append(np.full(100, 0.1, np.float32))
    take = source.spool.take

    def paused_meanwhile(before=None):
        monkeypatch.setattr(source.spool, "take", take)
        source.pause()
        source.append(np.full(50, 0.1, np.float32))  # its thread had looked before the pause
        return take(before)

    monkeypatch.setattr(source.spool, "take", paused_meanwhile)
    first, pause = source.take(), source.take()
    assert (first.end_sample, len(pause.samples)) == (150, 0) and pause.start_sample >= first.end_sample
    assert source.take() is None


def heard(source):
    return np.concatenate([block.samples for block in blocks(source)] or [np.zeros(0, np.float32)])


def wav(samples=SOUND, rate=SAMPLE_RATE, subtype="PCM_16", form="WAV"):
    file = io.BytesIO()
    soundfile.write(file, samples, rate, subtype=subtype, format=form)
    return file.getvalue()


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(1, 9000), max_size=12), st.booleans())
def test_all_is_heard_whatever_the_pieces(cuts, as_wav):
    data = wav() if as_wav else SOUND.tobytes()
    out, into = os.pipe()
    source = Pipe(out)

    def write():
        at = 0
        for n in [*cuts, len(data)]:
            os.write(into, data[at : at + n])
            at += n
        os.close(into)

    writer = threading.Thread(target=write)
    writer.start()
    assert np.array_equal(heard(source), SOUND.astype(np.float32) / 32768)
    writer.join()
    os.close(out)


def test_text_can_appear_while_the_pipe_stays_open(pipe):
    source, file = pipe()
    file.write(SOUND.tobytes())
    assert next(iter(blocks(source))).start_sample == 0
    eventually(lambda: source.arrived_samples == len(SOUND))
    assert source.level > 0.5 and not source.ended
    source.close()
    assert list(blocks(source)) is not None and source.ended


def test_raw_samples_of_another_rate_and_stereo(pipe):
    source, file = pipe(raw=PcmFormat(48_000, 2))
    t = np.arange(48_000) / 48_000
    tone = (np.sin(2 * np.pi * 440 * t) * 16_000).astype("<i2")
    threading.Thread(target=lambda: (file.write(np.stack([tone, tone], 1).tobytes()), file.close())).start()
    samples = heard(source)
    assert len(samples) == SAMPLE_RATE and np.abs(np.fft.rfft(samples)).argmax() == 440


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"])
@pytest.mark.parametrize("form", ["WAV", "WAVEX"])
def test_every_usual_wav_is_read(pipe, subtype, form):
    source, file = pipe()
    sound = SOUND.astype(np.float64) / 32768
    threading.Thread(target=lambda: (file.write(wav(sound, subtype=subtype, form=form)), file.close())).start()
    tolerance = 0.01 if subtype == "PCM_U8" else 1e-4
    assert np.allclose(heard(source), sound, atol=tolerance)


@pytest.mark.parametrize("n_bytes", [0, 0xFFFFFFFF, 0x7FFFF000])
def test_a_wav_written_to_a_pipe_does_not_know_its_length(pipe, n_bytes):
    data = bytearray(wav())
    at = bytes(data).index(b"data")
    struct.pack_into("<I", data, at + 4, n_bytes)
    source, file = pipe()
    threading.Thread(target=lambda: (file.write(bytes(data)), file.close())).start()
    assert len(heard(source)) == len(SOUND)


def test_what_follows_the_samples_of_a_wav_is_no_sound(pipe):
    source, file = pipe()
    threading.Thread(target=lambda: (file.write(wav() + b"LIST" + bytes(5000)), file.close())).start()
    assert len(heard(source)) == len(SOUND)


def test_what_ffmpeg_pipes_is_heard(jfk):
    command = ["ffmpeg", "-v", "error", "-i", str(jfk), "-f", "wav", "-"]
    try:
        process = subprocess.Popen(command, stdout=subprocess.PIPE)
    except FileNotFoundError:
        pytest.skip("ffmpeg is not installed")
    with process:
        samples = heard(Pipe(process.stdout.fileno()))
    assert np.abs(samples - soundfile.read(jfk, dtype="float32")[0]).max() < 1e-3


@pytest.mark.parametrize(
    "data, message",
    [
        (b"", "closed before the first sample"),
        (b"\x01", "not a single sample"),
        (b"fLaC" + bytes(100), "is FLAC"),
        (b"OggS" + bytes(100), "is Ogg"),
        (wav()[:30], "ends before its first sample"),
        (b"RIFF" + bytes(200_000), "is RIFF, but without sound"),
        (b"RIFF" + bytes(4) + b"WAVE" + bytes(200_000), "damaged header"),
        (b"RIFF" + bytes(4) + b"WEBP" + bytes(200_000), "is RIFF, but without sound"),
        (wav(SOUND, subtype="ULAW"), "does not read"),
        (np.array([0.1, np.nan] * 100, "<f4"), "not a number"),
    ],
)
def test_what_is_no_sound_is_one_clear_line(pipe, data, message):
    if isinstance(data, np.ndarray):
        data = wav(data, subtype="FLOAT")
    source, file = pipe()
    threading.Thread(target=lambda: (file.write(data), file.close())).start()
    with pytest.raises(AudioError, match=message):
        heard(source)


def test_sound_before_a_sample_that_is_no_number_is_heard(pipe):
    source, file = pipe()
    sound = np.full(20_000, 0.25, "<f4")
    sound[-1] = np.nan
    threading.Thread(target=lambda: (file.write(wav(sound, subtype="FLOAT")), file.close())).start()
    told = []
    with pytest.raises(AudioError, match="not a number"):
        told.extend(block.end_sample for block in blocks(source))
    assert source.arrived_samples == 19_999


def test_half_a_sample_at_the_end_is_reported(pipe):
    notices = []
    source, file = pipe(on_notice=notices.append)
    file.write(SOUND.tobytes() + b"\x01")
    file.close()
    assert len(heard(source)) == len(SOUND) and "in the middle of a sample" in notices[0]


def test_what_is_said_in_a_pause_is_not_heard(pipe):
    source, file = pipe()
    told = iter(blocks(source))
    file.write(SOUND[:1000].tobytes())
    assert next(told).end_sample == 1000
    source.pause()
    assert len(next(told).samples) == 0 and source.level == 0
    file.write(SOUND[1000:2000].tobytes())
    eventually(lambda: source.forgotten_samples == 1000)
    assert source.arrived_samples == 1000
    source.resume()
    file.write(SOUND[2000:3000].tobytes())
    assert np.array_equal(next(told).samples, SOUND[2000:3000].astype(np.float32) / 32768)


def test_a_whole_file_at_once_waits_in_the_pipe_and_not_here(pipe):
    source, file = pipe()
    minutes = np.tile(SOUND, 120)
    writer = threading.Thread(target=lambda: (file.write(minutes.tobytes()), file.close()))
    writer.start()
    eventually(lambda: source.spool.waiting_samples > 30 * SAMPLE_RATE)
    assert source.spool.waiting_samples < 35 * SAMPLE_RATE
    assert len(heard(source)) == len(minutes)
    writer.join()


def pieces(data, cuts=()):
    """What a stream makes of bytes that come in pieces: (sound of each WAV, notices)."""
    stream, formats, found = PcmStream(PcmFormat()), [], []
    parts = [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True)]
    for i, part in enumerate([*parts, b""]):
        for form, piece in stream.feed(part, at_end=i == len(parts)):
            if not formats or formats[-1] is not form:
                formats.append(form)
                found.append(b"")
            found[-1] += piece
    return found, stream.notices


LIST = b"LIST" + struct.pack("<I", 20) + b"INFO" + bytes(16)
CUE = b"cue " + struct.pack("<I", 28) + bytes(28)
RAW = SOUND.tobytes()


def lying(n_bytes, after=b"", before=b"", samples=RAW):
    """A WAV whose header gives another length than it has."""
    head = wav(SOUND[:0])
    at = head.index(b"data")
    return head[:at] + before + b"data" + struct.pack("<I", n_bytes) + samples + after


@pytest.mark.parametrize(
    "data, n_wavs, told",
    [
        (wav() + wav(), 2, None),
        (wav() + LIST + wav() + LIST, 2, None),
        (lying(0xFFFFFFFF) + lying(0x7FFFFFFF), 2, None),
        (lying(0) + wav(), 2, None),
        (lying(0, LIST) + lying(0xFFFFFFFF, LIST), 2, None),
        (lying(0, LIST[:8] + b"exif" + bytes(16)), 1, None),
        (lying(0xFFFFFFFF, CUE + LIST), 1, None),
        (lying(0xFFFFFFFF, CUE + CUE) + lying(0, b"bext" + struct.pack("<I", 601) + bytes(601)), 2, None),
        (lying(0, b"iXML" + struct.pack("<I", 3) + b"abc"), 1, None),  # without the padding
        (lying(2000), 1, "less sound than there is"),
        (lying(1999), 1, "less sound than there is"),
        (lying(2000) + wav(), 2, "less sound than there is"),
        (lying(0), 1, None),
        (lying(len(RAW), b"TAG" + bytes(125)), 1, None),
        (lying(len(RAW), before=b"id3 " + struct.pack("<I", 300_000) + b"U" * 300_000), 1, None),
        (lying(len(RAW), before=b"id3 " + struct.pack("<I", 301) + b"U" * 301), 1, None),
        (lying(len(RAW) * 2), 1, "ended early: according to its header, 1.0 s"),
        (RAW, 1, None),
    ],
)
@pytest.mark.parametrize("size", [1, 7, 1000, 10**9])
def test_all_wavs_of_a_pipe_are_heard_to_their_ends(data, n_wavs, told, size):
    if size < 100 and len(data) > 10**5:
        size = 997
    found, notices = pieces(data, range(size, len(data), size))
    assert found == [RAW] * n_wavs
    assert [told in notice for notice in notices] == [True] if told else notices == []


def test_samples_that_look_like_a_chunk_are_heard():
    samples = CUE + RAW + CUE[:8] + RAW
    for size in (7, 10**9):
        data = lying(0xFFFFFFFF, samples=samples)
        assert pieces(data, range(size, len(data), size)) == ([samples], [])


def test_wavs_of_a_pipe_may_differ_in_rate_and_channels(pipe):
    source, file = pipe()
    tone = np.stack([SOUND, SOUND], axis=1)
    data = wav() + wav(tone, rate=8000) + wav()
    threading.Thread(target=lambda: (file.write(data), file.close())).start()
    samples = heard(source)
    assert len(samples) == 4 * SAMPLE_RATE
    for part in (samples[:SAMPLE_RATE], samples[-SAMPLE_RATE:]):
        assert np.array_equal(part, SOUND.astype(np.float32) / 32768)


@pytest.mark.parametrize("form", ["FLAC", "OGG", "MP3", "AIFF", "CAF", "AU", "W64"])
def test_other_formats_are_named_and_not_heard_as_samples(form):
    file = io.BytesIO()
    soundfile.write(file, SOUND, SAMPLE_RATE, format=form)
    for size in (3, 10**6):
        with pytest.raises(AudioError, match=r"^Standard input is \w+, not WAV or raw samples\. .*--replay"):
            pieces(file.getvalue(), range(size, len(file.getvalue()), size))


ADTS = bytes([0xFF, 0xF1, 0x60, 0x40, 0x06, 0x5F, 0xFC])  # a frame of 50 bytes


@pytest.mark.parametrize(
    "data, name",
    [
        (b"\0\0\0\x20ftypM4A " + bytes(200), "MP4"),
        (b"\0\0\0\x08wide\0\0\0\0mdat" + bytes(200), "MP4"),
        ((ADTS + bytes(43)) * 9, "AAC"),
        ((b"\xff\xfb\x10\xc4" + bytes(100)) * 9, "MP3"),
        ((b"\x47\x40\x11\x10" + bytes(184)) * 9, "MPEG-TS"),
        ((bytes(4) + b"\x47\x40\x11\x10" + bytes(184)) * 9, "MPEG-TS"),
        ((b"\x0b\x77\x11\x11\x08\x40" + bytes(250)) * 9, "AC-3"),
        (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11" + bytes(200), "WMA"),
        (b"#!AMR-WB\n" + bytes(200), "AMR"),
        (b"RIFX\0\0\0\1WAVEfmt " + bytes(200), "RIFX"),
        (b"<!DOCTYPE html><html><head><title>404 Not Found</title></head><body>" * 3, "text"),
        (b'{"error": "not found", "status": 404, "path": "/sound.wav", "detail": ""}', "text"),
        (b"PK\3\4" + bytes(200), "archive"),
    ],
)
def test_every_known_first_byte_is_recognised_however_it_is_cut(data, name):
    for size in (1, 50, 10**6):
        with pytest.raises(AudioError, match=f"^Standard input is .*{name}"):
            pieces(data, range(size, len(data), size))


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from([b"\xff\xfb", b"\xff\xf1", b"\x47", b"\x0b\x77", b"\xff\xff", b"\0\0", b"\x47\0" * 300]),
    st.integers(0, 2**32 - 1),
    st.sampled_from([3, 300, 20_000]),
)
def test_raw_samples_that_begin_like_something_else_are_heard(start, seed, loudness):
    noise = np.random.default_rng(seed).normal(scale=loudness, size=6000).clip(-32768, 32767).astype("<i2")
    data = start + noise.tobytes()[: 12_000 - len(start)]
    assert pieces(data, range(500, len(data), 500)) == ([data], [])


def test_a_file_on_standard_input_is_read_at_the_pace_of_the_reader(tmp_path):
    """`--stdin < /dev/zero` must not fill the disk, nor the memory."""
    spool = Spool()
    with open("/dev/zero", "rb") as file:
        source = Pipe(file.fileno(), spool=spool)
        eventually(lambda: source.spool.waiting_samples > 30 * SAMPLE_RATE)
        source.take()
        eventually(lambda: source.spool.waiting_samples > 30 * SAMPLE_RATE)
        assert source.arrived_samples < 100 * SAMPLE_RATE
        source.close()
    folder = SoundFolder(tmp_path, save=False)
    folder.add("", spool)
    assert list(tmp_path.iterdir()) == []
    folder.close(clean=True)


def hear_with_a_pause(source):
    """Hear all, with a pause once the source is ahead; returns how many samples were heard."""
    eventually(lambda: source.spool.waiting_samples > 30 * SAMPLE_RATE)
    source.pause()
    told = iter(blocks(source))
    n_heard = 0
    while len((block := next(told)).samples):
        n_heard += len(block.samples)
    eventually(lambda: not source.attention.is_set() or source.drained)  # it waits, or has read all
    source.resume()
    return n_heard + sum(len(block.samples) for block in told)


def test_a_paused_file_stands_still(tmp_path):
    path = tmp_path / "raw"
    path.write_bytes(np.tile(SOUND, 90).tobytes())
    with path.open("rb") as file:
        assert hear_with_a_pause(Pipe(file.fileno())) == 90 * SAMPLE_RATE


def test_a_program_that_is_ahead_of_real_time_waits_in_a_pause(pipe):
    source, file = pipe(now=lambda: 0.0)
    data = np.tile(SOUND, 90).tobytes()
    threading.Thread(target=lambda: (file.write(data), file.close())).start()
    assert hear_with_a_pause(source) == 90 * SAMPLE_RATE


def test_a_saved_file_on_standard_input_is_kept(tmp_path):
    spool = Spool()
    spool.repeatable = True
    folder = SoundFolder(tmp_path, save=True)
    folder.add("", spool)
    folder.close(clean=True)
    assert list(tmp_path.rglob("*.wav"))


def test_sound_that_is_no_longer_kept_on_disk_is_told(tmp_path, pipe, monkeypatch):
    notices = []
    source, file = pipe(on_notice=notices.append)
    folder = SoundFolder(tmp_path, save=True)
    folder.add("", source.spool)
    monkeypatch.setattr("livecap.audio_in.spool.KEEP_FREE_BYTES", 1 << 60)
    file.write(SOUND.tobytes())
    eventually(lambda: notices)
    file.close()
    n_heard = sum(len(block.samples) for block in blocks(source))
    folder.close(clean=True)
    assert n_heard == SAMPLE_RATE
    [notice] = notices
    assert notice.startswith("Sound is no longer kept on disk (only ") and notice.endswith("and transcribed.")


def test_a_header_waits_for_its_bytes():
    assert parse_header(wav()[:40]) is None
    stream = PcmStream(PcmFormat())
    assert stream.feed(b"RI") == [] and stream.feed(wav()[2:20]) == []

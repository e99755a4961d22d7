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

from livecap.audio_in.pcm import PcmFormat, parse_header
from livecap.audio_in.pipe import Pipe
from livecap.errors import AudioError
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
        (b"RIFF" + bytes(200_000), "no samples after 64 kB"),
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


def test_a_header_waits_for_its_bytes():
    assert parse_header(b"RI", PcmFormat()) is None
    assert parse_header(b"\x01\x02\x03\x04", PcmFormat()) == (PcmFormat(), 0)
    assert parse_header(wav()[:40], PcmFormat()) is None

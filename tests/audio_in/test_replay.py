"""A recording is heard as if live: all of it, once, in order, when due. A bad file gives one clear line."""

import os
import shutil
import threading
import tracemalloc
import weakref
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st

from livecap.audio_in import converter
from livecap.audio_in.replay import LIVE_BLOCK_SAMPLES, MAX_AHEAD_SAMPLES, UNPACED_BLOCK_SAMPLES, Replay
from livecap.errors import AudioError, SettingsError
from livecap.transcript import SAMPLE_RATE
from tests.audio_in.conftest import FakeClock
from tests.audio_in.sounds import join, silence, white
from tests.audio_in.waiting import blocks


@pytest.fixture
def wav(tmp_path):
    """Writes samples to a WAV file of floats; returns its path."""

    def write(sound, rate=SAMPLE_RATE, name="sound.wav", **options):
        path = tmp_path / name
        soundfile.write(path, sound, rate, **({"subtype": "FLOAT"} | options))
        return path

    return write


def at_pace(path, clock, pace=1.0, **options):
    return Replay(path, pace, now=clock, **options)


def heard(source, clock=None):
    """All samples; the blocks must join without a gap."""
    played = list(clock.plays(source) if clock else blocks(source))
    ends = [0, *(block.end_sample for block in played)]
    assert [block.start_sample for block in played] == ends[:-1]
    return np.concatenate([block.samples for block in played])


def test_at_full_speed_all_samples_come_in_blocks_of_the_same_length(wav):
    sound = white(5.3, -20)
    source = Replay(wav(sound), None)
    played = list(blocks(source))
    assert [len(block.samples) for block in played] == [UNPACED_BLOCK_SAMPLES] * 2 + [1.3 * SAMPLE_RATE]
    assert np.array_equal(np.concatenate([block.samples for block in played]), sound)
    assert source.arrived_samples == len(sound)


def test_where_steps_are_those_of_a_live_session_sound_comes_in_pieces_of_50_ms(wav):
    source = Replay(wav(white(0.32, -20)), None, unpaced_block_samples=LIVE_BLOCK_SAMPLES)
    assert [len(block.samples) for block in blocks(source)] == [0.05 * SAMPLE_RATE] * 6 + [0.02 * SAMPLE_RATE]


def test_real_speech_is_read_bit_for_bit(jfk):
    assert np.array_equal(heard(Replay(jfk, None)), soundfile.read(jfk, dtype="float32")[0])


@settings(max_examples=15, deadline=None)
@given(st.floats(0.05, 200), st.lists(st.floats(0, 3), max_size=20))
def test_everything_is_heard_once_whatever_the_pace_and_the_readers_delays(jfk, pace, delays):
    clock = FakeClock()
    source = at_pace(jfk, clock, pace)
    parts, arrived, end = [], 0, 0
    for i, block in enumerate(clock.plays(source)):
        assert block.start_sample == end
        end = block.end_sample
        parts.append(block.samples)
        assert end <= source.arrived_samples and arrived <= source.arrived_samples
        arrived = source.arrived_samples
        assert 0 <= source.level <= 1
        clock.now += delays[i] if i < len(delays) else 0
    assert np.array_equal(np.concatenate(parts), soundfile.read(jfk, dtype="float32")[0])
    assert source.arrived_samples == end


@pytest.mark.parametrize("pace", [0.5, 1.0, 4.0])
def test_sound_comes_when_it_is_due(wav, clock, pace):
    source = at_pace(wav(white(3, -20)), clock, pace)
    started = clock.now
    for block in clock.plays(source):
        due = (clock.now - started) * pace * SAMPLE_RATE
        assert block.end_sample <= due <= block.end_sample + 0.06 * pace * SAMPLE_RATE
        assert source.arrived_samples == pytest.approx(min(due, 3 * SAMPLE_RATE), abs=1)
    assert (clock.now - started) * pace == pytest.approx(3, abs=0.06 * pace)


def test_a_late_reader_gets_all_that_is_due_at_once(wav, clock):
    source = at_pace(wav(white(8, -20)), clock)
    played = clock.plays(source)
    end = next(played).end_sample
    clock.now += 4
    assert source.arrived_samples == pytest.approx(end + 4 * SAMPLE_RATE, abs=1)
    assert len(next(played).samples) == pytest.approx(4 * SAMPLE_RATE, abs=1)
    source.close()


def test_memory_stays_flat_when_the_reader_is_an_hour_late(wav, clock):
    source = at_pace(wav(white(100, -20)), clock, pace=100.0)
    played = clock.plays(source)
    first = next(played)
    clock.now += 3600
    tracemalloc.start()
    try:
        assert source.level == 0 and source.arrived_samples > 0
        n_bytes, most_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert n_bytes <= 4 * (MAX_AHEAD_SAMPLES + 2 * SAMPLE_RATE) and most_bytes < 3 * n_bytes
    rest = list(played)
    assert max(len(block.samples) for block in rest) <= MAX_AHEAD_SAMPLES
    assert len(first.samples) + sum(len(block.samples) for block in rest) == 100 * SAMPLE_RATE


def test_level_is_what_is_heard_now_however_late_the_reader_is(wav, clock):
    loud_then_silent = join(np.full(2 * SAMPLE_RATE, 0.5, np.float32), silence(3))
    source = at_pace(wav(loud_then_silent), clock)
    played = clock.plays(source)
    next(played)
    clock.now += 1.5
    assert source.level == 0.5
    clock.now += 0.5  # 2.05 s after the start
    assert source.level == 0.5
    clock.now += 0.1
    assert source.level == 0
    source.close()
    assert next(played).end_sample == pytest.approx(2.15 * SAMPLE_RATE, abs=100)
    assert list(played) == []


def test_level_remembers_what_was_just_handed_over(wav, clock):
    source = at_pace(wav(np.full(SAMPLE_RATE, 0.5, np.float32)), clock)
    for _ in clock.plays(source):
        assert source.level == 0.5 or source.arrived_samples == SAMPLE_RATE


def test_pause_stops_the_clock_of_the_recording(wav, clock):
    source = at_pace(wav(white(1, -20)), clock)
    played = clock.plays(source)
    end = next(played).end_sample

    def long_pause():
        source.pause()
        source.pause()
        clock.now += 60
        assert source.level == 0 and source.arrived_samples == end
        clock.before_sleep = [lambda: None, source.resume, source.resume]

    clock.before_sleep = [long_pause]
    started = clock.now
    assert end + sum(len(block.samples) for block in played) == SAMPLE_RATE
    assert clock.now - started > 60 + 1 - end / SAMPLE_RATE


def test_a_pause_is_reported_once_by_an_empty_block(wav, clock):
    source = at_pace(wav(white(1, -20)), clock)
    played = clock.plays(source)
    end = next(played).end_sample
    source.pause()
    told = next(played)
    assert (told.start_sample, len(told.samples)) == (end, 0)
    clock.before_sleep = [lambda: None, source.resume]
    assert len(next(played).samples) > 0


def test_paused_before_it_starts_waits(wav, clock):
    source = at_pace(wav(white(1, -20)), clock)
    source.pause()
    clock.before_sleep = [lambda: None, source.resume]
    assert len(heard(source, clock)) == SAMPLE_RATE


def test_pause_holds_at_full_speed_too(wav, clock):
    source = Replay(wav(white(3, -20)), None, now=clock)
    source.pause()
    clock.before_sleep = [lambda: None, lambda: None, source.resume]
    assert len(heard(source, clock)) == 3 * SAMPLE_RATE
    assert clock.before_sleep == []


def test_close_hands_over_what_was_due_and_ends(wav, clock):
    source = at_pace(wav(white(10, -20)), clock)
    played = clock.plays(source)
    end = next(played).end_sample
    clock.now += 2
    source.close()
    source.close()
    clock.now += 5
    assert sum(len(block.samples) for block in played) == pytest.approx(2 * SAMPLE_RATE, abs=1)
    assert source.arrived_samples == pytest.approx(end + 2 * SAMPLE_RATE, abs=1)


@pytest.mark.parametrize("pace", [1.0, None])
def test_close_wakes_a_waiting_reader_and_closes_the_file(wav, pace):
    path, n_open = wav(white(1, -20)), len(os.listdir("/dev/fd"))
    source, event = Replay(path, pace), threading.Event()
    source.wake(event)
    assert len(os.listdir("/dev/fd")) == n_open + 1
    source.close()
    assert event.is_set() and list(blocks(source)) == []
    assert len(os.listdir("/dev/fd")) == n_open


@pytest.mark.parametrize("seconds", [1, 5])
def test_a_recording_that_is_over_or_left_early_keeps_no_stream_of_soxr(wav, clock, monkeypatch, seconds):
    """soxr prints a warning of many lines about streams that live until exit; the screen keeps its source so long."""
    streams = []

    class Stream(soxr.ResampleStream):
        def __init__(self, *arguments, **options):
            super().__init__(*arguments, **options)
            streams.append(weakref.ref(self))

    monkeypatch.setattr(soxr, "ResampleStream", Stream)
    replay = at_pace(wav(silence(3), rate=48_000), clock)
    replay.take()
    clock.sleep(seconds)
    while replay.take() is not None:
        pass
    replay.close()
    replay.take()
    assert replay.ended and streams and [stream() for stream in streams] == [None] * len(streams)


def test_closing_at_full_speed_ends_after_the_block_in_hand(wav):
    source = Replay(wav(white(9, -20)), None)
    played = blocks(source)
    next(played)
    source.close()
    assert list(played) == []


@pytest.mark.parametrize(
    "name, options",
    [
        ("a.wav", {"subtype": "PCM_16"}),
        ("a.wav", {"subtype": "PCM_24"}),
        ("a.flac", {"subtype": "PCM_16"}),
        ("a.aiff", {"subtype": "PCM_16"}),
        ("a.ogg", {"subtype": "VORBIS"}),
        ("a.mp3", {"subtype": "MPEG_LAYER_III"}),
    ],
)
@pytest.mark.parametrize("rate, n_channels", [(48000, 2), (16000, 1), (22050, 1)])
def test_formats_rates_and_channels(wav, name, options, rate, n_channels):
    t = np.arange(rate * 3) / rate
    sound = np.repeat(0.5 * np.sin(2 * np.pi * 440 * t)[:, None], n_channels, axis=1)
    source = Replay(wav(sound, rate, name, **options), None)
    assert source.duration_seconds == pytest.approx(3, abs=0.1)
    samples = heard(source)
    assert len(samples) == pytest.approx(3 * SAMPLE_RATE, abs=0.1 * SAMPLE_RATE)
    spectrum = np.abs(np.fft.rfft(samples[8000:40000]))
    assert spectrum.argmax() / 2 == pytest.approx(440, abs=0.5)  # 2 s: half a hertz a bin
    assert np.abs(samples[8000:40000]).max() == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize("rate", [8000, 44100, 48000])
def test_no_sample_is_missing_at_the_end(wav, rate):
    assert len(heard(Replay(wav(np.zeros(rate * 5 + 1), rate), None))) == pytest.approx(5 * SAMPLE_RATE, abs=2)


@pytest.mark.parametrize(
    "name, subtype", [("a.wav", "PCM_16"), ("a.aiff", "PCM_16"), ("a.flac", "PCM_16"), ("a.ogg", "VORBIS")]
)
def test_a_file_cut_short_plays_what_it_has(wav, name, subtype):
    path = wav(white(6, -20), name=name, subtype=subtype)
    whole = heard(Replay(path, None))
    os.truncate(path, path.stat().st_size * 2 // 3)
    notices = []
    samples = heard(Replay(path, None, on_notice=notices.append))
    assert 3 * SAMPLE_RATE < len(samples) < 4.2 * SAMPLE_RATE
    assert np.array_equal(samples, whole[: len(samples)])
    if name != "a.ogg":  # which does not say how long it is
        assert (
            len(notices) == 1 and name in notices[0] and f"it ends at 0:0{len(samples) // SAMPLE_RATE}." in notices[0]
        )


@pytest.mark.parametrize("n_bytes", [0xFFFFFFFF, 0x7FFFFFFF])
def test_a_wav_that_was_written_into_a_pipe_is_not_cut_short(wav, n_bytes):
    path = wav(white(2, -20))
    content = bytearray(path.read_bytes())
    at = content.index(b"data") + 4
    content[at : at + 4] = n_bytes.to_bytes(4, "little")
    path.write_bytes(content)
    notices = []
    assert len(heard(Replay(path, None, on_notice=notices.append))) == 2 * SAMPLE_RATE
    assert not notices


def test_a_bad_sample_is_named_after_the_good_ones_were_heard(wav):
    sound = np.stack([white(5, -20), white(5, -20)], axis=1)
    sound[3 * SAMPLE_RATE + 8000, 1] = np.nan
    source = Replay(wav(sound), None)
    samples = []
    with pytest.raises(AudioError, match=r"sound\.wav: its sample at 0:03\.500 is not a number"):
        for block in blocks(source):
            samples.append(block.samples)
    assert np.array_equal(np.concatenate(samples), sound[: 3 * SAMPLE_RATE + 8000].mean(axis=1))


def test_a_bad_sample_at_the_start_is_named_at_once(wav):
    sound = white(1, -20)
    sound[160] = np.inf
    with pytest.raises(AudioError, match=r"0:00\.010"):
        Replay(wav(sound))


def test_what_cannot_be_played_is_one_clear_line(tmp_path, wav):
    (tmp_path / "empty.wav").touch()
    (tmp_path / "text.mp3").write_text("not audio at all\n" * 500)
    (tmp_path / "text.raw").write_text("not audio at all\n" * 500)
    expected = {
        tmp_path / "missing.wav": "no such file",
        tmp_path: "it is a folder",
        tmp_path / "empty.wav": r"empty \(0 bytes\)",
        tmp_path / "text.mp3": "it is not audio",
        tmp_path / "text.raw": "it is not audio",
        wav(silence(0), name="nothing.wav"): "not a single sample",
        tmp_path / ("n" * 300): "name too long",
    }
    if (failing := Path("/proc/self/mem")).exists():  # a regular file whose beginning cannot be read
        expected[failing] = "Input/output error"
    for path, found in expected.items():
        with pytest.raises(AudioError, match=found) as raised:
            Replay(path)
        assert str(path) in str(raised.value) and "\n" not in str(raised.value)
    for pace in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(SettingsError, match="pace"):
            Replay(wav(white(1, -20)), pace)


def test_an_address_is_refused_as_it_was_given(tmp_path):
    with pytest.raises(
        AudioError, match=r"^Cannot read https://host/a.wav: livecap does not open web addresses\. Download"
    ):
        Replay(Path("https://host/a.wav"))


def test_m4a_names_both_converters_where_there_is_none(tmp_path, monkeypatch):
    path = tmp_path / "memo.m4a"
    path.write_bytes(b"\0\0\0\x1cftypM4A " + bytes(100))
    monkeypatch.setattr(converter.shutil, "which", lambda name: None)
    with pytest.raises(AudioError, match="ffmpeg, or afconvert on macOS; neither was found"):
        Replay(path)


def test_m4a_goes_through_a_found_converter(tmp_path, wav, monkeypatch):
    """A stand-in for ffmpeg: copies a WAV to its last argument, or fails as ffmpeg does."""
    decoded = wav(white(2, -20), subtype="PCM_16")
    program = tmp_path / "ffmpeg"
    monkeypatch.setattr(converter.shutil, "which", lambda name: str(program) if name == "ffmpeg" else None)
    path = tmp_path / "memo.m4a"
    path.write_bytes(b"\0\0\0\x1cftypM4A " + bytes(100))

    program.write_text(f'#!/bin/sh\nfor last; do :; done\ncp "{decoded}" "$last"\n')
    program.chmod(0o755)
    source = Replay(path, None)
    assert source.name == "memo.m4a"
    assert np.array_equal(heard(source), heard(Replay(decoded, None)))

    program.write_text("#!/bin/sh\necho noise >&2; echo 'moov atom not found' >&2; exit 1\n")
    with pytest.raises(AudioError, match=r"memo\.m4a: ffmpeg could not read it: moov atom not found"):
        Replay(path)


def test_what_afconvert_cannot_read_is_refused_with_its_reason(tmp_path, monkeypatch):
    program = tmp_path / "afconvert"
    program.write_text("#!/bin/sh\necho noise; echo \"Error: ExtAudioFileOpenURL failed ('typ?')\" >&2; exit 1\n")
    program.chmod(0o755)
    monkeypatch.setattr(converter.shutil, "which", lambda name: str(program) if name == "afconvert" else None)
    recording, unknown = tmp_path / "memo.m4a", tmp_path / "unknown"
    recording.write_bytes(b"\0\0\0\x1cftypM4A " + bytes(100))
    unknown.write_bytes(bytes(200))
    with pytest.raises(AudioError, match=r"memo\.m4a: afconvert could not read it: Error: ExtAudioFileOpenURL failed"):
        Replay(recording)
    with pytest.raises(AudioError, match="not audio, or in a format that livecap does not read"):
        Replay(unknown)


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is not installed")
def test_real_m4a_is_heard(tmp_path, jfk):
    path = tmp_path / "jfk.m4a"
    converter.subprocess.run(["ffmpeg", "-v", "error", "-i", str(jfk), str(path)], check=True)
    assert Replay(path, None).duration_seconds == pytest.approx(11, abs=0.2)

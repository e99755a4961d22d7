"""All sound of a file is heard, whatever its header, its length and its name say; what is missing is one notice."""

import io
import os
import shutil
import struct
import subprocess
from functools import cache

import numpy as np
import pytest
import soundfile

from livecap.audio_in.file_parts import find_parts
from livecap.audio_in.formats import mpeg_frame
from livecap.audio_in.mpeg_prints import without_mpeg_prints
from livecap.audio_in.recording import Recording
from livecap.audio_in.replay import Replay
from livecap.errors import AudioError
from livecap.transcript import SAMPLE_RATE
from tests.audio_in.sounds import voice
from tests.audio_in.waiting import blocks

needs_ffmpeg = pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is not installed")

ID3 = b"ID3\4\0\0" + bytes([0, 0, 1, 72]) + bytes(200)
SECONDS = 3
SOUND = voice(SECONDS, -20)
PCM = np.rint(SOUND * 32767).astype("<i2").tobytes()
FMT = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, SAMPLE_RATE, 2 * SAMPLE_RATE, 2, 16)
LIST = b"LIST" + struct.pack("<I", 12) + b"INFOISFT\0\0\0\0"


def wav(riff=None, data=None, pcm=PCM, before=b"", after=b""):
    """A WAV whose header says what it is told to; by default the truth."""
    body = b"WAVE" + FMT + before + b"data" + struct.pack("<I", len(pcm) if data is None else data) + pcm + after
    return b"RIFF" + struct.pack("<I", len(body) if riff is None else riff) + body


def encoded(form, subtype=None, sound=SOUND, rate=SAMPLE_RATE):
    file = io.BytesIO()
    soundfile.write(file, sound, rate, subtype, format=form)
    return file.getvalue()


@pytest.fixture
def heard(tmp_path):
    """Hears the bytes of a file: (samples, notices)."""

    def hear(data, name="sound.wav"):
        path = tmp_path / name
        path.write_bytes(data)
        notices = []
        source = Replay(path, None, on_notice=notices.append)
        pieces = [block.samples for block in blocks(source)]
        return np.concatenate(pieces), notices

    return hear


def is_sound(samples, times=1):
    return np.allclose(samples, np.tile(SOUND, times), atol=1e-4) if len(samples) == times * len(SOUND) else False


@pytest.mark.parametrize("riff", [0, 8, 36, 4088, None, 0xFFFFFFFF])
@pytest.mark.parametrize("before", [b"", LIST, b"FLLR" + struct.pack("<I", 4008) + bytes(4008)])
def test_a_recorder_that_was_killed_leaves_a_length_of_0(heard, riff, before):
    samples, notices = heard(wav(riff, 0, before=before))
    assert is_sound(samples) and notices == []


@pytest.mark.parametrize("data", [2, 3200, 64_000, len(PCM) - 1000])
def test_sound_behind_what_the_header_says_is_heard(heard, data):
    samples, notices = heard(wav(data + 36, data))
    assert is_sound(samples) and len(notices) == 1 and "less sound than the file has" in notices[0]


def test_a_length_that_wrapped_at_4_gib_is_not_believed(tmp_path):
    """5 GiB of holes, and sound at their end."""
    path, n_bytes = tmp_path / "long.wav", 5 * 2**30
    with path.open("wb") as file:
        file.write(wav(data=n_bytes % 2**32, pcm=b""))
        file.seek(44 + n_bytes - len(PCM))
        file.write(PCM)
    source = Replay(path, None, start_seconds=0.0)
    assert source.duration_seconds == n_bytes / 2 / SAMPLE_RATE
    source.seek(n_bytes // 2 - len(SOUND))
    assert is_sound(np.concatenate([block.samples for block in blocks(source)]))


@pytest.mark.parametrize("data", [0, 0xFFFFFFFF, 0x7FFFFFFF, 0x80000000])
def test_chunks_behind_sound_of_unknown_length_are_not_heard(heard, data):
    samples, notices = heard(wav(data=data, after=b"LIST" + struct.pack("<I", 20_000) + os.urandom(20_000) + LIST))
    assert is_sound(samples) and notices == []


@pytest.mark.parametrize("after", [LIST, LIST * 3, b"TAG" + bytes(125), b"ID3" + bytes(200), bytes(4096), b"\1"])
def test_what_follows_the_samples_is_not_heard(heard, after):
    samples, notices = heard(wav(after=after))
    assert is_sound(samples) and notices == []


@pytest.mark.parametrize("n_tag", [13, 120_001, 400_000])
@pytest.mark.parametrize("pad", [True, False])
def test_long_and_odd_chunks_before_the_samples_are_passed_over(heard, n_tag, pad):
    tag = b"id3 " + struct.pack("<I", n_tag) + b"\x55" * n_tag + (b"\0" if pad else b"") * (n_tag % 2)
    samples, notices = heard(wav(before=tag))
    assert is_sound(samples) and notices == []


@pytest.mark.parametrize("lengths", [(None, None), (0, 0), (0xFFFFFFFF, None), (None, 3200)])
def test_one_wav_behind_another_is_heard(heard, lengths):
    samples, _ = heard(wav(data=lengths[0]) + wav(data=lengths[1], before=LIST))
    assert is_sound(samples, 2)


def test_joined_wavs_may_differ_in_rate_and_channels(heard):
    other = encoded("WAV", sound=np.zeros((48_000, 2)), rate=48_000)
    samples, _ = heard(wav(after=LIST) + other + wav())
    assert len(samples) == pytest.approx((2 * SECONDS + 1) * SAMPLE_RATE, abs=2)
    assert is_sound(samples[: len(SOUND)]) and is_sound(samples[-len(SOUND) :])


@pytest.mark.parametrize(
    "form, subtype", [("OGG", "VORBIS"), ("OGG", "OPUS"), ("FLAC", "PCM_16"), ("MP3", "MPEG_LAYER_III")]
)
@pytest.mark.parametrize("times", [2, 3])
def test_joined_files_are_heard_to_the_end(heard, form, subtype, times):
    one = encoded(form, subtype)
    alone, _ = heard(one)
    samples, notices = heard(one * times)
    assert np.allclose(samples, np.tile(alone, times)) and notices == []


def test_joined_files_can_be_searched_and_end_where_they_say(tmp_path):
    path = tmp_path / "joined.flac"
    path.write_bytes(encoded("FLAC") * 3)
    source = Replay(path, None)
    assert source.duration_seconds == 3 * SECONDS
    source.seek(5 * SAMPLE_RATE)
    samples = np.concatenate([block.samples for block in blocks(source)])
    assert np.allclose(samples, np.tile(SOUND, 3)[5 * SAMPLE_RATE :], atol=1e-4)
    source.seek(SAMPLE_RATE)
    assert len(np.concatenate([block.samples for block in blocks(source)])) == 8 * SAMPLE_RATE


def killed(form):
    """A file whose recorder was killed: (bytes, name)."""
    data = bytearray(encoded(form, "PCM_16"))
    if form == "W64":
        at = data.index(b"data\xf3\xac") + 16
        data[at : at + 8] = struct.pack("<q", 24)
    elif form == "CAF":
        at = data.index(b"data") + 4
        data[at : at + 8] = struct.pack(">q", -1)
    elif form == "AIFF":
        at = data.index(b"SSND") + 4
        data[at : at + 4] = struct.pack(">I", 8)
        at = data.index(b"COMM") + 10
        data[at : at + 4] = bytes(4)
    elif form == "AU":
        data[8:12] = bytes(4)
    elif form == "RF64":
        at = data.index(b"ds64") + 16
        data[at : at + 8] = bytes(8)
    return bytes(data), f"killed.{form.lower()}"


@pytest.mark.parametrize("form", ["W64", "CAF", "AIFF", "AU", "RF64"])
def test_killed_recorders_of_other_formats_lose_nothing(heard, form):
    samples, notices = heard(*killed(form))
    assert is_sound(samples) and notices == []


@pytest.mark.parametrize("form", ["W64", "CAF", "AIFF", "AU", "WAV"])
def test_a_file_that_ends_early_is_told_once(heard, form):
    data = encoded(form, "PCM_16")
    samples, notices = heard(data[: len(data) // 2], f"short.{form.lower()}")
    assert 1.4 < len(samples) / SAMPLE_RATE < 1.6 and np.allclose(samples, SOUND[: len(samples)], atol=1e-4)
    assert len(notices) == 1 and "is cut short: it ends at 0:01." in notices[0]


@pytest.mark.parametrize("form, subtype", [("OGG", "VORBIS"), ("OGG", "OPUS"), ("MP3", None), ("FLAC", None)])
def test_a_compressed_file_that_ends_early_is_told_once(heard, form, subtype):
    data = encoded(form, subtype)
    samples, notices = heard(data[: len(data) * 2 // 3], f"short.{form.lower()}")
    assert 0 < len(samples) < len(SOUND) and len(notices) == 1 and "it ends at 0:0" in notices[0]


@pytest.mark.parametrize("rate", [1, 999, 768_001, 2**31 - 1])
def test_a_header_with_an_absurd_rate_costs_no_memory(heard, rate):
    data = bytearray(wav())
    struct.pack_into("<I", data, 24, rate)
    with pytest.raises(AudioError, match=f"{rate} Hz and 1 channel\\."):
        heard(bytes(data))


@pytest.mark.parametrize(
    "start", [b"RIFF", b"RF64", b"FORM", b"OggS\0\2", b"ID3\4", b"caff\0\1", b".snd", b"fLaC\0\0\0\x22"]
)
def test_headers_of_random_bytes_are_refused_or_heard(heard, start):
    rng = np.random.default_rng(7)
    for n_bytes in (0, 5, 30, 300, 5000):
        data = start + (b"\xff\xff\xff\x7fWAVEfmt " if start[:1] == b"R" else b"") + rng.bytes(n_bytes)
        try:
            samples, _ = heard(data, "random.bin")
        except AudioError as error:
            assert "\n" not in str(error)
        else:
            assert len(samples) < 10**7


@pytest.mark.parametrize("name", ["a.mp3", "a.wav", "a.ogg", "a", "a.txt", "a.m4a"])
@pytest.mark.parametrize("form", ["FLAC", "OGG", "MP3", "WAV"])
def test_a_name_does_not_say_what_is_in_a_file(heard, form, name):
    expected, _ = heard(encoded(form))
    assert np.array_equal(heard(encoded(form), name)[0], expected)


def test_pipes_and_devices_name_the_option_for_them(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    for path, found in {
        tmp_path / "fifo": "is a pipe.*--stdin <",
        "-": "--stdin",
        "/dev/zero": "not a regular file.*--stdin",
    }.items():
        with pytest.raises(AudioError, match=found):
            Replay(path)
    out, into = os.pipe()
    with pytest.raises(AudioError, match="--stdin"):
        Replay(f"/dev/fd/{out}")
    os.close(out)
    os.close(into)


def test_a_name_that_is_not_text_can_be_opened(tmp_path):
    path = os.fsencode(tmp_path) + b"/\xff\xfe.wav"
    with open(path, "wb") as file:
        file.write(wav())
    assert is_sound(np.concatenate([block.samples for block in blocks(Replay(os.fsdecode(path), None))]))


def ffmpeg(tmp_path, name, *options):
    """A file that ffmpeg makes of the sound."""
    (tmp_path / "in.wav").write_bytes(wav())
    out = tmp_path / name
    command = ["ffmpeg", "-nostdin", "-y", "-v", "error", "-i", str(tmp_path / "in.wav"), *options, str(out)]
    if subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip("this ffmpeg cannot write the format")
    return out


CONTAINERS = {
    "x.m4a": [], "x.mkv": ["-c:a", "aac"], "x.webm": [], "x.wma": [], "x.aac": [], "x.ts": ["-c:a", "aac"], "x.avi": [],
    "x.ac3": [], "x.mov": [], "fast.m4a": ["-movflags", "faststart"],
    "pieces.m4a": ["-movflags", "frag_keyframe+empty_moov", "-frag_duration", "300000"],
}  # fmt: skip


MORE_CONTAINERS = {
    "x.3gp": ["-c:a", "aac"], "x.m4b": ["-f", "mp4"], "x.eac3": [], "x.mpg": ["-vn"], "x.flv": [], "x.rm": [],
    "x.nut": [], "x.wv": [], "x.tta": [], "x.dts": ["-strict", "-2"], "x.mxf": ["-ar", "48000"],
    "x.voc": ["-c:a", "pcm_u8"], "x.gxf": [],
    "x.mp2": [], "x.mlp": ["-strict", "-2"], "x.f4v": [], "x.spdif": ["-c:a", "ac3"], "x.sox": [],
}  # fmt: skip


@pytest.fixture(scope="module")
def contained(tmp_path_factory):
    """The bytes of the sound in a container; each is made once."""
    folder = tmp_path_factory.mktemp("containers")
    return cache(lambda made: ffmpeg(folder, made, *CONTAINERS[made]).read_bytes())


def test_a_damaged_mp3_is_one_line_and_other_prints_stay(heard, capfd):
    data = bytearray(encoded("MP3", None))
    data[len(data) // 2 : len(data) // 2 + 400] = bytes(range(200)) * 2
    samples, [notice] = heard(bytes(data), "damaged.mp3")
    assert 0 < len(samples) < len(SOUND)
    assert notice.startswith("damaged.mp3 is cut short or damaged: it ends at 0:0")
    assert capfd.readouterr().err == ""
    with without_mpeg_prints():
        os.write(2, b"Note: Trying to resync...\nterminate called\n")
    assert capfd.readouterr().err == "terminate called\n"


NOISE, QUIET = (level * np.random.default_rng(1).standard_normal(4 * SAMPLE_RATE) for level in (0.2, 1e-4))


@pytest.mark.parametrize(
    "before, after, rate, tag",
    [(NOISE, QUIET, 44_100, b""), (QUIET, NOISE, SAMPLE_RATE, b""), (NOISE, QUIET, SAMPLE_RATE, ID3)],
)
def test_an_mp3_whose_first_frame_says_no_length_is_heard_to_its_end(heard, before, after, rate, tag):
    """As programs write it to a pipe. The bit rate of the first frame says nothing about the length."""
    file = io.BytesIO()
    soundfile.write(file, np.concatenate([before, SOUND, after]), rate, format="MP3", bitrate_mode="VARIABLE")
    data = file.getvalue()
    whole, _ = heard(data)
    first, _ = mpeg_frame(data)
    assert b"Xing" in data[:first]
    samples, notices = heard(tag + data[first:])
    n_padding = 2 * 1152 * SAMPLE_RATE / rate  # the first frame also says how much of the sound is the encoder's
    assert 0 <= len(samples) - len(whole) <= n_padding and notices == []
    for a, b in ((0, 0.3), (0.4, 0.5), (0.8, 0.95)):
        there, here = (np.std(each[int(a * len(each)) : int(b * len(each))]) for each in (whole, samples))
        assert here == pytest.approx(there, rel=0.1, abs=1e-3)


@pytest.mark.parametrize("at", [0.3, 0.8])
def test_damage_in_an_mp3_without_a_length_costs_no_sound_behind_it(heard, at):
    data = encoded("MP3", None)
    data = data[mpeg_frame(data)[0] :]
    place = int(at * len(data))
    samples, _ = heard(data[:place] + bytes(range(250)) * 4 + data[place:])
    assert len(samples) > 0.9 * len(SOUND)


@needs_ffmpeg
@pytest.mark.parametrize("n_damaged", [1, 300])
def test_a_flac_is_heard_behind_damage(heard, n_damaged):
    data = bytearray(encoded("FLAC", None))
    half = len(data) // 2
    data[half : half + n_damaged] = bytes(byte ^ 0x5A for byte in data[half : half + n_damaged])
    samples, [notice] = heard(bytes(data), "damaged.flac")
    assert len(samples) > 0.85 * len(SOUND)
    assert np.allclose(samples[: SAMPLE_RATE // 2], SOUND[: SAMPLE_RATE // 2], atol=1e-3)
    assert np.abs(samples[-SAMPLE_RATE // 2 :]).max() > 0.1
    assert "damaged.flac is damaged at 0:01." in notice and "what can be read after it is heard, up to 0:0" in notice


def loud(samples):
    """The stretches of sound, in seconds to a tenth; pauses of less than half a second belong to them."""
    where = np.flatnonzero(np.abs(samples) > 0.02) / SAMPLE_RATE
    edges = np.flatnonzero(np.diff(where) > 0.5)
    return [(round(where[a], 1), round(where[b], 1)) for a, b in zip([0, *edges + 1], [*edges, -1], strict=True)]


@needs_ffmpeg
@pytest.mark.parametrize("name", ["late.mp4", "late.mkv", "late.mov"])
def test_sound_that_begins_after_the_pictures_keeps_its_time(heard, tmp_path, name):
    video = ["-f", "lavfi", "-i", "testsrc=d=6:s=64x64:r=5", "-map", "1", "-map", "0", "-c:a", "aac"]
    on_time, _ = heard(ffmpeg(tmp_path, name, *video).read_bytes(), name)
    late = ffmpeg(tmp_path, name, *video, "-af", "asetpts=PTS+2/TB")
    samples, notices = heard(late.read_bytes(), name)
    [(start, end)], [(first, last)] = loud(on_time), loud(samples)
    assert first == pytest.approx(start + 2, abs=0.15) and last == pytest.approx(end + 2, abs=0.15) and notices == []


@needs_ffmpeg
@pytest.mark.parametrize("gap", [2, 20])
@pytest.mark.parametrize("name", ["gap.mkv", "gap.m4a", "gap.ts"])
def test_a_gap_in_the_times_of_a_container_is_silence(heard, tmp_path, name, gap):
    paused = ["-af", f"asetpts='if(gt(T,1.5),PTS+{gap}/TB,PTS)'", "-c:a", "aac"]
    samples, notices = heard(ffmpeg(tmp_path, name, *paused).read_bytes(), name)
    assert len(samples) / SAMPLE_RATE == pytest.approx(SECONDS + gap, abs=0.2) and notices == []
    assert loud(samples)[-1][1] == pytest.approx(loud(SOUND)[-1][1] + gap, abs=0.2)
    assert not any(1.8 < start < 1.3 + gap for start, _ in loud(samples))


@needs_ffmpeg
def test_times_that_go_back_cost_no_sound(heard, tmp_path):
    one = ffmpeg(tmp_path, "x.ts", "-c:a", "aac").read_bytes()
    samples, _ = heard(one + one, "two.ts")
    assert len(samples) > 1.9 * len(SOUND) and np.abs(samples[-SAMPLE_RATE:]).max() > 0.1


@needs_ffmpeg
@pytest.mark.parametrize("name", ["x.aac", "x.ac3"])
def test_a_length_that_ffmpeg_guesses_is_not_missed(heard, tmp_path, name):
    long = ["-af", f"adelay={9000}:all=1,apad=pad_dur=9"]
    samples, notices = heard(ffmpeg(tmp_path, name, *long).read_bytes(), name)
    assert len(samples) / SAMPLE_RATE == pytest.approx(SECONDS + 18, abs=0.2) and notices == []


@needs_ffmpeg
@pytest.mark.parametrize("made", CONTAINERS)
def test_containers_are_heard_under_any_name(heard, contained, made):
    data = contained(made)
    for name in (made, "a.wav", "noname"):
        samples, notices = heard(data, name)
        assert len(samples) == pytest.approx(len(SOUND), abs=0.3 * SAMPLE_RATE) and notices == [], name


@needs_ffmpeg
@pytest.mark.parametrize("made", MORE_CONTAINERS)
def test_other_containers_are_heard(heard, tmp_path, made):
    samples, _ = heard(ffmpeg(tmp_path, made, *MORE_CONTAINERS[made]).read_bytes(), "noname")
    assert len(samples) == pytest.approx(len(SOUND), abs=0.3 * SAMPLE_RATE)


@needs_ffmpeg
@pytest.mark.parametrize("share", [0.4, 0.85])
@pytest.mark.parametrize("made", sorted(set(CONTAINERS) - {"x.m4a", "x.mov"}))
def test_a_container_that_ends_early_is_told_once(heard, contained, made, share):
    data = contained(made)
    samples, notices = heard(data[: int(len(data) * share)], made)
    assert len(samples) < 0.95 * len(SOUND) and len(notices) == 1
    assert "cut short" in notices[0] and "\n" not in notices[0]


@needs_ffmpeg
def test_a_container_without_its_table_is_refused(heard, tmp_path):
    data = ffmpeg(tmp_path, "x.m4a").read_bytes()
    with pytest.raises(AudioError, match="the end of the file is missing"):
        heard(data[: len(data) // 2], "x.m4a")


@needs_ffmpeg
@pytest.mark.parametrize("name", ["two.mkv", "two.m4a", "two.mov"])
@pytest.mark.parametrize("first_is_silent", [True, False])
def test_of_several_tracks_one_with_sound_is_heard_and_named(heard, tmp_path, name, first_is_silent):
    silence = ["-f", "lavfi", "-i", f"anullsrc=r={SAMPLE_RATE}:cl=mono"]
    order = ["-map", "1", "-map", "0"] if first_is_silent else ["-map", "0", "-map", "1"]
    path = ffmpeg(tmp_path, name, *silence, *order, "-shortest", "-c:a", "aac")
    samples, notices = heard(path.read_bytes(), name)
    assert np.abs(samples).max() > 0.1
    which = "track 2, the first that has sound" if first_is_silent else "track 1, the first"
    assert len(notices) == 1 and f"has 2 audio tracks; {which}, is heard" in notices[0]


DASH = """<?xml version="1.0" encoding="ISO-8859-1"?><!-- {byte} -->
<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" profiles="urn:mpeg:dash:profile:isoff-on-demand:2011" type="static"
 mediaPresentationDuration="PT3S"><Period><AdaptationSet mimeType="audio/mp4" contentType="audio">
<Representation id="1" bandwidth="64000"><BaseURL>{other}</BaseURL></Representation></AdaptationSet></Period></MPD>"""
PLAYLISTS = {
    "hls": "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:6,\n{other}\n#EXT-X-ENDLIST\n#{byte}",
    "dash": DASH,
    "concat": "ffconcat version 1.0\nfile '{other}'\n#{byte}",
}


@needs_ffmpeg
@pytest.mark.parametrize("kind", PLAYLISTS)
def test_a_file_that_names_other_files_is_not_followed(heard, tmp_path, kind):
    others = ffmpeg(tmp_path, "other.mp3"), ffmpeg(tmp_path, "other.m4a", "-movflags", "faststart")
    for other in (*map(str, others), "other.mp3", "http://[::1]/x.mp3"):
        for byte in ("\xff", ""):
            data = PLAYLISTS[kind].format(other=other, byte=byte).encode("latin-1")
            with pytest.raises(AudioError, match="not audio"):
                heard(data, "noname")
            for name in ("list.m4a", "list.m3u8", "list.mpd"):
                with pytest.raises(AudioError):
                    heard(data, name)


@needs_ffmpeg
def test_pictures_have_no_sound(heard, tmp_path):
    video = ["-f", "lavfi", "-i", "testsrc=d=1:s=64x64", "-map", "1"]
    with pytest.raises(AudioError, match="no sound in it, only pictures"):
        heard(ffmpeg(tmp_path, "v.mp4", *video).read_bytes(), "v.mp4")


def test_parts_of_a_file_do_not_overlap(tmp_path):
    path = tmp_path / "all.wav"
    path.write_bytes(wav(data=0) + wav(after=LIST) + wav(data=3200))
    with path.open("rb") as file:
        parts = find_parts(file.fileno(), path.stat().st_size)
    assert len(parts) == 3 and all(a.end <= b.start for a, b in zip(parts, parts[1:], strict=False))


@pytest.mark.parametrize("end", [1, SAMPLE_RATE // 3, SAMPLE_RATE, 2 * SAMPLE_RATE + 7])
def test_nothing_behind_the_wanted_end_is_read(tmp_path, end):
    (tmp_path / "x.wav").write_bytes(wav())
    recording = Recording(tmp_path / "x.wav", end)
    recording.read_to(SECONDS * SAMPLE_RATE)
    assert recording.at_end and recording.read_samples == end
    assert len(recording.sound(0, SECONDS * SAMPLE_RATE)) == end
    recording.close()

"""A Microphone on the real PortAudio, ALSA and PulseAudio, with a player at the other end of a virtual microphone."""

import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile

from livecap.audio_in.device import devices, portaudio
from livecap.audio_in.device.capture import CaptureConfig
from livecap.audio_in.device.devices import choose_input, find_input, list_inputs
from livecap.audio_in.device.enumeration import OURS, inputs_now
from livecap.audio_in.device.microphone import Microphone
from livecap.audio_in.spool import Spool
from livecap.errors import AudioError
from livecap.transcript import SAMPLE_RATE
from tests.audio_in import virtual_mic
from tests.audio_in.portaudio_here import show_portaudio
from tests.audio_in.virtual_mic import VirtualMic
from tests.audio_in.waiting import blocks, eventually

pytestmark = [
    pytest.mark.mic,
    pytest.mark.skipif(virtual_mic.missing() is not None, reason=str(virtual_mic.missing())),
]

PROVE = bool(os.environ.get("LIVECAP_PROVE"))
HEARS_SILENCE = CaptureConfig(zeros_seconds=600.0)
"""A virtual microphone delivers zeros until the player runs, which takes long on a busy machine."""


@pytest.fixture
def mic(monkeypatch):
    """A daemon with two microphones, which PortAudio lists."""
    virtual = VirtualMic()
    try:
        virtual.add("BlackHole 2ch", 48_000, 2)
        virtual.add("MacBook Pro Microphone", SAMPLE_RATE, 1)
        show_portaudio(virtual, monkeypatch)
        yield virtual
    finally:
        virtual.close()


@pytest.fixture
def listen(mic):
    """Opens Microphones at the sink's own rate (ALSA's plugin reports 44.1 kHz for all); closes them at the end."""
    opened = []

    def as_the_sink(device):
        sink = mic.sinks.get(device.name)
        return replace(device, default_rate=sink.rate, n_channels=sink.n_channels) if sink else device

    native = SimpleNamespace(
        list_inputs=lambda: [as_the_sink(device) for device in list_inputs()],
        probe_inputs=lambda wanted: [as_the_sink(device) for device in portaudio.probe_inputs(wanted)],
        open_input=devices.open_input,
        reinitialise=devices.reinitialise,
        default_input_name=portaudio.default_input_name,
    )

    def open_microphone(name, portaudio=native, config=HEARS_SILENCE, **options):
        notices = []

        def on_notice(message, severity="warning"):
            notices.append(message)

        opened.append(Microphone(name, on_notice=on_notice, portaudio=portaudio, config=config, **options))
        return opened[-1], notices

    yield open_microphone
    for source in opened:
        source.close()


@pytest.fixture
def noise(tmp_path):
    """Writes white noise as 16-bit WAV; returns its path and samples."""

    def make(seconds, rate=SAMPLE_RATE, n_channels=1, amplitude=3000):
        rng = np.random.default_rng(0)
        # Never zero, so that it differs from the silence around it.
        samples = rng.integers(1, amplitude, (round(rate * seconds), n_channels)).astype(np.int16)
        samples *= rng.choice(np.array([-1, 1], np.int16), samples.shape)
        path = tmp_path / f"noise_{rate}_{n_channels}.wav"
        soundfile.write(path, samples, rate)
        return path, samples

    return make


def play(mic, source, name, path):
    """Play a sound file into a microphone; returns when the source has heard it."""
    assert mic.play(name, path).wait(60) == 0
    time.sleep(0.3)  # what is still on its way
    eventually(lambda: source.level == 0)


def heard(source):
    """All samples of a source, and [start, end) of its gaps; closes it."""
    source.close()
    pieces = list(blocks(source))
    ends = [0, *(piece.end_sample for piece in pieces)]
    gaps = [(end, piece.start_sample) for end, piece in zip(ends, pieces, strict=False) if piece.start_sample > end]
    return np.concatenate([piece.samples for piece in pieces]), gaps


def test_what_is_played_is_captured_bit_for_bit(mic, listen, noise):
    path, played = noise(1.0)
    source, notices = listen("MacBook Pro Microphone")
    play(mic, source, "MacBook Pro Microphone", path)
    samples, gaps = heard(source)
    sounding = np.flatnonzero(samples)
    captured = samples[sounding[0] : sounding[-1] + 1]
    assert np.array_equal(np.round(captured * 32768).astype(np.int16), played[:, 0])
    assert gaps == [] and notices == [] and source.health.n_overflows == source.health.n_flags == 0


def test_a_microphone_that_is_connected_while_another_is_heard_is_listed(mic, listen):
    source, notices = listen("MacBook Pro Microphone")
    eventually(lambda: source.is_open)
    assert inputs_now(portaudio, OURS, 20) == list_inputs()
    mic.add("AirPods", SAMPLE_RATE, 1)
    there = inputs_now(portaudio, OURS, 20)
    assert "AirPods" in [device.name for device in there]
    eventually(lambda: source.is_open)
    moved = replace(choose_input("BlackHole 2ch", there), index=choose_input("AirPods", there).index)
    with pytest.raises(AudioError, match="listed again"):
        devices.open_input(moved, 1, 320, 0.1, lambda *block: None, lambda: None)
    assert notices == []


@pytest.mark.parametrize("as_reported", [False, True])
def test_stereo_at_another_rate_becomes_16_khz_mono(mic, listen, tmp_path, as_reported):
    t = np.arange(48_000) / 48_000
    tone = 0.5 * np.sin(2 * np.pi * 440 * t)
    soundfile.write(tmp_path / "tone.wav", np.stack([tone, tone], axis=1), 48_000, subtype="PCM_16")
    options = {"portaudio": devices} if as_reported else {}
    source, _ = listen("blackhole", **options)
    assert source.name == "BlackHole 2ch"
    play(mic, source, "BlackHole 2ch", tmp_path / "tone.wav")
    samples, gaps = heard(source)
    sounding = np.flatnonzero(np.abs(samples) > 0.01)
    tone_samples = samples[sounding[0] : sounding[-1] + 1]
    assert len(tone_samples) == pytest.approx(SAMPLE_RATE, abs=100)
    middle = tone_samples[4000:12000]
    assert np.abs(np.fft.rfft(middle)).argmax() == 220 and np.abs(middle).max() == pytest.approx(0.5, abs=0.02)
    assert gaps == []


def test_inputs_are_listed_and_found_by_name(mic):
    names = [device.name for device in list_inputs()]
    assert names[:3] == ["BlackHole 2ch", "MacBook Pro Microphone", "default"]
    assert names[3:] == ["Monitor of BlackHole 2ch", "Monitor of MacBook Pro Microphone"]
    assert find_input(None).name == "default"
    assert find_input("macbook pro microphone").index == 1
    with pytest.raises(AudioError, match=r"More than one.*0 BlackHole 2ch, 1 MacBook Pro Microphone"):
        find_input("c")
    with pytest.raises(AudioError, match='No input named "Yeti". Found: 0 BlackHole 2ch'):
        find_input("Yeti")
    mic.add("AirPods", 24_000, 1)
    devices.reinitialise()
    assert find_input("AirPods").name == "AirPods"


def test_what_the_machine_plays_is_found_by_name_and_heard(mic, listen, noise):
    path, played = noise(1.0, 48_000, 2)
    source, notices = listen("monitor of black", portaudio=portaudio)
    assert source.name == "Monitor of BlackHole 2ch"
    mic.play("MacBook Pro Microphone", noise(1.0)[0])  # not this one
    play(mic, source, "BlackHole 2ch", path)
    samples, gaps = heard(source)
    sounding = np.flatnonzero(np.abs(samples) > 1e-3)
    assert sounding[-1] - sounding[0] == pytest.approx(SAMPLE_RATE, abs=100) and gaps == []


def test_two_devices_are_heard_side_by_side_and_one_may_die(mic, listen, noise, tmp_path):
    path, _ = noise(1.0)  # not the default device, whose streams PulseAudio would move
    spool = Spool()
    spool.keep_in(tmp_path / "them.wav")
    me, me_notices = listen("BlackHole 2ch", portaudio=portaudio)
    them, them_notices = listen("MacBook Pro Microphone", portaudio=portaudio, spool=spool)
    eventually(lambda: me.arrived_samples > 0 and them.arrived_samples > 0)
    mic.remove("MacBook Pro Microphone")
    eventually(lambda: them.trouble == "away")
    mic.play("BlackHole 2ch", path).wait(20)
    assert me.trouble is None and me.health.n_opened == 1
    mic.add("MacBook Pro Microphone", SAMPLE_RATE, 1)
    back_at = time.monotonic()
    eventually(lambda: them.trouble is None)
    if PROVE:  # elsewhere the machine may be busy with other things
        assert time.monotonic() - back_at < 3
    play(mic, them, "MacBook Pro Microphone", path)
    mine, my_gaps = heard(me)
    theirs, their_gaps = heard(them)
    assert np.count_nonzero(np.abs(mine) > 1e-3) > 0.9 * SAMPLE_RATE
    assert my_gaps == [] and me.health.n_opened == 1
    assert len(their_gaps) == 1 and np.count_nonzero(np.abs(theirs) > 1e-3) > 0.9 * SAMPLE_RATE
    assert me_notices == [] and "is gone" in them_notices[0] and "is back" in them_notices[1]
    spool.close()
    on_disk, _ = soundfile.read(spool.path, dtype="float32")
    assert len(on_disk) == them.arrived_samples and np.count_nonzero(on_disk) == np.count_nonzero(theirs)


@pytest.mark.parametrize("fault", ["vanish", "crash", "suspend"])
def test_a_device_that_dies_and_returns_leaves_a_gap_and_goes_on(mic, listen, noise, fault):
    path, _ = noise(0.5)
    name = "MacBook Pro Microphone"
    source, notices = listen(name)
    mic.play(name, path).wait(20)
    if fault == "vanish":
        mic.vanish(name)
    elif fault == "crash":
        mic.crash()
    else:
        mic.suspend(name)
    eventually(lambda: notices)
    before = source.arrived_samples
    assert "is gone" in notices[0]
    time.sleep(0.5)
    assert source.arrived_samples == before
    back_at = time.monotonic()
    if fault == "vanish":
        mic.restore(name)
    elif fault == "crash":
        mic.restart()
    else:
        mic.suspend(name, False)
    eventually(lambda: len(notices) == 2)
    back_seconds = time.monotonic() - back_at
    play(mic, source, name, path)
    samples, gaps = heard(source)
    assert "is back" in notices[1] and source.health.n_opened >= 2
    assert len(gaps) == 1
    gap_seconds = (gaps[0][1] - gaps[0][0]) / SAMPLE_RATE
    assert 0.4 < gap_seconds < 10 + back_seconds
    if PROVE and fault != "suspend":  # the plugin starts a suspended sink when it is opened again
        assert back_seconds < 5
    after = samples[gaps[0][0] :]
    assert np.count_nonzero(samples[: gaps[0][0]]) > 0.45 * SAMPLE_RATE
    assert np.count_nonzero(after) == 0.5 * SAMPLE_RATE


def test_mute_is_reported_as_digital_silence_and_so_is_its_end(mic, listen, noise):
    source, notices = listen("MacBook Pro Microphone", config=CaptureConfig(zeros_seconds=1.0))
    mic.mute("MacBook Pro Microphone")
    eventually(lambda: notices)
    assert "digital silence" in notices[0] and source.level == 0 and source.trouble == "silent"
    assert SAMPLE_RATE <= source.arrived_samples
    mic.mute("MacBook Pro Microphone", False)
    mic.play("MacBook Pro Microphone", noise(0.5)[0])
    eventually(lambda: source.trouble is None and len(notices) > 1)
    assert notices[1:] == ['"MacBook Pro Microphone" has sound again.']


def test_pause_hears_nothing_and_resume_goes_on(mic, listen, noise):
    path, played = noise(0.5)
    source, notices = listen("MacBook Pro Microphone")
    eventually(lambda: source.arrived_samples > 3200)
    source.pause()
    paused_at = source.arrived_samples
    play(mic, source, "MacBook Pro Microphone", path)
    assert source.arrived_samples == paused_at
    source.resume()
    eventually(lambda: source.arrived_samples > paused_at)
    play(mic, source, "MacBook Pro Microphone", path)
    samples, gaps = heard(source)
    assert np.count_nonzero(samples) == len(played) and notices == []
    assert len(gaps) <= 1  # opening may take time, and who goes on may speak at once
    assert all(start == paused_at and end - start < 10 * SAMPLE_RATE for start, end in gaps)


def test_a_listed_device_that_cannot_be_opened_is_reported(mic, listen):
    mic.vanish("BlackHole 2ch")
    with pytest.raises(AudioError, match='"BlackHole 2ch" could not be opened'):
        listen("BlackHole 2ch")


def test_what_portaudio_prints_of_a_device_that_cannot_be_opened_is_one_line(mic, tmp_path):
    config = tmp_path / "alsa.conf"
    config.write_text(
        'pcm_type.pulse { }\npcm.Dead { type pulse device "nosuch.monitor" }\n'
        'pcm.default { type pulse device "nosuch.monitor" }\nctl.default { type pulse }\n'
    )
    command = [sys.executable, "-m", "livecap", "--device", "Dead", "--model", "tiny", "--plain", "--log-dir", tmp_path]
    out = subprocess.run(
        command,
        capture_output=True,
        text=True,
        timeout=60,
        cwd=Path(__file__).parents[2],
        env=os.environ | mic.env | {"ALSA_CONFIG_PATH": str(config), "XDG_STATE_HOME": str(tmp_path)},
    )
    assert out.returncode == 1 and out.stdout == ""
    [line] = out.stderr.splitlines()
    assert line.startswith("livecap: ") and "Dead" in line


def test_closing_a_suspended_device_returns_soon(mic, listen):
    source, _ = listen("BlackHole 2ch")
    eventually(lambda: source.arrived_samples > 0)
    mic.suspend("BlackHole 2ch")
    time.sleep(0.2)
    started = time.monotonic()
    source.close()
    assert time.monotonic() - started < 15  # `close` waits a second; a device that hangs would take for ever


def test_no_thread_or_file_is_left_behind(mic, listen):
    def open_files():
        return len(os.listdir("/proc/self/fd"))

    listen("BlackHole 2ch")[0].close()
    before = open_files()
    for _ in range(5):
        listen("BlackHole 2ch")[0].close()
    assert open_files() <= before

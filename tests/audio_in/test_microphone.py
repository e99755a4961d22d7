"""Every sample of an input arrives or is part of a gap, whatever the device does, with a fake PortAudio."""

import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from livecap.audio_in.device.capture import CaptureConfig, EarlyCapture
from livecap.audio_in.device.devices import InputDevice
from livecap.errors import AudioError
from livecap.transcript import SAMPLE_RATE
from tests.audio_in.fake_portaudio import CONFIG, MIC, OTHER
from tests.audio_in.waiting import WITHIN_SECONDS, blocks, capture_threads, eventually


def ramp(start, n_samples=320):
    """Samples whose values tell their positions."""
    return (np.arange(start, start + n_samples) + 1) / 2**15


def test_all_that_arrived_comes_at_once_to_a_late_reader(ear):
    one = ear()
    source = one.open()
    assert source.live and source.name == "Yeti"
    for start in range(0, 3200, 320):
        one.hear(ramp(start))
    assert source.arrived_samples == 3200
    assert source.level == pytest.approx(ramp(3199, 1)[0])
    heard = blocks(source)
    first = next(heard)
    assert first.start_sample == 0 and np.array_equal(first.samples, ramp(0, 3200).astype(np.float32))
    one.hear(ramp(3200))
    assert next(heard).start_sample == 3200
    one.stream.hear(ramp(3520))  # not fetched yet
    source.close()
    assert [(block.start_sample, block.end_sample) for block in heard] == [(3520, 3840)]
    assert one.stream.closed and source.health.n_blocks == 12 and source.health.n_opened == 1


def test_a_waiting_reader_is_woken_by_sound_and_by_close(ear):
    one = ear()
    source, got = one.open(), []
    reader = threading.Thread(target=lambda: got.extend(blocks(source)))
    reader.start()
    one.hear(ramp(0))
    eventually(lambda: len(got) == 1)
    source.close()
    source.close()
    reader.join(5)
    assert not reader.is_alive() and len(got) == 1


def test_the_native_rate_is_opened(ear):
    device = InputDevice(3, "Yeti", "Core Audio", 2, 48_000, True)
    one = ear(device)
    source = one.open()
    t = np.arange(48_000) / 48_000
    tone = 0.5 * np.sin(2 * np.pi * 440 * t)
    for block in np.split(np.stack([tone, tone], axis=1), 50):
        one.hear(block)
    source.close()
    samples = np.concatenate([block.samples for block in blocks(source)])
    expected = 0.5 * np.sin(2 * np.pi * 440 * np.arange(SAMPLE_RATE) / SAMPLE_RATE)
    assert len(samples) == SAMPLE_RATE
    assert np.abs(samples - expected)[200:-200].max() < 1e-3


@pytest.mark.parametrize("n_channels", [1, 2, 3, 6, 16])
def test_a_voice_in_any_channel_is_heard(ear, n_channels):
    device = InputDevice(3, "Yeti", "Core Audio", n_channels, SAMPLE_RATE, True)
    one = ear(device)
    source = one.open()
    sound = np.zeros((SAMPLE_RATE, n_channels))
    sound[:, -1] = 0.5 * np.sin(2 * np.pi * 440 * np.arange(SAMPLE_RATE) / SAMPLE_RATE)
    for block in np.split(sound, 50):
        one.hear(block)
    source.close()
    samples = np.concatenate([block.samples for block in blocks(source)])
    assert one.stream.n_channels == n_channels
    assert np.abs(samples - sound[:, -1])[-2000:].max() < 1e-3


@pytest.mark.parametrize(
    ("api", "n_channels", "opened"),
    [("Core Audio", 64, 16), ("Core Audio", 32, 16), ("ALSA", 8, 8), ("ALSA", 32, 2), ("ALSA", 128, 2)],
)
def test_the_number_of_channels_has_bounds(ear, api, n_channels, opened):
    one = ear(InputDevice(3, "Yeti", api, n_channels, SAMPLE_RATE, True))
    source = one.open()
    eventually(lambda: one.portaudio.streams)
    assert one.stream.n_channels == opened
    source.close()


def test_a_device_that_refuses_all_its_channels_is_opened_with_two(ear):
    one = ear(InputDevice(3, "Yeti", "Core Audio", 8, SAMPLE_RATE, True))
    one.portaudio.faults = [AudioError("Invalid number of channels")]
    source = one.open()
    one.hear(np.full((SAMPLE_RATE, 2), 0.25))
    source.close()
    assert one.stream.n_channels == 2 and sum(len(block.samples) for block in blocks(source)) == SAMPLE_RATE


@pytest.mark.parametrize("rate, n_blocks", [(SAMPLE_RATE, 75), (48_000, 75)])
def test_a_full_ring_becomes_a_gap_of_exact_place_and_length(ear, rate, n_blocks):
    """The capture thread cannot run while 1.5 s arrive in a ring buffer of 1 s."""
    device = InputDevice(3, "Yeti", "Core Audio", 1, rate, True)
    one = ear(device)
    source = one.open()
    one.hear(np.full(rate // 2, 0.25))
    one.stream.keep_capture_thread()
    for _ in range(n_blocks):
        one.stream.hear(np.full(rate // 50, 0.5))
    one.stream.may_answer.set()
    eventually(lambda: source.health.n_overflows == 1)
    source.close()
    before, after = list(blocks(source))
    assert (before.start_sample, before.end_sample) == (0, SAMPLE_RATE // 2)
    assert (after.start_sample, after.end_sample) == (SAMPLE_RATE, 2 * SAMPLE_RATE)
    assert source.arrived_samples == 2 * SAMPLE_RATE


def test_a_device_that_vanished_is_opened_again_by_name_with_a_gap(ear):
    one = ear()
    source = one.open()
    one.hear(ramp(0, 1600))
    one.portaudio.plugged = [OTHER]
    one.stream.die()
    eventually(lambda: one.portaudio.n_reinitialised > 3)
    assert len(one.portaudio.streams) == 1 and source.level == 0 and source.arrived_samples == 1600
    assert one.notices == ['"Yeti" is gone. Waiting for it; nothing is captured until it is back.']
    one.portaudio.seconds += 2.5
    one.portaudio.plugged = [InputDevice(9, "Yeti", "Core Audio", 1, SAMPLE_RATE, False), OTHER]
    one.reopened(2)
    one.hear(ramp(0, 320))
    source.close()
    first, second = list(blocks(source))
    assert second.start_sample == 1600 + round(2.5 * SAMPLE_RATE)
    assert np.array_equal(second.samples, ramp(0, 320).astype(np.float32))
    assert one.notices[1:] == ['"Yeti" is back; 2.5 s were lost.']
    assert source.name == "Yeti" and source.health.n_opened == 2 and source.health.n_blocks == 2


def test_what_was_heard_before_the_loss_is_kept_with_the_resamplers_rest(ear):
    device = InputDevice(3, "Yeti", "Core Audio", 1, 48_000, True)
    one = ear(device)
    source = one.open()
    one.hear(np.full(48_000, 0.5))
    one.stream.die()
    one.reopened(2)
    one.hear(np.full(48_000, 0.5))
    source.close()
    heard = list(blocks(source))
    assert sum(len(block.samples) for block in heard) == 2 * SAMPLE_RATE == source.arrived_samples
    assert not any("add up" in notice for notice in one.notices)


@pytest.mark.parametrize("heard_before", [True, False])
def test_a_device_that_falls_silent_without_a_word_is_lost(ear, heard_before):
    one = ear()
    source = one.open()
    if heard_before:
        one.hear(ramp(0, 1600))
    one.portaudio.seconds += CONFIG.stall_seconds if heard_before else CONFIG.first_block_seconds
    one.portaudio.seconds += 0.1
    one.reopened(2)
    one.hear(ramp(0, 320))
    source.close()
    lost_seconds = (CONFIG.stall_seconds if heard_before else CONFIG.first_block_seconds) + 0.1
    assert list(blocks(source))[-1].start_sample == 1600 * heard_before + round(lost_seconds * SAMPLE_RATE)


def test_a_device_that_is_not_active_any_more_is_lost(ear):
    one = ear()
    one.open()
    one.hear(ramp(0))
    one.stream.is_active = False
    one.reopened(2)


def test_a_hundred_losses_in_a_row_lose_no_count(ear):
    n_threads = threading.active_count()
    one = ear()
    source = one.open()
    began = one.portaudio.seconds
    n_heard = 0
    for i in range(100):
        one.hear(ramp(0, 160 + i))
        n_heard += 160 + i
        one.portaudio.seconds += 0.25
        one.stream.die()
        one.reopened(i + 2)
    one.hear(ramp(0, 160))
    source.close()
    heard = list(blocks(source))
    assert sum(len(block.samples) for block in heard) == n_heard + 160
    assert source.arrived_samples == pytest.approx((one.portaudio.seconds - began) * SAMPLE_RATE, abs=100)
    assert len(heard) == 101 and threading.active_count() <= n_threads


def test_a_named_device_is_never_replaced_by_one_that_sounds_alike(ear):
    one = ear(MIC, OTHER, query="Yet")
    source = one.open()
    one.hear(ramp(0))
    one.portaudio.plugged = [OTHER, InputDevice(3, "Yeti Nano", "Core Audio", 1, SAMPLE_RATE, False)]
    one.stream.die()
    eventually(lambda: one.portaudio.n_reinitialised > 3)
    assert len(one.portaudio.streams) == 1 and source.name == "Yeti"


def test_twins_chosen_by_index_are_opened_again_by_index(ear):
    twins = [InputDevice(i, "USB Audio", "Core Audio", 1, SAMPLE_RATE, False) for i in (1, 4)]
    one = ear(*twins, query=4)
    one.open()
    one.hear(ramp(0))
    one.stream.die()
    one.reopened(2)
    assert one.stream.device.index == 4


def test_the_default_input_may_become_another(ear):
    one = ear(MIC, OTHER, query=None)
    source = one.open()
    assert source.name == "Yeti"
    one.hear(ramp(0))
    one.portaudio.plugged = [InputDevice(3, OTHER.name, "Core Audio", 1, SAMPLE_RATE, True)]
    one.stream.die()
    one.reopened(2)
    eventually(lambda: len(one.notices) == 2)
    assert source.name == OTHER.name and OTHER.name in one.notices[1]


def test_pause_closes_the_device_and_is_no_gap(ear):
    one = ear()
    source = one.open()
    one.hear(ramp(0))
    one.stream.hear(ramp(320))
    source.pause()
    source.pause()
    assert one.stream.closed and source.arrived_samples == 640 and source.level == 0
    one.portaudio.seconds += 3600
    source.resume()
    source.resume()
    one.reopened(2)
    one.hear(ramp(640))
    source.close()
    spans = [(block.start_sample, block.end_sample) for block in blocks(source)]
    assert spans == [(0, 640), (640, 640), (640, 960)], "the pause is told where it was, to a late reader too"
    assert one.notices == [] and one.portaudio.n_reinitialised == 0


class Opening:
    """Makes every further opening of the device of an Ear take until it is told to end."""

    def __init__(self, one):
        self.began, self._may_end = threading.Event(), threading.Event()
        opens = one.portaudio.open_input
        one.portaudio.open_input = lambda *args: self._wait() and opens(*args)

    def _wait(self):
        self.began.set()
        return self._may_end.wait(WITHIN_SECONDS)

    def end(self):
        self._may_end.set()


def resumed_slowly(one, source):
    """Pause for an hour and go on; the device is being opened."""
    source.pause()
    one.portaudio.seconds += 3600
    opening = Opening(one)
    source.resume()
    assert opening.began.wait(WITHIN_SECONDS)
    return opening


def test_what_is_missed_until_the_device_is_open_again_is_a_gap(ear):
    """A Bluetooth microphone takes a second or two, and the user speaks at once."""
    one = ear()
    source = one.open()
    one.hear(ramp(0))
    opening = resumed_slowly(one, source)
    one.portaudio.seconds += 1.5
    opening.end()
    one.reopened(2)
    one.hear(ramp(320))
    source.close()
    spans = [(block.start_sample, block.end_sample) for block in blocks(source)]
    assert spans == [(0, 320), (320, 320), (320 + 24_000, 640 + 24_000)] and one.notices == []


def test_the_time_to_open_a_device_is_not_taken_from_that_to_its_first_block(ear):
    one = ear()
    source = one.open()
    one.hear(ramp(0))
    opening = resumed_slowly(one, source)
    one.portaudio.seconds += CONFIG.first_block_seconds + 1
    opening.end()
    one.reopened(2)
    one.portaudio.seconds += CONFIG.first_block_seconds - 0.1
    one.passes()
    assert not one.stream.closed and one.notices == []


@pytest.mark.parametrize("resumed", ["before it is open", "afterwards"])
def test_a_pause_while_the_device_is_opened_counts_no_pause_and_hears_nothing(ear, resumed):
    one = ear()
    source = one.open()
    one.hear(ramp(0))
    opening = resumed_slowly(one, source)
    one.portaudio.seconds += 1
    source.pause()
    assert source.arrived_samples == 320 + SAMPLE_RATE
    one.portaudio.seconds += 60
    if resumed == "before it is open":
        source.resume()
        one.portaudio.seconds += 0.5
        opening.end()
        one.reopened(2)
    else:
        opening.end()
        eventually(lambda: len(one.portaudio.streams) == 2 and one.stream.closed)
        source.resume()
        one.reopened(3)
        one.portaudio.seconds += 0.5
    one.hear(ramp(320))
    source.close()
    end = 320 + SAMPLE_RATE
    spans = [(block.start_sample, block.end_sample) for block in blocks(source)]
    assert spans == [(0, 320), (320, 320), (end, end), (end + 8000, end + 8320)]


def test_a_pause_is_reported_once_by_an_empty_block(ear):
    one = ear()
    source = one.open()
    heard = blocks(source)
    one.hear(ramp(0))
    assert next(heard).end_sample == 320
    source.pause()
    told = next(heard)
    assert (told.start_sample, len(told.samples)) == (320, 0)
    source.resume()
    one.reopened(2)
    one.hear(ramp(320))
    assert len(next(heard).samples) == 320
    source.close()
    assert list(heard) == []


def test_a_device_that_left_during_the_pause_is_waited_for(ear):
    one = ear()
    source = one.open()
    one.hear(ramp(0))
    source.pause()
    one.portaudio.plugged = [OTHER]
    one.portaudio.seconds += 60
    source.resume()
    eventually(lambda: len(one.notices) == 1)
    one.portaudio.seconds += 2
    one.portaudio.plugged = [MIC]
    one.reopened(2)
    one.hear(ramp(320))
    source.close()
    spans = [(block.start_sample, block.end_sample) for block in blocks(source)]
    assert spans == [(0, 320), (320, 320), (320 + 2 * SAMPLE_RATE, 640 + 2 * SAMPLE_RATE)]


def test_a_loss_before_the_pause_counts_no_pause(ear):
    one = ear()
    source = one.open()
    one.hear(ramp(0))
    one.portaudio.plugged = []
    one.stream.die()
    eventually(lambda: len(one.notices) == 1)
    source.pause()
    one.portaudio.seconds += 60
    one.passes()
    one.portaudio.plugged = [MIC]
    source.resume()
    one.reopened(2)
    one.hear(ramp(320))
    source.close()
    assert source.arrived_samples < SAMPLE_RATE


def test_a_loss_before_the_pause_is_a_gap_and_one_after_it_is_told_again(ear):
    one = ear()
    source = one.open()
    one.hear(ramp(0))
    one.portaudio.plugged = []
    one.stream.die()
    eventually(lambda: len(one.notices) == 1)
    one.portaudio.seconds += 60
    source.pause()
    assert source.arrived_samples == 320 + 60 * SAMPLE_RATE
    eventually(lambda: source.trouble is None)
    one.portaudio.seconds += 5
    one.portaudio.plugged = [MIC]
    source.resume()
    one.reopened(2)
    one.hear(ramp(320))
    one.portaudio.plugged = []
    one.stream.die()
    eventually(lambda: len(one.notices) == 2)
    source.close()
    assert all('"Yeti" is gone' in notice for notice in one.notices)
    end = 320 + 60 * SAMPLE_RATE
    spans = [(block.start_sample, block.end_sample) for block in blocks(source)]
    assert spans == [(0, 320), (end, end), (end, end + 320)]


def test_zeros_for_three_seconds_are_reported_once_and_so_is_the_sound_after_them(ear):
    one = ear()
    source = one.open()
    second = np.zeros(SAMPLE_RATE)
    for _ in range(2):
        one.hear(second)
    assert one.notices == []
    for _ in range(3):
        one.hear(second)
    eventually(lambda: len(one.notices) == 1)
    assert 'Nothing but digital silence from "Yeti" for 3 s' in one.notices[0] and source.trouble == "silent"
    one.hear(ramp(0))
    eventually(lambda: one.notices[1:] == ['"Yeti" has sound again.'])
    assert source.trouble is None
    for _ in range(3):
        one.hear(second)
    eventually(lambda: len(one.notices) == 3)


def test_a_device_that_is_opened_again_is_not_heard_before_there_is_sound(ear):
    one = ear()
    one.open()
    for _ in range(3):
        one.hear(np.zeros(SAMPLE_RATE))
    eventually(lambda: len(one.notices) == 1)
    one.stream.die()
    one.reopened(2)
    one.hear(np.zeros(SAMPLE_RATE))
    assert not any("has sound again" in notice for notice in one.notices)
    one.hear(ramp(0))
    eventually(lambda: "has sound again" in one.notices[-1])


def test_the_permission_is_named_on_a_mac_and_not_for_a_loopback(ear, monkeypatch):
    monkeypatch.setattr("livecap.audio_in.device.notices.sys.platform", "darwin")
    one = ear()
    one.open()
    for _ in range(3):
        one.hear(np.zeros(SAMPLE_RATE))
    eventually(lambda: one.notices)
    assert "Privacy & Security > Microphone" in one.notices[0]

    loopback = ear(InputDevice(0, "BlackHole 2ch", "Core Audio", 2, SAMPLE_RATE, False), query="BlackHole")
    loopback.open()
    for _ in range(2):
        for _ in range(4):
            loopback.hear(np.zeros((SAMPLE_RATE, 2)))
        loopback.hear(np.ones((320, 2)))
    eventually(lambda: loopback.notices)
    assert len(loopback.notices) == 1 and "nothing playing" in loopback.notices[0]


def test_flags_are_counted_and_reported_once(ear):
    one = ear()
    source = one.open()
    for _ in range(3):
        one.hear(ramp(0), flags=2)
    one.hear(ramp(0))
    assert source.health.n_flags == 3
    assert len(one.notices) == 1 and "sound was lost" in one.notices[0]


def test_close_returns_though_the_device_hangs_and_nothing_is_lost(ear):
    one = ear(config=CaptureConfig(poll_seconds=0.001, close_seconds=0.05))
    source = one.open()
    one.stream.hangs = threading.Event()
    one.hear(ramp(0))
    one.stream.hear(ramp(320))
    started = time.monotonic()
    source.close()
    assert time.monotonic() - started < 20  # the device hangs for ever
    assert sum(len(block.samples) for block in blocks(source)) == 640


def test_pause_returns_though_the_device_hangs(ear):
    one = ear(config=CaptureConfig(poll_seconds=0.001, close_seconds=0.05))
    source = one.open()
    one.stream.hangs = threading.Event()
    one.hear(ramp(0))
    source.pause()
    assert source.arrived_samples == 320


def test_a_device_that_hangs_on_opening_is_given_up(ear):
    one = ear(config=CaptureConfig(open_seconds=0.05, close_seconds=0.05))
    hangs = threading.Event()
    open_input = one.portaudio.open_input
    one.portaudio.open_input = lambda *args: hangs.wait() and open_input(*args)
    with pytest.raises(AudioError, match='"Yeti" does not answer'):
        one.open()
    hangs.set()
    eventually(lambda: all(stream.closed for stream in one.portaudio.streams))


def test_a_busy_device_is_tried_three_times(ear):
    one = ear()
    one.portaudio.faults = [AudioError("busy"), AudioError("busy")]
    one.open()
    assert one.portaudio.n_reinitialised == 2

    other = ear()
    other.portaudio.faults = [AudioError("busy")] * 3
    with pytest.raises(AudioError, match="busy"):
        other.open()


def test_an_unknown_device_is_reported_at_once(ear):
    one = ear(query="Rode")
    with pytest.raises(AudioError, match='No input named "Rode"'):
        one.open()
    assert one.portaudio.n_reinitialised == 0


def test_a_mistake_of_ours_is_not_taken_for_the_end(ear):
    def broken(message, severity="warning"):
        raise ZeroDivisionError("oops")

    one = ear()
    one.on_notice = broken
    source = one.open()
    one.hear(ramp(0))
    one.stream.hear(ramp(320), flags=2)  # which is a notice
    got = []
    with pytest.raises(AudioError, match="oops"):
        for block in blocks(source):
            got.append(block)
    assert got[-1].end_sample == 640


def early(one):
    """Start to open the device of an Ear before there is a Microphone."""
    one.early = EarlyCapture("Yeti", now=one.portaudio.now, portaudio=one.portaudio, enumeration=one.enumeration)


def test_sound_is_heard_before_what_hears_it_is_loaded(ear):
    one = ear()
    early(one)
    eventually(lambda: one.portaudio.streams)
    one.stream.hear(ramp(0))
    one.stream.hear(ramp(320))
    source = one.open()
    [one.stream.owner] = [thread.ident for thread in capture_threads()]
    eventually(lambda: source.arrived_samples == 640)
    one.hear(ramp(640))
    source.close()
    assert np.array_equal(np.concatenate([c.samples for c in blocks(source)]), ramp(0, 960).astype(np.float32))
    assert source.health.n_opened == 1 and len(one.portaudio.streams) == 1


def test_a_device_that_cannot_be_opened_early_is_tried_again(ear):
    one = ear()
    one.portaudio.faults = [AudioError("busy")]
    early(one)
    assert one.open().name == "Yeti"


def test_capture_begins_without_slow_libraries():
    late = "numpy mlx soundfile statistics sqlite3 logging livecap.transcript livecap.archive.log".split()
    script = f"import sys, livecap.audio_in.device.capture, livecap.cli.run; print({{*{late}}} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_what_a_default_stands_for_is_told(ear, monkeypatch):
    monkeypatch.setattr("livecap.audio_in.device.microphone.default_source", lambda: "Yeti Nano")
    one = ear(InputDevice(3, "default", "ALSA", 32, SAMPLE_RATE, True), query="default")
    source = one.open()
    eventually(lambda: source.about == "Yeti Nano")
    assert source.name == "default"
    source.close()


def test_a_name_that_says_it_needs_no_question(ear, monkeypatch):
    monkeypatch.setattr("livecap.audio_in.device.microphone.default_source", lambda: "never asked")
    one = ear(InputDevice(3, "Yeti", "ALSA", 1, SAMPLE_RATE, True))
    source = one.open()
    one.hear(ramp(0))
    source.close()
    assert source.about == ""

"""Faults of devices, a hundred times each: sound is kept, lost time is a gap of its length, and capture goes on."""

import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

from livecap.audio_in.device.devices import list_inputs
from livecap.audio_in.device.enumeration import Enumeration, inputs_now
from livecap.audio_in.device.microphone import Microphone
from livecap.errors import AudioError
from livecap.transcript import SAMPLE_RATE
from tests.audio_in.fake_portaudio import CONFIG, MIC, OTHER, FakePortAudio
from tests.audio_in.waiting import WITHIN_SECONDS, blocks, eventually

TIMES = 100
SOUND = np.full(320, 0.5, np.float32)


def account(one):
    """Closes the source: (samples heard, samples lost)."""
    one.source.close()
    heard = list(blocks(one.source))
    n_heard = sum(len(block.samples) for block in heard)
    return n_heard, one.source.arrived_samples - n_heard


def vanishes(one):
    one.portaudio.plugged = [OTHER]
    one.stream.die()
    eventually(lambda: one.source.trouble == "away")
    one.portaudio.seconds += 0.5
    one.portaudio.plugged = [MIC, OTHER]


def falls_silent(one):
    one.portaudio.seconds += CONFIG.stall_seconds + 0.1


def sleeps(one):
    one.portaudio.sleeps(3600)


def becomes_inactive(one):
    one.stream.is_active = False


@pytest.mark.parametrize("fault", [vanishes, falls_silent, sleeps, becomes_inactive], ids=lambda fault: fault.__name__)
def test_the_session_outlives_it_a_hundred_times(ear, fault):
    n_threads = threading.active_count()
    one = ear()
    one.open()
    began = one.portaudio.seconds
    for n in range(TIMES):
        one.hear(SOUND)
        fault(one)
        one.reopened(n + 2)
    one.hear(SOUND)
    ended = one.portaudio.seconds
    n_heard, n_lost = account(one)
    assert n_heard == (TIMES + 1) * len(SOUND)
    assert n_heard + n_lost == pytest.approx((ended - began) * SAMPLE_RATE, abs=TIMES * 2)
    assert threading.active_count() <= n_threads + 2, "its own, and perhaps one that closes a device"


def test_sleep_is_a_gap_of_its_length(ear):
    one = ear()
    one.open()
    one.hear(SOUND)
    one.portaudio.sleeps(8 * 3600)
    one.reopened(2)
    one.hear(SOUND)
    assert account(one) == (640, 8 * 3600 * SAMPLE_RATE)
    assert one.notices == ["The computer was asleep; nothing was captured meanwhile."]


@pytest.mark.parametrize("rate", [SAMPLE_RATE, 44_100, 48_000])
def test_sound_from_before_a_sleep_is_not_said_to_be_heard_after_it(ear, rate):
    """Also the rest that a resampler holds back, which arrives when the computer has woken up."""
    device = replace(MIC, default_rate=rate)
    one = ear(device)
    one.open()
    began, block = one.portaudio.seconds, np.full(rate // 50, 0.5, np.float32)
    for _ in range(10):
        one.hear(block)

    def seconds_off():
        sample, heard = one.source.heard
        return heard - began - sample / SAMPLE_RATE

    assert seconds_off() == pytest.approx(0, abs=0.1)
    one.portaudio.sleeps(3600)
    one.reopened(2)
    assert seconds_off() == pytest.approx(0, abs=0.1)
    for _ in range(10):
        one.hear(block)
    assert one.source.heard[1] > began + 3600 and seconds_off() == pytest.approx(0, abs=0.1)


def test_a_computer_that_sleeps_while_its_device_is_looked_after_was_asleep(ear):
    one = ear()
    one.open()
    one.hear(SOUND)
    one.stream.keep_capture_thread()
    one.portaudio.sleeps(8 * 3600)
    one.stream.is_active = False
    one.stream.may_answer.set()
    one.reopened(2)
    one.hear(SOUND)
    assert account(one) == (640, 8 * 3600 * SAMPLE_RATE)
    assert one.notices == ["The computer was asleep; nothing was captured meanwhile."]


def test_a_device_that_is_there_is_opened_again_without_waiting(ear):
    """After sleep, and where another input became the default: soon after it was opened, too."""
    one = ear(query=None, config=replace(CONFIG, retry_seconds=0.5))
    one.open()
    one.passes()  # the default input was asked for once; the next time is 2 s later
    one.portaudio.sleeps(1.1)
    one.reopened(2)  # time stands still
    one.portaudio.default_name = OTHER.name
    one.portaudio.seconds += 0.95
    one.hear(SOUND)
    one.portaudio.seconds += 0.95
    one.reopened(3)


def test_a_device_that_is_away_at_the_end_leaves_a_gap_to_the_end(ear):
    one = ear()
    one.open()
    one.hear(SOUND)
    one.portaudio.plugged = []
    one.stream.die()
    eventually(lambda: one.notices)
    one.portaudio.seconds += 5
    assert account(one) == (320, 5 * SAMPLE_RATE)


def test_another_rate_is_reported_and_the_device_opened_again(ear):
    fast = replace(MIC, default_rate=48_000)
    one = ear(fast)
    one.open()
    one.portaudio.plugged = one.portaudio.listed = [replace(fast, default_rate=24_000)]
    for _ in range(11 * 50 + 1):  # a block of 20 ms by its time, with half the samples
        before = one.source.health.n_blocks
        one.portaudio.seconds += 0.01
        one.stream.hear(np.full(480, 0.5, np.float32))
        eventually(lambda: one.source.health.n_blocks > before or one.notices)  # noqa: B023
        if one.notices:
            break
    one.reopened(2)
    assert "delivers 24.0 kHz instead of 48" in one.notices[0]
    assert one.stream.device.default_rate == 24_000


def test_another_default_input_is_followed_only_where_none_was_chosen(ear):
    for query, followed in ((None, True), ("Yeti", False)):
        one = ear(query=query)
        one.open()
        one.hear(SOUND)
        one.portaudio.plugged = [replace(MIC, is_default=False), replace(OTHER, is_default=True)]
        one.portaudio.default_name = OTHER.name
        for _ in range(30):
            before = one.source.health.n_blocks
            one.portaudio.seconds += 0.1
            one.stream.hear(SOUND)
            eventually(lambda: one.source.health.n_blocks > before or one.stream.closed or one.notices)  # noqa: B023
            if one.notices:
                break
        if followed:
            one.reopened(2)
        eventually(lambda: one.source.name == (OTHER.name if followed else "Yeti"))  # noqa: B023
        assert len(one.portaudio.streams) == 1 + followed


def test_a_restart_storm_is_reported_once_and_backed_off(ear):
    one = ear(config=replace(CONFIG, retry_seconds=0.5))
    one.open()
    for n in range(6):
        one.stream.die()
        eventually(lambda: not one.source.is_open)
        before = one.portaudio.seconds
        one.waits(lambda: len(one.portaudio.streams) == n + 2)  # noqa: B023
        waited = one.portaudio.seconds - before
        assert waited == pytest.approx(min(0.5 * 2**n, 8), abs=0.4)
        eventually(lambda: one.source.is_open)
        one.hear(SOUND)
    assert sum("keeps failing" in notice for notice in one.notices) == 1
    assert len(one.notices) < 8


def test_a_returned_device_is_opened_within_two_seconds(ear):
    one = ear(config=replace(CONFIG, retry_seconds=0.5))
    one.open()
    for _ in range(300):  # it ran well
        one.hear(SOUND)
    one.portaudio.plugged = [OTHER]
    one.stream.die()
    eventually(lambda: one.notices)
    for _ in range(20):
        before = one.portaudio.n_reinitialised
        one.portaudio.seconds += 0.6
        eventually(lambda: one.portaudio.n_reinitialised > before)  # noqa: B023
    one.portaudio.plugged = [MIC, OTHER]
    back_at = one.portaudio.seconds
    one.waits(lambda: len(one.portaudio.streams) == 2)
    assert one.portaudio.seconds - back_at < 2


class Two:
    """Two microphones on one PortAudio."""

    def __init__(self, ear):
        self.portaudio, self.enumeration = FakePortAudio(MIC, OTHER), Enumeration()
        options = {"portaudio": self.portaudio, "enumeration": self.enumeration}
        self.yeti, self.macbook = ear(query="Yeti", **options), ear(query="MacBook", **options)
        self.yeti.open()
        self.macbook.open()

    def stream_of(self, one):
        """The open stream of a microphone; None if it has none."""
        open_streams = [s for s in self.portaudio.streams if s.device.name == one.source.name and not s.closed]
        return open_streams[0] if open_streams else None

    def hear(self, one, n=320):
        stream, before = self.stream_of(one), one.source.health.n_blocks
        stream.hear(np.full(n, 0.5, np.float32))
        eventually(lambda: one.source.health.n_blocks > before)


def test_a_lost_device_disturbs_no_other_until_it_is_back(ear):
    two = Two(ear)
    two.hear(two.yeti)
    two.hear(two.macbook)
    two.portaudio.plugged = [OTHER]
    two.stream_of(two.yeti).die()
    n_seconds = 0
    while two.portaudio.n_probed <= 3 or n_seconds < 20:  # time passes with the sound that is heard
        two.hear(two.macbook, SAMPLE_RATE)
        n_seconds += 1
        assert n_seconds < 10_000, "the lost device is not looked for"
    assert two.portaudio.n_reinitialised == 0 and len(two.portaudio.streams) == 2
    two.portaudio.plugged = [replace(MIC, index=9), OTHER]  # which the old list cannot open
    two.portaudio.seconds += 1.0
    eventually(lambda: two.portaudio.n_reinitialised == 1)
    eventually(lambda: two.stream_of(two.yeti) and two.stream_of(two.macbook))
    two.hear(two.yeti)
    two.hear(two.macbook)
    assert two.macbook.notices == []
    heard, lost = account(two.macbook)
    assert heard == 2 * 320 + n_seconds * SAMPLE_RATE and lost <= 1.1 * SAMPLE_RATE


def test_inputs_that_are_connected_during_a_session_are_listed_and_only_then_disturb_it(ear):
    two = Two(ear)
    both = two.yeti, two.macbook
    new = replace(OTHER, index=5, name="AirPods")
    for plugged, n in (([MIC, OTHER], 0), ([new, MIC, OTHER], 1), ([new, MIC, OTHER], 1)):
        for one in both:
            two.hear(one)
        two.portaudio.plugged = plugged
        assert inputs_now(two.portaudio, two.enumeration, 20) == plugged
        assert two.portaudio.n_reinitialised == n
        eventually(lambda: all(map(two.stream_of, both)))
    for one in both:
        two.hear(one)
    assert len(two.portaudio.streams) == 4 and two.yeti.notices == two.macbook.notices == []


def test_inputs_in_use_that_a_new_process_does_not_see_disturb_nothing(ear):
    two = Two(ear)
    two.portaudio.probe_inputs = lambda wanted: []
    assert inputs_now(two.portaudio, two.enumeration, 20) == [MIC, OTHER]
    assert two.portaudio.n_reinitialised == 0


def test_two_requests_for_new_inputs_list_them_once(ear):
    two = Two(ear)
    two.portaudio.plugged = [replace(OTHER, index=5, name="AirPods"), MIC, OTHER]
    with ThreadPoolExecutor(2) as threads:
        asked = [threads.submit(inputs_now, two.portaudio, two.enumeration, 20) for _ in range(2)]
    assert [each.result() for each in asked] == [two.portaudio.plugged] * 2
    assert two.portaudio.n_reinitialised == 1


@pytest.mark.parametrize(("late_seconds", "n_lost"), [(1.5, 24_000), (0.1, 0)])
def test_an_input_that_is_heard_late_begins_in_step_with_the_other_one(ear, late_seconds, n_lost):
    one = ear()
    one.open(since=one.portaudio.seconds)
    one.portaudio.seconds += late_seconds
    one.hear(SOUND)
    assert account(one) == (len(SOUND), n_lost)


def test_two_inputs_stay_in_step_over_pauses_though_one_takes_longer_to_open(ear):
    two = Two(ear)
    opens = two.portaudio.open_input

    def open_input(device, *args):
        two.portaudio.seconds += 1.5 if device == MIC else 0
        return opens(device, *args)

    two.portaudio.open_input = open_input
    both = two.yeti, two.macbook
    for _ in range(3):
        for one in both:
            two.hear(one)
            one.source.pause()
        two.portaudio.seconds += 60
        for one in both:
            one.source.resume()
        eventually(lambda: all(map(two.stream_of, both)))
    for one in both:
        two.hear(one)
    arrived = [one.source.arrived_samples for one in both]
    assert arrived[0] > 4.5 * SAMPLE_RATE and arrived[1] == pytest.approx(arrived[0], abs=6 * 320)


def test_an_input_that_made_way_for_another_is_opened_again_without_waiting(ear):
    """Also in the moment after it was opened again, in which a lost device would have to wait."""
    portaudio, enumeration = FakePortAudio(MIC, OTHER), Enumeration()
    options = {"portaudio": portaudio, "enumeration": enumeration}
    for_ever = replace(CONFIG, stall_seconds=1e6, first_block_seconds=1e6)  # a stream is lost only where it dies
    yeti = ear(query="Yeti", config=for_ever, **options)
    macbook = ear(query="MacBook", config=replace(for_ever, retry_seconds=0.5), **options)
    yeti.open()
    macbook.open()
    macbook.hear(SOUND)  # so the old list may do, and nothing is listed again
    portaudio.streams[1].die()
    macbook.waits(lambda: len(portaudio.streams) == 3 and macbook.source.is_open)
    assert portaudio.n_reinitialised == 0
    portaudio.plugged = [replace(MIC, index=9), OTHER]  # which the old list cannot open
    portaudio.streams[0].die()
    eventually(lambda: len(portaudio.streams) == 5)  # time stands still
    assert portaudio.n_reinitialised == 1
    eventually(lambda: macbook.source.is_open and yeti.source.is_open)


def test_two_devices_lost_at_once_both_return_a_hundred_times(ear):
    two = Two(ear)
    for _ in range(TIMES):
        two.hear(two.yeti)
        two.hear(two.macbook)
        two.portaudio.plugged = []
        lost = [two.stream_of(two.yeti), two.stream_of(two.macbook)]
        for stream in lost:
            stream.die()
        eventually(lambda: all(stream.closed for stream in lost))  # noqa: B023
        two.portaudio.plugged = [MIC, OTHER]
        for one in (two.yeti, two.macbook):
            one.waits(lambda: two.stream_of(one))  # noqa: B023
        eventually(lambda: two.stream_of(two.yeti) and two.stream_of(two.macbook))
    for one in (two.yeti, two.macbook):
        heard, _ = account(one)
        assert heard == TIMES * 320


def test_a_machine_without_portaudio_says_what_to_install(monkeypatch):
    monkeypatch.delitem(sys.modules, "sounddevice", raising=False)
    monkeypatch.setattr("sys.meta_path", [NoPortAudio(), *sys.meta_path])
    with pytest.raises(AudioError, match="Install PortAudio"):
        list_inputs()
    with pytest.raises(AudioError, match="Install PortAudio"):
        Microphone("Yeti")


class NoPortAudio:
    """A finder of modules for which sounddevice is installed and PortAudio is not."""

    def find_spec(self, name, path=None, target=None):
        if name == "sounddevice":
            raise OSError("PortAudio library not found")


def test_the_devices_are_never_listed_again_while_a_stream_is_being_opened():
    """PortAudio would free memory that the other thread uses."""
    enumeration, opening, may_open, order = Enumeration(), threading.Event(), threading.Event(), []

    def open_slowly():
        with enumeration.opening(WITHIN_SECONDS):
            opening.set()
            assert may_open.wait(WITHIN_SECONDS)
            order.append("opened")
        enumeration.closed()

    opener = threading.Thread(target=open_slowly)
    opener.start()
    assert opening.wait(WITHIN_SECONDS)
    lister = threading.Thread(target=lambda: enumeration.list_again(lambda: order.append("listed"), WITHIN_SECONDS))
    lister.start()
    eventually(lambda: enumeration.wanted)
    may_open.set()
    opener.join(WITHIN_SECONDS)
    lister.join(WITHIN_SECONDS)
    assert order == ["opened", "listed"]


def test_a_stream_that_could_not_be_opened_does_not_count():
    enumeration = Enumeration()
    with pytest.raises(AudioError, match="busy"), enumeration.opening(1):
        raise AudioError("busy")
    assert not enumeration.shared


def test_no_stream_is_opened_while_the_devices_are_listed():
    enumeration, listing, may_end, order = Enumeration(), threading.Event(), threading.Event(), []

    def list_slowly():
        listing.set()
        assert may_end.wait(WITHIN_SECONDS)
        order.append("listed")

    def open_stream():
        with enumeration.opening(WITHIN_SECONDS):
            order.append("opened")

    lister = threading.Thread(target=lambda: enumeration.list_again(list_slowly, WITHIN_SECONDS))
    lister.start()
    assert listing.wait(WITHIN_SECONDS)
    opener = threading.Thread(target=open_stream)
    opener.start()
    with pytest.raises(AudioError, match="takes too long"), enumeration.opening(0.01):
        pass
    may_end.set()
    lister.join(WITHIN_SECONDS)
    opener.join(WITHIN_SECONDS)
    assert order == ["listed", "opened"] and enumeration.shared


def test_a_process_that_was_stopped_does_not_blame_the_device(ear, monkeypatch):
    """As after SIGSTOP and SIGCONT: no thread ran, and no clock stood still."""
    one = ear(MIC)
    monkeypatch.setattr("livecap.audio_in.device.microphone.process_seconds", lambda: one.portaudio.seconds)
    source = one.open()
    one.hear(SOUND)
    one.portaudio.seconds += 20.0
    eventually(lambda: len(one.portaudio.streams) == 2)
    one.hear(SOUND)
    eventually(lambda: source.trouble is None and one.notices)
    assert [notice.partition(":")[0] for notice in one.notices] == ["livecap did not run for 20 s"]
    source.close()
    spans = [(block.start_sample, block.end_sample) for block in blocks(source)]
    assert len(spans) == 2 and abs(spans[1][0] - spans[0][1] - 20 * SAMPLE_RATE) < SAMPLE_RATE

"""What a callback copies and counts, and when an open device counts as lost."""

from dataclasses import replace

import pytest

from livecap.audio_in.device.capture import Capture, CaptureConfig
from livecap.audio_in.device.status import CALLBACK_BUCKETS, CaptureStatus
from tests.audio_in.fake_portaudio import MIC

CONFIG = CaptureConfig()


class Clock:
    seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


class Stream:
    """A stream that notes how it ends."""

    active = True

    def __init__(self, fails: bool = False) -> None:
        self.fails = fails
        self.calls: list[str] = []

    def abort(self) -> None:
        self.calls.append("abort")
        if self.fails:
            raise RuntimeError("PortAudioError")

    def close(self) -> None:
        self.calls.append("close")
        if self.fails:
            raise RuntimeError("PortAudioError")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def capture(clock: Clock) -> Capture:
    capture = Capture(MIC, CONFIG, clock)
    capture.stream = Stream()  # type: ignore[assignment]
    return capture


def hear(capture: Capture, seconds: float = 0.5) -> None:
    n = round(seconds * MIC.default_rate)
    capture.on_block(bytes(4 * n), n, None, 0)


def test_sound_is_heard_from_the_start_of_the_first_block_to_the_end_of_the_last(
    capture: Capture, clock: Clock
) -> None:
    assert (capture.heard_from, capture.last_block_at, capture.heard_until) == (None, None, 100.0)
    for seconds in (101.0, 101.5):
        clock.seconds = seconds
        hear(capture)
    assert (capture.heard_from, capture.last_block_at, capture.heard_until) == (100.5, 101.5, 101.5)
    assert capture.n_blocks == 2


def test_a_device_is_lost_when_nothing_came_for_longer_than_the_settings_allow(capture: Capture, clock: Clock) -> None:
    for most in (CONFIG.first_block_seconds, CONFIG.stall_seconds):
        clock.seconds = capture.heard_until + most
        assert not capture.is_lost(CONFIG)
        clock.seconds += 0.01
        assert capture.is_lost(CONFIG)
        hear(capture)


def test_a_stream_that_ended_is_lost(capture: Capture) -> None:
    assert not capture.is_lost(CONFIG)
    capture.on_finished()
    assert capture.is_lost(CONFIG)


def test_a_stream_that_is_inactive_or_cannot_be_asked_is_lost(clock: Clock) -> None:
    capture = Capture(MIC, CONFIG, clock)
    assert capture.is_lost(CONFIG), "it has no stream"
    capture.stream = Stream()  # type: ignore[assignment]
    capture.stream.active = False  # type: ignore[misc]
    assert capture.is_lost(CONFIG)
    capture.stream = object()  # type: ignore[assignment]
    assert capture.is_lost(CONFIG)


@pytest.mark.parametrize("fails", [False, True])
def test_a_device_is_aborted_and_closed_once_though_it_may_refuse_both(capture: Capture, fails: bool) -> None:
    stream = capture.stream = Stream(fails)  # type: ignore[assignment]
    capture.shut()
    capture.shut()
    assert stream.calls == ["abort", "close"] and capture.stream is None


def test_the_time_that_callbacks_take_is_counted_by_powers_of_two() -> None:
    times = [0.0]  # of the opening, then of the start and the end of each callback
    for microseconds in (0, 1.5, 3.5, 4.5, 1000.5, 10_000_000_000):
        times += [5.0, 5.0 + microseconds / 1e6]
    capture = Capture(MIC, CONFIG, iter(times).__next__)
    for _ in times[1::2]:
        hear(capture)
    counts = {bucket: n for bucket, n in enumerate(capture.callback_counts) if n}
    assert counts == {0: 2, 1: 1, 2: 1, 9: 1, CALLBACK_BUCKETS - 1: 1}
    assert capture.longest_callback_seconds == pytest.approx(10_000)


def test_nearly_all_callbacks_took_no_longer_than_this() -> None:
    status = CaptureStatus(longest_callback_seconds=1.0)
    assert status.callback_p999_seconds is None
    counts = [0] * CALLBACK_BUCKETS
    counts[3], counts[10] = 999, 1
    assert replace(status, callback_counts=tuple(counts)).callback_p999_seconds == pytest.approx(16e-6)
    counts[3], counts[10] = 998, 2
    assert replace(status, callback_counts=tuple(counts)).callback_p999_seconds == pytest.approx(2048e-6)
    short = replace(status, callback_counts=tuple(counts), longest_callback_seconds=1.5e-3)
    assert short.callback_p999_seconds == 1.5e-3, "no more than the longest"

"""Each detector reports what it looks for, and nothing else."""

import numpy as np
import pytest

from livecap.audio_in.device.watch import DriftWatch, RateWatch, RestartPace, SleepWatch, ZerosWatch

BLOCK_SECONDS = 0.02


def arrivals(rate, seconds, delay=lambda at: 0.0):
    """(when, samples so far) of the blocks of a device with this rate, each delayed by `delay` of its time."""
    n_block = round(rate * BLOCK_SECONDS)
    for i in range(1, round(seconds / BLOCK_SECONDS) + 1):
        at = i * n_block / rate
        yield at + delay(at), i * n_block


@pytest.mark.parametrize("ppm", [-80, 0, 35, 400])
def test_drift_is_measured_through_jitter_and_steps(ppm):
    rng = np.random.default_rng(0)
    watch = DriftWatch(48_000)

    def delay(at):
        """Jitter, and changes of the sound system's delay."""
        return float(rng.exponential(0.004)) + (0.0175 if 60 < at < 70 else 0) - (0.0074 if at > 70 else 0)

    for now, n in arrivals(48_000 * (1 + ppm / 1e6), 300, delay):
        watch.hear(now, n)
    assert watch.ppm == pytest.approx(ppm, abs=4)


def test_drift_is_not_reported_before_it_can_be_known():
    watch = DriftWatch(48_000)
    for now, n in arrivals(48_000, 60):
        watch.hear(now, n)
        assert watch.ppm is None


@pytest.mark.parametrize("true_rate", [24_000, 44_100, 96_000])
def test_another_rate_is_seen_within_eleven_seconds(true_rate):
    watch = RateWatch(48_000)
    seen = [(now, counted) for now, n in arrivals(true_rate, 11) if (counted := watch.changed_to(now, n))]
    assert seen and seen[0][1] == pytest.approx(true_rate, rel=0.01)


@pytest.mark.parametrize("ppm", [-300, 300])
def test_drift_and_stalls_are_no_other_rate(ppm):
    watch = RateWatch(48_000)

    def stalls(at):
        return 3.0 - at % 20 if at % 20 < 3 and at > 20 else 0.0  # for 3 s nothing comes, then all of it at once

    times = [now for now, _ in arrivals(48_000, 200, stalls)]
    for (_, n), now in zip(arrivals(48_000 * (1 + ppm / 1e6), 200), np.maximum.accumulate(times), strict=True):
        assert watch.changed_to(float(now), n) is None


def test_sleep_is_reported_from_time_that_passes():
    now, slept = 100.0, 0.0
    watch = SleepWatch(lambda: now, lambda: now - slept)
    now += 50
    assert watch.slept_since() is None
    now, slept = now + 3600, slept + 3600
    assert watch.slept_since() == 150.0
    now += 1
    assert watch.slept_since() is None


def test_zeros_are_silence_until_the_first_sound():
    watch = ZerosWatch(3.0)
    for _ in range(2):
        watch.hear(np.zeros((16_000, 2), np.float32), 16_000)
    assert not watch.silent
    watch.hear(np.zeros((16_000, 2), np.float32), 16_000)
    assert watch.silent and watch.seconds == 3
    watch.hear(np.full((1, 2), 1e-9, np.float32), 16_000)
    assert not watch.silent


def test_a_device_that_dies_at_once_is_tried_less_and_less_often():
    pace = RestartPace(0.5)
    assert pace.died_after(60) == 0
    waits = [pace.died_after(0.1) for _ in range(8)]
    assert waits == [0.5, 1, 2, 4, 8, 8, 8, 8] and pace.storm
    assert {pace.died_after(0.1) for _ in range(2000)} == {8}, "a device may fail for hours"
    assert pace.died_after(60) == 0 and not pace.storm

"""Times of a session never run backwards, whatever happens to clocks, and are correct in the end."""

import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livecap.archive.clock import SessionClock, elapsed, short_elapsed
from livecap.session.wall_clock import ANCHOR_SECONDS, WallClock
from livecap.transcript import ClockAnchored, Marked, Notice, Paused, Resumed, SessionStarted

LIVE = SessionStarted("s", "Mic", "tiny", "2026-03-01T10:02:03.500+01:00", True, None, "0.1.0")
HOUR = 3600.0


class Clocks:
    """The computer's clock, and the one that never jumps."""

    def __init__(self, start: float = 1_772_355_723.5) -> None:
        self.system = start
        self.steady = 100.0

    def pass_by(self, seconds: float) -> None:
        self.system += seconds
        self.steady += seconds

    def wall(self) -> WallClock:
        return WallClock(None, lambda: self.system, lambda: self.steady)


def test_times_after_a_pause_are_wall_times() -> None:
    clock = SessionClock.from_started(LIVE)
    clock.note(Resumed("", 32_000, "2026-03-01T11:00:00+01:00"))
    assert clock.at(16_000) == "10:02:04"
    assert clock.at(48_000) == "11:00:01"


def test_a_recording_has_elapsed_times() -> None:
    clock = SessionClock(False, datetime(2026, 3, 1).astimezone())
    assert clock.at(3_723 * 16_000 + 15_999) == elapsed(3_723 * 16_000 + 15_999) == "1:02:03"
    assert short_elapsed(63 * 16_000) == "1:03" and short_elapsed(3_723 * 16_000) == "1:02:03"


@pytest.mark.parametrize("shift", [HOUR, -HOUR, 7.0, -86_400.0])
def test_moving_the_computers_clock_changes_no_time_before_the_session_has_ended(shift: float) -> None:
    clocks = Clocks()
    wall = clocks.wall()
    started = datetime.fromisoformat(wall.now())
    live = SessionClock(True, started)
    shown = []
    for minute in range(10):
        if minute == 5:
            clocks.system += shift
        sample = round(wall.elapsed_seconds * 16_000)
        for fact in wall.anchor("", sample, clocks.steady):
            live.note(fact)
        shown.append(live.wall(sample))
        clocks.pass_by(60)
    assert [(b - a).total_seconds() for a, b in zip(shown, shown[1:], strict=False)] == pytest.approx([60.0] * 9)
    assert live.shift_seconds == pytest.approx(shift)
    corrected = live.corrected()
    assert [corrected.wall(i * 960_000) - shown[i] for i in range(10)] == [timedelta(seconds=shift)] * 10


def test_a_moved_clock_is_reported_at_once_and_a_drifting_one_every_minute() -> None:
    clocks = Clocks()
    wall = clocks.wall()
    assert list(wall.anchor("", 0, clocks.steady)) == []
    clocks.pass_by(ANCHOR_SECONDS)
    clocks.system += 0.3
    [anchor] = wall.anchor("", 960_000, clocks.steady)
    assert isinstance(anchor, ClockAnchored) and anchor.step_seconds == 0.0
    clocks.pass_by(1)
    assert list(wall.anchor("", 976_000, clocks.steady)) == []
    clocks.system += HOUR
    anchor, notice = wall.anchor("", 976_000, clocks.steady)
    assert isinstance(anchor, ClockAnchored) and anchor.step_seconds == pytest.approx(HOUR, abs=0.5)
    assert isinstance(notice, Notice) and "was moved by +3600 s" in notice.message
    [other_track] = wall.anchor("them", 976_000, clocks.steady)
    assert isinstance(other_track, ClockAnchored), "the user is told once"


def test_sleep_counts_as_time() -> None:
    clocks = Clocks()
    wall = clocks.wall()
    clocks.pass_by(8 * HOUR)
    assert wall.shift_seconds == 0.0
    assert wall.elapsed_seconds == 8 * HOUR


@pytest.fixture
def berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    before = os.environ.get("TZ")
    monkeypatch.setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3")
    time.tzset()
    yield
    monkeypatch.setenv("TZ", before) if before is not None else monkeypatch.delenv("TZ")
    time.tzset()


@pytest.mark.usefixtures("berlin")
@pytest.mark.parametrize("change", ["2026-03-29T01:00:00+00:00", "2026-10-25T01:00:00+00:00"], ids=["spring", "autumn"])
def test_summer_time_changes_nothing_within_a_session(change: str) -> None:
    clocks = Clocks(datetime.fromisoformat(change).timestamp() - 60)
    wall = clocks.wall()
    clock = SessionClock(True, datetime.fromisoformat(wall.now()))
    before = clock.at(0)
    clocks.pass_by(120)
    assert wall.shift_seconds == 0.0
    clock.note(ClockAnchored("", 120 * 16_000, wall.now()))
    after = clock.at(120 * 16_000)
    assert (datetime.strptime(after, "%H:%M:%S") - datetime.strptime(before, "%H:%M:%S")).total_seconds() == 120


anchors = st.lists(
    st.tuples(st.sampled_from(["", "me", "them"]), st.integers(0, 10**9), st.floats(-5000, 500_000)), max_size=12
)


@given(anchors, st.lists(st.integers(0, 10**9), min_size=2, max_size=30))
def test_times_of_a_track_never_run_backwards(facts: list[tuple[str, int, float]], samples: list[int]) -> None:
    start = datetime.fromisoformat(LIVE.wall_time)
    clock = SessionClock.from_started(LIVE)
    for track, sample, seconds in sorted(facts, key=lambda fact: fact[1]):
        clock.note(Resumed(track, sample, (start + timedelta(seconds=seconds)).isoformat()))
    for track in ("", "me", "them"):
        times = [clock.wall(sample, track) for sample in sorted(samples)]
        assert times == sorted(times)


def test_a_day_with_a_fast_sound_card_stays_within_80_ms_of_the_wall() -> None:
    clocks = Clocks()
    wall = clocks.wall()
    clock = SessionClock(True, datetime.fromisoformat(wall.now()))
    ppm = 120
    worst = 0.0
    for _ in range(24 * 60):
        clocks.pass_by(60.0)
        sample = round(wall.elapsed_seconds * 16_000 * (1 + ppm / 1e6))
        for fact in wall.anchor("", sample, clocks.steady):
            clock.note(fact)
        shown = clock.wall(sample)
        worst = max(worst, abs((shown - datetime.fromisoformat(wall.now())).total_seconds()))
    assert worst < 0.08


def test_marks_of_a_session_with_two_tracks_are_at_the_time_of_the_speech_around_them():
    clock = SessionClock(True, datetime(2026, 3, 1, 10, tzinfo=UTC))
    for track in ("me", "them"):
        clock.anchor(track, 60 * 16_000, datetime(2026, 3, 1, 10, 11, tzinfo=UTC))  # after a pause of ten minutes
    assert clock.at(70 * 16_000, "") == clock.at(70 * 16_000, "me") == "10:11:10"


def test_a_mark_in_a_pause_has_its_own_time_before_and_after_listening_goes_on():
    clock = SessionClock(True, datetime(2026, 3, 1, 10, tzinfo=UTC))
    at = 5 * 16_000

    def mark(sample: int, wall_time: str) -> Marked:
        return Marked("", sample, "", f"2026-03-01T{wall_time}+00:00")

    before = mark(at - 16_000, "10:00:04")
    in_pause, pressed_late = mark(at + 10, "10:05:00"), mark(at - 2 * 16_000, "10:06:00")  # of a moment before
    for track, sample in (("me", at), ("them", at + 10)):
        clock.note(Paused(track, sample, "2026-03-01T10:00:05+00:00"))
    shown = [clock.at_fact(each) for each in (before, in_pause, pressed_late)]
    assert shown == ["10:00:04", "10:05:00", "10:00:03"]
    for track, sample in (("me", at), ("them", at + 10)):
        clock.note(Resumed(track, sample, "2026-03-01T10:30:00+00:00"))
    assert [clock.at_fact(each) for each in (before, in_pause, pressed_late)] == shown
    assert clock.at_fact(Paused("me", at, "2026-03-01T10:00:05+00:00")) == "10:00:05"
    assert clock.at_fact(mark(at + 16_000, "10:30:01")) == clock.at(at + 16_000, "me") == "10:30:01"


def test_a_mark_follows_the_corrected_clock():
    clock = SessionClock(True, datetime(2026, 3, 1, 10, tzinfo=UTC))
    clock.note(ClockAnchored("", 60 * 16_000, "2026-03-01T10:01:00+00:00", 3600.0))
    mark = Marked("", 30 * 16_000, "", "2026-03-01T10:00:30+00:00")
    assert (clock.at_fact(mark), clock.corrected().at_fact(mark)) == ("10:00:30", "11:00:30")

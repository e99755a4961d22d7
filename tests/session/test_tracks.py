"""Two tracks share one log and one order; each counts its own samples and accounts for every one."""

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from livecap.archive.clock import SessionClock
from livecap.archive.steps import Step
from livecap.audio_in.replay import Replay
from livecap.audio_in.source import AudioBlock
from livecap.engine import Engine, EngineSettings
from livecap.session.measures import StepCosts
from livecap.session.tracks import Track, TrackSource
from livecap.session.wall_clock import WallClock
from livecap.transcript import (
    AudioGap,
    CaptureReport,
    ClockAnchored,
    Notice,
    Paused,
    Resumed,
    SessionEnded,
    SessionStarted,
    TranscriptUpdate,
    UtteranceEnded,
    UtteranceSettled,
)
from tests.session.scripted import SECOND, ScriptedSource, ScriptedTranscriber, make_session

RECORDING = Path(__file__).parents[2] / "recordings" / "dictation.flac"


def track_of(given: TrackSource) -> Track:
    return Track(given, WallClock(), StepCosts())


def two(n: int = 4, **options: object) -> dict[str, ScriptedSource]:
    seconds = [i * SECOND for i in range(n)]
    return {"me": ScriptedSource(seconds, name="Yeti"), "them": ScriptedSource(seconds, name="BlackHole 2ch")}


def test_two_tracks_share_one_log_with_their_labels(tmp_path: Path) -> None:
    session, told = make_session(tmp_path, two())
    session.start(told.append)
    assert session.wait(20)
    ended = {event.track: event.text for event in told if isinstance(event, UtteranceEnded)}
    assert ended == {"me": "w0 w1 w2 w3", "them": "w0 w1 w2 w3"}
    started = told[0]
    assert isinstance(started, SessionStarted)
    assert started.tracks == ("me", "them") and started.source == "Yeti + BlackHole 2ch"
    lines = (session.log_folder / "transcript.md").read_text()
    assert "me: w0 w1 w2 w3" in lines and "them: w0 w1 w2 w3" in lines


def test_the_tracks_take_turns(tmp_path: Path) -> None:
    session, told = make_session(tmp_path, two(20))
    session.start(told.append)
    assert session.wait(20)
    order = [item.track for item in told if isinstance(item, TranscriptUpdate) and not item.final]
    assert order == ["me", "them"] * 20


def test_a_track_that_ends_early_does_not_end_the_other(tmp_path: Path) -> None:
    sources = {"me": ScriptedSource([0]), "them": ScriptedSource([i * SECOND for i in range(5)])}
    session, told = make_session(tmp_path, sources)
    session.start(told.append)
    assert session.wait(20)
    finals = [(e.track, e.text) for e in told if isinstance(e, UtteranceEnded)]
    assert finals == [("me", "w0"), ("them", "w0 w1 w2 w3 w4")]
    assert isinstance(told[-1], SessionEnded) and told[-1].n_samples == 5 * SECOND


def test_a_pause_is_a_fact_of_each_track(tmp_path: Path) -> None:
    sources = two()
    session, told = make_session(tmp_path, sources)
    session.start(told.append, lambda item: session.pause() if isinstance(item, TranscriptUpdate) else None)
    assert session.wait(20)
    assert [event.track for event in told if isinstance(event, Paused)] == ["me", "them"]
    assert all(source.paused for source in sources.values())
    assert not any(isinstance(event, Resumed) for event in told)


def test_the_status_has_all_tracks_and_the_largest_lag(tmp_path: Path) -> None:
    sources = two()
    session, _ = make_session(tmp_path, sources)
    sources["me"].arrived_samples, sources["them"].arrived_samples = 3 * SECOND, 5 * SECOND
    sources["them"].level = 0.5
    status = session.status
    assert [track.label for track in status.tracks] == ["me", "them"]
    assert status.lag_seconds == 5 and status.arrived_samples == 5 * SECOND and status.level == 0.5
    assert [track.lag_seconds for track in status.tracks] == [3, 5]


def test_every_sample_is_in_the_report(tmp_path: Path) -> None:
    sources = {"me": ScriptedSource([0, SECOND, 5 * SECOND]), "them": ScriptedSource([0])}
    session, told = make_session(tmp_path, sources)
    session.start(told.append)
    assert session.wait(20)
    reports = {event.track: event for event in told if isinstance(event, CaptureReport)}
    mine = reports["me"]
    assert mine.captured_samples == 6 * SECOND and mine.gap_samples == 3 * SECOND and mine.n_gaps == 1
    for report in reports.values():
        assert report.captured_samples == report.decoded_samples + report.silence_samples + report.gap_samples
    logged = [json.loads(line)["type"] for line in (session.log_folder / "session.jsonl").read_text().splitlines()]
    assert logged[-1] == "session_ended" and logged.count("capture_report") == 2


class Forgetful(ScriptedTranscriber):
    """Reports an utterance that is longer than its sound."""

    def _update(self, n_stable: int, final: bool) -> TranscriptUpdate:
        update = super()._update(n_stable, final)
        return TranscriptUpdate("", 0, update.stable, update.partial, 0, update.end_sample + 1, "English", final)


def test_samples_that_do_not_add_up_are_reported_once_as_an_error(tmp_path: Path) -> None:
    session, told = make_session(tmp_path, ScriptedSource([0, SECOND]), lambda track: Forgetful())
    session.start(told.append)
    assert session.wait(20)
    errors = [e for e in told if getattr(e, "severity", "") == "error"]
    assert len(errors) == 1 and "lost count" in errors[0].message and "Account(" not in errors[0].message


class Obedient(ScriptedTranscriber):
    """Decodes up to `decoded_samples` and yields `update` when asked to."""

    ready = False
    update: TranscriptUpdate | None = None

    def accept(self, block: AudioBlock) -> None:
        pass

    def flush(self, chunk_samples: int | None = None) -> Iterator[TranscriptUpdate]:
        yield from filter(None, [self.update])


WHAT = st.sampled_from(["sound", "gap", "silence", "speech", "end"])


@given(st.lists(st.tuples(WHAT, st.integers(1, 3 * SECOND)), max_size=40))
def test_the_account_is_always_balanced(script: list[tuple[str, int]]) -> None:
    transcriber, track = Obedient(), track_of(TrackSource("", ScriptedSource([])))
    track.start(lambda: transcriber)  # type: ignore[arg-type,return-value]
    end, begun = 0, None
    for what, n in script:
        transcriber.update = None
        if what in ("sound", "gap"):
            start = end + n if what == "gap" else end
            told = list(track.hear(AudioBlock(start, np.zeros(n, np.float32))))
            assert told == ([AudioGap("", end, start)] if what == "gap" else [])
            end = start + n
        elif what == "silence" and begun is None:
            transcriber.decoded_samples = end
        elif end > transcriber.decoded_samples or begun is not None:
            begun = transcriber.decoded_samples if begun is None else begun
            transcriber.decoded_samples = end
            transcriber.update = TranscriptUpdate("", 0, "", "", begun, end, None, what == "end")
            begun = None if what == "end" else begun
            assert list(track.end_utterance()) == [transcriber.update]
        account = track.account()
        assert account.balanced and account.captured == end, account
    transcriber.decoded_samples = end
    assert track.account().waiting == 0


def test_a_gap_at_the_very_end_is_a_fact(tmp_path: Path) -> None:
    source = ScriptedSource([0])
    session, told = make_session(tmp_path, source)

    def lose(item: object) -> None:
        source.arrived_samples = 3 * SECOND

    session.start(told.append, lose)
    assert session.wait(20)
    assert [e for e in told if isinstance(e, AudioGap)] == [AudioGap("", SECOND, 3 * SECOND)]


@pytest.mark.parametrize("n_tracks", [1, 2])
def test_the_first_fact_names_the_tracks(tmp_path: Path, n_tracks: int) -> None:
    sources = two() if n_tracks == 2 else {"": ScriptedSource([0])}
    session, told = make_session(tmp_path, sources)
    session.start(told.append)
    assert session.wait(20)
    assert isinstance(told[0], SessionStarted) and told[0].tracks == tuple(sources)


def test_sound_that_waits_for_a_recorded_step_does_not_lag() -> None:
    source = ScriptedSource([i * SECOND for i in range(20)])
    track = track_of(TrackSource("me", source, (Step(8 * SECOND, SECOND), Step(15 * SECOND, SECOND))))
    lags = {}
    for arrived, decoded in [(3, 0), (7, 0), (9, 0), (9, 8), (14, 8), (16, 8), (16, 15), (18, 15)]:
        source.arrived_samples = arrived * SECOND
        transcriber = ScriptedTranscriber()
        transcriber.decoded_samples = decoded * SECOND
        track.start(lambda made=transcriber: made)  # type: ignore[misc]
        lags[arrived, decoded] = track.status.lag_seconds
    late = {(9, 0): 9.0, (16, 8): 8.0, (16, 15): 1.0, (18, 15): 3.0}
    assert lags == {(3, 0): 0, (7, 0): 0, (9, 8): 0, (14, 8): 0} | late


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with Engine.load(EngineSettings("tiny", settle=False)) as engine:
        yield engine


@pytest.mark.parametrize("then", ["change", "end", "pause", "seek", "finish"])
@pytest.mark.parametrize("after_seconds", [0, 2, 5])
def test_a_change_may_follow_another_before_any_new_sound(engine: Engine, then: str, after_seconds: int) -> None:
    """The second one closes the utterance of a transcriber that has heard nothing yet."""
    source = Replay(RECORDING, pace=None)
    track = track_of(TrackSource("", source))
    track.start(engine.transcriber)
    told: list[object] = []

    def hear(until: float) -> None:
        while track.end_sample < until * SECOND:
            block = source.take()
            assert block is not None
            told.extend(track.hear(block))

    hear(after_seconds)
    told.extend(track.end_utterance())
    track.renew_transcriber()
    told.extend(track.end_utterance())
    if then == "change":
        track.renew_transcriber()
        told.extend(track.end_utterance())
    elif then == "pause":
        told.extend(track.hear(AudioBlock(track.end_sample, np.zeros(0, np.float32))))
    elif then == "seek":
        told.append(track.seek(SECOND))
        told.extend(track.end_utterance())
    if then != "finish":
        assert track.account().balanced
        hear(after_seconds + 3)
    told.extend(track.end_utterance())
    assert track.account().balanced
    assert not [item for item in told if isinstance(item, Notice)]
    track.close()
    source.close()


def test_a_change_of_the_input_is_no_loss(tmp_path: Path) -> None:
    track = track_of(TrackSource("", ScriptedSource([])))
    track.start(lambda: ScriptedTranscriber())  # type: ignore[arg-type, return-value]

    def gap_before(start: float) -> AudioGap:
        block = AudioBlock(int(start * SECOND), np.zeros(SECOND, np.float32))
        [gap] = [item for item in track.hear(block) if isinstance(item, AudioGap)]
        return gap

    track.requests.switch_input()
    assert gap_before(0.2) == AudioGap("", 0, 3200, "switch")
    assert (track.status.n_gaps, track.status.gap_samples) == (0, 0)
    assert gap_before(2.0).cause == "", "only the next gap"
    track.requests.switch_input()
    assert gap_before(20.0).cause == "", "a long one is a loss"
    assert track.status.n_gaps == 2
    assert track.account().gaps == int((0.2 + 0.8 + 17.0) * SECOND)
    assert AudioGap("", 0, 3200, "switch").remark == "input changed, 0.2 s not heard"


def test_opening_the_input_after_a_pause_is_no_loss(tmp_path: Path) -> None:
    source = ScriptedSource([])
    track = track_of(TrackSource("", source))
    track.start(lambda: ScriptedTranscriber())  # type: ignore[arg-type, return-value]

    def pause_before(start: float) -> AudioGap:
        track.pause()
        list(track.hear(AudioBlock(source.arrived_samples, np.zeros(0, np.float32))))
        track.resume()
        block = AudioBlock(int(start * SECOND), np.zeros(SECOND, np.float32))
        [gap] = [item for item in track.hear(block) if isinstance(item, AudioGap)]
        source.arrived_samples = block.end_sample
        return gap

    assert pause_before(1.5) == AudioGap("", 0, int(1.5 * SECOND), "opening")
    assert (track.status.n_gaps, track.account().gaps) == (0, int(1.5 * SECOND))
    track.requests.switch_input()  # while paused: the input is opened when listening goes on
    assert pause_before(3.0).cause == "opening"
    assert pause_before(20.0).cause == "", "a long one is a loss"
    later = AudioBlock(22 * SECOND, np.zeros(SECOND, np.float32))
    assert AudioGap("", 21 * SECOND, 22 * SECOND) in list(track.hear(later)), "only the first gap"
    assert AudioGap("", 0, 24_000, "opening").remark == "input opened, 1.5 s not heard"


def test_after_a_pause_all_tracks_are_heard_from_one_moment_on(tmp_path: Path) -> None:
    sources = two()
    session, told = make_session(tmp_path, sources)
    for source in sources.values():
        source.resume = lambda: told.append(None)  # type: ignore[method-assign, arg-type, return-value]

    def pause(item: object) -> None:
        if isinstance(item, TranscriptUpdate):
            session.pause()
            session.resume()

    session.start(told.append, pause)
    assert session.wait(20)
    first = next(n for n, item in enumerate(told) if isinstance(item, Resumed))
    me, them, *resumed = told[first : first + 4]
    assert isinstance(me, Resumed) and isinstance(them, Resumed) and me.wall_time == them.wall_time
    assert resumed == [None, None]


class SettlesTo:
    """A transcriber whose second pass has these texts."""

    def __init__(self, *texts: str) -> None:
        self._texts = list(texts)

    @property
    def n_unsettled(self) -> int:
        return len(self._texts)

    def settle(self) -> UtteranceSettled:
        return UtteranceSettled("", 0, self._texts.pop(0), 0, SECOND, None)


@pytest.mark.parametrize(
    ("texts", "settled"),
    [
        (("hello",), ["hello"]),
        (("", "  ", "hello"), ["hello"]),
        (("a", "", "b"), ["a", "b"]),
        (("", "\n"), []),
        ((), []),
    ],
)
def test_an_empty_second_pass_keeps_the_live_text(texts: tuple[str, ...], settled: list[str]) -> None:
    track = track_of(TrackSource("", ScriptedSource([0])))
    track.start(lambda: SettlesTo(*texts))  # type: ignore[arg-type, return-value]
    found = []
    while (item := track.settle()) is not None:
        found.append(item.text)
    assert found == settled


def test_times_stay_right_where_sound_from_before_a_sleep_is_decoded_after_it() -> None:
    seconds = [0.0]
    source = ScriptedSource([])
    wall = WallClock(system=lambda: 1000 + seconds[0], steady=lambda: seconds[0])
    clock = SessionClock(True, datetime.fromisoformat(wall.now()))
    track = Track(TrackSource("me", source), wall, StepCosts())
    track.start(lambda: ScriptedTranscriber())  # type: ignore[arg-type, return-value]
    for n, heard, now in ((0, 1.0, 3601.0), (3601, 3602.0, 3602.0), (3661, 3662.0, 3662.0)):
        source.heard, seconds[0] = ((n + 1) * SECOND, heard), now
        for item in track.hear(AudioBlock(n * SECOND, np.zeros(SECOND, np.float32))):
            clock.note(item)  # type: ignore[arg-type]
    assert clock.wall(3662 * SECOND, "me") == clock.started + timedelta(seconds=3662)


def test_while_paused_no_sound_is_said_to_be_heard_now() -> None:
    """What was heard before a pause may be decoded long after: it tells nothing about the clock."""
    seconds = [0.0]
    source = ScriptedSource([])
    wall = WallClock(system=lambda: 1000 + seconds[0], steady=lambda: seconds[0])
    track = Track(TrackSource("me", source), wall, StepCosts())
    track.start(lambda: ScriptedTranscriber())  # type: ignore[arg-type, return-value]
    anchored = []
    for n, change in enumerate([lambda: None, track.pause, track.resume]):
        seconds[0] += 61
        change()
        source.heard = (n + 1) * SECOND, seconds[0]
        heard = track.hear(AudioBlock(n * SECOND, np.zeros(SECOND, np.float32)))
        anchored.append(any(isinstance(item, ClockAnchored) for item in heard))
    assert anchored == [True, False, True]


def test_the_status_says_what_a_name_stands_for(tmp_path: Path) -> None:
    given = two()
    given["me"].about = "Yeti Nano"
    session, _ = make_session(tmp_path, given)
    session.start(lambda item: None)
    assert session.status.source == "Yeti (Yeti Nano) + BlackHole 2ch"
    assert [track.source for track in session.status.tracks] == ["Yeti", "BlackHole 2ch"]
    assert session.wait(20)

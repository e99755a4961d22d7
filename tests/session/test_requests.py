"""Requests of the user to a running session are carried out once and never lose text."""

import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from livecap.archive.log import SessionLog
from livecap.audio_in.source import AudioBlock
from livecap.engine import EngineSettings
from livecap.errors import AudioError
from livecap.session.live import LiveSession
from livecap.session.tracks import TrackSource, silenced
from livecap.transcript import Marked, Notice, UtteranceEnded
from tests.archive.when import STARTED
from tests.audio_in.waiting import eventually
from tests.session.scripted import (
    SECOND,
    ScriptedEngine,
    ScriptedSource,
    ScriptedTranscriber,
    engine_of,
    make_session,
)


class Counting(ScriptedTranscriber):
    """Numbers its utterances after those of another one."""

    first = 0

    @classmethod
    def of_track(cls, track):
        return cls(track=track)

    def go_on_from(self, other, sample=None):
        self.first = other.first + 1

    def _update(self, n_stable, final):
        update = super()._update(n_stable, final)
        return type(update)(update.track, self.first, *[getattr(update, name) for name in REST])


REST = ("stable", "partial", "start_sample", "end_sample", "language", "final")


class Running:
    """A running session. Its source yields one second of sound for each that `seconds` asks for."""

    def __init__(self, folder):
        self.gate = threading.Semaphore(0)
        self.source = ScriptedSource([i * SECOND for i in range(6)], self.gate)
        tracks = [TrackSource("", self.source)]
        log = SessionLog(folder, STARTED)
        self.session = LiveSession(tracks, EngineSettings("old"), log, load_engine=engine_of(Counting.of_track))
        self.told = []
        self.session.start(self.told.append)

    def seconds(self, n):
        for _ in range(n):
            before = self.source.arrived_samples
            self.gate.release()
            eventually(lambda before=before: self.source.arrived_samples > before)
            eventually(lambda: self.session.status.lag_seconds == 0)

    def all(self, kind):
        return [event for event in self.told if isinstance(event, kind)]


@pytest.fixture
def running(tmp_path):
    running = Running(tmp_path)
    yield running
    running.session.stop()
    assert running.session.wait(20)


def test_a_mark_is_a_fact_with_a_note_and_a_moment(running):
    session, told, seconds = running.session, running.told, running.seconds
    seconds(2)
    session.requests.mark("check with legal")
    session.requests.mark("earlier", sample=100)
    marks = [(event.sample, event.note) for event in told if isinstance(event, Marked)]
    assert marks == [(2 * SECOND, "check with legal"), (100, "earlier")]


def test_another_model_begins_with_the_next_utterance(running):
    session, told, seconds = running.session, running.told, running.seconds
    seconds(2)
    session.requests.change_recognition({"model": "new", "language": "German"})
    eventually(lambda: session.status.model == "new")
    seconds(2)
    session.stop()
    session.wait(20)
    ended = [(event.utterance, event.text) for event in told if isinstance(event, UtteranceEnded)]
    assert ended[:2] == [(0, "w0 w1"), (1, "w0 w1")]
    assert session.status.forced_language == "German"
    assert any(
        isinstance(event, Notice) and event.message == "From here on: new, German, no expected words." for event in told
    )


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"context": "Priya,  Kowalski"}, "expecting Priya, Kowalski"),
        ({"context": ""}, "no expected words"),
        ({"language": None}, "any language"),
        ({"model": "/models/Qwen3-ASR-0.6B/", "language": "German"}, "Qwen3-ASR-0.6B, German"),
        ({"context": "word " * 100}, "expecting word word"),
    ],
)
def test_a_change_is_answered_before_the_call_returns(running, changes, sentence):
    session, told = running.session, running.told
    eventually(lambda: told)
    session.requests.change_recognition(changes)
    notices = [event.message for event in told if isinstance(event, Notice)]
    assert notices[0].startswith(f"From the next utterance on: {sentence}") and len(notices[0]) < 150


def test_a_model_that_cannot_be_loaded_changes_nothing(running):
    session, told, seconds = running.session, running.told, running.seconds
    seconds(1)
    session.requests.change_recognition({"model": "missing"})
    eventually(lambda: len([event for event in told if isinstance(event, Notice)]) == 2)
    seconds(1)
    assert session.status.model == "old" and session.status.error is None
    assert [e.message for e in told if isinstance(e, Notice)] == [
        "From the next utterance on: missing.",
        "There is no such model. The session goes on as before.",
    ]


def test_the_open_utterance_is_kept_if_the_session_is_stopped_while_another_model_is_loaded(running, monkeypatch):
    """A recording that is read as fast as possible has ended as soon as it is closed."""

    def change(engine, settings, on_notice):
        running.session.stop()
        engine.settings = settings

    monkeypatch.setattr(ScriptedEngine, "change", change)
    running.seconds(2)
    running.session.requests.change_recognition({"model": "new"})
    assert running.session.wait(20)
    assert [event.text for event in running.all(UtteranceEnded)] == ["w0 w1"]


def test_a_new_paragraph_ends_the_utterance(running):
    session, told, seconds = running.session, running.told, running.seconds
    seconds(2)
    session.requests.end_utterance()
    eventually(lambda: any(isinstance(event, UtteranceEnded) for event in told))


@pytest.mark.parametrize(
    "ask",
    [
        lambda requests: requests.end_utterance(),
        lambda requests: requests.change_recognition({"language": "German"}),
    ],
    ids=["a new paragraph", "another language"],
)
def test_a_request_wakes_the_decode_thread(tmp_path, ask):
    """It may be waiting for sound, which a paused device does not deliver."""
    session, _ = make_session(tmp_path, ScriptedSource([0]))
    session.requests.arrival.clear()
    ask(session.requests)
    assert session.requests.arrival.is_set()


def test_muting_is_reported_once_and_shown(running):
    session, told, seconds = running.session, running.told, running.seconds
    seconds(1)
    session.requests.mute()
    session.requests.mute()
    assert session.status.muted
    seconds(1)
    session.requests.unmute()
    session.requests.unmute()
    assert not session.status.muted
    messages = [event.message for event in told if isinstance(event, Notice)]
    assert messages == ["Muted: nothing is transcribed.", "Unmuted after 1 s of silence."]


def test_nobody_can_mute_while_the_kept_sound_is_unmuted(running):
    """Otherwise the sound is kept of a session that shows that it is muted."""
    requests, can_mute = running.session.requests, []
    lock = requests._publisher.lock

    class Folder:
        def mute(self, muted):
            other = threading.Thread(target=lambda: can_mute.append(lock.acquire(timeout=0) and not lock.release()))
            other.start()
            other.join()

    requests._sound_folder = Folder()
    running.seconds(1)
    requests.mute()
    requests.unmute()
    assert can_mute == [False, False]


def test_only_an_input_device_can_be_switched(running):
    session = running.session
    with pytest.raises(AudioError, match="not an input device"):
        session.requests.switch_input("Yeti")


@given(st.integers(0, 50), st.lists(st.tuples(st.integers(0, 80), st.integers(0, 40)), max_size=3), st.booleans())
def test_exactly_the_muted_sound_is_silent(start, spans, is_open):
    silences = [(low, low + length) for low, length in spans]
    if is_open and silences:
        silences[-1] = (silences[-1][0], None)
    block = silenced(AudioBlock(start, np.ones(30, np.float32)), silences)
    for place, sample in enumerate(block.samples, start):
        muted = any(low <= place and (high is None or place < high) for low, high in silences)
        assert sample == (0.0 if muted else 1.0)

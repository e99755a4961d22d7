"""What a person asks of a running session is done once, is a fact, and never loses what was said before."""

import threading
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from livecap.archive.log import SessionLog
from livecap.audio_in.source import AudioBlock
from livecap.engine import EngineSettings
from livecap.errors import AudioError
from livecap.session.requests import SteeredSession, silenced
from livecap.session.tracks import TrackSource
from livecap.transcript import Marked, Notice, UtteranceEnded
from tests.archive.when import STARTED
from tests.session.scripted import SECOND, ScriptedSource, ScriptedTranscriber, engine_of


class Counting(ScriptedTranscriber):
    """Counts utterances on from another one."""

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


@pytest.fixture
def steered(tmp_path):
    """A session whose source hands over a second each time the gate is opened."""
    gate = threading.Semaphore(0)
    source = ScriptedSource([i * SECOND for i in range(6)], gate)
    log = SessionLog(tmp_path, STARTED)
    session = SteeredSession(
        [TrackSource("", source)], EngineSettings("old"), log, load_engine=engine_of(Counting.of_track)
    )
    told = []
    session.add_listener(told.append)

    def seconds(n):
        for _ in range(n):
            before = source.arrived_samples
            gate.release()
            wait_for(lambda before=before: source.arrived_samples > before)
            wait_for(lambda: session._tracks[0].end_sample == source.arrived_samples)

    never = threading.Event()

    def wait_for(condition):
        deadline = time.monotonic() + 20
        while not condition():
            assert time.monotonic() < deadline, "it never happened"
            never.wait(0.002)

    yield session, told, seconds, wait_for
    session.stop()
    if session._thread.ident:
        session.wait(20)


def test_a_mark_is_a_fact_with_its_note_and_its_moment(steered):
    session, told, seconds, wait_for = steered
    session.start()
    seconds(2)
    session.mark("check with legal")
    session.mark("earlier", sample=100)
    marks = [(event.sample, event.note) for event in told if isinstance(event, Marked)]
    assert marks == [(2 * SECOND, "check with legal"), (100, "earlier")]


def test_another_model_goes_on_with_the_next_utterance(steered):
    session, told, seconds, wait_for = steered
    session.start()
    seconds(2)
    session.change_recognition({"model": "new", "language": "German"})
    wait_for(lambda: session.status.model == "new")
    seconds(2)
    session.stop()
    session.wait(20)
    ended = [(event.utterance, event.text) for event in told if isinstance(event, UtteranceEnded)]
    assert ended[:2] == [(0, "w0 w1"), (1, "w0 w1")]
    assert session.status.language_forced
    assert any(isinstance(event, Notice) and "From here on: new, German." in event.message for event in told)


def test_a_model_that_cannot_be_loaded_changes_nothing(steered):
    session, told, seconds, wait_for = steered
    session.start()
    seconds(1)
    session.change_recognition({"model": "missing"})
    wait_for(lambda: any(isinstance(event, Notice) for event in told))
    seconds(1)
    assert session.status.model == "old" and session.status.error is None
    assert [e.message for e in told if isinstance(e, Notice)] == [
        "There is no such model. The session goes on as before."
    ]


def test_a_new_paragraph_ends_the_utterance(steered):
    session, told, seconds, wait_for = steered
    session.start()
    seconds(2)
    session.end_utterance()
    wait_for(lambda: any(isinstance(event, UtteranceEnded) for event in told))


def test_muting_is_told_once_and_shown(steered):
    session, told, seconds, wait_for = steered
    session.start()
    seconds(1)
    session.mute()
    session.mute()
    assert session.status.muted
    seconds(1)
    session.unmute()
    session.unmute()
    assert not session.status.muted
    messages = [event.message for event in told if isinstance(event, Notice)]
    assert messages == ["Muted: what is said now is not heard.", "Heard again after 1 s of silence."]


def test_a_recording_has_no_input_to_change(steered):
    session = steered[0]
    with pytest.raises(AudioError, match="no input that could be changed"):
        session.switch_input("Yeti")


@given(st.integers(0, 50), st.lists(st.tuples(st.integers(0, 80), st.integers(0, 40)), max_size=3), st.booleans())
def test_exactly_what_was_muted_is_silent(start, spans, is_open):
    silences = [(low, low + length) for low, length in spans]
    if is_open and silences:
        silences[-1] = (silences[-1][0], None)
    chunk = silenced(AudioBlock(start, np.ones(30, np.float32)), silences)
    for place, sample in enumerate(chunk.samples, start):
        muted = any(low <= place and (high is None or place < high) for low, high in silences)
        assert sample == (0.0 if muted else 1.0)

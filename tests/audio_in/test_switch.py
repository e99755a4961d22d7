"""Switching to another input: the clock goes on, the time between is a gap, and a bad choice changes nothing."""

from dataclasses import replace

import numpy as np
import pytest

from livecap.errors import AudioError
from livecap.transcript import SAMPLE_RATE
from tests.audio_in.fake_portaudio import CONFIG, MIC, OTHER, Ear
from tests.audio_in.waiting import blocks, eventually


@pytest.fixture
def ear():
    one = Ear(MIC, OTHER)
    yield one
    one.close()


def test_another_input_is_heard_after_a_gap_of_its_length(ear):
    source = ear.open()
    ear.hear(np.full(320, 0.1))
    source.switch_to("MacBook")
    ear.reopened(2)
    assert ear.stream.device == OTHER and source.name == OTHER.name
    ear.portaudio.seconds += 0.5
    ear.hear(np.full(320, 0.2))
    source.close()
    heard = list(blocks(source))
    assert [(block.start_sample, block.end_sample) for block in heard] == [(0, 320), (320 + 8000, 640 + 8000)]
    assert ear.notices == [f'Now listening to "{OTHER.name}".'] and source.trouble is None


def test_an_input_that_delivered_nothing_before_the_switch_shortens_no_gap(ear):
    source = ear.open()
    ear.hear(np.full(320, 0.1))
    ear.portaudio.plugged = [OTHER]
    ear.stream.die()
    eventually(lambda: source.trouble == "away")
    ear.portaudio.seconds += 2.0
    ear.portaudio.plugged = [MIC, OTHER]
    ear.reopened(2)
    source.switch_to("MacBook")
    ear.reopened(3)
    ear.hear(np.full(320, 0.2))
    source.close()
    assert [block.start_sample for block in blocks(source)] == [0, 320 + 2 * SAMPLE_RATE]


def test_an_unknown_input_changes_nothing(ear):
    source = ear.open()
    with pytest.raises(AudioError, match='No input named "Blue"'):
        source.switch_to("Blue")
    ear.hear(np.full(320, 0.1))
    assert source.name == "Yeti" and len(ear.portaudio.streams) == 1


def test_an_input_that_cannot_be_opened_leaves_the_one_there_was(ear):
    source = ear.open()
    ear.hear(np.full(320, 0.1))
    ear.portaudio.faults = [AudioError("It is busy.")]
    source.switch_to("MacBook")
    ear.reopened(2)
    assert ear.stream.device == MIC and source.name == "Yeti"
    eventually(lambda: ear.notices and "It is busy. The session goes on as before." in ear.notices[0])


def test_after_a_switch_that_failed_the_old_input_is_opened_without_waiting():
    """Also in the moment after it was opened again, in which a lost device would have to wait."""
    ear = Ear(MIC, OTHER, config=replace(CONFIG, retry_seconds=0.5))
    try:
        source = ear.open()
        ear.stream.die()
        ear.waits(lambda: len(ear.portaudio.streams) == 2 and source.is_open)
        ear.portaudio.faults = [AudioError("It is busy.")]
        source.switch_to("MacBook")
        ear.reopened(3)  # time stands still
        assert ear.stream.device == MIC
    finally:
        ear.close()


def test_while_paused_the_other_input_is_opened_when_listening_goes_on(ear):
    source = ear.open()
    source.pause()
    source.switch_to("MacBook")
    eventually(lambda: source.name == OTHER.name)
    assert ear.stream.closed
    source.resume()
    ear.reopened(2)
    assert ear.stream.device == OTHER


def test_muted_sound_is_kept_as_silence_of_its_length(ear):
    source = ear.open()
    source.spool.mute(True)
    ear.hear(np.full(320, 0.5))
    source.spool.mute(False)
    ear.hear(np.full(320, 0.5))
    source.close()
    [block] = list(blocks(source))
    assert not block.samples[:320].any() and block.samples[320:].all()


def test_an_input_chosen_in_a_pause_that_cannot_be_opened_leaves_the_one_there_was(ear):
    source = ear.open()
    ear.hear(np.full(320, 0.1))
    source.pause()
    source.switch_to("MacBook")
    eventually(lambda: source.name == OTHER.name)
    ear.portaudio.faults = [AudioError("It is busy.")]
    source.resume()
    ear.reopened(2)
    assert ear.stream.device == MIC and source.name == "Yeti"
    eventually(lambda: "It is busy. The session goes on as before." in ear.notices)


def test_samples_of_a_device_that_are_no_numbers_are_silence(ear):
    source = ear.open()
    ear.hear(np.tile([0.5, np.nan, np.inf, -np.inf], 80))
    source.close()
    [block] = list(blocks(source))
    assert np.isfinite(block.samples).all() and 0.4 < np.abs(block.samples).max() < 0.6

"""When a device is opened, and opened again: every wait on a clock that the test moves."""

from dataclasses import replace

import pytest

from livecap.audio_in.device.capture import Capture, CaptureConfig
from livecap.audio_in.device.enumeration import Enumeration
from livecap.audio_in.device.opener import Opener
from livecap.errors import AudioError
from tests.audio_in.fake_portaudio import MIC, OTHER, FakePortAudio

CONFIG = CaptureConfig(
    block_seconds=0.05, latency_seconds=0.25, retry_seconds=0.5, probe_seconds=1, most_probe_seconds=4
)


def make(*plugged, query="Yeti", shared=False, **options):
    """An opener, its PortAudio and its enumeration; with `shared`, another stream runs beside it."""
    portaudio = FakePortAudio(*plugged)
    enumeration = Enumeration()
    if shared:
        with enumeration.opening(1.0):
            pass
    return Opener(query, CONFIG, now=portaudio.now, portaudio=portaudio, enumeration=enumeration, **options), portaudio


def heard(capture: Capture) -> Capture:
    """The capture after a second of sound."""
    for _ in range(20):
        capture.stream.hear([0.5] * 800)
    return capture


def lose(opener: Opener, portaudio: FakePortAudio, capture: Capture) -> None:
    """The device leaves, and its stream is closed."""
    portaudio.plugged.clear()
    capture.shut()
    opener.enumeration.closed()
    opener.lost(capture)


def test_the_block_and_the_latency_are_those_of_the_settings():
    opener, portaudio = make(MIC)
    asked = []
    portaudio.open_input = lambda device, *arguments: asked.append(arguments[:3])
    opener.open(MIC)
    assert asked == [(1, 800, 0.25)]


def test_a_busy_device_is_tried_three_times_half_a_second_apart():
    opener, portaudio = make(MIC)
    portaudio.faults = [AudioError("busy"), AudioError("busy"), None]
    waits = []
    assert opener.first(lambda: False, waits.append).device == MIC
    assert waits == [0.5, 0.5] and portaudio.n_reinitialised == 2


def test_the_last_failure_is_reported():
    opener, portaudio = make(MIC)
    portaudio.faults = [AudioError("busy 1"), AudioError("busy 2"), AudioError("busy 3")]
    waits = []
    with pytest.raises(AudioError, match="busy 3"):
        opener.first(lambda: False, waits.append)
    assert len(waits) == 2
    portaudio.faults = [AudioError("busy 1"), None]
    with pytest.raises(AudioError, match="busy 1"):
        opener.first(lambda: True, waits.append)
    assert len(waits) == 2, "who closed the source does not wait"


def test_a_lost_device_is_tried_again_after_half_a_second_and_at_once_on_request():
    opener, portaudio = make(MIC)
    assert opener.due
    lose(opener, portaudio, heard(opener.first(lambda: False, lambda seconds: None)))
    portaudio.seconds += 1
    assert opener.due
    with pytest.raises(AudioError):
        opener.again()
    assert not opener.due
    portaudio.seconds += 0.49
    assert not opener.due
    portaudio.seconds += 0.02
    assert opener.due
    with pytest.raises(AudioError):
        opener.again()
    opener.retry_at_once()
    assert opener.due
    portaudio.plugged.append(MIC)
    assert opener.again().device == MIC


def test_alone_a_lost_device_is_found_by_listing_again_each_time():
    opener, portaudio = make(MIC)
    lose(opener, portaudio, heard(opener.first(lambda: False, lambda seconds: None)))
    for n in range(1, 4):
        with pytest.raises(AudioError):
            opener.again()
        assert (portaudio.n_reinitialised, portaudio.n_probed) == (n, 0)


def test_beside_other_streams_a_new_process_looks_for_the_device_once_a_second():
    opener, portaudio = make(MIC, shared=True)
    lose(opener, portaudio, heard(opener.first(lambda: False, lambda seconds: None)))
    for seconds, n_probed in ((0, 1), (0.5, 1), (0.5, 2), (0.9, 2), (0.2, 3)):
        portaudio.seconds += seconds
        with pytest.raises(AudioError, match="away|No input"):
            opener.again()
        assert (portaudio.n_probed, portaudio.n_reinitialised) == (n_probed, 0)


def test_a_device_that_came_back_to_the_old_list_disturbs_no_other():
    opener, portaudio = make(MIC, shared=True)
    lose(opener, portaudio, heard(opener.first(lambda: False, lambda seconds: None)))
    portaudio.plugged.append(MIC)
    assert opener.again().device == MIC
    assert (portaudio.n_probed, portaudio.n_reinitialised) == (0, 0)


def test_the_old_list_is_not_believed_after_an_opening_without_sound():
    opener, portaudio = make(MIC, shared=True)
    lose(opener, portaudio, opener.first(lambda: False, lambda seconds: None))
    portaudio.plugged.append(MIC)
    opener.enumeration.closed()  # the other stream steps aside
    with opener.enumeration.opening(1.0):
        pass
    portaudio.reinitialise = lambda: setattr(portaudio, "n_reinitialised", portaudio.n_reinitialised + 1)
    waiting = opener.enumeration.list_again
    opener.enumeration.list_again = lambda reinitialise, seconds: (
        opener.enumeration.closed(),
        waiting(reinitialise, seconds),
    )
    assert opener.again().device == MIC
    assert (portaudio.n_probed, portaudio.n_reinitialised) == (1, 1)


def test_a_device_that_is_found_and_cannot_be_opened_disturbs_others_less_and_less_often():
    opener, portaudio = make(MIC, shared=True)
    lose(opener, portaudio, opener.first(lambda: False, lambda seconds: None))
    portaudio.probe_inputs = lambda wanted: [MIC]
    asked = []

    def list_again(reinitialise, seconds):
        asked.append((portaudio.seconds, seconds))
        raise AudioError("another stream does not close")

    opener.enumeration.list_again = list_again
    began = portaudio.seconds
    for _ in range(160):
        with pytest.raises(AudioError):
            opener.again()
        portaudio.seconds += 0.1
    assert [round(at - began, 1) for at, _ in asked] == [0, 1.0, 3.0, 7.0, 11.0, 15.0]
    assert {seconds for _, seconds in asked} == {CONFIG.aside_seconds}


def test_the_default_input_is_asked_for_every_two_seconds_where_none_was_chosen():
    opener, portaudio = make(MIC, OTHER, query=None)
    capture = opener.first(lambda: False, lambda seconds: None)
    assert not opener.default_moved(capture), "its name cannot be known here"
    portaudio.default_name = OTHER.name
    portaudio.seconds += 1.9
    assert not opener.default_moved(capture)
    portaudio.seconds += 0.2
    assert opener.default_moved(capture)
    portaudio.seconds += 2
    assert not opener.default_moved(capture), "it was looked for, and another one was opened"
    portaudio.default_name = MIC.name
    portaudio.seconds += 2
    assert not opener.default_moved(capture)
    portaudio.default_name = OTHER.name
    portaudio.seconds += 2
    assert opener.default_moved(capture)


@pytest.mark.parametrize("is_new", [False, True])
def test_beside_other_streams_another_default_input_is_opened_and_not_the_one_of_the_old_list(is_new):
    opener, portaudio = make(MIC, *([] if is_new else [OTHER]), query=None, shared=True)
    capture = heard(opener.first(lambda: False, lambda seconds: None))
    portaudio.default_name = OTHER.name
    portaudio.plugged = [replace(MIC, is_default=False), replace(OTHER, is_default=True), MIC, OTHER]
    portaudio.seconds += 2
    assert opener.default_moved(capture)
    capture.shut()
    opener.enumeration.closed()
    opener.lost(capture)
    waiting = opener.enumeration.list_again
    opener.enumeration.list_again = lambda reinitialise, seconds: (
        opener.enumeration.closed(),  # the other stream steps aside
        waiting(reinitialise, seconds),
    )
    assert opener.again().device.name == OTHER.name and portaudio.n_reinitialised == is_new


@pytest.mark.parametrize("is_known", [False, True])
def test_the_default_input_is_not_followed_to_the_input_of_another_track(is_known):
    third = replace(OTHER, index=5, name="Headset")
    opener, portaudio = make(MIC, OTHER, third, query=None, taken=lambda: [OTHER.name])
    capture = opener.first(lambda: False, lambda seconds: None)
    if is_known:
        portaudio.default_name = OTHER.name
        portaudio.seconds += 2.1
        assert not opener.default_moved(capture)
    lose(opener, portaudio, heard(capture))
    portaudio.plugged = [replace(OTHER, is_default=True), third]
    with pytest.raises(AudioError, match='No input named "Yeti"'):
        opener.again()
    portaudio.plugged = [replace(MIC, is_default=False), replace(OTHER, is_default=True), third]
    capture = opener.again()
    assert capture.device.name == MIC.name
    lose(opener, portaudio, heard(capture))
    portaudio.plugged = [OTHER, replace(third, is_default=True)]
    portaudio.default_name = third.name if is_known else None
    assert opener.again().device.name == third.name


def test_a_chosen_input_is_not_left_for_another_default():
    opener, portaudio = make(MIC, OTHER)
    capture = opener.first(lambda: False, lambda seconds: None)
    portaudio.default_name = OTHER.name
    portaudio.seconds += 60
    assert not opener.default_moved(capture)

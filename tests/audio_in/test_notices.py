"""What the user gets to know about a device: each thing once, and again after it has changed."""

import numpy as np
import pytest

from livecap.audio_in.device.devices import InputDevice
from livecap.audio_in.device.notices import DeviceNotices
from tests.audio_in.fake_portaudio import MIC

LOOPBACK = InputDevice(5, "BlackHole 2ch", "Core Audio", 2, 16_000, False)
ZEROS, SOUND = np.zeros((16_000, 1), np.float32), np.ones((16_000, 1), np.float32)


@pytest.fixture
def told() -> list[str]:
    return []


@pytest.fixture
def notices(told: list[str]) -> DeviceNotices:
    return DeviceNotices(3.0, lambda message, severity="warning": told.append(f"{severity}: {message}"))


def test_a_loss_is_told_once_until_the_device_is_back(notices: DeviceNotices, told: list[str]) -> None:
    for _ in range(2):
        notices.gone("Yeti")
        notices.gone("Yeti")
        assert notices.trouble == "away"
        notices.back("Yeti", 1.25)
        assert notices.trouble is None
    assert [line.partition(":")[0] for line in told] == ["warning", "info"] * 2
    assert "is gone" in told[0] and "is back; 1.2 s were lost" in told[1]


def test_a_gap_without_a_loss_is_not_told(notices: DeviceNotices, told: list[str]) -> None:
    notices.back("Yeti", 1.0)
    notices.expect_loss()
    notices.back("Yeti", 1.0)
    assert told == []


def test_a_loss_that_was_explained_is_not_told_but_shown(notices: DeviceNotices, told: list[str]) -> None:
    notices.expect_loss()
    notices.gone("Yeti")
    assert told == [] and notices.trouble == "away"


def test_a_storm_of_losses_is_one_notice(notices: DeviceNotices, told: list[str]) -> None:
    for storm in (False, True, True, True):
        notices.lost("Yeti", storm)
        notices.gone("Yeti")
        notices.back("Yeti", 0.1)
    assert len(told) == 3 and "keeps failing" in told[2]
    notices.lost("Yeti", False)
    notices.gone("Yeti")
    assert len(told) == 4 and "is gone" in told[3]


def test_another_input_that_was_chosen_is_no_loss(notices: DeviceNotices, told: list[str]) -> None:
    notices.gone("Yeti")
    notices.switching()
    assert notices.trouble is None
    notices.gone("BlackHole")
    assert len(told) == 1
    notices.not_switched()
    notices.gone("Yeti")
    assert len(told) == 2


def test_digital_silence_is_told_with_its_end(notices: DeviceNotices, told: list[str]) -> None:
    for _ in range(2):
        for second in range(5):
            notices.hear(ZEROS, MIC)
            assert notices.trouble == ("silent" if second >= 2 else None)
        notices.hear(SOUND, MIC)
        assert notices.trouble is None
    assert ["digital silence" in line for line in told] == [True, False] * 2
    assert "for 3 s" in told[0] and "has sound again" in told[1]


def test_opening_a_device_ends_the_silence_of_the_one_before(notices: DeviceNotices, told: list[str]) -> None:
    notices.hear(ZEROS, MIC)
    notices.hear(ZEROS, MIC)
    notices.opened()
    notices.hear(ZEROS, MIC)
    assert told == [] and notices.trouble is None


def test_a_loopback_is_silent_while_nothing_plays(notices: DeviceNotices, told: list[str]) -> None:
    for _ in range(2):
        for _ in range(4):
            notices.hear(ZEROS, LOOPBACK)
        assert notices.trouble is None
        notices.hear(SOUND, LOOPBACK)
    assert len(told) == 1 and "Is nothing playing" in told[0]


def test_lost_input_is_told_once(notices: DeviceNotices, told: list[str]) -> None:
    notices.flagged("Yeti")
    notices.flagged("Yeti")
    assert len(told) == 1 and "was lost" in told[0]


def test_a_device_that_stepped_aside_and_cannot_be_opened_again_is_gone(
    notices: DeviceNotices, told: list[str]
) -> None:
    notices.expect_loss()
    for _ in range(3):
        notices.gone("Yeti")
    assert len(told) == 1 and "is gone" in told[0]


def test_silence_of_the_input_before_is_not_that_of_the_chosen_one(notices: DeviceNotices, told: list[str]) -> None:
    for _ in range(4):
        notices.hear(ZEROS, LOOPBACK)
    notices.switching()
    notices.opened()
    notices.hear(SOUND, MIC)
    assert len(told) == 1 and "digital silence" in told[0]
    for _ in range(4):
        notices.hear(ZEROS, MIC)
    assert len(told) == 2

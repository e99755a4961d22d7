"""Fixtures for the tests of sound: a clock, a microphone on a fake PortAudio, a recording."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from livecap.audio_in.device.devices import InputDevice
from tests.audio_in.fake_portaudio import MIC, OTHER, Ear
from tests.audio_in.waiting import capture_threads, eventually


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "mic: needs PulseAudio, and plays into a virtual microphone in real time")


class FakeClock:
    """Seconds that pass only in `sleep`."""

    def __init__(self) -> None:
        self.now = 100.0
        self.before_sleep: list = []
        """Called in order, one in each `sleep`, before time passes."""

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        if self.before_sleep:
            self.before_sleep.pop(0)()
        self.now += seconds

    def plays(self, source):
        """The blocks of a recording, taken by a reader that sleeps in between."""
        while not source.ended:
            if (block := source.take()) is not None:
                yield block
            elif not source.ended:
                self.sleep(0.01)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def ear() -> Iterator[Callable[..., Ear]]:
    """Makes Ears, by default with two devices; closes them at the end."""
    made: list[Ear] = []

    def make(*plugged: InputDevice, **options: Any) -> Ear:
        made.append(Ear(*(plugged or (MIC, OTHER)), **options))
        return made[-1]

    yield make
    for one in made:
        one.close()
    eventually(lambda: not capture_threads())


@pytest.fixture(scope="session")
def jfk() -> Path:
    """11 s of speech, 16 kHz mono: Kennedy's inaugural address, 1961, public domain (US government work)."""
    return Path(__file__).with_name("jfk.flac")

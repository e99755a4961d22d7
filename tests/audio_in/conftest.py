"""Clocks and recordings for the tests of sound; the virtual microphone is in virtual_mic.py."""

from pathlib import Path

import pytest


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "mic: needs PulseAudio, and plays into a virtual microphone in real time")


class FakeClock:
    """Seconds that pass only when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 100.0
        self.before_sleep: list = []
        """Called in order, one at each sleep, before time passes."""

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        if self.before_sleep:
            self.before_sleep.pop(0)()
        self.now += seconds

    def plays(self, source):
        """The blocks of a recording, as a reader takes them that sleeps in between."""
        while not source.ended:
            if (block := source.take()) is not None:
                yield block
            elif not source.ended:
                self.sleep(0.01)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture(scope="session")
def jfk() -> Path:
    """11 s of speech, 16 kHz mono: Kennedy's inaugural address, 1961, public domain (US government work)."""
    return Path(__file__).with_name("jfk.flac")

"""A PortAudio that does what the test says, and a Microphone on it."""

import threading
import time

import numpy as np

from livecap.audio_in.device.capture import CaptureConfig
from livecap.audio_in.device.devices import InputDevice, choose_input
from livecap.audio_in.device.enumeration import Enumeration
from livecap.audio_in.device.microphone import Microphone
from livecap.errors import AudioError
from livecap.transcript import SAMPLE_RATE

CONFIG = CaptureConfig(poll_seconds=0.001, retry_seconds=0.0, ring_seconds=1.0, open_seconds=5.0, close_seconds=5.0)
MIC = InputDevice(3, "Yeti", "Core Audio", 1, SAMPLE_RATE, True)
OTHER = InputDevice(4, "MacBook Pro Microphone", "Core Audio", 1, SAMPLE_RATE, False)


class FakeStream:
    """The test is its callback."""

    def __init__(self, portaudio, device, on_block, on_finished):
        self.portaudio, self.device, self.on_block, self.on_finished = (
            portaudio,
            device,
            on_block,
            on_finished,
        )
        self.active = True
        self.owner = threading.get_ident()
        self.aborted = self.closed = False
        self.hangs: threading.Event | None = None

    def hear(self, samples, flags=0):
        """A callback; its block ends now."""
        block = np.asarray(samples, np.float32)
        block = block[:, None] if block.ndim == 1 else block
        self.portaudio.now += len(block) / self.device.default_rate
        self.on_block(block, len(block), None, flags)

    def die(self):
        self.on_finished()  # as on a Mac: active all the same

    def abort(self):
        assert threading.get_ident() == self.owner
        if self.hangs:
            self.hangs.wait()
        self.active, self.aborted = False, True

    def close(self):
        assert threading.get_ident() == self.owner and self.aborted
        self.closed = True


class FakePortAudio:
    """What `livecap.audio_in.device.devices` offers; also the clock. A stale list is shown until `reinitialise`."""

    def __init__(self, *plugged):
        self.plugged = list(plugged)
        self.listed = list(plugged)
        self.streams = []
        self.faults = []
        """One for each of the next attempts to open; None opens."""
        self.n_reinitialised = self.n_probed = 0
        self.now, self.slept = 1000.0, 0.0
        self.default_name = None

    def clock(self):
        return self.now

    def sleeps(self, seconds):
        """The machine does: one clock goes on, the other stands still."""
        self.slept += seconds
        self.now += seconds

    def awake_clock(self):
        return self.now - self.slept

    def probe_inputs(self, wanted):
        self.n_probed += 1
        return list(self.plugged)

    def default_input_name(self):
        return self.default_name

    def list_inputs(self):
        return list(self.listed)

    def find_input(self, query):
        return choose_input(query, self.list_inputs())

    def reinitialise(self):
        assert all(stream.closed for stream in self.streams), "a stream was open"
        self.n_reinitialised += 1
        self.listed = list(self.plugged)

    def open_input(self, device, n_channels, block_samples, latency_seconds, on_block, on_finished):
        if self.faults and (fault := self.faults.pop(0)):
            raise fault
        if device not in self.plugged:
            raise AudioError("Input/output error")
        assert all(stream.closed or stream.device != device for stream in self.streams), "opened twice"
        self.streams.append(FakeStream(self, device, on_block, on_finished))
        return self.streams[-1]


def eventually(condition):
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.0005)


class Ear:
    """A Microphone on a fake, and what it told."""

    def __init__(self, *plugged, query="Yeti", config=CONFIG, portaudio=None, enumeration=None):
        self.portaudio = portaudio or FakePortAudio(*plugged)
        self.enumeration = enumeration or Enumeration()
        self.notices = []
        self.source = self.early = None
        self.query, self.config = query, config

    def open(self):
        self.source = Microphone(
            self.query,
            on_notice=lambda message, severity="warning": self.notices.append(message),
            config=self.config,
            clock=self.portaudio.clock,
            awake_clock=self.portaudio.awake_clock,
            portaudio=self.portaudio,
            enumeration=self.enumeration,
            early=self.early,
        )
        return self.source

    @property
    def stream(self):
        return self.portaudio.streams[-1]

    def hear(self, samples, **options):
        """The stream hears them, and the capture thread has fetched them."""
        before = self.source.health.n_blocks
        self.stream.hear(samples, **options)
        eventually(lambda: self.source.health.n_blocks > before)

    def waits(self, condition):
        """Time passes until it is so: a lost device is opened again at the fake's time."""

        def passes():
            self.portaudio.now += 0.02
            return condition()

        eventually(passes)

    def reopened(self, n_streams):
        eventually(lambda: len(self.portaudio.streams) == n_streams and self.source.is_open)

"""A PortAudio that the test controls, and a Microphone that uses it."""

import threading
import time

import numpy as np

from livecap.audio_in.device.capture import CaptureConfig
from livecap.audio_in.device.devices import InputDevice, choose_input
from livecap.audio_in.device.enumeration import Enumeration
from livecap.audio_in.device.microphone import Microphone
from livecap.errors import AudioError
from livecap.transcript import SAMPLE_RATE
from tests.audio_in.waiting import WITHIN_SECONDS, eventually

CONFIG = CaptureConfig(
    poll_seconds=0.001, retry_seconds=0.0, ring_seconds=1.0, open_seconds=20.0, close_seconds=20.0, aside_seconds=20.0
)
MIC = InputDevice(3, "Yeti", "Core Audio", 1, SAMPLE_RATE, True)
OTHER = InputDevice(4, "MacBook Pro Microphone", "Core Audio", 1, SAMPLE_RATE, False)


class FakeStream:
    """A stream into which the test puts sound."""

    def __init__(self, portaudio, device, on_block, on_finished):
        self.portaudio, self.device, self.on_block, self.on_finished = portaudio, device, on_block, on_finished
        self.is_active = True
        self.owner = threading.get_ident()
        self.aborted = self.closed = False
        self.hangs: threading.Event | None = None
        self.asked, self.may_answer = threading.Event(), threading.Event()
        self.may_answer.set()

    @property
    def active(self):
        self.asked.set()
        assert self.may_answer.wait(WITHIN_SECONDS)
        return self.is_active

    def hear(self, samples, flags=0):
        """One callback; its block ends now."""
        block = np.asarray(samples, np.float32)
        block = block[:, None] if block.ndim == 1 else block
        self.portaudio.seconds += len(block) / self.device.default_rate
        self.on_block(block, len(block), None, flags)

    def keep_capture_thread(self):
        """Stop the capture thread after it has fetched all sound, until `may_answer` is set."""
        self.may_answer.clear()
        self.asked.clear()
        assert self.asked.wait(WITHIN_SECONDS)

    def die(self):
        self.on_finished()  # as on a Mac: active all the same

    def abort(self):
        assert threading.get_ident() == self.owner
        if self.hangs:
            self.hangs.wait()
        self.is_active, self.aborted = False, True

    def close(self):
        assert threading.get_ident() == self.owner and self.aborted
        self.closed = True


class FakePortAudio:
    """Stands in for `livecap.audio_in.device.portaudio`, and for the clocks. Lists old devices until `reinitialise`."""

    def __init__(self, *plugged):
        self.plugged = list(plugged)
        self.listed = list(plugged)
        self.streams = []
        self.faults = []
        """What the next attempts to open raise, in order; None opens."""
        self.n_reinitialised = self.n_probed = 0
        self.n_rounds = 0
        """Rounds of the capture threads, which read this clock once in each."""
        self.seconds, self.slept = 1000.0, 0.0
        self.default_name = None

    def now(self):
        return self.seconds

    def sleeps(self, seconds):
        """The computer sleeps: one clock goes on, the other stands still."""
        self.slept += seconds
        self.seconds += seconds

    def awake_now(self):
        self.n_rounds += 1
        return self.seconds - self.slept

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
        self.streams[-1].n_channels = n_channels
        return self.streams[-1]


class Ear:
    """A Microphone on a fake PortAudio, and its notices."""

    def __init__(self, *plugged, query="Yeti", config=CONFIG, portaudio=None, enumeration=None):
        self.portaudio = portaudio or FakePortAudio(*plugged)
        self.enumeration = enumeration or Enumeration()
        self.notices = []
        self.source = self.early = None
        self.query, self.config = query, config

    def on_notice(self, message, severity="warning"):
        self.notices.append(message)

    def open(self, **options):
        self.source = Microphone(
            self.query,
            on_notice=self.on_notice,
            config=self.config,
            now=self.portaudio.now,
            awake_now=self.portaudio.awake_now,
            portaudio=self.portaudio,
            enumeration=self.enumeration,
            early=self.early,
            **options,
        )
        return self.source

    @property
    def stream(self):
        return self.portaudio.streams[-1]

    def hear(self, samples, **options):
        """The stream delivers samples, and the capture thread has fetched them."""
        before = self.source.health.n_blocks
        self.stream.hear(samples, **options)
        eventually(lambda: self.source.health.n_blocks > before)

    def passes(self, n_rounds=2):
        """Wait for this many more rounds of the capture thread."""
        before = self.portaudio.n_rounds
        eventually(lambda: self.portaudio.n_rounds >= before + n_rounds)

    def waits(self, condition):
        """Let the fake's time pass until the condition holds: 20 ms with each round of a capture thread, so that no
        stream stalls because a busy machine did not run it; without rounds, as fast as real time.
        """
        seen, since = -1, 0.0

        def passes():
            nonlocal seen, since
            if self.portaudio.n_rounds != seen or time.monotonic() - since > 0.02:
                seen, since = self.portaudio.n_rounds, time.monotonic()
                self.portaudio.seconds += 0.02
            return condition()

        eventually(passes)

    def reopened(self, n_streams):
        eventually(lambda: len(self.portaudio.streams) == n_streams and self.source.is_open)

    def close(self):
        """End whatever hangs, and close the microphone."""
        for stream in self.portaudio.streams:
            stream.may_answer.set()
            if stream.hangs:
                stream.hangs.set()
        if self.source:
            self.source.close()

"""One opening of an input device: its stream, and what the callback copies and counts. No numpy, which is slow to load:
capture begins before it.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from livecap.audio_in.device import portaudio
from livecap.audio_in.device.devices import InputDevice, InputStream
from livecap.audio_in.device.enumeration import OURS, Enumeration
from livecap.audio_in.device.ring_buffer import RingBuffer
from livecap.audio_in.device.status import CALLBACK_BUCKETS
from livecap.audio_in.device.watch import DriftWatch, RateWatch, clock_through_sleep
from livecap.errors import AudioError


@dataclass(frozen=True, slots=True)
class CaptureConfig:
    """How an input is opened and watched."""

    block_seconds: float = 0.02
    """Sound in one callback; always fixed, since PortAudio's own choice is ragged."""
    latency_seconds: float = 0.1
    """PortAudio's buffer: Python may keep the callback waiting for tens of milliseconds."""
    most_channels: int = 2
    """The first channels of a device with more."""
    ring_seconds: float = 10.0
    """How long the capture thread may be kept from running before sound is lost."""
    poll_seconds: float = 0.02
    """How often the capture thread empties the ring and looks at the device."""
    stall_seconds: float = 1.5
    """A device without a callback for so long is lost."""
    first_block_seconds: float = 3.0
    """The same for its first callback: Bluetooth takes its time."""
    retry_seconds: float = 0.5
    """Between two attempts to open a lost device."""
    first_attempts: int = 3
    """Attempts before the first failure is reported: a device may be busy changing its rate."""
    open_seconds: float = 10.0
    """A device that did not open within this is given up."""
    close_seconds: float = 1.0
    """`close` and `pause` wait so long for the device, then leave it behind."""
    zeros_seconds: float = 3.0
    """Exact zeros for so long are worth a notice: no room is that quiet."""
    default_seconds: float = 2.0
    """How often it is looked whether the default input became another, where that can be known."""
    probe_seconds: float = 1.0
    """Between two looks of another process for a lost device, while other streams run."""
    most_probe_seconds: float = 60.0
    """The same for a device that is there and still cannot be opened: each look that finds it disturbs the others."""
    aside_seconds: float = 2.0
    """How long a stream waits for others that read the devices anew."""


class Capture:
    """Used from two threads: the callback writes, the capture thread reads. The ring between them is made for
    that, and every other field has one writer."""

    def __init__(self, device: InputDevice, config: CaptureConfig, clock: Callable[[], float]) -> None:
        self.device = device
        self.n_channels = min(device.n_channels, config.most_channels)
        self.block_samples = round(device.default_rate * config.block_seconds)
        self.ring = RingBuffer(round(device.default_rate * config.ring_seconds), self.n_channels)
        self.stream: InputStream | None = None
        self.clock = clock
        self.opened_at = clock()
        self.opened_wall = time.time()
        # Of the capture thread:
        self.expected = 0  # the next sample in the ring
        self.queued = 0  # samples at 16 kHz that came out of the resampler
        self.taken = 0  # samples at the device's rate that went into it
        self.rate_watch = RateWatch(device.default_rate)
        self.drift_watch = DriftWatch(device.default_rate)
        # Written by the callback:
        self.heard_from: float | None = None  # when the first block began
        self.latest: tuple[float, int] | None = None  # when the last block came, and how many samples had come then
        self.finished = False
        self.n_blocks = self.n_flags = self.n_samples = 0
        self.longest_callback_seconds = 0.0
        self.callback_counts = [0] * CALLBACK_BUCKETS

    @property
    def last_block_at(self) -> float | None:
        """When the last block came."""
        latest = self.latest
        return latest[0] if latest else None

    def on_block(self, block: Any, n_samples: int, times: Any, flags: Any) -> None:
        """Copy and count, nothing else: this is PortAudio's thread."""
        began = self.clock()
        # Before the sound is there to be read, since the reader asks for them when it is.
        if self.heard_from is None:
            self.heard_from = began - n_samples / self.device.default_rate
        self.n_blocks += 1
        self.n_samples += n_samples
        self.latest = (began, self.n_samples)
        if flags:
            self.n_flags += 1
        self.ring.write(block)
        seconds = self.clock() - began
        self.longest_callback_seconds = max(self.longest_callback_seconds, seconds)
        self.callback_counts[min(max(int(seconds * 1e6).bit_length() - 1, 0), CALLBACK_BUCKETS - 1)] += 1

    def on_finished(self) -> None:
        self.finished = True

    def is_lost(self, config: CaptureConfig) -> bool:
        if self.finished or self.stream is None:
            return True
        last_block_at = self.last_block_at
        if last_block_at is None:
            silent_seconds, most_seconds = self.clock() - self.opened_at, config.first_block_seconds
        else:
            silent_seconds, most_seconds = self.clock() - last_block_at, config.stall_seconds
        if silent_seconds > most_seconds:
            return True
        try:
            return not self.stream.active
        except Exception:  # PortAudioError: the stream does not exist any more
            return True

    def shut(self) -> None:
        """Abort and close; never stop, which can hang for ever. A device that is gone may refuse both."""
        stream, self.stream = self.stream, None
        for end in (stream.abort, stream.close) if stream is not None else ():
            try:
                end()
            except Exception:  # PortAudioError; there is nothing left to do
                pass


def open_capture(
    device: InputDevice, config: CaptureConfig, clock: Callable[[], float], portaudio: Any, enumeration: Enumeration
) -> Capture:
    """A device that is heard from now on; who shuts it tells `enumeration`.

    Raises:
        AudioError: it cannot be opened.
    """
    enumeration.opening(config.aside_seconds)
    try:
        capture = Capture(device, config, clock)
        capture.stream = portaudio.open_input(
            device,
            capture.n_channels,
            capture.block_samples,
            config.latency_seconds,
            capture.on_block,
            capture.on_finished,
        )
    except BaseException:
        enumeration.closed()
        raise
    capture.opened_wall = time.time()
    return capture


class EarlyCapture:
    """A device that is opened on a thread of its own, while this one loads what hears it. Its stream belongs to whoever
    fetches it."""

    def __init__(self, query: str | int | None) -> None:
        """Returns at once."""
        self._query = query
        self._capture: Capture | None = None
        self._thread = threading.Thread(target=self._run, name="early capture", daemon=True)
        self._thread.start()

    def wait(self, timeout_seconds: float) -> None:
        """Until it is open, or was refused, or that takes too long."""
        self._thread.join(timeout_seconds)

    def fetch(self, timeout_seconds: float) -> Capture | None:
        """The running capture, once; None where it could not be opened: who tries again finds out why."""
        self._thread.join(timeout_seconds)
        capture, self._capture = self._capture, None
        return capture

    def _run(self) -> None:
        try:
            device = portaudio.find_input(self._query)
            self._capture = open_capture(device, CaptureConfig(), clock_through_sleep, portaudio, OURS)
        except AudioError:
            pass  # said by who fetches nothing

"""One opening of an input device: its stream, and what the callback copies and counts."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from livecap.audio_in.devices import InputDevice, InputStream
from livecap.audio_in.resample import Resampler
from livecap.audio_in.ring_buffer import RingBuffer


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


@dataclass(frozen=True, slots=True)
class CaptureStatus:
    """Counters since the start, for `livecap doctor` and the log."""

    n_blocks: int = 0
    """Callbacks."""
    n_overflows: int = 0
    """Times that the ring was full and the oldest samples were lost."""
    n_flags: int = 0
    """Callbacks to which PortAudio reported lost input."""
    n_opened: int = 0
    """Times that the device was opened; more than one means pauses or losses."""
    longest_callback_seconds: float = 0.0


class Capture:
    """Used from two threads: the callback writes, the capture thread reads. The ring between them is made for
    that, and every other field has one writer."""

    def __init__(self, device: InputDevice, config: CaptureConfig, clock: Callable[[], float]) -> None:
        self.device = device
        self.n_channels = min(device.n_channels, config.most_channels)
        self.block_samples = round(device.default_rate * config.block_seconds)
        self.ring = RingBuffer(round(device.default_rate * config.ring_seconds), self.n_channels)
        self.resampler = Resampler(device.default_rate, self.n_channels)
        self.stream: InputStream | None = None
        self.clock = clock
        self.opened_at = clock()
        self.expected = 0  # the next sample in the ring; the capture thread's
        # Written by the callback:
        self.heard_from: float | None = None  # when the first block began
        self.last_block_at: float | None = None
        self.finished = False
        self.n_blocks = self.n_flags = 0
        self.longest_callback_seconds = 0.0

    def on_block(self, block: NDArray[np.float32], n_samples: int, times: Any, flags: Any) -> None:
        """Copy and count, nothing else: this is PortAudio's thread."""
        began = self.clock()
        # Before the sound is there to be read, since the reader asks for them when it is.
        if self.heard_from is None:
            self.heard_from = began - n_samples / self.device.default_rate
        self.last_block_at = began
        self.n_blocks += 1
        if flags:
            self.n_flags += 1
        self.ring.write(block)
        self.longest_callback_seconds = max(self.longest_callback_seconds, self.clock() - began)

    def on_finished(self) -> None:
        self.finished = True

    def is_lost(self, config: CaptureConfig) -> bool:
        if self.finished or self.stream is None:
            return True
        if self.last_block_at is None:
            silent_seconds, most_seconds = self.clock() - self.opened_at, config.first_block_seconds
        else:
            silent_seconds, most_seconds = self.clock() - self.last_block_at, config.stall_seconds
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

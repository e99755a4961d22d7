"""One opening of an input device: its stream, and what the callback copies and counts. Does not import numpy, which is
slow to load: capture begins before it.
"""

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from livecap.audio_in.device import portaudio
from livecap.audio_in.device.devices import InputDevice, InputStream
from livecap.audio_in.device.enumeration import OURS, Enumeration
from livecap.audio_in.device.ring_buffer import RingBuffer
from livecap.audio_in.device.status import CALLBACK_BUCKETS
from livecap.audio_in.device.watch import DriftWatch, RateWatch
from livecap.errors import AudioError
from livecap.steady_clock import steady_seconds

ANY_CHANNELS = 32
"""ALSA plugins, such as `default` and `pulse`, report this many channels or more, and fill all with what they have."""


@dataclass(frozen=True, slots=True)
class CaptureConfig:
    """How an input device is opened, watched and opened again."""

    # Opening it.
    block_seconds: float = 0.02
    """Sound in one callback. Always fixed: block lengths that PortAudio chooses vary."""
    latency_seconds: float = 0.1
    """PortAudio's buffer: Python may keep the callback waiting for tens of milliseconds."""
    most_channels: int = 16
    """How many channels are captured of a device that has more: the first ones."""
    few_channels: int = 2
    """How many are captured of a device that refuses that, or only converts to any number (`ANY_CHANNELS`)."""
    ring_seconds: float = 10.0
    """Length of the ring buffer: how long the capture thread may be kept from running before sound is lost."""
    first_attempts: int = 3
    """Attempts to open it before the first failure is reported: a device may be busy changing its rate."""
    open_seconds: float = 10.0
    """A device that did not open within this time is given up."""
    close_seconds: float = 1.0
    """`close` and `pause` wait this long for the device to close, then return without it."""

    # Watching it.
    poll_seconds: float = 0.02
    """How often the capture thread empties the ring buffer and looks at the device."""
    stall_seconds: float = 1.5
    """A device without a callback for this long is lost."""
    first_block_seconds: float = 3.0
    """As `stall_seconds`, before the first callback: Bluetooth takes its time."""
    zeros_seconds: float = 3.0
    """Exact zeros for this long are worth a notice: no real microphone is that quiet."""
    default_seconds: float = 2.0
    """How often to ask whether another input became the default, where that can be known."""

    # Opening it again.
    retry_seconds: float = 0.5
    """Time between two attempts to open a lost device."""
    probe_seconds: float = 1.0
    """Time between two searches for a lost device by another process, while other streams run."""
    most_probe_seconds: float = 60.0
    """`probe_seconds` grows up to this for a device that is found and still cannot be opened: each search that finds it
    disturbs the other streams."""
    aside_seconds: float = 2.0
    """How long a stream waits for another capture thread that lists the devices again."""


class Capture:
    """Used from two threads: PortAudio's callback writes, the capture thread reads. The ring buffer between them is
    made for that, and every other field has one writer."""

    def __init__(
        self, device: InputDevice, config: CaptureConfig, now: Callable[[], float], n_channels: int | None = None
    ) -> None:
        """A device that is not open yet: see `open_capture`.

        Args:
            n_channels: how many are captured; None for as many as `channels_of` says.
            now: seconds that go on while the computer sleeps.
        """
        self.device = device
        self.n_channels = n_channels or channels_of(device, config)
        self.ring = RingBuffer(round(device.default_rate * config.ring_seconds), self.n_channels)
        self.stream: InputStream | None = None
        self.opened_at = now()
        self.opened_wall = time.time()
        self.drift_watch = DriftWatch(device.default_rate)
        self._rate_watch = RateWatch(device.default_rate)
        self._now = now
        # Written by the callback:
        self.heard_from: float | None = None
        """When the first block began; set before the ring buffer is written to."""
        self.n_blocks = self.n_flags = 0
        self.longest_callback_seconds = 0.0
        self.callback_counts = [0] * CALLBACK_BUCKETS
        self._latest: tuple[float, int] | None = None  # when the last block came, and how many samples had come then
        self._n_samples = 0
        self._finished = False

    @property
    def last_block_at(self) -> float | None:
        """When the last block came; None before the first."""
        return self._latest[0] if self._latest else None

    @property
    def heard_until(self) -> float:
        """When the last sound ended, or the device was opened."""
        return self.last_block_at or self.opened_at

    def on_block(self, block: Any, n_samples: int, times: Any, flags: Any) -> None:
        """Copy and count, nothing else: this is PortAudio's thread."""
        began = self._now()
        if self.heard_from is None:
            self.heard_from = began - n_samples / self.device.default_rate
        self.n_blocks += 1
        self._n_samples += n_samples
        self._latest = (began, self._n_samples)
        if flags:
            self.n_flags += 1
        self.ring.write(block)
        seconds = self._now() - began
        self.longest_callback_seconds = max(self.longest_callback_seconds, seconds)
        self.callback_counts[min(max(int(seconds * 1e6).bit_length() - 1, 0), CALLBACK_BUCKETS - 1)] += 1

    def on_finished(self) -> None:
        """The stream ended by itself. PortAudio's thread."""
        self._finished = True

    def is_lost(self, config: CaptureConfig) -> bool:
        """The stream ended, or has delivered nothing for too long."""
        if self._finished or self.stream is None:
            return True
        most_seconds = config.first_block_seconds if self._latest is None else config.stall_seconds
        if self._now() - self.heard_until > most_seconds:
            return True
        try:
            return not self.stream.active
        except Exception:  # PortAudioError: the stream no longer exists
            return True

    def changed_rate(self) -> float | None:
        """Samples a second as counted, where that is not the device's rate any more. Call it regularly."""
        latest = self._latest
        if latest is None:
            return None
        self.drift_watch.hear(*latest)
        return self._rate_watch.changed_to(*latest)

    def shut(self) -> None:
        """Abort and close; never stop, which can hang for ever. A device that is gone may refuse both."""
        stream, self.stream = self.stream, None
        for end in (stream.abort, stream.close) if stream is not None else ():
            with suppress(Exception):  # PortAudioError: there is nothing left to do
                end()


def open_capture(
    device: InputDevice, config: CaptureConfig, now: Callable[[], float], portaudio: Any, enumeration: Enumeration
) -> Capture:
    """A device that is heard from now on. After it is shut, call `enumeration.closed`.

    Raises:
        AudioError: it cannot be opened.
    """
    with enumeration.opening(config.aside_seconds):
        capture = Capture(device, config, now)
        try:
            _open_stream(capture, config, portaudio)
        except AudioError:
            if capture.n_channels <= config.few_channels:
                raise
            capture = Capture(device, config, now, config.few_channels)
            _open_stream(capture, config, portaudio)
    capture.opened_at, capture.opened_wall = now(), time.time()  # opening may take seconds
    return capture


def _open_stream(capture: Capture, config: CaptureConfig, portaudio: Any) -> None:
    capture.stream = portaudio.open_input(
        capture.device,
        capture.n_channels,
        round(capture.device.default_rate * config.block_seconds),
        config.latency_seconds,
        capture.on_block,
        capture.on_finished,
    )


def channels_of(device: InputDevice, config: CaptureConfig) -> int:
    """How many channels of a device are captured: all, within bounds. A voice may be in any of them (`downmix`)."""
    converts = device.host_api == "ALSA" and device.n_channels >= ANY_CHANNELS
    return min(device.n_channels, config.few_channels if converts else config.most_channels)


class EarlyCapture:
    """Opens a device on a thread of its own while the caller's thread loads the libraries that process its sound."""

    def __init__(
        self,
        query: str | int | None,
        *,
        now: Callable[[], float] = steady_seconds,
        portaudio: Any = portaudio,
        enumeration: Enumeration = OURS,
    ) -> None:
        """Returns at once. Arguments as for `Microphone`."""
        self._query = query
        self._now = now
        self._portaudio = portaudio
        self._enumeration = enumeration
        self._capture: Capture | None = None
        self._thread = threading.Thread(target=self._run, name="early capture", daemon=True)
        self._thread.start()

    @property
    def heard_from(self) -> float | None:
        """When its first sound began; None if it is not open, has no sound yet, or was fetched."""
        return self._capture.heard_from if self._capture is not None else None

    def wait(self, timeout_seconds: float) -> None:
        """Wait until the device is open or was refused, at most this long."""
        self._thread.join(timeout_seconds)

    def fetch(self, timeout_seconds: float) -> Capture | None:
        """The running capture, whose stream is now the caller's; None where it could not be opened: a second attempt
        finds out why."""
        self._thread.join(timeout_seconds)
        capture, self._capture = self._capture, None
        return capture

    def _run(self) -> None:
        with suppress(AudioError):  # reported by the second attempt, see `fetch`
            device = self._portaudio.find_input(self._query)
            self._capture = open_capture(device, CaptureConfig(), self._now, self._portaudio, self._enumeration)

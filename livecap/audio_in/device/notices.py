"""DeviceNotices: what the user gets to know about an input device, each thing once."""

import sys

import numpy as np
from numpy.typing import NDArray

from livecap.audio_in.device.devices import InputDevice
from livecap.audio_in.device.watch import ZerosWatch
from livecap.audio_in.source import OnNotice

LOOPBACKS = ("blackhole", "monitor", "loopback", "soundflower", "vb-cable")
"""Parts of the names of inputs that capture what the computer plays."""


class DeviceNotices:
    """Owned by the capture thread; any thread may read `trouble`."""

    def __init__(self, zeros_seconds: float, tell: OnNotice) -> None:
        """
        Args:
            zeros_seconds: digital silence of this length is worth a notice.
        """
        self.tell = tell
        self.trouble: str | None = None
        """"away" while the device is gone, "silent" while it delivers only zeros, None where all is well."""
        self._zeros_seconds = zeros_seconds
        self._zeros = ZerosWatch(zeros_seconds)
        self._told_gone = self._told_failing = self._told_silent = self._told_flags = self._expects_loss = False

    def opened(self) -> None:
        """The device was opened: silence before that does not count."""
        self._zeros = ZerosWatch(self._zeros_seconds)

    def expect_loss(self) -> None:
        """The next loss needs no notice: it is short, or was explained already."""
        self._expects_loss = True

    def gone(self, name: str) -> None:
        """The device left, or cannot be opened again. One notice until it is `back`."""
        self.trouble = "away"
        if self._expects_loss:
            self._expects_loss = False  # if it cannot be opened again, that is worth a notice
        elif not self._told_gone:
            self._told_gone = True
            self.tell(f'"{name}" is gone. Waiting for it; nothing is captured until it is back.')

    def lost(self, name: str, storm: bool) -> None:
        """The device was lost. In a storm of losses, one notice stands for all of them."""
        if storm and not self._told_failing:
            self.tell(f'"{name}" keeps failing. Retrying less and less often.')
        self._told_failing = storm
        self._told_gone = self._told_gone or storm

    def back(self, name: str, gap_seconds: float) -> None:
        """There is sound again, after a gap."""
        self._expects_loss = False
        was_away, self._told_gone, self.trouble = self.trouble == "away", False, None
        if was_away and not self._told_failing:
            self.tell(f'"{name}" is back; {gap_seconds:.1f} s were lost.', "info")

    def paused(self) -> None:
        """Listening paused while the device was away: what comes after the pause is another loss."""
        self.trouble, self._told_gone, self._expects_loss = None, False, False

    def switching(self) -> None:
        """Another input was chosen: the gap until it delivers sound needs no notice."""
        self.trouble, self._told_gone, self._told_silent = None, True, False

    def not_switched(self) -> None:
        """The other input could not be opened: a loss of the old one is worth a notice."""
        self._told_gone = False

    def flagged(self, name: str) -> None:
        """PortAudio reported lost input."""
        if not self._told_flags:
            self._told_flags = True
            self.tell(f'"{name}" reports that sound was lost before it reached livecap.')

    def hear(self, sound: NDArray[np.float32], device: InputDevice) -> None:
        """Look for digital silence in [n, n_channels] of the open device, and for its end.

        A loopback is digitally silent whenever nothing plays: that is one notice, and is not `trouble`.
        """
        is_loopback = any(part in device.name.casefold() for part in LOOPBACKS)
        self._zeros.hear(sound, device.default_rate)
        self.trouble = "silent" if self._zeros.silent and not is_loopback else None
        if self._zeros.silent and not self._told_silent:
            self._told_silent = True
            seconds = f"{self._zeros.seconds:.0f} s"
            self.tell(f'Nothing but digital silence from "{device.name}" for {seconds}. {_reason(is_loopback)}')
        elif self._told_silent and not is_loopback and sound.any():
            self._told_silent = False
            self.tell(f'"{device.name}" has sound again.', "info")


def _reason(is_loopback: bool) -> str:
    if is_loopback:
        return "Is nothing playing into it yet?"
    if sys.platform == "darwin":
        return "Is it muted, or is permission missing? See System Settings > Privacy & Security > Microphone."
    return "Is it muted, or is microphone permission missing?"

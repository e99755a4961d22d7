"""What is said about an input that delivers nothing but zeros, and when it is heard again."""

import sys

import numpy as np
from numpy.typing import NDArray

from livecap.audio_in.device.devices import InputDevice
from livecap.audio_in.device.watch import ZerosWatch
from livecap.audio_in.source import OnNotice

LOOPBACKS = ("blackhole", "monitor", "loopback", "soundflower", "vb-cable")
"""Parts of the names of inputs that hear what the machine plays."""


class SilenceNotices:
    """One sentence when an input has been digitally silent for too long, one when it is heard again."""

    def __init__(self, zeros_seconds: float, on_notice: OnNotice) -> None:
        self._zeros_seconds = zeros_seconds
        self._on_notice = on_notice
        self._zeros = ZerosWatch(zeros_seconds)
        self._told = False

    def begin(self) -> None:
        """The device was opened."""
        self._zeros = ZerosWatch(self._zeros_seconds)

    def hear(self, sound: NDArray[np.float32], device: InputDevice) -> str | None:
        """Tell what there is to tell about [n, n_channels]; returns "silent" while it is, else None.

        A loopback is digitally silent whenever nothing plays: that is told once, and is no trouble.
        """
        is_loopback = any(part in device.name.casefold() for part in LOOPBACKS)
        self._zeros.hear(sound, device.default_rate)
        if not self._zeros.silent:
            if self._told and not is_loopback and sound.any():
                self._told = False
                self._on_notice(f'"{device.name}" is heard again.', "info")
            return None
        if not self._told:
            self._told = True
            seconds = f"{self._zeros.seconds:.0f} s"
            self._on_notice(f'"{device.name}" delivers only digital silence for {seconds}. {_reason(is_loopback)}')
        return None if is_loopback else "silent"


def _reason(is_loopback: bool) -> str:
    if is_loopback:
        return "Nothing is playing into it yet?"
    if sys.platform == "darwin":
        return "Muted, or not permitted? See System Settings > Privacy & Security > Microphone."
    return "Is it muted, or its permission missing?"

"""Enumeration: lists the devices again where several streams share one PortAudio.

PortAudio lists the devices once, and listing them again ends every stream of the process. So a capture thread that
needs it first asks another process whether its device is back, then asks the other capture threads to close their
streams. They open them again afterwards, and the moment between is a gap in their sound.
"""

import json
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from types import ModuleType
from typing import Any

from livecap.audio_in.device.devices import InputDevice, list_inputs, open_input
from livecap.errors import AudioError

PROBE_SECONDS = 10.0


class Enumeration:
    """Shared by all capture threads; a lock guards it."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._n_streams = 0
        self._wanted = False
        self.one_asks = threading.Lock()
        """Held while somebody asks whether there are new inputs."""

    @property
    def wanted(self) -> bool:
        """A thread wants to list the devices again: close your stream, then `wait`."""
        return self._wanted

    @property
    def shared(self) -> bool:
        """Other threads have open streams. Ask while you have none."""
        return self._n_streams > 0

    @contextmanager
    def opening(self, timeout_seconds: float) -> Iterator[None]:
        """Open a stream in this context: the devices are not listed again until `closed`, or until it raises.

        Raises:
            AudioError: they are being listed, and that takes too long.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: not self._wanted, timeout_seconds):
                raise AudioError("The input devices are being listed, which takes too long.")
            self._n_streams += 1
        try:
            yield
        except BaseException:
            self.closed()
            raise

    def closed(self) -> None:
        """The stream is closed."""
        with self._changed:
            self._n_streams -= 1
            self._changed.notify_all()

    def wait(self, timeout_seconds: float) -> None:
        """Wait until the devices are not being listed."""
        with self._changed:
            self._changed.wait_for(lambda: not self._wanted, timeout_seconds)

    def list_again(self, reinitialise: Callable[[], None], timeout_seconds: float) -> None:
        """Call `reinitialise` as soon as no stream is open.

        Raises:
            AudioError: another thread does so now, a stream stays open, or PortAudio does not start again.
        """
        with self._changed:
            if self._wanted:
                raise AudioError("The input devices are being listed already.")
            self._wanted = True
        try:
            with self._changed:
                if not self._changed.wait_for(lambda: self._n_streams == 0, timeout_seconds):
                    raise AudioError("The input devices cannot be listed again: another stream does not close.")
            reinitialise()
        finally:
            with self._changed:
                self._wanted = False
                self._changed.notify_all()


OURS = Enumeration()
"""The one for this process's PortAudio."""


def probe_inputs(wanted: str) -> list[InputDevice]:
    """The inputs as a new process lists them, which does not disturb streams of this one. Inputs named `wanted` are
    included only if they can be opened.

    Raises:
        AudioError: the process failed.
    """
    # -P: without it, files of the folder in which livecap was started would be run as modules
    command = [sys.executable, "-P", "-m", "livecap.audio_in.device.enumeration", wanted]
    try:
        done = subprocess.run(command, capture_output=True, timeout=PROBE_SECONDS, check=True, stdin=subprocess.DEVNULL)
        return [InputDevice(**device) for device in json.loads(done.stdout)]
    except (OSError, subprocess.SubprocessError, ValueError, TypeError) as error:
        raise AudioError(f"The search for input devices failed: {error}.") from None


def inputs_now(portaudio: ModuleType | Any, enumeration: Enumeration, timeout_seconds: float) -> list[InputDevice]:
    """The inputs, in PortAudio's order, with those that were connected since it listed them. Only if a new process sees
    such inputs does PortAudio list all again, and the open streams of this process miss a moment of sound. (The new
    process may miss inputs that are in use.) For threads without a stream.

    Raises:
        AudioError: they cannot be listed, or a stream does not close.
    """
    with enumeration.one_asks:
        there, listed = (
            Counter(device.name for device in devices)
            for devices in (portaudio.probe_inputs(""), portaudio.list_inputs())
        )
        if there - listed:
            enumeration.list_again(portaudio.reinitialise, timeout_seconds)
        inputs: list[InputDevice] = portaudio.list_inputs()
        return inputs


def _opens(device: InputDevice) -> bool:
    """True if the device can be opened now."""
    try:
        stream = open_input(device, 1, device.default_rate // 50, 0.1, lambda *block: None, lambda: None)
    except AudioError:
        return False
    stream.abort()
    stream.close()
    return True


if __name__ == "__main__":
    found = [device for device in list_inputs() if device.name != sys.argv[1] or _opens(device)]
    print(json.dumps([asdict(device) for device in found]))

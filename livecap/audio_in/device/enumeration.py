"""Reading the devices anew, where several streams share one PortAudio.

PortAudio reads the devices once, and reading them anew ends every stream of the process. So whoever needs it first
asks another process whether it is worth it, then asks the other capture threads to let their streams go; they open
them again afterwards, and the moment between is a gap of theirs.
"""

import json
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import asdict

from livecap.audio_in.device.devices import InputDevice, list_inputs, open_input
from livecap.errors import AudioError

PROBE_SECONDS = 10.0


class Enumeration:
    """Used from all capture threads; a lock guards it."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._n_streams = 0
        self._wanted = False

    @property
    def wanted(self) -> bool:
        """Somebody reads the devices anew: let your stream go, and wait."""
        return self._wanted

    @property
    def shared(self) -> bool:
        """Streams of others are open (ask while you have none)."""
        return self._n_streams > 0

    def opening(self, timeout_seconds: float) -> None:
        """A stream is about to be opened: before it is, so that the devices are not read anew under it.

        Raises:
            AudioError: they are being read, and that takes too long.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: not self._wanted, timeout_seconds):
                raise AudioError("The inputs are being read anew, and that takes too long.")
            self._n_streams += 1

    def closed(self) -> None:
        """It is closed, or was not opened after all."""
        with self._changed:
            self._n_streams -= 1
            self._changed.notify_all()

    def wait(self, timeout_seconds: float) -> None:
        """Until nobody reads the devices."""
        with self._changed:
            self._changed.wait_for(lambda: not self._wanted, timeout_seconds)

    def anew(self, reinitialise: Callable[[], None], timeout_seconds: float) -> None:
        """Read the devices once no stream is open.

        Raises:
            AudioError: another thread does so now, a stream stays open, or PortAudio does not start again.
        """
        with self._changed:
            if self._wanted:
                raise AudioError("The inputs are being read anew already.")
            self._wanted = True
        try:
            with self._changed:
                if not self._changed.wait_for(lambda: self._n_streams == 0, timeout_seconds):
                    raise AudioError("The inputs could not be read anew: another stream does not let go.")
            reinitialise()
        finally:
            with self._changed:
                self._wanted = False
                self._changed.notify_all()


OURS = Enumeration()
"""Of this process."""


def probe_inputs(wanted: str) -> list[InputDevice]:
    """The inputs as a new process sees them, which disturbs no stream of this one. Those called `wanted` are there
    only if they could be opened.

    Raises:
        AudioError: it could not say.
    """
    command = [sys.executable, "-m", "livecap.audio_in.device.enumeration", wanted]
    try:
        done = subprocess.run(command, capture_output=True, timeout=PROBE_SECONDS, check=True, stdin=subprocess.DEVNULL)
        return [InputDevice(**device) for device in json.loads(done.stdout)]
    except (OSError, subprocess.SubprocessError, ValueError, TypeError) as error:
        raise AudioError(f"The inputs could not be looked for: {error}.") from None


def _opens(device: InputDevice) -> bool:
    """True where it can be opened now."""
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

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

from livecap.audio_in.devices import InputDevice, list_inputs
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

    def opened(self) -> None:
        """A stream is open."""
        with self._changed:
            self._n_streams += 1

    def closed(self) -> None:
        """It is closed."""
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
                if not self._changed.wait_for(lambda: self._n_streams == 0, timeout_seconds):
                    raise AudioError("The inputs could not be read anew: another stream does not let go.")
                reinitialise()
            finally:
                self._wanted = False
                self._changed.notify_all()


OURS = Enumeration()
"""Of this process."""


def probe_inputs() -> list[InputDevice]:
    """The inputs as a new process sees them, which disturbs no stream of this one.

    Raises:
        AudioError: it could not say.
    """
    command = [sys.executable, "-m", "livecap.audio_in.enumeration"]
    try:
        done = subprocess.run(command, capture_output=True, timeout=PROBE_SECONDS, check=True, stdin=subprocess.DEVNULL)
        return [InputDevice(**device) for device in json.loads(done.stdout)]
    except (OSError, subprocess.SubprocessError, ValueError, TypeError) as error:
        raise AudioError(f"The inputs could not be looked for: {error}.") from None


if __name__ == "__main__":
    print(json.dumps([asdict(device) for device in list_inputs()]))

"""How fast the machine is just now: one decode of the same sound, in a process of its own, whenever it is asked.

A machine that others use is not as fast after an hour as it was before, by more than a benchmark looks for. Nothing
grows in that process, so what its decode costs says how fast the machine is, and nothing else.
"""

import signal
import subprocess
import sys
import time
from contextlib import suppress
from types import TracebackType

from livecap.errors import LivecapError
from livecap.eval.reference import read_reference
from livecap.model.checkpoint.load import load
from livecap.shipped import demo_recording
from livecap.stream.config import StreamConfig
from livecap.stream.recogniser import ModelRecogniser
from livecap.transcript import SAMPLE_RATE

SOUND_SECONDS = 4
MOST_TOKENS = 32


class Yardstick:
    """The process, for as long as the context is open."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def __enter__(self) -> "Yardstick":
        self.measure()  # it has loaded, and everything has run once
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(OSError):  # it has ended before
            self._process.communicate()

    def measure(self) -> float:
        """Seconds of one decode, just now. Whoever asks should do nothing meanwhile.

        Raises:
            LivecapError: the process has ended.
        """
        assert self._process.stdin is not None and self._process.stdout is not None
        try:
            self._process.stdin.write("\n")
            self._process.stdin.flush()
            return float(self._process.stdout.readline())
        except (OSError, ValueError):
            status = self._process.wait()
            raise LivecapError(f"The process that says how fast the machine is ended with status {status}.") from None


def main() -> None:
    """Decodes once for each line that comes in, and says what it cost."""
    loaded, config = load("tiny"), StreamConfig()
    recogniser = ModelRecogniser(loaded, "", None, config)
    sound = read_reference(demo_recording()).samples[: SOUND_SECONDS * SAMPLE_RATE]
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for who asks; then the pipe closes
    for _ in sys.stdin:
        began = time.perf_counter()
        recogniser.begin(0)
        recogniser.append(sound)
        recogniser.decode((), [], [], MOST_TOKENS)
        print(time.perf_counter() - began, flush=True)


if __name__ == "__main__":
    main()

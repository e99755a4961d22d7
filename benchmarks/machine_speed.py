"""The machine's current speed: the time of one decode of the same sound, in a separate process.

The speed of a shared machine changes within an hour by more than a benchmark wants to detect. Nothing grows in the
separate process, so the cost of its decode depends on the speed of the machine only.
"""

import signal
import subprocess
import sys
import time
from contextlib import suppress

from livecap.engine import Engine, EngineSettings
from livecap.errors import LivecapError
from livecap.eval.reference import read_reference
from livecap.shipped import demo_recording
from livecap.transcript import SAMPLE_RATE

SOUND_SECONDS = 4
MOST_TOKENS = 32


class MachineSpeed:
    """The separate process, which runs as long as the context is open."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", __name__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def __enter__(self) -> "MachineSpeed":
        self.measure()  # afterwards the model is loaded and everything has run once
        return self

    def __exit__(self, *raised: object) -> None:
        with suppress(OSError):  # the process has already ended
            self.process.communicate()

    def measure(self) -> float:
        """The seconds of one decode, now. The calling process waits meanwhile.

        Raises:
            LivecapError: the process has ended.
        """
        assert self.process.stdin is not None and self.process.stdout is not None
        try:
            self.process.stdin.write("\n")
            self.process.stdin.flush()
            return float(self.process.stdout.readline())
        except (OSError, ValueError):
            status = self.process.wait()
            raise LivecapError(f"The process that measures the machine's speed ended with status {status}.") from None


def main() -> None:
    """Decode once for each line of standard input, and print the seconds."""
    recogniser = Engine.load(EngineSettings("tiny")).recogniser()
    sound = read_reference(demo_recording()).samples[: SOUND_SECONDS * SAMPLE_RATE]
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent process; then the pipe closes
    for _ in sys.stdin:
        began = time.perf_counter()
        recogniser.begin(0)
        recogniser.append(sound)
        recogniser.decode((), [], [], MOST_TOKENS)
        print(time.perf_counter() - began, flush=True)


if __name__ == "__main__":
    main()

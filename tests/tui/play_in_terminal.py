"""Shows a scripted session in a real terminal: `python -m tests.tui.play_in_terminal FOLDER`."""

import ctypes
import os
import sys
from pathlib import Path

from livecap.tui.terminal import run_app
from tests.tui.scripted_session import ScriptedSession


class NoisySession(ScriptedSession):
    """A session whose native libraries print to the terminal."""

    n_finished = 0

    def start(self, *listeners):
        super().start(*listeners)
        os.write(1, b"NATIVE-FD-1 " * 40)
        os.write(2, b"NATIVE-FD-2 " * 40)
        ctypes.CDLL(None).puts(b"NATIVE-C")
        for number in range(self.n_finished):
            self.say(f"finished line {number}.", utterance=number, second=number, final=True)
        self.say("the words of the session", " perhaps", utterance=self.n_finished, second=60)


def main():
    folder = Path(sys.argv[1])
    session = NoisySession()
    session.n_finished = 30 if "--inline" in sys.argv else 0
    result = run_app(session, folder / "native.log", inline="--inline" in sys.argv)
    unfinished = folder / "ended.part"
    unfinished.write_text(" ".join([result, *session.calls]))
    unfinished.rename(folder / "ended.txt")
    print("left:", result)


if __name__ == "__main__":
    main()

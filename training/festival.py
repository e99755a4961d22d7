"""Speech of Festival's voice ked, made of sounds that a man recorded. Needs Debian's festival and festvox-kdlpc16k."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

import soundfile

from training.voices import RATE, Spoken, whole

SETTINGS = """(set! int_lr_params '((target_f0_mean {pitch}) (target_f0_std {range})
                       (model_f0_mean 170) (model_f0_std 34)))
(Parameter.set 'Duration_Stretch {stretch})
"""


class Ended(Exception):
    """The process of festival has ended, as it sometimes does in the middle of an utterance."""


class Festival:
    """One process of `festival` at a time, which ends with this one.

    Raises:
        SystemExit: festival or its voice is not installed, or a command failed.
    """

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory()
        self._start()

    def _start(self) -> None:
        command = ["festival", "--pipe"]
        try:
            self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        except FileNotFoundError:
            raise SystemExit("There is no festival here: install the packages festival and festvox-kdlpc16k.") from None
        try:
            self._tell("(voice_ked_diphone)\n")
        except Ended:
            raise SystemExit("festival ends at once: try `festival --pipe`.") from None

    def spoken(self, text: str, pitch: float, pitch_range: float, stretch: float) -> Spoken | None:
        """Speak `text`; None if the voice was silent or festival failed. Word times are unknown (-1).

        Args:
            pitch, pitch_range: mean and standard deviation in Hz; the voice's own are 105 and 14.
            stretch: how many times as long as the voice's own pace.
        """
        path = Path(self._folder.name) / "said.wav"
        path.unlink(missing_ok=True)
        plain = text.replace('"', "").replace("\\", "")
        settings = SETTINGS.format(pitch=pitch, range=pitch_range, stretch=stretch)
        try:
            self._tell(f'{settings}(utt.save.wave (SynthText "{plain}") "{path}" \'riff)\n')
        except Ended:
            self._start()
            return None
        if not path.exists():
            return None
        samples, rate = soundfile.read(path, dtype="int16")
        assert rate == RATE
        return whole(samples, text.split(), "ked")

    def _tell(self, commands: str) -> None:
        """Run Scheme commands and wait until they have ended.

        Raises:
            Ended: the process did.
        """
        assert self._process.stdin and self._process.stderr
        self._process.stdin.write(f'{commands}(format stderr "ready\\n")\n')
        self._process.stdin.flush()
        for line in self._process.stderr:
            if line.strip() == "ready":
                return
            if "ERROR" in line:
                raise SystemExit(f"festival: {line.strip()}")
        raise Ended

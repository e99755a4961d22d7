"""Speech of Festival's voice ked, made of sounds that a man recorded. Needs Debian's festival and festvox-kdlpc16k."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

import numpy as np
import soundfile

from training.voices import RATE, Spoken, whole

SETTINGS = """(set! int_lr_params '((target_f0_mean {pitch}) (target_f0_std {range})
                       (model_f0_mean 170) (model_f0_std 34)))
(Parameter.set 'Duration_Stretch {stretch})
"""


class Festival:
    """One process of `festival`, which ends with this one."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory()
        command = ["festival", "--pipe"]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self._tell("(voice_ked_diphone)\n")

    def spoken(self, text: str, pitch: float, pitch_range: float, stretch: float) -> Spoken | None:
        """Speak `text`; None if the voice was silent. Word times are unknown (-1).

        Args:
            pitch, pitch_range: mean and standard deviation in Hz; the voice's own are 105 and 14.
            stretch: how many times as long as the voice's own pace.
        """
        path = Path(self._folder.name) / "said.wav"
        path.unlink(missing_ok=True)
        plain = text.replace('"', "").replace("\\", "")
        settings = SETTINGS.format(pitch=pitch, range=pitch_range, stretch=stretch)
        self._tell(f'{settings}(utt.save.wave (SynthText "{plain}") "{path}" \'riff)\n')
        if not path.exists():
            return None
        samples, rate = soundfile.read(path, dtype="int16")
        assert rate == RATE
        return whole(np.asarray(samples), text.split(), "ked")

    def _tell(self, commands: str) -> None:
        """Run Scheme commands and wait until they have ended."""
        assert self._process.stdin and self._process.stderr
        self._process.stdin.write(f'{commands}(format stderr "ready\\n")\n')
        self._process.stdin.flush()
        while self._process.stderr.readline().strip() != "ready":
            if self._process.poll() is not None:
                raise SystemExit("festival has ended; its message is above.")

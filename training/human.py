"""A real human voice to measure on: the Asterisk prompts of Debian, one woman, 16 kHz, each with its words.

They are fetched, never committed and never trained on. Needs ffmpeg, which reads G.722.
"""

from __future__ import annotations

import gzip
import re
import subprocess
from pathlib import Path

import numpy as np

from training.sources import WORK, fetched
from training.voices import RATE, Spoken

NUMBERS = "zero one two three four five six seven eight nine ten".split()


def human_prompts(work: Path = WORK) -> list[Spoken]:
    """All prompts with words, in the order of their names; tones and music have none. Word times are unknown (-1)."""
    texts = fetched("asterisk-core-sounds-en", work) / "usr/share/doc/asterisk-core-sounds-en/core-sounds-en.txt.gz"
    folder = fetched("asterisk-core-sounds-en-g722", work) / "usr/share/asterisk/sounds/en_US_f_Allison"
    prompts = []
    for line in gzip.decompress(texts.read_bytes()).decode("utf-8", "replace").splitlines():
        name, _, text = line.partition(": ")
        text = re.sub(r"\[[^\]]*\]", " ", text)
        path = folder / f"{name}.g722"
        if line.startswith(";") or not re.search("[a-zA-Z]", text) or not path.exists():
            continue
        words = re.sub(r"\d+", _said, text).split()
        unknown = np.full(len(words), -1, np.int32)
        prompts.append(Spoken(_decoded(path), words, unknown, unknown, "human"))
    return prompts


def _said(number: re.Match[str]) -> str:
    """A number as it is said: up to ten as a word, a longer one digit by digit. Hardly any prompt has a longer one."""
    n = int(number[0])
    return NUMBERS[n] if n <= 10 else " ".join(NUMBERS[int(digit)] for digit in number[0])


def _decoded(path: Path) -> np.ndarray:
    """[n] int16 at 16 kHz."""
    command = ["ffmpeg", "-v", "error", "-f", "g722", "-i", str(path), "-ar", str(RATE), "-ac", "1", "-f", "s16le", "-"]
    return np.frombuffer(subprocess.run(command, capture_output=True, check=True).stdout, np.int16)

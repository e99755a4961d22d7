"""What `livecap align` does: the recording, the models, the words with their times."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from livecap.align.aligner import Aligner
from livecap.align.pieces import MOST_SAMPLES, align
from livecap.align.units import check_language
from livecap.audio_in.recording import Recording
from livecap.cli.download import find_model
from livecap.cli.recognition import engine_settings
from livecap.cli.terminal import warn
from livecap.engine import Engine
from livecap.errors import AudioError, SettingsError
from livecap.settings.fields import DEFAULT_ALIGNER, Settings
from livecap.text.printing import Style, draws, say
from livecap.transcribe.heard import heard_words
from livecap.transcript import SAMPLE_RATE, UtteranceEnded, Word


def aligned(file: Path, text: str, language: str, settings: Settings) -> UtteranceEnded:
    """All that is said in a recording, with the times of its words.

    Args:
        text: at least one word.
        language: full name.

    Raises:
        LivecapError: the recording, a model or the language cannot be used.
    """
    check_language(language)
    samples = _whole(file)
    name = DEFAULT_ALIGNER if settings.aligner == "off" else settings.aligner
    find_model(name, aligner=True)
    aligner = Aligner.load(name, warn)

    def hear(sound: NDArray[np.float32]) -> list[Word]:
        with Engine.load(engine_settings(replace(settings, aligner="off")), warn) as engine:  # it is loaded already
            return heard_words(engine, sound)

    words = align(aligner, samples, text, language, hear, on_progress=_show)
    if not words:
        raise SettingsError(f"There is no {language} word in the text, so there is nothing to align.")
    return UtteranceEnded("", 0, text, words[0].start_sample, words[-1].end_sample, language, words)


def _whole(file: Path) -> NDArray[np.float32]:
    """All sound of a recording, [n] at 16 kHz. What is wrong with it is printed.

    Raises:
        AudioError: no such file, not audio, or no sound in it.
    """
    try:
        recording = Recording(file)
    except AudioError as error:
        raise AudioError(str(error).replace("Cannot replay ", "Cannot align ", 1)) from None
    try:
        recording.read_to(sys.maxsize)
        for notice in recording.notices:
            warn(notice)
        if recording.failure is not None:
            if not recording.read_samples:
                raise recording.failure
            warn(str(recording.failure))
        if not recording.read_samples:
            raise AudioError(f"Cannot align {file}: there is not a single sample in it.")
        return recording.sound(0, recording.read_samples)
    finally:
        recording.close()


def _show(done: int, total: int) -> None:
    """Show on a terminal how much of a long recording is aligned."""
    if draws(sys.stderr) and total > MOST_SAMPLES:
        minutes = [f"{n // SAMPLE_RATE // 60}:{n // SAMPLE_RATE % 60:02}" for n in (done, total)]
        end = "" if done < total else "\n"
        say(Style.REDRAW, f"Aligned {minutes[0]} of {minutes[1]}", end=end, file=sys.stderr, flush=True)

"""The work of `livecap voices`."""

from datetime import date
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from livecap.archive.recorded import RecordedSession
from livecap.archive.speakers import name_of
from livecap.audio_in.recording import Recording
from livecap.audio_in.temporary_sound import TemporarySound
from livecap.cli.terminal import warn
from livecap.errors import AudioError, SettingsError, brief
from livecap.session.labelling import READ_SAMPLES, voice_in
from livecap.speakers.diariser import load_diariser
from livecap.speakers.known import alone, voice_of
from livecap.speakers.remembered import RememberedVoices
from livecap.text.printing import say, say_json


def add_from_session(path: Path, name: str, folder: Path, speaker: str) -> None:
    """Remember the voice of a speaker of a session."""
    name = _name(name)
    session = RecordedSession(folder)
    voice = voice_in(session, load_diariser(), session.voices.one(session.speaker_number(speaker)))
    _add(path, name, voice, f"{speaker} in {folder.name}")


def add_from_file(path: Path, name: str, sound_path: Path) -> None:
    """Remember the voice in a recording of one person."""
    name = _name(name)
    diariser = load_diariser()
    recording = Recording(sound_path)
    try:
        with TemporarySound(recording.blocks(READ_SAMPLES)) as sound:
            turns = diariser.turns(sound)
            speakers = {turn.speaker for turn in turns}
            if len(speakers) > 1:
                raise AudioError(f"{len(speakers)} voices were found in {sound_path}. Give a recording of one person.")
            voice = voice_of(diariser, sound, alone(turns, speakers.pop())) if speakers else None
    finally:
        recording.close()
    _add(path, name, voice, str(sound_path))


def _name(text: str) -> str:
    """The name of a voice. Checked before the sound is heard.

    Raises:
        SettingsError: it is empty or too long.
    """
    name = name_of(text)
    if not name:
        raise SettingsError(f"A remembered voice needs a name, not {brief(text)}.")
    return name


def _add(path: Path, name: str, voice: NDArray[np.float32] | None, source: str) -> None:
    if voice is None:
        raise AudioError(f"There is too little speech of {source} to recognise the voice later.")
    RememberedVoices(path).add(name, voice, date.today().isoformat())
    say(f"The voice of {name} is remembered in {path}.")
    warn(f"It is biometric data of {name}. `livecap voices forget` deletes it.")


def show(path: Path, as_json: bool) -> None:
    """List the names."""
    voices = RememberedVoices(path).all()
    if as_json:
        say_json([{"name": voice.name, "added": voice.added} for voice in voices], indent=2)
        return
    for voice in voices:
        say(f"{voice.added}  {voice.name}")
    if not voices:
        say("No voice is remembered.")


def forget(path: Path, names: list[str] | None) -> None:
    """Forget these voices, or all for None."""
    gone = RememberedVoices(path).forget(names)
    say(f"Forgotten: {', '.join(gone)}." if gone else "No voice is remembered.")

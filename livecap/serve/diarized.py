"""Speakers of uploads: OpenAI's `diarized_json`, with names for speakers of whom the client sends a sample.

Source: the types of the official Python client, version 3.57.
"""

import base64
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

import numpy as np
from numpy.typing import NDArray

from livecap.audio_in.recording import Recording
from livecap.audio_in.temporary_sound import TemporarySound
from livecap.errors import AudioError
from livecap.serve.requests import Refused
from livecap.speakers.turns import Diariser, Sound
from livecap.transcribe.recordings import BLOCK_SAMPLES
from livecap.transcribe.result import Transcription
from livecap.transcribe.speakers import SpeakerLabels
from livecap.transcribe.units import Stopped
from livecap.transcript import SAMPLE_RATE, speaker_letter

MOST_NAMES = 4
"""Speakers with a sample."""
LEAST_SECONDS, MOST_SECONDS = 2, 10
"""Length of a sample."""
LONGEST_SECONDS = MOST_SECONDS + 0.5
"""A sample may be so long, since files are rarely cut exactly."""


@dataclass(frozen=True, slots=True)
class KnownSpeaker:
    """A speaker of whom the client sends a sample."""

    name: str
    sample: bytes
    """A sound file."""


def known_speakers(names: Sequence[str], references: Sequence[str]) -> list[KnownSpeaker]:
    """The speakers of a form's fields `known_speaker_names` and `known_speaker_references`.

    Raises:
        Refused: their numbers differ, or a reference is not a data URL.
    """
    if len(names) != len(references):
        raise Refused(400, "Each of known_speaker_names needs one of known_speaker_references.", "known_speaker_names")
    if len(names) > MOST_NAMES:
        raise Refused(400, f"At most {MOST_NAMES} speakers can be known.", "known_speaker_names")
    if len(set(names)) != len(names):
        raise Refused(400, "Two known speakers have the same name.", "known_speaker_names")
    return [KnownSpeaker(name, _decoded(url)) for name, url in zip(names, references, strict=True)]


def _decoded(url: str) -> bytes:
    head, comma, data = url.partition(",")
    if not (head.startswith("data:") and head.endswith(";base64") and comma):
        raise Refused(400, "A known speaker reference is a data URL in base64.", "known_speaker_references")
    try:
        return base64.b64decode(data, validate=True)
    except ValueError:  # also for letters outside ASCII
        raise Refused(400, "A known speaker reference is not valid base64.", "known_speaker_references") from None


class SpeakersOfUploads:
    """Labels one upload after the other on a thread of its own, so that live streams do not wait."""

    def __init__(self, load: Callable[[], Diariser], folder: Path) -> None:
        """
        Args:
            folder: a private one, for samples of known speakers while they are read.
        """
        self._folder = folder
        self._labels = SpeakerLabels(load)
        self._thread = ThreadPoolExecutor(1, "speakers")

    def label(
        self,
        said: Transcription,
        is_stopped: Callable[[], bool],
        path: Path,
        known: Sequence[KnownSpeaker],
    ) -> Future[Transcription]:
        """The text of an upload with speakers, later. The future has `Refused` if a sample of a known speaker cannot be
        used, `Stopped` if `is_stopped` returned True."""
        return self._thread.submit(self._label, said, is_stopped, path, known)

    def _label(
        self, said: Transcription, is_stopped: Callable[[], bool], path: Path, known: Sequence[KnownSpeaker]
    ) -> Transcription:
        look = partial(_look, is_stopped)
        voices = {speaker.name: self._voice(speaker, look) for speaker in known}
        recording = Recording(path, meanwhile=look)
        try:
            with TemporarySound(_looking(recording.blocks(BLOCK_SAMPLES), look)) as sound:
                return self._labels.of_sound(said, _WantedSound(sound, look), known=voices)
        finally:
            recording.close()

    def _voice(self, speaker: KnownSpeaker, look: Callable[[], None]) -> NDArray[np.float32]:
        with NamedTemporaryFile(dir=self._folder) as file:
            file.write(speaker.sample)
            file.flush()
            try:
                recording = Recording(Path(file.name), meanwhile=look)
                try:
                    sample = _beginning(recording)
                finally:
                    recording.close()
            except AudioError:
                raise Refused(
                    400,
                    f"The sample of {speaker.name[:60]!r} holds no sound that can be read.",
                    "known_speaker_references",
                ) from None
        seconds = len(sample) / SAMPLE_RATE
        if not LEAST_SECONDS <= seconds <= LONGEST_SECONDS:
            length = f"{seconds:.1f} s" if seconds <= LONGEST_SECONDS else f"more than {MOST_SECONDS} s"
            what = f"{length} long; {LEAST_SECONDS} to {MOST_SECONDS} s are needed"
            raise Refused(400, f"The sample of {speaker.name[:60]!r} is {what}.", "known_speaker_references")
        return self._labels.diariser.embed(sample)


class _WantedSound:
    """A sound that is read as long as a client waits; then `look` raises `Stopped`."""

    def __init__(self, sound: Sound, look: Callable[[], None]) -> None:
        self._sound, self._look = sound, look

    def __len__(self) -> int:
        return len(self._sound)

    def __getitem__(self, span: slice, /) -> NDArray[np.float32]:
        self._look()
        return self._sound[span]


def _look(is_stopped: Callable[[], bool]) -> None:
    """Raise `Stopped` once no client waits."""
    if is_stopped():
        raise Stopped("Stopped.")


def _looking(blocks: Iterable[NDArray[np.float32]], look: Callable[[], None]) -> Iterator[NDArray[np.float32]]:
    """The blocks of a sound, each after a look."""
    for block in blocks:
        look()
        yield block


def _beginning(recording: Recording) -> NDArray[np.float32]:
    """A sample, or so much of it that it is too long: a small file can hold days of silence."""
    pieces = [np.zeros(0, np.float32)]
    for piece in recording.blocks(SAMPLE_RATE):
        pieces.append(piece)
        if sum(map(len, pieces)) > LONGEST_SECONDS * SAMPLE_RATE:
            break
    return np.concatenate(pieces)


def diarized(said: Transcription, usage: Mapping[str, Any]) -> dict[str, Any]:
    """The body of `diarized_json`."""
    return {
        "task": "transcribe",
        "duration": round(said.duration_seconds, 3),
        "text": said.text,
        "segments": list(diarized_segments(said)),
        "usage": usage,
    }


def diarized_segments(said: Transcription) -> Iterator[dict[str, Any]]:
    """The segments with their speakers. If only one speaks, it is A."""
    for number, segment in enumerate(said.segments):
        yield {
            "type": "transcript.text.segment",
            "id": f"seg_{number:03}",
            "start": round(segment.start_seconds, 3),
            "end": round(segment.end_seconds, 3),
            "speaker": segment.speaker or speaker_letter(0),
            "text": segment.text,
        }

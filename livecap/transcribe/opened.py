"""OpenedSounds: files and arrays as blocks of sound for `transcribe_many`, opened one after the other."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from livecap.audio_in.array_sound import ArraySound
from livecap.audio_in.recording import Recording
from livecap.audio_in.temporary_sound import TemporarySound
from livecap.errors import AudioError, LivecapError
from livecap.transcribe.recordings import BLOCK_SAMPLES, Blocks, blocks_of_samples
from livecap.transcribe.result import Transcription
from livecap.transcript import SAMPLE_RATE


class OpenedSounds:
    """The sounds of one job. Close it when the job is over."""

    def __init__(
        self,
        sounds: Sequence[tuple[Any, int]],
        keeps: bool = False,
        meanwhile: Callable[[], None] = lambda: None,
    ) -> None:
        """
        Args:
            sounds: a path or an array, and the samples per second of an array, of each sound.
            keeps: keep each sound until `take`.
            meanwhile: called often while a file is converted; what it raises ends that.
        """
        self._sounds, self._meanwhile = sounds, meanwhile
        self._kept: dict[int, TemporarySound] | None = {} if keeps else None
        self._notices: dict[int, list[str]] = {}
        self._recording: Recording | None = None
        self.durations: list[float | None] = []
        """The length of each sound so far, in seconds."""

    def blocks(self) -> Iterator[Blocks]:
        """The blocks of each sound. They must be used up before the next sound is asked for."""
        for number, (sound, rate) in enumerate(self._sounds):
            blocks = self._blocks_of(number, sound, rate)
            yield blocks if self._kept is None else self._keeping(number, blocks)

    def _keeping(self, number: int, blocks: Blocks) -> Iterator[NDArray[np.float32]]:
        assert self._kept is not None
        kept = self._kept[number] = TemporarySound()
        for block in blocks:
            kept.append(block)
            yield block

    def take(self, number: int) -> TemporarySound:
        """A sound that was kept, to be closed by the caller."""
        assert self._kept is not None, "sounds are not kept"
        return self._kept.pop(number)

    def _blocks_of(self, number: int, sound: Any, rate: int) -> Iterator[NDArray[np.float32]]:
        self.durations.append(None)  # one for each sound, also for one that cannot be read
        if isinstance(sound, str | Path):
            recording = self._recording = Recording(Path(sound), meanwhile=self._meanwhile)
            self.durations[-1] = recording.duration_seconds
            self._notices[number] = recording.notices
            yield from recording.blocks(BLOCK_SAMPLES)
            recording.close()
            if recording.read_samples == 0:
                raise AudioError(f"Cannot read {sound}: there is not a single sample in it.")
        else:
            samples = ArraySound(rate).hear_all(sound)
            self.durations[-1] = len(samples) / SAMPLE_RATE
            yield from blocks_of_samples(samples)

    def with_notices(self, number: int, result: Transcription | LivecapError) -> Transcription | LivecapError:
        """The result of a sound, with what is wrong with its file."""
        notices = self._notices.get(number)
        return replace(result, notices=tuple(notices)) if notices and isinstance(result, Transcription) else result

    def close(self) -> None:
        """Close the file that is open, and the sounds that are kept."""
        for kept in (self._kept or {}).values():
            kept.close()
        if self._recording is not None:
            self._recording.close()

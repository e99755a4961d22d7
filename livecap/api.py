"""livecap as a library: load a model, transcribe an array, stream sound as it arrives (docs/api.md).

import livecap

with livecap.load("tiny") as model:
    print(model.transcribe(samples, rate=16_000).text)
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from livecap.audio_in.resample import Resampler
from livecap.audio_in.source import AudioBlock
from livecap.engine import Engine, EngineSettings
from livecap.errors import AudioError
from livecap.stream.transcriber import StreamingTranscriber
from livecap.text.languages import parse_language
from livecap.text.scripts import joined
from livecap.transcribe.files import transcribe
from livecap.transcript import SAMPLE_RATE, TranscriptUpdate


@dataclass(frozen=True, slots=True)
class Transcription:
    """The text of one sound."""

    text: str
    duration_seconds: float


def load(
    model: str | Path,
    *,
    language: str | None = None,
    context: str = "",
    on_notice: Callable[[str], None] = lambda message: None,
) -> "Model":
    """Load a model on the calling thread; use and close it on that thread.

    Args:
        model: a folder, `tiny`, a short name such as `0.6b`, or a repository of the Hugging Face Hub, which is
            downloaded where it is not on this machine yet.
        language: name or ISO code of the language to force; None lets the model name the language.
        context: names and words to expect.
        on_notice: gets sentences about the model that the user should know.

    Raises:
        ModelError: there is no such model, or it is damaged.
        SettingsError: there is no such language.
    """
    full_name = parse_language(language) if language else None
    return Model(Engine.load(EngineSettings(model, full_name, context), on_notice))


class Model:
    """A loaded model. Use and close it on the thread that loaded it."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def transcribe(self, sound: ArrayLike, rate: int = SAMPLE_RATE) -> Transcription:
        """The text of a whole sound.

        Args:
            sound: [n] or [n, n_channels] samples, floats within -1..1 or integers of full scale.
            rate: samples a second.

        Raises:
            AudioError: the array holds no sound.
        """
        samples = _Ear(rate).hear_all(sound)
        return Transcription(transcribe(self._engine, samples), len(samples) / SAMPLE_RATE)

    def stream(self, rate: int = SAMPLE_RATE) -> "Stream":
        """A stream that gets sound piece by piece and has text while it arrives. Close it before the model.

        Args:
            rate: samples a second.
        """
        return Stream(self._engine.transcriber(), rate)

    def close(self) -> None:
        """Release the model. A second call does nothing."""
        self._engine.close()

    def __enter__(self) -> "Model":
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()


class Stream:
    """Sound in, text out. Use it on the thread that loaded the model."""

    def __init__(self, transcriber: StreamingTranscriber, rate: int) -> None:
        self._transcriber = transcriber
        self._ear = _Ear(rate)
        self._n_samples = 0
        self._is_closed = False
        self._utterances: list[str] = []  # closed ones
        self._open = ("", "")  # stable and partial text of the open one

    def feed(self, sound: ArrayLike) -> None:
        """Hear what follows, and decode where that is due.

        Args:
            sound: [n] or [n, n_channels] samples, floats within -1..1 or integers of full scale; any n.

        Raises:
            AudioError: the array holds no sound.
        """
        self._accept(self._ear.hear(sound))

    def finish(self) -> str:
        """Decode what is left and return all text. Nothing can be fed afterwards."""
        self._accept(self._ear.rest())
        self._take(self._transcriber.flush())
        self.close()
        return self.text

    def close(self) -> None:
        """Drop what is not decoded yet. A second call does nothing."""
        if not self._is_closed:
            self._is_closed = True
            self._transcriber.close()

    def __enter__(self) -> "Stream":
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()

    @property
    def stable(self) -> str:
        """Text that will not change; it only grows."""
        return joined((*self._utterances, self._open[0]))

    @property
    def partial(self) -> str:
        """Text after `stable` that may still change."""
        return self._open[1]

    @property
    def text(self) -> str:
        """Stable and partial text."""
        return joined((*self._utterances, self._open[0] + self.partial))

    def _accept(self, samples: NDArray[np.float32]) -> None:
        if len(samples):
            self._transcriber.accept(AudioBlock(self._n_samples, samples))
            self._n_samples += len(samples)
        if self._transcriber.ready:
            self._take(self._transcriber.step())

    def _take(self, updates: Iterable[TranscriptUpdate]) -> None:
        for update in updates:
            if update.final:
                self._utterances.append(update.stable.strip())
            self._open = ("", "") if update.final else (update.stable.lstrip(), update.partial)


class _Ear:
    """Arrays of any rate, type and number of channels to 16 kHz mono."""

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._resampler: Resampler | None = None

    def hear_all(self, sound: ArrayLike) -> NDArray[np.float32]:
        return np.concatenate([self.hear(sound), self.rest()])

    def hear(self, sound: ArrayLike) -> NDArray[np.float32]:
        """[n] float32 at 16 kHz; the resampler may hold back a few milliseconds."""
        array = np.asarray(sound)
        if array.ndim == 1:
            array = array[:, None]
        if (
            array.ndim != 2
            or not np.issubdtype(array.dtype, np.number)
            or np.issubdtype(array.dtype, np.complexfloating)
        ):
            raise AudioError(f"Sound is an array [n] or [n, n_channels] of numbers, not {array.dtype} {array.shape}.")
        if np.issubdtype(array.dtype, np.integer):
            array = array / -float(np.iinfo(array.dtype).min or -1)
        samples = array.astype(np.float32)
        if not np.isfinite(samples).all():
            raise AudioError("The array holds samples that are not finite numbers.")
        if self._resampler is None:
            self._resampler = Resampler(self._rate, samples.shape[1])
        if samples.shape[1] != self._resampler.n_channels:
            raise AudioError(f"A stream of {self._resampler.n_channels} channels was fed {samples.shape[1]}.")
        return self._resampler.process(samples)

    def rest(self) -> NDArray[np.float32]:
        """What the resampler held back."""
        return self._resampler.flush() if self._resampler else np.zeros(0, np.float32)

"""Engine: one loaded model, and what is made from it: recognisers, and transcribers for tracks of sound.

Live sessions, recovery, files, measurements and `livecap.api` all get their text from here.
"""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from livecap.align.aligner import Aligner
from livecap.align.units import LANGUAGES as ALIGNED_LANGUAGES
from livecap.audio_in.recording import Recording
from livecap.errors import LivecapError, ModelError, SettingsError, one_line
from livecap.model.backend import mx, on_cpu
from livecap.model.checkpoint.cached import folder_of
from livecap.model.checkpoint.catalogue import ALIGNER
from livecap.model.checkpoint.load import LoadedModel, load, resolve
from livecap.model.draft_trial import DraftTrial
from livecap.model.facts import model_facts
from livecap.model.files import read_json
from livecap.model.generate import as_tokens, best_rows
from livecap.model.text.tokenizer import Tokenizer
from livecap.shipped import timed_recording, timed_words
from livecap.stream.attention_times import Follower, follower_of
from livecap.stream.config import StreamConfig
from livecap.stream.recogniser import ModelRecogniser, Recogniser
from livecap.stream.settling import Settling
from livecap.stream.token_text import Decodes
from livecap.stream.transcriber import StreamingTranscriber
from livecap.transcript import SAMPLE_RATE, Word

FOLLOWED_SAMPLES = 10 * SAMPLE_RATE
"""How much of the shipped recording a model hears once, to find the attention head that follows the words."""
DTYPES = {"float32": mx.float32, "float16": mx.float16, "bfloat16": mx.bfloat16}
OnNotice = Callable[[str], None]
"""Gets one sentence for the user."""


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """Which model to load, and how to recognise with it."""

    model: str | Path
    """A folder, `tiny`, a short name such as `0.6b`, or a repository of the Hugging Face Hub."""
    language: str | None = None
    """Full name of the language to force, such as `English`; None lets the model name the language."""
    context: str = ""
    """Names and words to expect, as plain text."""
    stream: StreamConfig = StreamConfig()
    settle: bool = True
    """Hear each closed utterance a second time, as a whole."""
    aligner: str | Path | None = None
    """A forced aligner for the times of words in that text: a folder or a repository. None: the model's attention."""
    draft_model: str | Path | None = None
    """A smaller model that drafts the text of recordings, which `model` then checks. Another time, the same text
    (in half precision except at ties)."""

    dtype: str = "auto"
    """The data type to compute in: `float32`, `float16` or `bfloat16`; `auto` for the fastest on this chip."""
    remote: str = ""
    """The server that recognises instead of a model on this machine, for people; "" without one."""

    @property
    def model_name(self) -> str:
        """The model's name for people, such as `Qwen3-ASR-0.6B 8-bit`: the last part of its path or repository, and
        how its weights are packed where its configuration is on this machine and says so."""
        name = str(self.model).rstrip("/").rpartition("/")[2] or str(self.model)
        bits = packed_bits(str(self.model))
        return name if bits is None or "bit" in name.lower() else f"{name} {bits}-bit"

    @property
    def description(self) -> str:
        """The model as the user gave it, and the server that runs it."""
        return f"{self.model} at {self.remote}" if self.remote else str(self.model)


class Recognises(Protocol):
    """What a live session needs of an engine. `Engine` is one."""

    settings: EngineSettings

    def warm_up(self) -> None:
        """See `Engine`."""

    def transcriber(self, track: str = "", on_notice: OnNotice | None = None) -> StreamingTranscriber:
        """See `Engine`."""

    def recogniser(self) -> Recogniser:
        """See `Engine`."""

    @property
    def tokenizer(self) -> Decodes:
        """See `Engine`."""

    def change(self, settings: EngineSettings, on_notice: OnNotice | None = None) -> None:
        """See `Engine`."""

    @property
    def facts(self) -> Mapping[str, Any]:
        """What the model is, for a report."""

    @property
    def memory(self) -> Mapping[str, int]:
        """See `Engine`."""

    def close(self) -> None:
        """See `Engine`."""


Load = Callable[[EngineSettings, OnNotice], Recognises]
"""Loads an engine, on the thread that will use it."""


class Engine:
    """One loaded model. Use and close it on the thread that made it; `settings` and `memory` may be read on any.

    with Engine.load(EngineSettings("tiny")) as engine:
        transcriber = engine.transcriber()
    """

    def __init__(
        self, loaded: LoadedModel, settings: EngineSettings, on_notice: OnNotice = lambda message: None
    ) -> None:
        self._loaded = loaded
        self._on_notice = on_notice
        self._aligner = _aligner_of(settings, on_notice)
        self._asked_aligner: Aligner | None = None
        """The one that `aligner` has loaded where the settings name none. It gives no times to recognised words."""
        self._draft = None if settings.draft_model is None else _load(settings.draft_model, settings.dtype, on_notice)
        self._draft_trial = DraftTrial()
        self._followed: LoadedModel | None = None
        """The model that `_found` belongs to."""
        self._found: Follower | None = None
        self._context = _fitting_context(loaded, settings)
        self._is_open = True
        self.settings = settings
        """What new recognisers and transcribers are made with. `change` replaces it."""
        _mlx_thread.begin()

    @classmethod
    def load(cls, settings: EngineSettings, on_notice: OnNotice = lambda message: None) -> "Engine":
        """Load the model of these settings.

        Args:
            on_notice: gets what the user should know about the model, such as a missing fast BLAS, and which part of
                a long context is used.

        Raises:
            ModelError: there is no such model, or it is damaged.
        """
        _mlx_thread.begin()
        try:
            engine = cls(_load(settings.model, settings.dtype, on_notice), settings, on_notice)
            try:
                engine._report_context(on_notice)
            except BaseException:
                engine.close()
                raise
            return engine
        finally:
            _mlx_thread.end()

    def change(self, settings: EngineSettings, on_notice: OnNotice | None = None) -> None:
        """Use other settings for what is made from now on. The model is only loaded if it is another one.

        Args:
            on_notice: as in `load`; None is the one given there.

        Raises:
            ModelError: the other model cannot be loaded; the engine stays as it was.
        """
        on_notice = on_notice or self._on_notice
        loaded, draft, before = self._loaded, self._draft, self._context
        other_type = settings.dtype != self.settings.dtype
        if other_type or settings.model != self.settings.model and resolve(settings.model) != loaded.path:
            loaded = _load(settings.model, settings.dtype, on_notice)
        if other_type or settings.draft_model != self.settings.draft_model:
            draft = None if settings.draft_model is None else _load(settings.draft_model, settings.dtype, on_notice)
        if loaded is not self._loaded or draft is not self._draft:
            self._draft_trial = DraftTrial()
        self._context = _fitting_context(loaded, settings)
        if settings.aligner != self.settings.aligner:
            self._aligner, self._asked_aligner = _aligner_of(settings, on_notice), None
        self._loaded, self._draft, self.settings = loaded, draft, settings
        if self._context != before:
            self._report_context(on_notice)

    def recogniser(self) -> ModelRecogniser:
        """A recogniser with a KV cache of its own."""
        settings = self.settings
        return ModelRecogniser(self._loaded, self._context, settings.language, settings.stream, follower=self.follower)

    def warm_up(self) -> None:
        """Run each kind of pass once, so that the first words do not wait for kernels to be made.

        A second of noise is decoded; then a token and a round of guesses follow, whatever it said. Does nothing on a
        processor.
        """
        if on_cpu:
            return
        recogniser = ModelRecogniser(self._loaded, "", "English", self.settings.stream)
        recogniser.begin(0)
        recogniser.append(np.random.default_rng(0).normal(0, 0.01, 5 * SAMPLE_RATE // 4).astype(np.float32))
        recogniser.decode((), (), (), 1)
        model, cache = self._loaded.model, self._loaded.model.new_cache()
        for n in (1, 1 + self._loaded.most_guessed):
            hidden = model(model.embed(mx.zeros(n, mx.int32))[None], cache)
            as_tokens(best_rows(model, hidden[0], [0] * (n - 1)))

    def transcriber(self, track: str = "", on_notice: OnNotice | None = None) -> StreamingTranscriber:
        """A transcriber for one track of sound. Close it before the engine.

        Args:
            track: its label in updates.
            on_notice: gets what the user should know, such as a token budget that was hit.
        """
        stream = self.settings.stream
        return StreamingTranscriber(
            self.recogniser(),
            self._loaded.tokenizer,
            stream,
            track=track,
            language=self.settings.language,
            settling=Settling(self.recogniser(), stream) if self.settings.settle else None,
            align=self.align,
            on_notice=on_notice,
        )

    def aligner(self) -> Aligner:
        """The forced aligner: that of the settings, else the released one, which is downloaded if necessary.

        Raises:
            ModelError: it is not on this machine and cannot be downloaded, or it is damaged.
        """
        if self._aligner is not None:
            return self._aligner
        if self._asked_aligner is None:
            name = self.settings.aligner or ALIGNER
            with _damage_reported(name):
                self._asked_aligner = Aligner.load(name, self._on_notice)
        return self._asked_aligner

    def align(self, samples: NDArray[np.float32], text: str, language: str | None) -> tuple[Word, ...]:
        """The words of an utterance, placed by the forced aligner; empty where none is loaded, it does not know the
        language, or the text is far too long for the sound. See `Aligner.words`."""
        if self._aligner is None or language not in ALIGNED_LANGUAGES:
            return ()
        try:
            return self._aligner.words(samples, text, language)
        except SettingsError:
            return ()

    def follower(self) -> Follower | None:
        """The attention head that tells when words were said. The first call finds it, with the shipped recording."""
        if self._followed is not self._loaded:
            words = [word for word in timed_words() if word[2] <= FOLLOWED_SAMPLES]
            recording = Recording(timed_recording(), FOLLOWED_SAMPLES)
            recording.read_to(FOLLOWED_SAMPLES)
            sound = recording.sound(0, min(FOLLOWED_SAMPLES, recording.read_samples))
            recording.close()
            self._found = follower_of(self._loaded, sound, [(text, start) for text, start, _ in words])
            self._followed = self._loaded
        return self._found

    @property
    def loaded(self) -> LoadedModel:
        """The model itself."""
        return self._loaded

    @property
    def draft(self) -> LoadedModel | None:
        """The model that drafts the text of recordings."""
        return self._draft

    @property
    def draft_trial(self) -> DraftTrial:
        """Whether drafts pay with this model on this machine."""
        return self._draft_trial

    @property
    def context(self) -> str:
        """The part of the names and terms to expect that the model takes."""
        return self._context

    @property
    def tokenizer(self) -> Tokenizer:
        return self._loaded.tokenizer

    @property
    def facts(self) -> dict[str, Any]:
        """What the model is, for a report (`model.facts`)."""
        return model_facts(self._loaded)

    @property
    def memory(self) -> dict[str, int]:
        """Bytes that MLX holds, by the name of the pool."""
        return {"MLX": mx.get_active_memory(), "MLX cache": mx.get_cache_memory()}

    def _report_context(self, on_notice: OnNotice) -> None:
        """Report which part of the context is used, where it is not all of it."""
        used, given = self._context, self.settings.context
        if len(used) < len(given):
            last = used.split()[-1][-40:] if used.split() else ""
            on_notice(
                f"Names and terms to expect: the first {len(used):,} of {len(given):,} characters are used, up to "
                f'"{last}". {self.settings.model_name} takes no more; list the most important ones first.'
            )

    def close(self) -> None:
        """Leave MLX in a state in which this thread can end. A second call does nothing."""
        if self._is_open:
            self._is_open = False
            _mlx_thread.end()

    def __enter__(self) -> "Engine":
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()


def peak_mlx_bytes() -> int:
    """The most memory that MLX has held in this process."""
    return mx.get_peak_memory()


class _MlxThread(threading.local):
    """MLX's streams of the current thread, and how many users they have.

    The process aborts ("terminate called without an active exception") when a thread ends that still has streams. A
    thread whose streams were cleared cannot compute until it gets new ones. The main thread keeps its streams: it ends
    with the process, and other code may use MLX on it.
    """

    n_users = 0
    is_cleared = False

    def begin(self) -> None:
        self.n_users += 1
        if self.is_cleared:
            self.is_cleared = False
            for device in {mx.cpu, mx.default_device().type}:
                mx.set_default_stream(mx.new_stream(device))

    def end(self) -> None:
        assert self.n_users, "an engine is closed on the thread that made it"
        self.n_users -= 1
        if not self.n_users and threading.current_thread() is not threading.main_thread():
            self.is_cleared = True
            mx.clear_streams()


_mlx_thread = _MlxThread()


def _load(model: str | Path, dtype: str, on_notice: OnNotice) -> LoadedModel:
    with _damage_reported(model):
        loaded = load(model, dtype=None if dtype == "auto" else DTYPES[dtype])
    for notice in loaded.notices:
        on_notice(notice)
    return loaded


def _fitting_context(loaded: LoadedModel, settings: EngineSettings) -> str:
    """The part of the context that the model takes. Raises ModelError if its tokenizer fails with the context."""
    with _damage_reported(settings.model):
        return loaded.tokenizer.beginning(settings.context, loaded.config.context_tokens)


def _aligner_of(settings: EngineSettings, on_notice: OnNotice) -> Aligner | None:
    """The aligner that the settings name. One that cannot be used costs no session: words have other times then."""
    if settings.aligner is None:
        return None
    try:
        with _damage_reported(settings.aligner):
            return Aligner.load(settings.aligner, on_notice)
    except ModelError as error:
        on_notice(f"The times of words do not come from the forced aligner: {error}")
        return None


@contextmanager
def _damage_reported(model: str | Path) -> Iterator[None]:
    """Whatever a damaged model makes the libraries raise becomes a ModelError."""
    try:
        yield
    except (LivecapError, KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # a panic of tokenizers is no Exception
        message = f"The model {model} cannot be used: {one_line(error)}. Download it again or choose another."
        raise ModelError(message) from error


def packed_bits(model: str) -> int | None:
    """Bits of most weights of a packed model; None where it is not packed, or has no config.json on this machine."""
    folder = folder_of(model)
    try:
        packing = read_json(folder / "config.json").get("quantization") if folder else None
    except ModelError:
        return None  # loading the model reports what is wrong
    bits = packing.get("bits") if isinstance(packing, dict) else None
    return bits if isinstance(bits, int) else None

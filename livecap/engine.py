"""Engine: one loaded model, and what is made from it: recognisers, and transcribers for tracks of sound.

Live sessions, recovery, files, measurements and `livecap.api` all get their text from here.
"""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from livecap.errors import LivecapError, ModelError, one_line
from livecap.model.backend import mx
from livecap.model.checkpoint.catalogue import folder_of
from livecap.model.checkpoint.load import LoadedModel, load, resolve
from livecap.model.text.tokenizer import Tokenizer
from livecap.stream.config import StreamConfig
from livecap.stream.recogniser import ModelRecogniser
from livecap.stream.settling import Settling
from livecap.stream.transcriber import StreamingTranscriber

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

    @property
    def model_name(self) -> str:
        """The model's name for people, such as `Qwen3-ASR-0.6B 8-bit`: the last part of its path or repository, and
        how its weights are packed where its configuration is on this machine and says so."""
        name = str(self.model).rstrip("/").rpartition("/")[2] or str(self.model)
        bits = _packed_bits(str(self.model))
        return name if bits is None or "bit" in name.lower() else f"{name} {bits}-bit"


class Engine:
    """One loaded model. Use and close it on the thread that made it; `settings` and `memory` may be read on any.

    with Engine.load(EngineSettings("tiny")) as engine:
        transcriber = engine.transcriber()
    """

    def __init__(self, loaded: LoadedModel, settings: EngineSettings) -> None:
        self._loaded = loaded
        self._is_open = True
        self.settings = settings
        """What new recognisers and transcribers are made with. `change` replaces it."""
        _mlx_thread.begin()

    @classmethod
    def load(cls, settings: EngineSettings, on_notice: OnNotice = lambda message: None) -> "Engine":
        """Load the model of these settings.

        Args:
            on_notice: gets what the user should know about the model, such as a missing fast BLAS.

        Raises:
            ModelError: there is no such model, or it is damaged.
        """
        _mlx_thread.begin()
        try:
            return cls(_load(settings, on_notice), settings)
        finally:
            _mlx_thread.end()

    def change(self, settings: EngineSettings, on_notice: OnNotice = lambda message: None) -> None:
        """Use other settings for what is made from now on. The model is only loaded if it is another one.

        Raises:
            ModelError: the other model cannot be loaded; the engine stays as it was.
        """
        if settings.model != self.settings.model and resolve(settings.model) != self._loaded.path:
            self._loaded = _load(settings, on_notice)
        else:
            _check_context(self._loaded, settings)
        self.settings = settings

    def recogniser(self) -> ModelRecogniser:
        """A recogniser with a KV cache of its own."""
        return ModelRecogniser(self._loaded, self.settings.context, self.settings.language, self.settings.stream)

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
            on_notice=on_notice,
        )

    @property
    def tokenizer(self) -> Tokenizer:
        return self._loaded.tokenizer

    @property
    def memory(self) -> dict[str, int]:
        """Bytes that MLX holds, by the name of the pool."""
        return {"MLX": mx.get_active_memory(), "MLX cache": mx.get_cache_memory()}

    def close(self) -> None:
        """Leave MLX in a state in which this thread can end. A second call does nothing."""
        if self._is_open:
            self._is_open = False
            _mlx_thread.end()

    def __enter__(self) -> "Engine":
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()


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


def _load(settings: EngineSettings, on_notice: OnNotice) -> LoadedModel:
    with _damage_reported(settings):
        loaded = load(settings.model)
    _check_context(loaded, settings)
    for notice in loaded.notices:
        on_notice(notice)
    return loaded


def _check_context(loaded: LoadedModel, settings: EngineSettings) -> None:
    """Raise ModelError if the model's tokenizer fails with the context, before the first step does."""
    with _damage_reported(settings):
        loaded.tokenizer.encode(settings.context)


@contextmanager
def _damage_reported(settings: EngineSettings) -> Iterator[None]:
    """Whatever a damaged model makes the libraries raise becomes a ModelError."""
    try:
        yield
    except (LivecapError, KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # a panic of tokenizers is no Exception
        message = f"The model {settings.model} cannot be used: {one_line(error)}. Download it again or choose another."
        raise ModelError(message) from error


def _packed_bits(model: str) -> int | None:
    folder = folder_of(model)
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8")) if folder else {}
    except (OSError, ValueError):
        return None  # loading the model reports what is wrong
    packing = config.get("quantization") if isinstance(config, dict) else None
    bits = packing.get("bits") if isinstance(packing, dict) else None
    return bits if isinstance(bits, int) else None

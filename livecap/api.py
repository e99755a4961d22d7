"""livecap as a library: load a model, transcribe files and arrays, stream sound as it arrives (docs/api.md).

import livecap

with livecap.load("tiny") as engine:
    print(engine.transcribe("talk.m4a").text)
"""

import asyncio
import queue
import threading
import weakref
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from numbers import Integral
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from livecap.align.pieces import align as align_text
from livecap.align.units import check_language
from livecap.audio_in.array_sound import ArraySound
from livecap.audio_in.source import AudioBlock
from livecap.engine import DTYPES, EngineSettings, packed_bits
from livecap.engine import Engine as LoadedEngine
from livecap.errors import AudioError, LivecapError, ModelError, SettingsError
from livecap.model.sampling import Sampling
from livecap.model_thread import ModelThread
from livecap.speakers.counts import Counts, Speakers
from livecap.speakers.diariser import load_diariser
from livecap.stream.transcriber import StreamingTranscriber
from livecap.text.languages import LANGUAGES, parse_language
from livecap.text.scripts import joined
from livecap.transcribe.cutter import Piece
from livecap.transcribe.decoding import DecodingOptions, PieceDecoder
from livecap.transcribe.heard import heard_words
from livecap.transcribe.opened import OpenedSounds
from livecap.transcribe.recordings import Hooks, Options, Progress, transcribe_many
from livecap.transcribe.result import Segment, Timings, Transcription
from livecap.transcribe.speakers import SpeakerLabels
from livecap.transcribe.units import Stopped
from livecap.transcript import SAMPLE_RATE, TranscriptUpdate, Word

Sound = str | Path | ArrayLike | tuple[ArrayLike, int]
"""A file, samples at 16 kHz, or (samples, samples per second)."""
OnProgress = Callable[[Progress], None]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """What the engine has loaded: model, data type, packing, languages."""

    model: str
    """The name that was given to `load`."""
    folder: Path
    dtype: str
    """The type that it computes in."""
    packing: str
    """How its weights are packed, such as "8 bit"; "" if they are not."""
    languages: tuple[str, ...]
    """The languages that it knows."""


def load(
    model: str | Path = "Qwen/Qwen3-ASR-0.6B",
    *,
    language: str | None = None,
    context: str = "",
    aligner: str | Path | None = None,
    draft_model: str | Path | None = None,
    dtype: str = "auto",
    on_notice: Callable[[str], None] = lambda message: None,
) -> "Engine":
    """Load a model. Any thread may use it: a thread of its own computes, one call after the other.

    Args:
        model: a folder, `tiny`, a short name such as `0.6b`, or a repository of the Hugging Face Hub, which is
            downloaded where it is not on this machine yet.
        language: name or ISO code of the language to force; None lets the model name the language.
        context: names and words to expect.
        aligner: a forced aligner, a folder or a repository, for the times of words and for `align`. None: word times
            come from the model's attention, and `align` takes the released aligner.
        draft_model: a smaller model that drafts the text of files and arrays, which `model` checks: the same text
            (in half precision except at ties), sooner where that pays. Not used where tokens are drawn.
        dtype: the data type to compute in: `float32`, `float16`, `bfloat16`, or `auto` for the fastest here.
        on_notice: gets sentences about the model and the context that the user should know, also while it is used.

    Raises:
        ModelError: there is no such model, or it is damaged.
        SettingsError: there is no such language or data type.
    """
    with _loading(model, language, context, aligner, draft_model, dtype, on_notice) as (thread, loaded):
        return Engine(thread, loaded.result())


async def load_async(model: str | Path = "Qwen/Qwen3-ASR-0.6B", **options: Any) -> "Engine":
    """`load` without blocking the event loop; the same arguments. What is loaded after a cancellation is released."""
    with _loading(model, **{**(load.__kwdefaults__ or {}), **options}) as (thread, loaded):
        return Engine(thread, await asyncio.wrap_future(loaded))


@contextmanager
def _loading(
    model: str | Path,
    language: str | None,
    context: str,
    aligner: str | Path | None,
    draft_model: str | Path | None,
    dtype: str,
    on_notice: Callable[[str], None],
) -> Iterator[tuple[ModelThread, "Future[LoadedEngine]"]]:
    """A thread, and the engine that it loads. Where the block fails, the thread ends, and the engine is released."""
    if dtype not in ("auto", *DTYPES):
        raise SettingsError(f"There is no data type {dtype!r}. Choose one of: auto, {', '.join(DTYPES)}.")
    base = EngineSettings(model, aligner=aligner, draft_model=draft_model, dtype=dtype)
    settings = _settings(base, language, context)
    thread = ModelThread()
    loading = thread.submit(lambda: LoadedEngine.load(settings, on_notice))
    try:
        yield thread, loading
    except BaseException:

        def release() -> None:
            if not loading.cancelled() and loading.exception() is None:
                loading.result().close()

        # Nobody waits for what was interrupted, such as a long download: it is released when it has ended.
        thread.stop(None if loading.done() else 0, last=release)
        raise


class Engine:
    """A loaded model. Any thread may call it. Close it, use it in a `with` block, or drop every reference to it."""

    def __init__(self, thread: ModelThread, engine: LoadedEngine) -> None:
        self._thread = thread
        self._engine = engine
        self._base = engine.settings
        self._is_closed = False
        self._unwatched: set[threading.Event] = set()
        """What stops the jobs whose caller has a result, and may never ask for the next one."""
        self._labels = SpeakerLabels(load_diariser)
        loaded, bits = engine.loaded, packed_bits(str(engine.loaded.path))
        self.info = EngineInfo(
            model=str(self._base.model),
            folder=loaded.path,
            dtype=str(loaded.dtype).rpartition(".")[2],
            packing="" if bits is None else f"{bits} bit",
            languages=LANGUAGES,
        )
        """What the engine has loaded."""
        thread.at_exit = engine.close
        self._lost = weakref.finalize(self, thread.stop, 0, engine.close)
        self._lost.atexit = False  # the thread has an end of its own

    def transcribe(
        self,
        sound: Sound,
        rate: int = SAMPLE_RATE,
        *,
        language: str | None = None,
        context: str | None = None,
        word_times: bool = True,
        speakers: Speakers = False,
        batch: int | None = None,
        temperature: float = 0.0,
        top_k: int = 0,
        top_p: float = 1.0,
        repetition_penalty: float = 1.0,
        seed: int = 0,
        max_tokens: int | None = None,
        repair_repetitions: bool = False,
        on_progress: OnProgress | None = None,
    ) -> Transcription:
        """The text of a whole sound.

        Args:
            sound: a file that libsndfile or ffmpeg reads; or [n] or [n, n_channels] samples, floats within -1..1 or
                integers of full scale; or a pair of these and their rate.
            rate: samples per second of an array.
            language: name or ISO code of the language to force; None for that of `load`.
            context: names and words to expect; None for that of `load`.
            word_times: find out when each word was said.
            speakers: label who speaks, A, B and so on, in `segments`, which then end where the speaker changes. True
                finds the number of speakers; a number, or a pair of the least and the most, says it.
            batch: pieces that are decoded together; changes the time and the memory, not the text (in half
                precision except at ties).
            temperature, top_k, top_p, repetition_penalty, seed: as `livecap transcribe` has them; by default off.
            max_tokens: the most tokens of a piece of at most 16 s.
            repair_repetitions: reduce repeated text as the official package does.
            on_progress: called on the model's thread after each batch.

        Raises:
            AudioError: no such file, or it or the array is not sound.
            SettingsError: there is no such language, or a number is out of range.
        """
        sampling = _sampling(temperature, top_k, top_p, repetition_penalty, seed)
        decoding = DecodingOptions(
            sampling=sampling, max_tokens=max_tokens, word_times=word_times, repair=repair_repetitions
        )
        pairs = [_with_rate(sound, rate)]
        [(_, result)] = self._jobs(pairs, language, context, batch, decoding, on_progress, Counts.of(speakers))
        if isinstance(result, LivecapError):
            raise result
        return result

    def transcribe_many(
        self,
        sounds: Iterable[Sound],
        *,
        language: str | None = None,
        context: str | None = None,
        batch: int | None = None,
        word_times: bool = True,
        speakers: Speakers = False,
        return_errors: bool = False,
        on_progress: OnProgress | None = None,
        decoding: DecodingOptions | None = None,
    ) -> "Iterator[Transcription | LivecapError]":
        """The text of each sound, in order, once it is ready. Short sounds share batches. A path is one sound.

        Args:
            return_errors: yield the error of a sound that cannot be read and go on; otherwise it is raised.
            decoding: how tokens are chosen; replaces `word_times`.

        The other arguments are those of `transcribe`.
        """
        decoding = decoding or DecodingOptions(word_times=word_times)
        pairs = [_with_rate(sound, SAMPLE_RATE) for sound in ([sounds] if isinstance(sounds, str | Path) else sounds)]
        for _, result in self._jobs(pairs, language, context, batch, decoding, on_progress, Counts.of(speakers)):
            if isinstance(result, LivecapError) and not return_errors:
                raise result
            yield result

    async def transcribe_async(self, sound: Sound, rate: int = SAMPLE_RATE, **options: Any) -> Transcription:
        """`transcribe` without blocking the event loop; the same arguments. Cancelling stops it after its batch."""
        stopped = threading.Event()
        try:
            return await asyncio.to_thread(self.transcribe, sound, rate, **_until(stopped, options))
        except asyncio.CancelledError:
            stopped.set()
            raise

    async def transcribe_many_async(
        self, sounds: Iterable[Sound], **options: Any
    ) -> "AsyncIterator[Transcription | LivecapError]":
        """`transcribe_many` without blocking the event loop; the same arguments. Cancelling stops it after a batch."""
        stopped = threading.Event()
        results = self.transcribe_many(sounds, **_until(stopped, options))
        try:
            while (result := await asyncio.to_thread(next, results, None)) is not None:
                yield result
        finally:  # cancelled, perhaps long before the next result; or the caller wants no more
            stopped.set()

    def align(
        self, sound: Sound, text: str, rate: int = SAMPLE_RATE, *, language: str | None = None
    ) -> tuple[Word, ...]:
        """When each word of a known text was said, by the forced aligner. Its model is downloaded at the first use.

        Args:
            sound: as `transcribe` takes it, of any length.
            text: what is said in it.
            rate: samples per second of an array.
            language: name or ISO code of the language of the text; None for that of `load`.

        Returns:
            The words with their punctuation; their samples count at 16 kHz from the start of the sound.

        Raises:
            AudioError: no such file, or it or the array is not sound.
            ModelError: the aligner cannot be downloaded or is damaged.
            SettingsError: no language is given, or the aligner does not know it.
        """
        name = _settings(self._base, language, None).language
        if name is None:
            raise SettingsError('Say which language the text is in, such as language="English".')
        check_language(name)
        opened = OpenedSounds([_with_rate(sound, rate)])

        def find() -> tuple[Word, ...]:
            try:
                [blocks] = opened.blocks()
                samples = np.concatenate([np.zeros(0, np.float32), *blocks])
            finally:
                opened.close()
            with self._using(_settings(self._base, name, None)):
                return align_text(
                    self._engine.aligner(), samples, text, name, lambda heard: heard_words(self._engine, heard)
                )

        return self._run(find)

    async def align_async(
        self, sound: Sound, text: str, rate: int = SAMPLE_RATE, *, language: str | None = None
    ) -> tuple[Word, ...]:
        """`align` without blocking the event loop; the same arguments."""
        return await asyncio.to_thread(self.align, sound, text, rate, language=language)

    def stream(
        self,
        rate: int = SAMPLE_RATE,
        *,
        language: str | None = None,
        context: str | None = None,
        on_update: Callable[[TranscriptUpdate], None] = lambda update: None,
    ) -> "Stream":
        """A stream that gets sound piece by piece and has text while it arrives. Close it before the engine.

        Args:
            rate: samples per second.
            language: name or ISO code of the language to force; None for that of `load`.
            context: names and words to expect; None for that of `load`.
            on_update: gets each update of an utterance, on the thread that feeds the stream.
        """
        settings = replace(_settings(self._base, language, context), settle=False)  # a stream has live text only

        def make() -> StreamingTranscriber:
            with self._using(settings):
                return self._engine.transcriber()

        return Stream(self._run(make), rate, self._run, on_update)

    def warm_up(self) -> None:
        """Decode a moment of silence, so that the first sound does not wait for kernels to be compiled."""

        def decode() -> None:
            piece = Piece(0, np.zeros(SAMPLE_RATE // 2, np.float32), (), is_doubtful=True)
            PieceDecoder(self._engine, DecodingOptions(max_tokens=2, word_times=False)).decode([piece])

        self._run(decode)

    def close(self) -> None:
        """Release the model once the calls that run have ended. A `transcribe_many` whose next result nobody waits for
        is stopped. A second call does nothing."""
        if not self._is_closed:
            self._is_closed = True
            for stopped in tuple(self._unwatched):
                stopped.set()
            self._lost.detach()
            self._thread.stop(last=self._release)

    def _release(self) -> None:
        """Let the model go, on its thread, though the caller may keep this object."""
        engine = self._engine
        del self._engine
        self._thread.at_exit = lambda: None
        engine.close()

    def __enter__(self) -> "Engine":
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()

    def _run(self, call: Callable[[], T]) -> T:
        if self._is_closed:
            raise ModelError("This engine is closed. Load the model again.")
        return self._thread.run(call)

    @contextmanager
    def _using(self, settings: EngineSettings) -> Iterator[None]:
        """Settings of one call. Those of the call whose callback makes it come back afterwards."""
        before = self._engine.settings
        self._engine.change(settings)
        try:
            yield
        finally:
            self._engine.change(before, lambda message: None)

    def _jobs(
        self,
        sounds: Sequence[tuple[Any, int]],
        language: str | None,
        context: str | None,
        batch: int | None,
        decoding: DecodingOptions,
        on_progress: OnProgress | None,
        speakers: Counts | None,
    ) -> Iterator[tuple[int, Transcription | LivecapError]]:
        """The result of each sound, while the model's thread goes on with the next ones.

        Args:
            speakers: how many speak; None leaves speakers unlabelled.
        """
        if any(number is not None and number < 1 for number in (batch, decoding.max_tokens)):
            raise SettingsError("batch and max_tokens must be at least 1.")
        if speakers is not None:
            decoding = replace(decoding, word_times=True)
        settings = _settings(self._base, language, context)
        options = Options(decoding=decoding) if batch is None else Options(batch, decoding)
        stopped, results = threading.Event(), queue.SimpleQueue[tuple[int, Transcription | LivecapError] | None]()
        hooks = Hooks(on_progress or (lambda progress: None), is_stopped=stopped.is_set)
        opened = OpenedSounds(sounds, keeps=speakers is not None, meanwhile=hooks.look)

        def work() -> None:
            try:
                with self._using(settings):
                    found = transcribe_many(self._engine, opened.blocks(), options, hooks, opened.durations)
                    for number, result in found:
                        if speakers is not None:
                            with opened.take(number) as sound:
                                if isinstance(result, Transcription):
                                    result = self._labels.of_sound(result, sound, speakers)
                        results.put((number, opened.with_notices(number, result)))
            finally:
                opened.close()
                results.put(None)

        if self._thread.is_here():
            work()
            done: Future[None] | None = None
        else:
            if self._is_closed:
                raise ModelError("This engine is closed. Load the model again.")
            done = self._thread.submit(work)
            done.add_done_callback(lambda _: results.put(None))  # also where the engine is closed just now
        try:
            while (result := results.get()) is not None:
                self._unwatched.add(stopped)
                yield result
                self._unwatched.discard(stopped)
            if done is not None:
                try:
                    done.result()
                except Stopped:  # by `close`
                    raise ModelError("This engine is closed. Load the model again.") from None
        finally:  # the caller wants no more, or was interrupted
            stopped.set()
            self._unwatched.discard(stopped)


Model = Engine
"""The name of `Engine` in earlier versions."""


class Stream:
    """Sound in, text out. Use it from one thread at a time."""

    def __init__(
        self,
        transcriber: StreamingTranscriber,
        rate: int,
        run: Callable[[Callable[[], Any]], Any],
        on_update: Callable[[TranscriptUpdate], None],
    ) -> None:
        self._transcriber = transcriber
        self._run = run
        self._on_update = on_update
        self._ear = ArraySound(rate)
        self._n_samples = 0
        self._is_closed = False
        self._utterances: list[str] = []  # closed ones
        self._open = ("", "")  # stable and partial text of the open one

    def feed(self, sound: ArrayLike) -> list[TranscriptUpdate]:
        """Hear what follows, and decode where that is due.

        Args:
            sound: [n] or [n, n_channels] samples, floats within -1..1 or integers of full scale; any n.

        Returns:
            What changed, in order: an update for each utterance that has new text; often nothing.

        Raises:
            AudioError: the array is not sound.
        """
        if self._is_closed:
            raise AudioError("This stream is finished; make another one.")
        return self._told(self._heard(self._ear.hear(sound)))

    def finish(self) -> str:
        """Decode what is left and return all text. Nothing can be fed afterwards; a second call returns the same."""
        if self._is_closed:
            return self.text
        updates = [*self._heard(self._ear.rest()), *self._run(lambda: self._noted(self._transcriber.flush()))]
        self.close()
        self._told(updates)
        return self.text

    async def feed_async(self, sound: ArrayLike) -> list[TranscriptUpdate]:
        """`feed` without blocking the event loop."""
        return await asyncio.to_thread(self.feed, sound)

    async def finish_async(self) -> str:
        """`finish` without blocking the event loop."""
        return await asyncio.to_thread(self.finish)

    def close(self) -> None:
        """Drop what is not decoded yet. A second call does nothing."""
        if not self._is_closed:
            self._is_closed = True
            with suppress(ModelError):  # the engine is closed
                self._run(self._transcriber.close)
            del self._transcriber  # it refers to the model

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
        """Text after `stable` that may still change, with the space before it."""
        last = self._utterances[-1:]  # not all of them: it may be read often
        return joined((*last, "".join(self._open)))[len(joined((*last, self._open[0]))) :]

    @property
    def text(self) -> str:
        """`stable` and `partial` together."""
        return joined((*self._utterances, "".join(self._open)))

    def _heard(self, samples: NDArray[np.float32]) -> list[TranscriptUpdate]:
        """Hear samples at 16 kHz. Updates are noted on the model's thread, so that an interrupted caller loses none."""
        if not len(samples):
            return []

        def hear() -> list[TranscriptUpdate]:
            self._transcriber.accept(AudioBlock(self._n_samples, samples))
            self._n_samples += len(samples)
            return self._noted(self._transcriber.step()) if self._transcriber.ready else []

        return list(self._run(hear))

    def _noted(self, updates: Iterable[TranscriptUpdate]) -> list[TranscriptUpdate]:
        noted = []
        for update in updates:
            noted.append(update)
            if update.final and update.stable.strip():
                self._utterances.append(update.stable.strip())
            self._open = ("", "") if update.final else (update.stable.lstrip(), update.partial)
        return noted

    def _told(self, updates: list[TranscriptUpdate]) -> list[TranscriptUpdate]:
        for update in updates:
            self._on_update(update)
        return updates


def _until(stopped: threading.Event, options: dict[str, Any]) -> dict[str, Any]:
    """The options of a call that ends after its batch once `stopped` is set."""
    given = options.get("on_progress") or (lambda progress: None)

    def on_progress(progress: Progress) -> None:
        if stopped.is_set():
            raise LivecapError("Cancelled.")
        given(progress)

    return {**options, "on_progress": on_progress}


def _settings(base: EngineSettings, language: str | None, context: str | None) -> EngineSettings:
    if language is not None and not isinstance(language, str):
        raise SettingsError(f"language must be a name or an ISO code, not {type(language).__name__}.")
    full_name = parse_language(language) if language else base.language
    if context is not None and not isinstance(context, str):
        raise SettingsError(f"context must be a text of names and words to expect, not {type(context).__name__}.")
    return replace(base, language=full_name, context=base.context if context is None else context)


def _sampling(temperature: float, top_k: int, top_p: float, repetition_penalty: float, seed: int) -> Sampling:
    if not (temperature >= 0 and top_k >= 0 and 0 < top_p <= 1 and repetition_penalty > 0 and seed >= 0):  # NaN neither
        raise SettingsError(
            "temperature, top_k and seed must be at least 0, top_p above 0 and at most 1, repetition_penalty above 0."
        )
    return Sampling(temperature, top_k, top_p, repetition_penalty, seed)


def _with_rate(sound: Sound, rate: int) -> tuple[Any, int]:
    """(file or array, rate) of what `transcribe` takes."""
    if isinstance(sound, tuple) and len(sound) == 2 and isinstance(sound[1], Integral):
        return sound[0], int(sound[1])
    return sound, rate


__all__ = [
    "Engine",
    "EngineInfo",
    "Model",
    "Progress",
    "Segment",
    "Stream",
    "Timings",
    "TranscriptUpdate",
    "Transcription",
    "Word",
    "load",
    "load_async",
]

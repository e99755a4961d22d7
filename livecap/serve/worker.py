"""Worker: serves all clients on the thread that owns the model: live streams first, then recordings in turn.

Between two batches of a recording the streams are served, so a long file delays live text by one batch. When no stream
has sound and no recording waits, closed utterances are heard a second time for the streams that ask for it.
"""

import asyncio
import queue
import threading
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import CancelledError, Future, wait
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from livecap.audio_in.source import AudioBlock
from livecap.engine import Engine, EngineSettings, peak_mlx_bytes
from livecap.errors import AudioError, LivecapError, one_line
from livecap.model_thread import ModelThread
from livecap.stream.config import StreamConfig
from livecap.stream.transcriber import StreamingTranscriber
from livecap.transcribe.decoding import DecodingOptions
from livecap.transcribe.recordings import Hooks, Options, Progress, transcribe_file
from livecap.transcribe.result import Segment, Transcription
from livecap.transcribe.units import Stopped
from livecap.transcript import SAMPLE_RATE, TranscriptUpdate, UtteranceSettled

LOOK_SECONDS = 0.05
"""How often streams are served while another thread works on a recording."""
MOST_WAITING = 64
"""Recordings that may wait; more are refused."""
MOST_STREAMS = 64
MOST_WAITING_SECONDS = 20.0
"""Sound of one stream that may wait; then its client is no longer read."""
MOST_WAITING_ITEMS = 4096
"""Pieces of sound and requests of one stream that may wait, however short."""
TURN_SAMPLES = SAMPLE_RATE
"""Sound that one stream is given before the next has its turn."""
REQUEST_SAMPLES = SAMPLE_RATE // 8
"""What is no sound counts as much as this in a turn."""
BLOCK_SAMPLES = SAMPLE_RATE // 20
"""Sound is heard in blocks of this length, so that the text does not depend on how a client cuts it."""

T = TypeVar("T")
OnUpdate = Callable[[TranscriptUpdate | None], None]


class Busy(LivecapError):
    """There are too many streams or waiting recordings."""


class BadRequest(LivecapError):
    """What a client sent cannot be used; the sentence is for the client."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a client asks of one recording or stream."""

    language: str | None = None
    """Full name; None lets the model name it."""
    context: str = ""
    decoding: DecodingOptions = DecodingOptions()
    settle: bool = False
    """Hear each closed utterance of a stream a second time."""
    stream: StreamConfig | None = None
    """Of a stream; None is that of the server."""


@dataclass(eq=False)
class Job(Generic[T]):
    """Work on recordings that waits, is done, or is finished. Any thread may call the methods."""

    work: Callable[[Engine, Hooks], T]
    asked: Asked
    on_segment: Callable[[Segment], None]
    on_progress: Callable[[Progress], None]
    done: "Future[T]" = field(default_factory=Future)
    """The result; CancelledError if it was stopped."""
    is_stopped: bool = False

    def stop(self) -> None:
        """Leave it out, or stop after the present piece."""
        self.is_stopped = True
        self.done.cancel()


@dataclass(eq=False)
class _Item:
    """Something that a stream hears."""

    samples: NDArray[np.float32] | None
    """[n] at 16 kHz; None ends the utterance."""
    asked: Asked | None = None
    """What is asked of the stream once the utterance is ended; None changes nothing."""
    skipped: int | None = None
    """Forget the open utterance, and this many samples more; None forgets nothing."""
    then: Callable[[], Any] = lambda: None
    done: "Future[Any]" = field(default_factory=Future)


class ServedStream:
    """Sound of one client, and its text. Any thread may call the methods."""

    def __init__(
        self, worker: "Worker", asked: Asked, on_update: OnUpdate, on_settled: Callable[[UtteranceSettled], None]
    ) -> None:
        self._worker = worker
        self._on_update, self._on_settled = on_update, on_settled
        self.asked = asked
        self._lock = threading.Lock()
        self._waiting: deque[_Item] = deque()
        self._waiting_samples = 0
        self._n_samples = 0
        self._rest = np.zeros(0, np.float32)
        """Sound that is shorter than a block."""
        self._ends = False
        self._transcriber: StreamingTranscriber | None = None
        self.failure: str | None = None
        """Why the stream ended early, in one sentence."""

    def feed(self, samples: NDArray[np.float32], then: Callable[[], T] | None = None) -> "Future[T]":
        """Append [n] samples at 16 kHz.

        Args:
            then: called on the worker's thread once they are heard and the step that was due is made.

        Returns:
            What `then` returns. CancelledError if the sound is dropped, LivecapError if the stream fails before.
        """
        pieces = [_Item(samples[at : at + TURN_SAMPLES]) for at in range(0, max(len(samples), 1), TURN_SAMPLES)]
        return self._append(pieces, then)

    def end_utterance(self, then: Callable[[], T] | None = None) -> "Future[T]":
        """Decode everything up to here and make its text stable.

        Args:
            then: called on the worker's thread when that is done, and the text is settled if the client asks for it.
        """
        return self._append([_Item(None)], then)

    def change(self, asked: Asked, then: Callable[[], T] | None = None) -> "Future[T]":
        """Recognise what follows in another way. The text up to here becomes stable.

        Args:
            then: as in `end_utterance`.
        """
        return self._append([_Item(None, asked=asked)], then)

    def clear(self, then: Callable[[], T] | None = None) -> "Future[T]":
        """Forget the sound and the open utterance since the last request. The clock goes on.

        Args:
            then: called on the worker's thread when that is done.
        """
        with self._lock:
            dropped: list[_Item] = []
            while self._waiting and self._waiting[-1].samples is not None and self._waiting[-1].skipped is None:
                dropped.append(self._waiting.pop())
            n_samples = sum(len(item.samples) for item in dropped if item.samples is not None)
            self._waiting_samples -= n_samples
        for item in dropped:
            item.done.cancel()
        return self._append([_Item(np.zeros(0, np.float32), skipped=n_samples)], then)

    def _append(self, items: list[_Item], then: Callable[[], T] | None) -> "Future[T]":
        last = items[-1]
        if then is not None:
            last.then = then
        with self._lock:
            if self._ends:
                last.done.cancel()
            else:
                self._waiting += items
                self._waiting_samples += sum(len(item.samples) for item in items if item.samples is not None)
        self._worker.wake()
        return last.done

    def finish(self, drop: bool = False) -> None:
        """No more sound comes. The last update is followed by None.

        Args:
            drop: do not decode what waits: the client has left.
        """
        with self._lock:
            dropped = list(self._waiting) if drop else []
            if drop:
                self._waiting.clear()
                self._waiting_samples = 0
            elif not self._ends:
                self._waiting.append(_Item(None))
            self._ends = True
        for item in dropped:
            item.done.cancel()
        self._worker.wake()

    @property
    def waiting_seconds(self) -> float:
        """Sound that waits to be decoded."""
        return self._waiting_samples / SAMPLE_RATE

    @property
    def is_full(self) -> bool:
        """True while no more sound should be fed."""
        return self.waiting_seconds > MOST_WAITING_SECONDS or len(self._waiting) > MOST_WAITING_ITEMS

    # ---- the worker's thread

    def serve(self, engine: Engine) -> bool:
        """Hear some of the sound that waits. False when the stream is over."""
        transcriber = self._transcriber or self._renew(engine)
        n_samples = 0
        while n_samples < TURN_SAMPLES:
            with self._lock:
                if not self._waiting:
                    return not self._ends
                item = self._waiting.popleft()
                n_new = 0 if item.samples is None else len(item.samples)
                self._waiting_samples -= n_new
            if not item.done.set_running_or_notify_cancel():
                item.done = Future()  # the client no longer waits for it, but it is heard
            n_samples += n_new or REQUEST_SAMPLES
            try:
                if item.skipped is not None:
                    self._n_samples += len(self._rest) + item.skipped
                    self._rest = np.zeros(0, np.float32)
                    transcriber = self._renew(engine)
                self._hear(transcriber, item.samples)
                if item.asked is not None:
                    self.asked = item.asked
                    transcriber = self._renew(engine)
                item.done.set_result(item.then())
            except BaseException:
                item.done.set_exception(LivecapError("The sound could not be transcribed."))
                raise
        return True

    def _renew(self, engine: Engine) -> StreamingTranscriber:
        """Go on with a new transcriber, as the client asks."""
        self._worker.use(engine, self.asked)
        before, self._transcriber = self._transcriber, engine.transcriber()
        if before is not None:
            self._transcriber.go_on_from(before, self._n_samples)
            before.close()
        return self._transcriber

    def _hear(self, transcriber: StreamingTranscriber, samples: NDArray[np.float32] | None) -> None:
        sound = self._rest if samples is None else np.concatenate([self._rest, samples])
        n_whole = len(sound) if samples is None else len(sound) - len(sound) % BLOCK_SAMPLES
        for at in range(0, n_whole, BLOCK_SAMPLES):
            block = sound[at : min(at + BLOCK_SAMPLES, n_whole)]
            transcriber.accept(AudioBlock(self._n_samples, block))
            self._n_samples += len(block)
            if transcriber.ready:
                self._tell(transcriber.step())
        self._rest = sound[n_whole:]
        if samples is None:
            self._tell(transcriber.flush())
            while self.settle_one():
                pass

    def _tell(self, updates: Iterable[TranscriptUpdate]) -> None:
        for update in updates:
            self._on_update(update)

    def settle_one(self) -> bool:
        """Hear one closed utterance a second time. False if none waits for it."""
        if self._transcriber is None or not self._transcriber.n_unsettled:
            return False
        settled = self._transcriber.settle()
        if settled.text.strip():  # otherwise the live text stays
            self._on_settled(settled)
        return True

    @property
    def heard_samples(self) -> int:
        """Sound that was heard so far, at 16 kHz."""
        return self._n_samples

    @property
    def transcriber(self) -> StreamingTranscriber | None:
        """What hears the sound; None before the first. Any thread may read what it has found out."""
        return self._transcriber

    @property
    def has_work(self) -> bool:
        with self._lock:
            return bool(self._waiting) or self._ends

    def close(self) -> None:
        """Release what the stream holds of the model, and tell the client that it is over."""
        with self._lock:
            self._ends = True
            dropped, self._waiting = self._waiting, deque()
        for item in dropped:
            if self.failure is None:
                item.done.cancel()
            elif item.done.set_running_or_notify_cancel():
                item.done.set_exception(LivecapError(self.failure))
        if self._transcriber is not None:
            self._transcriber.close()
        self._on_update(None)


class Worker:
    """Serves from `start` or `load` until `close`. Any thread may call the methods."""

    def __init__(
        self,
        settings: EngineSettings,
        report: Callable[[str], None],
        load: Callable[[EngineSettings], Engine] = Engine.load,
    ) -> None:
        """
        Args:
            settings: of the model; each client may ask for another language and context.
            report: gets a sentence about each fault that is not the client's; a client is not told what it was.
        """
        self.settings = replace(settings, settle=False)
        self._report = report
        self._load = load
        self._thread = ModelThread()
        self._engine: Engine | None = None
        self._jobs: queue.SimpleQueue[Job[Any]] = queue.SimpleQueue()
        self._streams: list[ServedStream] = []
        self._lock = threading.Lock()
        self._turn_is_due = False
        self._closing = False
        self.n_waiting = 0
        """Recordings that wait or are transcribed."""
        self.sound_seconds = 0.0
        """Sound of recordings that were transcribed."""

    def start(self) -> None:
        """Load the model; returns when it can be used.

        Raises:
            LivecapError: it cannot be loaded; the worker is closed.
        """
        try:
            self.load().result()
        except BaseException:
            self.close()
            raise

    def load(self) -> "Future[None]":
        """Load the model, without waiting for it."""
        return self._thread.submit(self._load_engine)

    def wake(self) -> None:
        """There is something to do."""
        with self._lock:
            if self._turn_is_due or self._closing:
                return
            self._turn_is_due = True
        self._thread.submit(self._turn)

    @property
    def n_streams(self) -> int:
        return len(self._streams)

    @property
    def waiting_seconds(self) -> float:
        """Sound of all streams that waits to be decoded."""
        return sum((stream.waiting_seconds for stream in list(self._streams)), 0.0)

    @property
    def engine(self) -> Engine | None:
        """The loaded model, whose `settings`, `memory` and `loaded` any thread may read. None before it is loaded."""
        return self._engine

    @property
    def memory(self) -> dict[str, int]:
        """Bytes that MLX holds now, and the most so far, by the name of the pool."""
        return self._engine.memory | {"MLX peak": peak_mlx_bytes()} if self._engine else {}

    def transcribe(
        self,
        path: Path,
        asked: Asked,
        on_segment: Callable[[Segment], None] = lambda segment: None,
        then: "Callable[[Transcription], Future[Transcription]] | None" = None,
        on_progress: Callable[[Progress], None] = lambda progress: None,
    ) -> Job[Transcription]:
        """Transcribe a file once it has its turn.

        Args:
            on_segment: called on the worker's thread for each piece of text, in order.
            then: begins more work on the text on another thread. Streams are served until it is done.
            on_progress: called on the worker's thread after each batch.

        Raises:
            Busy: too many recordings wait.
        """

        def work(engine: Engine, hooks: Hooks) -> Transcription:
            transcription = transcribe_file(engine, path, Options(batch=1, decoding=asked.decoding), hooks)
            self.sound_seconds += transcription.duration_seconds
            if then is None:
                return transcription
            later, seconds = then(transcription), transcription.duration_seconds
            while not wait([later], LOOK_SECONDS).done:
                if hooks.is_stopped():
                    raise Stopped("Stopped.")
                hooks.on_progress(Progress(seconds, seconds, ""))
            return later.result()

        return self.submit(work, asked, on_segment, on_progress)

    def submit(
        self,
        work: Callable[[Engine, Hooks], T],
        asked: Asked,
        on_segment: Callable[[Segment], None] = lambda segment: None,
        on_progress: Callable[[Progress], None] = lambda progress: None,
    ) -> Job[T]:
        """Do other work with recordings once it has its turn.

        Args:
            work: called on the worker's thread with the engine, set up as asked, and the hooks that it has to use.
            on_segment: as in `transcribe`.
            on_progress: called on the worker's thread after each batch.

        Raises:
            Busy: too many recordings wait.
        """
        with self._lock:
            if self._closing or self.n_waiting >= MOST_WAITING:
                raise Busy(f"{self.n_waiting} recordings are waiting. Try again later.")
            self.n_waiting += 1
        job = Job(work, asked, on_segment, on_progress)
        job.done.add_done_callback(self._one_less)
        self._jobs.put(job)
        self.wake()
        return job

    def _one_less(self, done: "Future[Any]") -> None:
        with self._lock:
            self.n_waiting -= 1

    def stream(
        self,
        asked: Asked,
        on_update: OnUpdate,
        on_settled: Callable[[UtteranceSettled], None] = lambda settled: None,
    ) -> ServedStream:
        """A new stream.

        Args:
            on_update: called on the worker's thread with each update, and at the end with None; must return at once.
            on_settled: called on the worker's thread with each utterance that was heard a second time.

        Raises:
            Busy: there are too many streams.
        """
        with self._lock:
            if self._closing or len(self._streams) >= MOST_STREAMS:
                raise Busy(f"{len(self._streams)} streams are open. Try again later.")
            stream = ServedStream(self, asked, on_update, on_settled)
            self._streams.append(stream)
        return stream

    def close(self, seconds: float | None = None) -> None:
        """Stop after the piece that is being decoded, refuse the rest, and release the model. A second call does
        nothing.

        Args:
            seconds: wait no longer than this, such as for a model that is being downloaded.
        """
        with self._lock:
            was_closing, self._closing = self._closing, True
        if not was_closing:
            self._thread.submit(self._end_all)
            self._thread.stop(seconds)

    # ---- the worker's thread

    def _load_engine(self) -> None:
        if not self._closing:
            self._engine = engine = self._load(self.settings)
            self._thread.at_exit = engine.close

    def _turn(self) -> None:
        """Serve the streams until none has sound, then one recording."""
        with self._lock:
            self._turn_is_due = False
        engine = self._engine
        if engine is None or self._closing:
            return
        self._serve_streams(engine)
        with suppress(queue.Empty):
            self._work(engine, self._jobs.get_nowait())
            self.wake()  # for the next one
            return
        self._settle()

    def use(self, engine: Engine, asked: Asked) -> None:
        """Let what the engine makes from now on be what a client asks for."""
        wanted = replace(
            engine.settings,
            language=asked.language,
            context=asked.context,
            settle=asked.settle,
            stream=asked.stream or self.settings.stream,
        )
        if wanted != engine.settings:
            engine.change(wanted)

    def _end_all(self) -> None:
        for stream in list(self._streams):
            stream.failure = stream.failure or "The server is stopping."
            self._end(stream)
        with suppress(queue.Empty):
            while True:
                waiting = self._jobs.get_nowait().done
                if waiting.set_running_or_notify_cancel():  # the client is still there
                    waiting.set_exception(Busy("The server is stopping."))
        if self._engine is not None:
            self._engine.close()

    def _serve_streams(self, engine: Engine) -> None:
        """Serve all streams in turn until none has sound."""
        while waiting := [stream for stream in list(self._streams) if stream.has_work]:
            for stream in waiting:
                if not self._guarded(stream, lambda stream=stream: stream.serve(engine)):  # type: ignore[misc]
                    self._end(stream)
            if self._closing:
                return

    def _settle(self) -> None:
        """Hear one utterance a second time; sound that came meanwhile is served before the next one."""
        for stream in list(self._streams):
            if self._guarded(stream, stream.settle_one):
                self.wake()
                return
            if stream.failure is not None:
                self._end(stream)

    def _guarded(self, stream: ServedStream, call: Callable[[], bool]) -> bool:
        """What the call returns; False if it failed, which is reported and is the stream's failure."""
        try:
            return call()
        except BaseException as error:  # a panic of a Rust library is no Exception
            self._report(f"A stream could not be transcribed: {one_line(error)}.")
            stream.failure = "The sound could not be transcribed."
            return False

    def _end(self, stream: ServedStream) -> None:
        with self._lock:
            self._streams.remove(stream)
        try:
            stream.close()
        except BaseException as error:
            self._report(f"A stream could not be closed: {one_line(error)}.")

    def _work(self, engine: Engine, job: Job[Any]) -> None:
        try:
            if not job.done.set_running_or_notify_cancel():
                return
            self.use(engine, job.asked)

            def on_progress(progress: Progress) -> None:
                job.on_progress(progress)
                self._serve_streams(engine)
                self.use(engine, job.asked)

            hooks = Hooks(
                on_progress=on_progress,
                on_piece=lambda piece, segment: job.on_segment(segment) if segment else None,
                is_stopped=lambda: self._closing or job.is_stopped,
            )
            job.done.set_result(job.work(engine, hooks))
        except Stopped:
            job.done.set_exception(CancelledError())
        except (AudioError, BadRequest) as error:
            job.done.set_exception(error)
        except BaseException as error:  # a panic of a Rust library is no Exception
            self._report(f"A recording could not be transcribed: {one_line(error)}.")
            job.done.set_exception(LivecapError("The recording could not be transcribed."))


def into(items: "asyncio.Queue[T]") -> Callable[[T], None]:
    """A function that any thread may call to put an item into a queue of the running loop. Once the loop is closed, no
    client waits for the item, and it is dropped."""
    loop = asyncio.get_running_loop()

    def put(item: T) -> None:
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(items.put_nowait, item)

    return put

"""Worker: serves all clients on the thread that owns the model: live streams first, then recordings in turn.

Between two batches of a recording, and while it is converted and read, the streams are served, so a long file delays
live text by one batch. When no stream has sound and no recording waits, closed utterances are heard a second time for
the streams that ask for it.

While nobody needs the model it can be unloaded; the next turn loads it again.
"""

import asyncio
import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import CancelledError, Future, wait
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Generic, TypeVar

from livecap.engine import Engine, EngineSettings, peak_mlx_bytes
from livecap.errors import AudioError, LivecapError, one_line
from livecap.model_thread import ModelThread
from livecap.serve.served_stream import Asked, OnUpdate, ServedStream
from livecap.serve.totals import RECORDING, STREAM, Totals
from livecap.transcribe.recordings import Hooks, Options, Progress, transcribe_file
from livecap.transcribe.result import Segment, Transcription
from livecap.transcribe.units import Stopped
from livecap.transcript import UtteranceSettled

LOOK_SECONDS = 0.05
"""How often streams are served while another thread works on a recording."""
MOST_WAITING = 64
"""Recordings that may wait; more are refused."""
MOST_STREAMS = 64

T = TypeVar("T")


class Busy(LivecapError):
    """There are too many streams or waiting recordings."""


class Stopping(Busy):
    """The server is stopping, and takes nothing more."""

    def __init__(self) -> None:
        super().__init__("The server is stopping.")


class BadRequest(LivecapError):
    """What a client sent cannot be used; the sentence is for the client."""


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


class Worker:
    """Serves from `start` or `load` until `close`. Any thread may call the methods."""

    def __init__(
        self,
        settings: EngineSettings,
        report: Callable[[str], None],
        load: Callable[[EngineSettings], Engine] = Engine.load,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """
        Args:
            settings: of the model; each client may ask for another language and context.
            report: gets a sentence about each fault that is not the client's; a client is not told what it was.
            clock: seconds; moments of it decide how long the model was not used.
        """
        self.settings = replace(settings, settle=False)
        self._report = report
        self._load, self._clock = load, clock
        self._thread = ModelThread()
        self._engine: Engine | None = None
        self._jobs: queue.SimpleQueue[Job[Any]] = queue.SimpleQueue()
        self._streams: list[ServedStream] = []
        self._lock = threading.Lock()
        self._turn_is_due = False
        self._closing = self._is_stopping = False
        self._is_unloaded = False
        self._used_at = clock()
        """When the model was needed last."""
        self.n_waiting = 0
        """Recordings that wait or are transcribed."""
        self.totals = Totals()

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

    @property
    def is_used(self) -> bool:
        """A stream is open, or a recording waits or is transcribed."""
        return bool(self._streams or self.n_waiting)

    def unload(self) -> "Future[bool]":
        """Release the model until it is needed again. False, and nothing is done, while it is used.

        Raises:
            Stopping: the worker takes nothing more.
        """
        with self._lock:
            self._check_taking()
            return self._thread.submit(self._unload)

    def unload_after(self, seconds: float) -> None:
        """Release the model if it was not used for so long."""
        if self.engine is not None and not self.is_used and self._clock() - self._used_at >= seconds:
            self.unload()

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
    def streams(self) -> list[ServedStream]:
        """The streams that are open."""
        return list(self._streams)

    @property
    def engine(self) -> Engine | None:
        """The loaded model, whose `settings`, `memory` and `loaded` any thread may read. None while there is none."""
        return self._engine

    @property
    def memory(self) -> dict[str, int]:
        """Bytes that MLX holds now, and the most so far, by the name of the pool."""
        engine = self._engine  # which may be unloaded meanwhile
        return engine.memory | {"MLX peak": peak_mlx_bytes()} if engine else {}

    def transcribe(
        self,
        path: Path,
        asked: Asked,
        on_segment: Callable[[Segment], None] = lambda segment: None,
        then: "Callable[[Transcription, Callable[[], bool]], Future[Transcription]] | None" = None,
        on_progress: Callable[[Progress], None] = lambda progress: None,
    ) -> Job[Transcription]:
        """Transcribe a file once it has its turn.

        Args:
            on_segment: called on the worker's thread for each piece of text, in order.
            then: begins more work on the text on another thread. Streams are served until it is done. It gets a
                function that returns True once nobody waits for the result.
            on_progress: called on the worker's thread after each batch.

        Raises:
            Busy: too many recordings wait.
        """

        def work(engine: Engine, hooks: Hooks) -> Transcription:
            transcription = transcribe_file(engine, path, Options(batch=1, decoding=asked.decoding), hooks)
            if then is None:
                return transcription
            later = then(transcription, hooks.is_stopped)
            try:
                while not wait([later], LOOK_SECONDS).done:
                    hooks.look()
            except Stopped:
                later.cancel()
                raise
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
            Busy: too many recordings wait, or the worker takes nothing more.
        """
        with self._lock:
            self._check_taking()
            if self.n_waiting >= MOST_WAITING:
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
            self._used_at = self._clock()

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
            Busy: there are too many streams, or the worker takes nothing more.
        """
        with self._lock:
            self._check_taking()
            if len(self._streams) >= MOST_STREAMS:
                raise Busy(f"{len(self._streams)} streams are open. Try again later.")
            stream = ServedStream(asked, on_update, on_settled, self.wake, self._use, self.totals)
            self._streams.append(stream)
        return stream

    def _check_taking(self) -> None:
        if self._closing or self._is_stopping:
            raise Stopping

    def take_nothing_more(self) -> None:
        """Refuse new streams and recordings, and those that wait. What runs goes on."""
        with self._lock:
            self._is_stopping = True
        self._refuse_waiting(Stopping())

    def close(self, seconds: float | None = None) -> None:
        """Stop after the piece that is being decoded, refuse the rest, and release the model. A second call does
        nothing.

        Args:
            seconds: wait no longer than this, such as for a model that is being downloaded.
        """
        with self._lock:
            was_closing, self._closing = self._closing, True
        if not was_closing:
            self._thread.stop(seconds, last=self._end_all)

    # ---- the worker's thread

    def _load_engine(self) -> None:
        if not self._closing:
            self._engine = engine = self._load(self.settings)
            self._thread.at_exit = engine.close
            self._is_unloaded, self._used_at = False, self._clock()

    def _unload(self) -> bool:
        if self.is_used:
            return False
        engine, self._engine = self._engine, None
        if engine is not None:
            self._is_unloaded = True
            self._thread.at_exit = lambda: None
            engine.close()
        return True

    def _load_again(self) -> None:
        """Load the model that was unloaded. If that fails, waiting clients are told; the next turn tries again."""
        try:
            self._load_engine()
        except BaseException as error:
            self._report(f"The model could not be loaded again: {one_line(error)}.")
            self._refuse_all(LivecapError("The model could not be loaded."))

    def _turn(self) -> None:
        """Serve the streams until none has sound, then one recording."""
        with self._lock:
            self._turn_is_due = False
        if self._is_unloaded and self.is_used and not self._closing:
            self._load_again()
        engine = self._engine
        if engine is None or self._closing:
            return
        self._serve_streams(engine)
        with suppress(queue.Empty):
            self._work(engine, self._jobs.get_nowait())
            self.wake()  # for the next one
            return
        self._settle()

    def _use(self, engine: Engine, asked: Asked) -> None:
        """Let what the engine makes from now on be what a client asks for."""
        wanted = replace(
            engine.settings,
            language=asked.language,
            context=asked.context,
            settle=asked.settle,
            stream=asked.stream or self.settings.stream,
        )
        if wanted != engine.settings:
            engine.change(wanted, lambda message: None)

    def _end_all(self) -> None:
        self._refuse_all(Stopping())
        if self._engine is not None:
            self._engine.close()

    def _refuse_all(self, error: LivecapError) -> None:
        """End all streams, and leave out all recordings that wait."""
        for stream in list(self._streams):
            stream.failure = stream.failure or error
            self._end(stream)
        self._refuse_waiting(error)

    def _refuse_waiting(self, error: LivecapError) -> None:
        """Leave out all recordings that wait. Any thread may call it."""
        with suppress(queue.Empty):
            while True:
                waiting = self._jobs.get_nowait().done
                if waiting.set_running_or_notify_cancel():  # the client is still there
                    waiting.set_exception(error)

    def _serve_streams(self, engine: Engine) -> None:
        """Serve all streams in turn until none has sound.

        After a turn of those at the pace of speech, one that is ahead of it has a turn, and goes to the end of the
        list: however many clients send as fast as they can, the others wait for one of them.
        """
        while waiting := [stream for stream in list(self._streams) if stream.has_work]:
            ahead = [stream for stream in waiting if stream.is_ahead]
            n_speaking = max(1, sum(stream.is_speaking for stream in list(self._streams)))
            if ahead:
                with self._lock:
                    self._streams.remove(ahead[0])
                    self._streams.append(ahead[0])
            for stream in [*(stream for stream in waiting if stream not in ahead), *ahead[:1]]:
                with self.totals.busy(STREAM):
                    goes_on = self._guarded(stream, partial(stream.serve, engine, n_speaking))
                if not goes_on:
                    self._end(stream)
            if self._closing:
                return

    def _settle(self) -> None:
        """Hear one utterance a second time; sound that came meanwhile is served before the next one."""
        for stream in list(self._streams):
            with self.totals.busy(STREAM):
                has_settled = self._guarded(stream, stream.settle_one)
            if has_settled:
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
            stream.failure = LivecapError("The sound could not be transcribed.")
            return False

    def _end(self, stream: ServedStream) -> None:
        with self._lock:
            self._streams.remove(stream)
            self._used_at = self._clock()
        try:
            stream.close()
        except BaseException as error:
            self._report(f"A stream could not be closed: {one_line(error)}.")

    def _work(self, engine: Engine, job: Job[Any]) -> None:
        try:
            if not job.done.set_running_or_notify_cancel():
                return
            self._use(engine, job.asked)

            def serve_streams() -> None:
                self._serve_streams(engine)
                self._use(engine, job.asked)

            counted: dict[int, float] = {}  # seconds by the number of the recording

            def on_progress(progress: Progress) -> None:
                before = counted.get(progress.number, 0.0)
                counted[progress.number] = max(before, progress.done_seconds)
                self.totals.sound_seconds[RECORDING] += counted[progress.number] - before
                job.on_progress(progress)
                serve_streams()

            hooks = Hooks(
                on_progress=on_progress,
                on_piece=lambda piece, segment: job.on_segment(segment) if segment else None,
                is_stopped=lambda: self._closing or job.is_stopped,
                meanwhile=serve_streams,
            )
            with self.totals.busy(RECORDING):
                result = job.work(engine, hooks)
            job.done.set_result(result)
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

"""Bridge: a program sends requests as lines of JSON and gets answers as lines of JSON (docs/bridge.md).

It understands the protocol `qwen3-asr-mlx-jsonl-v1` of qwen3-asr-mlx-runtime, and more. A request without an id is
answered after those before it; a request with an id as soon as its answer is known. Both are carried out in the order
in which they come, except that live streams go before recordings.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from livecap.engine import Engine
from livecap.errors import LivecapError, ModelError, SettingsError
from livecap.serve.bridge.answering import CANCELLED, Answer, Answering, id_of
from livecap.serve.bridge.capabilities import PROTOCOL, RUNTIME, BridgeSettings, capabilities
from livecap.serve.bridge.measures import batch_profile, memory_record
from livecap.serve.bridge.recordings import (
    Result,
    batch_items,
    heard_item,
    read_sound,
    recording_item,
    transcribe_sounds,
    transcript_fields,
    transcriptions,
)
from livecap.serve.bridge.requests import BridgeError, Record, Request, error_record, parse
from livecap.serve.bridge.streams import BridgeStream, StreamOptions, check_descriptor, no_sound
from livecap.serve.served_stream import Asked
from livecap.serve.worker import MOST_WAITING, Busy, Job, Worker
from livecap.stream.config import LoopConfig
from livecap.text.languages import parse_language
from livecap.text.safety import encodable
from livecap.transcribe.decoding import DecodingOptions
from livecap.transcribe.recordings import Hooks, Options, Progress
from livecap.transcribe.result import Timings
from livecap.transcript import SAMPLE_RATE

MOST_UNANSWERED = 256
"""Requests that may wait for their answers before no more are read."""
MOST_OUTPUT_BYTES = 8 << 20
"""Answers and events that may wait for the caller to read them before no more requests are read."""
MOST_QUEUED = 1024
"""Utterances that may wait for `flush`."""
MOST_BATCH = 8
"""Pieces that are decoded together."""
MOST_TOKENS = 1 << 20
PIECE_TOKENS = LoopConfig().token_budget(16 * SAMPLE_RATE)
"""The most tokens that people can say in the longest piece of a recording."""
RETRY_SECONDS = 10.0
"""After a model could not be loaded, only `start` tries again within this time."""
LOOK_SECONDS = 0.02
"""How often to look whether more requests can be read."""
END_SECONDS = 5.0
"""How long an end by a signal waits for what is being decoded."""


@dataclass(eq=False)
class _Queued:
    """An utterance that waits for `flush`."""

    stream_id: str
    utterance_id: str
    source: str
    n_samples: int
    sound: NDArray[np.float32] | None
    """At 16 kHz; None where the stream has heard it already."""
    said: "Future[Record] | None" = None
    """What the stream has heard."""


class Bridge:
    """Belongs to the thread of its event loop."""

    def __init__(
        self,
        settings: BridgeSettings,
        make_worker: Callable[[], Worker],
        send: Callable[[Record], None],
        report: Callable[[str], None],
        waiting_bytes: Callable[[], int] = lambda: 0,
    ) -> None:
        """
        Args:
            make_worker: makes a worker, whose model is loaded at the first request that needs it.
            send: writes a record; any thread may call it.
            report: gets a sentence about each fault of livecap.
            waiting_bytes: of records that the caller has not read yet.
        """
        self._settings, self._make_worker, self._send, self._report = settings, make_worker, send, report
        self._waiting_bytes = waiting_bytes
        self._answering = Answering(send, report)
        self._worker: Worker | None = None
        self._is_loaded = False
        self._load_failure: ModelError | None = None
        self._load_failed_at = 0.0
        self._load_seconds = 0.0
        """Time of loading, for the next answer."""
        self._streams: dict[str, BridgeStream] = {}
        self._readers: list[BridgeStream] = []
        """Streams whose descriptors may be open. One that was stopped or replaced reads a moment longer."""
        self._ending: list[BridgeStream] = []
        """Streams that were stopped or replaced, and may still hear sound that came before."""
        self._queue: list[_Queued] = []
        self._jobs: dict[Job[Any], str | int | None] = {}
        """Recordings that are not answered yet, and the ids of their requests."""

    async def run(self, lines: "asyncio.Queue[bytes | BridgeError | None]") -> None:
        """Carry out requests until one asks to stop, the lines end with None, or the task is cancelled.

        Whatever was asked for before is answered first; when the task is cancelled, with an error. At the end of the
        lines, streams from descriptors are heard to their ends.
        """
        try:
            self._loop = asyncio.get_running_loop()
            stop: Request | None = None
            while stop is None and (line := await lines.get()) is not None:
                stop = await self._take(line)
                await self._room()
            await self._answering.all_sent()
            for stream in list(self._streams.values()):
                if stop is not None or stream.descriptor is None:
                    stream.stop(drop=not stream.options.sends_events)
                await stream.ended()
            if stop is not None:
                self._send({"type": "stopped"} | id_of(stop))
        except asyncio.CancelledError:
            for job in list(self._jobs):
                job.stop()
            streams = list(self._streams.values())
            for stream in streams:
                stream.abort()
            with suppress(TimeoutError):
                async with asyncio.timeout(END_SECONDS):
                    await self._answering.all_sent()
                    for stream in streams:
                        await stream.ended()
            await self._answering.cancel()
            self._send({"type": "stopped", "reason": "signal"})
        finally:
            if self._worker is not None:
                self._worker.close(END_SECONDS)

    async def _take(self, line: bytes | BridgeError) -> Request | None:
        """Begin to carry out a request. Returns the request to stop."""
        request: Request | None = None
        answer: Answer
        try:
            if isinstance(line, BridgeError):
                raise line
            request = Request(parse(line))
            if request.kind == "stop":
                return request
            if (carry_out := self.HANDLERS.get(request.kind)) is None:
                raise BridgeError("unknown_type", f"unknown message type: {request.kind[:60]}")
            answer = await carry_out(self, request)
        except asyncio.CancelledError:  # by a signal, such as while the model is loaded
            self._answering.answer(request, dict(CANCELLED))
            raise
        except LivecapError as error:
            answer = error_record(error)
        except Exception as error:
            answer = self._answering.fault(error)
        self._answering.answer(request, answer)
        return None

    async def _room(self) -> None:
        """Wait until another request can be read."""
        while (
            self._answering.n_unanswered >= MOST_UNANSWERED
            or self._waiting_bytes() >= MOST_OUTPUT_BYTES
            or (self._worker is not None and self._worker.n_waiting >= MOST_WAITING // 2)
            or any(stream.served.is_full for stream in self._streams.values() if stream.descriptor is None)
        ):
            await asyncio.sleep(LOOK_SECONDS)

    # ---- requests: each is begun in order; what it returns is or becomes the answer

    async def _capabilities(self, request: Request) -> Answer:
        return capabilities(self._settings)

    async def _start(self, request: Request) -> Answer:
        worker, engine = await self._ready(retries=True)
        loaded = engine.loaded
        return {
            "type": "ready",
            "runtime": RUNTIME,
            "protocol": PROTOCOL,
            "model": self._settings.model,
            "model_dir": str(loaded.path),
            "use_cache": self._settings.uses_cache,
            "load_seconds": (seconds := self._taken_load_seconds()),
            "load_profile": {"total_seconds": seconds, "memory": memory_record(worker)},
        }

    async def _status(self, request: Request) -> Answer:
        streams = [
            {
                "stream_id": stream.stream_id,
                "heard_samples": stream.served.heard_samples,
                "waiting_seconds": round(stream.served.waiting_seconds, 3),
                "language": stream.language,
                "speaking": stream.speaking,
                "events": stream.options.sends_events,
            }
            for stream in self._streams.values()
        ]
        return {
            "type": "status",
            "model": self._settings.model,
            "loaded": self._is_loaded,
            "streams": streams,
            "queued": len(self._queue),
            "recordings": len(self._jobs),
            "unanswered": self._answering.n_unanswered,
            "memory": memory_record(self._worker if self._is_loaded else None),
        }

    async def _transcribe(self, request: Request) -> Answer:
        path, asked, progress = request.path("audio"), self._asked(request), self._progress(request)
        worker, engine = await self._ready()
        job, began = self._job(worker, [path], 1, asked, request, progress), time.perf_counter()

        async def answer() -> Record:
            [said] = transcriptions(await self._results(job))
            seconds = time.perf_counter() - began
            item = recording_item(engine, said)
            return {
                "type": "transcript",
                "audio": path,
                **item,
                **transcript_fields(engine, said, asked.decoding.word_times),
                **self._spent(seconds),
                "profile": batch_profile("transcribe", [item], said.timings, seconds, worker),
            }

        return answer()

    async def _batch_transcribe(self, request: Request) -> Answer:
        paths, asked, mode = request.paths("audio"), self._asked(request), self._mode(request)
        progress = self._progress(request)
        worker, engine = await self._ready()
        job, began = self._job(worker, paths, self._batch(mode), asked, request, progress), time.perf_counter()

        async def answer() -> Record:
            results = await self._results(job)
            seconds = time.perf_counter() - began
            items = batch_items(engine, paths, results)
            spent = sum((said.timings for said in transcriptions(results, items=items)), start=Timings())
            return {
                "type": "batch_transcript",
                "count": len(items),
                "items": items,
                **self._spent(seconds),
                "decoder_mode": mode,
                "profile": batch_profile(f"batch_{mode}", items, spent, seconds, worker),
            }

        return answer()

    async def _start_stream(self, request: Request) -> Answer:
        descriptor = request.number("fd", -1, 0, 1 << 20) if request.has("fd") else None
        options = StreamOptions(
            rate=request.rate(SAMPLE_RATE),
            n_channels=request.number("channels", 1, 1, 8),
            batch_size=max(1, request.number("batch_size", 4, 0, MOST_QUEUED)),
            max_batch_delay_ms=request.number("max_batch_delay_ms", 120, 0, 3_600_000),
            sends_events=request.flag("events", descriptor is not None),
        )
        asked = replace(self._asked(request), settle=request.flag("settle"))
        worker, _ = await self._ready()
        if descriptor is not None:
            self._readers = [each for each in self._readers if not each.has_closed]
            check_descriptor(descriptor, {each.descriptor for each in self._readers})
        stream = await self._open_stream(worker, request.name("stream_id", "default"), options, asked)
        if descriptor is not None:
            stream.descriptor = descriptor
            self._readers.append(stream)
            request.on_answered = stream.read  # what it tells comes after the answer
        return {
            "type": "stream_ready",
            "protocol": PROTOCOL,
            "stream_id": stream.stream_id,
            "sample_rate": options.rate,
            "channels": options.n_channels,
            "batch_size": options.batch_size,
            "max_batch_delay_ms": options.max_batch_delay_ms,
            "events": options.sends_events,
            "settle": asked.settle,
            "asr_backend": "mlx",
            "vad_backend": "external-boundary",
            "note": "Send end_utterance or vad_boundary where an utterance ends, and flush for its final text.",
            "profile": {"memory": memory_record(worker)},
        }

    async def _audio_chunk(self, request: Request) -> Answer:
        worker, _ = await self._ready()
        stream_id, known, options = self._known(request)
        rate = request.rate(options.rate)
        if rate != options.rate:
            raise BridgeError(
                "invalid_rate",
                f"Stream {stream_id!r} expects {options.rate} Hz PCM, got {rate}.",
                field="sample_rate",
            )
        if known is not None and known.descriptor is not None:
            raise BridgeError("invalid_field", f"Stream {stream_id!r} reads from a descriptor.", field="pcm16")
        samples = request.samples(options.n_channels)
        stream = known or await self._open_stream(worker, stream_id, options, self._asked(request))
        heard = stream.feed(samples)

        async def answer() -> Record:
            try:
                return await asyncio.wrap_future(heard)
            except LivecapError as error:
                raise BridgeError("stream_failed", str(error), stream_id=stream.stream_id) from None

        return answer()

    async def _end_utterance(self, request: Request) -> Answer:
        worker, _ = await self._ready()
        if len(self._queue) >= MOST_QUEUED:
            raise BridgeError("busy", f"{len(self._queue)} utterances wait for flush.")
        stream_id, known, options = self._known(request)
        utterance_id, mode, asked = request.name("utterance_id", ""), self._mode(request), self._asked(request)
        said, sound, source = None, None, "buffer"
        if request.has("audio") or request.has("pcm16"):
            source = request.path("audio") if request.has("audio") else "pcm16"
            given = source if request.has("audio") else request.samples(options.n_channels)
            rate = request.rate(options.rate)
            sound = await asyncio.to_thread(read_sound, given, rate)
            n_samples = len(sound)
            if not n_samples:
                raise BridgeError("no_audio", f"There is no sound in {source}.")
            stream = known or await self._open_stream(worker, stream_id, options, asked)
            stream.forget_buffered()
        elif known is None:
            raise no_sound(stream_id)
        else:
            stream, (n_samples, said) = known, known.end_utterance()
        usual_id = stream.next_utterance_id()
        self._queue.append(_Queued(stream.stream_id, utterance_id or usual_id, source, n_samples, sound, said))
        if len(self._queue) >= stream.options.batch_size:
            return self._batch_final(worker, "batch_size", mode, asked, request)
        return {
            "type": "utterance_queued",
            "stream_id": stream.stream_id,
            "utterance_id": utterance_id or usual_id,
            "samples": n_samples,
            "queued": len(self._queue),
            "batch_size": stream.options.batch_size,
            "profile": {"memory": memory_record(worker)},
        }

    async def _flush(self, request: Request) -> Answer:
        mode, asked = self._mode(request), self._asked(request)
        worker, _ = await self._ready()
        return self._batch_final(worker, "flush", mode, asked, request)

    async def _stop_stream(self, request: Request) -> Answer:
        stream_id = request.name("stream_id", "default")
        stream = self._streams.get(stream_id)
        drop = request.flag("drop", stream is not None and not stream.options.sends_events)
        n_dropped = 0
        if stream is not None:
            del self._streams[stream_id]
            n_dropped = stream.stop(drop)
            self._ending.append(stream)

        async def answer() -> Record:
            if stream is not None:
                await stream.ended()
            return {
                "type": "stream_stopped",
                "stream_id": stream_id,
                "dropped_samples": n_dropped,
                "queued": len(self._queue),
                "profile": {"memory": memory_record(self._worker if self._is_loaded else None)},
            }

        return answer()

    async def _cancel(self, request: Request) -> Answer:
        wanted = request.name("of", "")
        found = [job for job, given in self._jobs.items() if given is not None and str(given) == wanted]
        for job in found:
            job.stop()
        return {"type": "cancelled", "of": wanted, "count": len(found)}

    HANDLERS: dict[str, Callable[["Bridge", Request], Awaitable[Answer]]] = {
        "capabilities": _capabilities,
        "hello": _capabilities,
        "start": _start,
        "transcribe": _transcribe,
        "batch_transcribe": _batch_transcribe,
        "start_stream": _start_stream,
        "audio_chunk": _audio_chunk,
        "end_utterance": _end_utterance,
        "vad_boundary": _end_utterance,
        "flush": _flush,
        "stop_stream": _stop_stream,
        "status": _status,
        "cancel": _cancel,
    }

    # ---- what requests share

    async def _ready(self, retries: bool = False) -> tuple[Worker, Engine]:
        """The worker and its model, which is loaded now if it was not before.

        Args:
            retries: load it also right after that failed.

        Raises:
            ModelError: it cannot be loaded.
        """
        if not self._is_loaded:
            began = time.perf_counter()
            if self._load_failure is not None and not retries and began - self._load_failed_at < RETRY_SECONDS:
                raise self._load_failure
            self._worker = worker = self._make_worker()
            try:
                await asyncio.wrap_future(worker.load())
            except LivecapError as error:
                worker.close()
                self._load_failure, self._load_failed_at = ModelError(str(error)), time.perf_counter()
                raise self._load_failure from None
            except Exception:
                worker.close()
                raise
            self._is_loaded = True
            self._load_seconds = time.perf_counter() - began
        assert self._worker is not None and self._worker.engine is not None
        return self._worker, self._worker.engine

    def _taken_load_seconds(self) -> float:
        seconds, self._load_seconds = self._load_seconds, 0.0
        return round(seconds, 4)

    def _spent(self, seconds: float) -> Record:
        return {
            "total_seconds": round(seconds, 4),
            "load_seconds": self._taken_load_seconds(),
            "use_cache": self._settings.uses_cache,
        }

    def _asked(self, request: Request) -> Asked:
        language = request.text("language", "")
        try:
            full_name = parse_language(language) if language else self._settings.language
        except SettingsError as error:
            raise BridgeError("invalid_language", str(error), field="language") from None
        most = request.number("max_new_tokens", 0, 0, MOST_TOKENS) or self._settings.max_tokens
        if most is not None and most >= PIECE_TOKENS:  # no piece has more, except text that runs away
            most = None
        decoding = DecodingOptions(max_tokens=most, word_times=request.flag("words"))
        return Asked(full_name, encodable(request.text("context", self._settings.context)), decoding)

    def _mode(self, request: Request) -> str:
        mode = request.choice("decoder_mode", ("sequential", "batched"))
        return mode if self._settings.uses_cache else "no_cache"

    @staticmethod
    def _batch(mode: str) -> int:
        return MOST_BATCH if mode == "batched" else 1

    def _progress(self, request: Request) -> Callable[[Progress], None]:
        """Sends how far a recording is, if the caller asks for it. Called on the worker's thread."""
        if not request.flag("progress"):
            return lambda progress: None

        def send(progress: Progress) -> None:
            self._send(
                {
                    "type": "progress",
                    "number": progress.number,
                    "done_seconds": round(progress.done_seconds, 3),
                    "duration_seconds": progress.duration_seconds,
                    "share": round(progress.share, 4),
                    "text": progress.text,
                }
                | id_of(request)
            )

        return send

    async def _open_stream(self, worker: Worker, stream_id: str, options: StreamOptions, asked: Asked) -> BridgeStream:
        """A new stream. One of the same name ends, without its last text: what it said later would look like the
        text of the new one. Where there is room only once a stream has ended, that is waited for."""
        if (old := self._streams.pop(stream_id, None)) is not None:
            old.is_replaced = True
            old.stop(drop=True)
            self._ending.append(old)
        while True:
            self._ending = [each for each in self._ending if not each.over.done()]
            try:
                stream = BridgeStream(stream_id, options, worker, asked, self._send, self._on_over)
            except Busy:
                if not self._ending:
                    raise
                await self._ending[0].ended()
            else:
                self._streams[stream_id] = stream
                return stream

    def _known(self, request: Request) -> tuple[str, BridgeStream | None, StreamOptions]:
        """The name of the stream that a request is about, the stream or None, and its options, or the usual ones."""
        stream = self._streams.get(stream_id := request.name("stream_id", "default"))
        return stream_id, stream, stream.options if stream is not None else StreamOptions()

    def _on_over(self, stream: BridgeStream) -> None:
        """On the worker's thread."""
        if stream.descriptor is not None and not stream.is_stopped:
            self._loop.call_soon_threadsafe(self._forget, stream)

    def _forget(self, stream: BridgeStream) -> None:
        """A stream whose descriptor ended is over."""
        if self._streams.get(stream.stream_id) is not stream:
            return
        del self._streams[stream.stream_id]
        self._send(
            {
                "type": "stream_stopped",
                "stream_id": stream.stream_id,
                "dropped_samples": 0,
                "queued": len(self._queue),
                "reason": "end of sound" if stream.served.failure is None else "failed",
                "profile": {"memory": memory_record(self._worker)},
            }
        )

    def _job(
        self,
        worker: Worker,
        sounds: Sequence[str | NDArray[np.float32]],
        batch: int,
        asked: Asked,
        request: Request,
        on_progress: Callable[[Progress], None] = lambda progress: None,
    ) -> "Job[list[Result]]":
        """Transcribe sounds at 16 kHz, or files, once they have their turn."""

        def work(engine: Engine, hooks: Hooks) -> list[Result]:
            return transcribe_sounds(engine, hooks, sounds, Options(batch, asked.decoding))

        job = worker.submit(work, asked, on_progress=on_progress)
        self._jobs[job] = request.id
        return job

    async def _results(self, job: "Job[list[Result]]") -> "list[Result]":
        try:
            return await asyncio.wrap_future(job.done)
        finally:
            del self._jobs[job]

    def _batch_final(self, worker: Worker, reason: str, mode: str, asked: Asked, request: Request) -> Awaitable[Record]:
        """Decode what is queued; the answer comes once all of it has its text."""
        queue = self._queue
        sounds = [each.sound for each in queue if each.sound is not None]
        job = self._job(worker, sounds, self._batch(mode), asked, request) if sounds else None  # may be refused
        self._queue = []
        began, engine = time.perf_counter(), worker.engine
        assert engine is not None

        async def answer() -> Record:
            results = iter(transcriptions(await self._results(job)) if job else [])
            spent, items = Timings(), []
            for each in queue:
                item: Record = {
                    "type": "final_result",
                    "stream_id": each.stream_id,
                    "utterance_id": each.utterance_id,
                    "source": each.source,
                    "samples": each.n_samples,
                }
                if each.said is None:
                    transcription = next(results)
                    spent += transcription.timings
                    item |= recording_item(engine, transcription)
                else:
                    item |= await heard_item(engine, each.said)
                items.append(item)
            seconds = time.perf_counter() - began
            record = {"type": "realtime_batch_final", "reason": reason, "count": len(items), "items": items}
            return record | {
                **self._spent(seconds),
                "decoder_mode": mode,
                "asr_backend": "mlx",
                "vad_backend": "external-boundary",
                "profile": batch_profile(f"batch_{mode}", items, spent, seconds, worker),
            }

        return answer()

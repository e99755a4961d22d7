"""BridgeStream: one stream of a caller, from its sound to the records that tell its text."""

import asyncio
import os
import stat
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from fcntl import F_GETFL, fcntl

import numpy as np
from numpy.typing import NDArray

from livecap.audio_in.array_sound import ArraySound
from livecap.audio_in.pcm import PcmFormat
from livecap.audio_in.pipe import Pipe
from livecap.errors import AudioError
from livecap.serve.bridge.measures import stream_profile
from livecap.serve.bridge.requests import BridgeError, Record, error_record
from livecap.serve.served_stream import Asked
from livecap.serve.worker import Stopping, Worker
from livecap.session.publish import Facts
from livecap.stream.statistics import StageSeconds
from livecap.text.scripts import joined
from livecap.transcript import TranscriptUpdate, UtteranceEnded, UtteranceSettled, event_record

MOST_KEPT = 1000
"""Utterances of a stream with events that are kept for `end_utterance`: more than an hour of speech. Its caller has had
them all, and may never ask for them again."""
LOOK_SECONDS = 0.25
"""How often a descriptor's thread looks whether its stream was stopped."""


@dataclass(frozen=True, slots=True)
class StreamOptions:
    """How a caller wants a stream."""

    rate: int = 16_000
    """Samples per second."""
    n_channels: int = 1
    batch_size: int = 4
    """Utterances that are queued before they are answered together."""
    max_batch_delay_ms: int = 120
    """Repeated in the answer; the caller's timer sends `flush`."""
    sends_events: bool = False
    """Send each update and utterance when it is known."""


class BridgeStream:
    """Methods are called on the bridge's thread, except where they say otherwise."""

    def __init__(
        self,
        stream_id: str,
        options: StreamOptions,
        worker: Worker,
        asked: Asked,
        send: Callable[[Record], None],
        on_over: Callable[["BridgeStream"], None],
    ) -> None:
        """
        Args:
            send: any thread may call it.
            on_over: called on the worker's thread when nothing more will come.

        Raises:
            Busy: there are too many streams.
        """
        self.stream_id, self.options = stream_id, options
        self._worker, self._settles, self._send, self._on_over = worker, asked.settle, send, on_over
        self._ear = ArraySound(options.rate)
        self._n_chunks = 0
        self._n_utterances = 0
        self.buffered_samples = 0
        """Sound at 16 kHz since the last boundary."""
        self.is_stopped = False
        self.descriptor: int | None = None
        """Where raw samples come from."""
        self.has_closed = False
        """The descriptor is closed: nothing reads from it any more."""
        self.is_replaced = False
        """Another stream has its name, so it says nothing more."""
        # The worker's thread:
        self._closed: dict[int, UtteranceEnded | UtteranceSettled] = {}
        """Utterances since the last boundary, by their numbers, in order."""
        self._open: TranscriptUpdate | None = None
        self._facts = Facts()
        self._boundary = 0
        """Where the last one was, in samples."""
        self._spent = StageSeconds()
        """Compute time up to the last answer."""
        self.over: Future[None] = Future()
        """Done when all text of the stream was sent."""
        self.served = worker.stream(asked, self._update, self._settled)

    # ---- sound

    def feed(self, samples: NDArray[np.int16]) -> "Future[Record]":
        """Hear a chunk [n, n_channels]. Returns the `partial_result` once it is heard."""
        self._check()
        heard = self._ear.hear(samples)
        self.buffered_samples += len(heard)
        self._n_chunks += 1
        n_samples, n_chunks = self.buffered_samples, self._n_chunks
        return self.served.feed(heard, lambda: self._partial_result(n_samples, n_chunks))

    def read(self) -> None:
        """Hear the raw samples, or the WAV, that come through the descriptor, until its end; then it is closed."""
        descriptor = self.descriptor
        assert descriptor is not None
        raw = PcmFormat(self.options.rate, self.options.n_channels)
        source = Pipe(descriptor, raw, name=f"descriptor {descriptor}", on_notice=self._notice)
        name = f"bridge stream {self.stream_id}"
        threading.Thread(target=self._pump, args=[source, descriptor], name=name, daemon=True).start()

    def end_utterance(self) -> tuple[int, "Future[Record]"]:
        """Make the text up to here final. Returns the samples at 16 kHz that came in chunks since the last boundary,
        and what was said."""
        self._check()
        self._hear_rest()
        if not self.buffered_samples and self.descriptor is None:
            raise no_sound(self.stream_id)
        n_samples, self.buffered_samples = self.buffered_samples, 0
        return n_samples, self.served.end_utterance(self._take_said)

    @property
    def language(self) -> str | None:
        """The forced or detected language; a detected one is None until the first text is stable."""
        return self.served.transcriber.language if self.served.transcriber else self.served.asked.language

    @property
    def speaking(self) -> bool:
        """Whether there is speech at the end of what was heard."""
        return self.served.transcriber.speaking if self.served.transcriber else False

    def next_utterance_id(self) -> str:
        """The usual name of an utterance."""
        self._n_utterances += 1
        return f"{self.stream_id}-{self._n_utterances}"

    def forget_buffered(self) -> None:
        """What was said since the last boundary is not wanted."""
        self._hear_rest()
        if self.buffered_samples:
            self.buffered_samples = 0
            self.served.end_utterance(self._take_said)

    def _hear_rest(self) -> None:
        """No sound follows, or not in the same utterance."""
        rest = self._ear.rest()
        self.buffered_samples += len(rest)
        if len(rest):
            self.served.feed(rest)

    def stop(self, drop: bool) -> int:
        """No more sound comes; what came is heard. Returns how many samples since the last boundary are dropped.

        Args:
            drop: do not ask for the text that is not final yet.
        """
        self._hear_rest()
        dropped = self.buffered_samples if drop else 0
        self.buffered_samples = 0
        self.is_stopped = True
        if drop:
            self.served.feed(np.zeros(0, np.float32), self.abort)
        else:
            self.served.finish()
        return dropped

    def abort(self) -> None:
        """End at once. Any thread may call it."""
        self.is_stopped = True
        self.served.finish(drop=True)

    async def ended(self) -> None:
        """Return when all text of the stream was sent."""
        await asyncio.wait([asyncio.wrap_future(self.over)])  # who stops waiting leaves `over` to the stream

    def _check(self) -> None:
        if self.served.failure is not None:
            raise BridgeError("stream_failed", str(self.served.failure), stream_id=self.stream_id)

    # ---- the thread of a descriptor

    def _pump(self, source: Pipe, descriptor: int) -> None:
        arrival = threading.Event()
        source.wake(arrival)
        try:
            while not source.ended and not self.is_stopped and self.served.failure is None:
                arrival.clear()
                block = source.take() if not self.served.is_full else None
                if block is not None:
                    self.served.feed(block.samples)
                elif not source.ended:
                    arrival.wait(LOOK_SECONDS)
        except AudioError as error:
            self._tell({**error_record(error), "stream_id": self.stream_id})
        finally:
            source.close()
            os.close(descriptor)
            self.has_closed = True
            self.served.finish(drop=False)

    def _notice(self, message: str) -> None:
        self._tell({"type": "notice", "stream_id": self.stream_id, "message": message})

    def _tell(self, record: Record) -> None:
        """Send what nobody asked for. Any thread may call it."""
        if not self.is_replaced:
            self._send(record)

    # ---- the worker's thread

    def _update(self, update: TranscriptUpdate | None) -> None:
        if update is None:
            failure = self.served.failure
            if failure is not None and not isinstance(failure, Stopping) and self.options.sends_events:
                self._tell(
                    {
                        "type": "error", "code": "stream_failed", "message": str(failure),
                        "stream_id": self.stream_id,
                    }
                )  # fmt: skip
            self._on_over(self)
            self.over.set_result(None)
            return
        for fact in self._facts.of(update):
            if isinstance(fact, TranscriptUpdate):
                self._open = None if fact.final else fact
                self._event("update", fact)
            elif isinstance(fact, UtteranceEnded):
                self._closed[fact.utterance] = fact
                if self.options.sends_events and len(self._closed) > MOST_KEPT:
                    del self._closed[next(iter(self._closed))]
                self._event("utterance", fact)

    def _settled(self, settled: UtteranceSettled) -> None:
        if settled.utterance in self._closed:
            self._closed[settled.utterance] = settled
        self._event("settled", settled)

    def _event(self, kind: str, event: TranscriptUpdate | UtteranceEnded | UtteranceSettled) -> None:
        if not self.options.sends_events:
            return
        record = event_record(event) | {"type": kind}
        del record["track"]
        self._tell({"type": kind, "stream_id": self.stream_id, **record})

    def _partial_result(self, n_samples: int, n_chunks: int) -> Record:
        closed = [] if self.options.sends_events else [each.text for each in self._closed.values()]
        stable, partial = (self._open.stable, self._open.partial) if self._open else ("", "")
        text, stable = joined((*closed, stable + partial)), joined((*closed, stable))
        return {
            "type": "partial_result",
            "stream_id": self.stream_id,
            "text": text,
            "stable": stable,
            "partial": text[len(stable) :],
            "language": self.language,
            "samples_buffered": n_samples,
            "chunks": n_chunks,
            "is_final": False,
            "profile": self._profile(),
        }

    def _take_said(self) -> Record:
        said, self._closed = list(self._closed.values()), {}
        n_samples, self._boundary = self.served.heard_samples - self._boundary, self.served.heard_samples
        profile = self._profile()
        return {
            "samples": n_samples,
            "text": joined(each.text for each in said),
            "language": self.language,
            "words": [word for each in said for word in event_record(each)["words"]],
            "settled": self._settles,
            "decode_seconds": profile["decode_seconds"],
            "profile": profile,
        }

    def _profile(self) -> Record:
        transcriber = self.served.transcriber
        before, self._spent = self._spent, transcriber.statistics.seconds if transcriber else StageSeconds()
        return stream_profile(self._spent - before, self._worker)


def no_sound(stream_id: str) -> BridgeError:
    """There is nothing that could become final."""
    return BridgeError("no_audio", f"No sound came through stream {stream_id!r} since the last boundary.")


def check_descriptor(descriptor: int, taken: set[int | None]) -> None:
    """Raise BridgeError unless a stream can read from a descriptor: one that the caller passed to this process. The
    standard streams are taken: requests, messages and what is for people.

    Args:
        taken: descriptors of other streams.
    """
    try:
        is_readable = fcntl(descriptor, F_GETFL) & os.O_ACCMODE != os.O_WRONLY
        mode = os.fstat(descriptor).st_mode
        is_passed = os.get_inheritable(descriptor)  # all that this process opens itself are not
    except OSError:
        is_readable = is_passed = False
        mode = 0
    if descriptor <= 2 or not (is_passed and is_readable) or stat.S_ISDIR(mode):
        raise BridgeError(
            "invalid_descriptor", f"Descriptor {descriptor} was not passed to livecap, or cannot be read.", field="fd"
        )
    if descriptor in taken:
        raise BridgeError("invalid_descriptor", f"Another stream reads from descriptor {descriptor}.", field="fd")

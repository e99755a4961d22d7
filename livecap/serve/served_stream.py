"""ServedStream: the sound of one client that waits for the model, and the text that comes of it."""

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from livecap.audio_in.source import AudioBlock
from livecap.engine import Engine
from livecap.errors import LivecapError
from livecap.serve.totals import Totals
from livecap.stream.config import StreamConfig
from livecap.stream.transcriber import StreamingTranscriber
from livecap.transcribe.decoding import DecodingOptions
from livecap.transcript import SAMPLE_RATE, TranscriptUpdate, UtteranceSettled

MOST_WAITING_SECONDS = 20.0
"""Most sound of one stream that may wait; beyond it, its client is not read."""
MOST_WAITING_ITEMS = 4096
"""Pieces of sound and requests of one stream that may wait, however short."""
TURN_SAMPLES = SAMPLE_RATE
"""Sound that one stream is given before the next has its turn."""
SPEAKING_SECONDS = 5.0
"""A stream that has had no text for so long is silent, and takes no time from others."""
LEAD_SECONDS = 0.5
"""Sound that a client may send earlier than it can be said; beyond that, its stream does not count as live."""
REQUEST_SAMPLES = SAMPLE_RATE // 8
"""A request that is not sound counts as this much sound in a turn."""
BLOCK_SAMPLES = SAMPLE_RATE // 20
"""Sound is heard in blocks of this length, so that the text does not depend on how a client cuts it."""

T = TypeVar("T")
OnUpdate = Callable[[TranscriptUpdate | None], None]


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
    """Configuration of a stream; None is that of the server."""


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
    arrived: float = field(default_factory=time.monotonic)


class ServedStream:
    """Sound of one client, and its text. Any thread may call the methods."""

    def __init__(
        self,
        asked: Asked,
        on_update: OnUpdate,
        on_settled: Callable[[UtteranceSettled], None],
        wake: Callable[[], None],
        use: Callable[[Engine, Asked], None],
        totals: Totals,
    ) -> None:
        """
        Args:
            on_update, on_settled: see `Worker.stream`.
            wake: tells the worker that there is something to do.
            use: lets what an engine makes from now on be what a client asks for.
            totals: count what is heard.
        """
        self._wake, self._use, self._totals = wake, use, totals
        self._on_update, self._on_settled = on_update, on_settled
        self.asked = asked
        self._lock = threading.Lock()
        self._waiting: deque[_Item] = deque()
        self._waiting_samples = 0
        self._n_samples = 0
        self._spoke_at = -math.inf
        self._paid_until = 0.0
        """Moment at which the sound so far would have come at the pace of speech."""
        self._rest = np.zeros(0, np.float32)
        """Sound that is shorter than a block."""
        self._ends = False
        self._transcriber: StreamingTranscriber | None = None
        self.failure: LivecapError | None = None
        """Why the stream ended early."""

    def feed(self, samples: NDArray[np.float32], then: Callable[[], T] | None = None) -> "Future[T]":
        """Append [n] samples at 16 kHz.

        Args:
            then: called on the worker's thread once they are heard and the step that was due is made.

        Returns:
            What `then` returns. CancelledError if the sound is dropped or the stream is over, LivecapError if the
            stream has failed or fails before.
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
            if self._ends and self.failure is not None:
                last.done.set_exception(self.failure)
            elif self._ends:
                last.done.cancel()
            else:
                n_samples = sum(len(item.samples) for item in items if item.samples is not None)
                self._waiting += items
                self._waiting_samples += n_samples
                self._paid_until = max(self._paid_until, time.monotonic()) + n_samples / SAMPLE_RATE
        self._wake()
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
        self._wake()

    @property
    def waiting_seconds(self) -> float:
        """Sound that waits to be decoded."""
        return self._waiting_samples / SAMPLE_RATE

    @property
    def is_full(self) -> bool:
        """True while no more sound should be fed."""
        return self.waiting_seconds > MOST_WAITING_SECONDS or len(self._waiting) > MOST_WAITING_ITEMS

    @property
    def is_speaking(self) -> bool:
        """True if there was text in the last seconds."""
        return time.monotonic() - self._spoke_at < SPEAKING_SECONDS

    @property
    def is_ahead(self) -> bool:
        """True while the client has sent sound faster than it can be said, and some of it waits."""
        return self._paid_until - time.monotonic() > LEAD_SECONDS and bool(self._waiting_samples)

    # ---- the worker's thread

    def serve(self, engine: Engine, n_speaking: int = 1) -> bool:
        """Hear some of the sound that waits. False when the stream is over.

        Args:
            n_speaking: streams in which somebody speaks, with this one.
        """
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
                transcriber = self._transcriber or self._renew(engine)
                transcriber.share(n_speaking)
                if item.skipped is not None:
                    self._n_samples += len(self._rest) + item.skipped
                    self._rest = np.zeros(0, np.float32)
                    transcriber = self._renew(engine)
                self._hear(transcriber, item.samples)
                if n_new:
                    self._totals.heard(n_new, time.monotonic() - item.arrived)
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
        self._use(engine, self.asked)
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
            self._spoke_at = time.monotonic()
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
            dropped, self._waiting, self._waiting_samples = self._waiting, deque(), 0
        for item in dropped:
            if self.failure is None:
                item.done.cancel()
            elif item.done.set_running_or_notify_cancel():
                item.done.set_exception(self.failure)
        try:
            if self._transcriber is not None:
                self._transcriber.close()
        finally:
            self._on_update(None)

"""A microphone, or any other input, heard live.

    PortAudio's callback ─▶ RingBuffer ─▶ capture thread: Resampler, positions ─▶ queue ─▶ whoever iterates

The capture thread alone opens, aborts and closes the device. It looks after it: a device that left, or that
says nothing any more, is opened again by its name, and the time between becomes a gap. PortAudio does not
help: a lost device raises nothing, a suspended one reports nothing, and `stop` can hang for ever, so it is
never called.
"""

import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import replace
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from livecap.audio_in import devices
from livecap.audio_in.capture import Capture, CaptureConfig, CaptureStatus
from livecap.audio_in.devices import InputDevice, choose_input
from livecap.audio_in.resample import Resampler
from livecap.audio_in.source import AudioChunk
from livecap.errors import AudioError
from livecap.transcript import SAMPLE_RATE

LEVEL_SAMPLES = SAMPLE_RATE // 10
"""The level is the peak of the last 100 ms."""

LOOPBACKS = ("blackhole", "monitor", "loopback", "soundflower", "vb-cable")
"""Parts of the names of inputs that hear what the machine plays."""


class Microphone:
    """An `AudioSource` over an input. Used from several threads; a lock guards what they share."""

    live = True

    def __init__(
        self,
        device: str | int | None = None,
        *,
        on_notice: Callable[[str], None] | None = None,
        config: CaptureConfig | None = None,
        clock: Callable[[], float] = time.monotonic,
        portaudio: ModuleType | Any = devices,
    ) -> None:
        """Opens the device and hears from now on, whether or not somebody iterates yet. Nothing is ever
        dropped: what was not fetched waits in memory, 64 kB a second.

        Args:
            device: an index, a name or a part of one; None is the default input.
            on_notice: told, on the capture thread, what a person should know.
            clock: seconds, never falling.
            portaudio: in place of the functions of `devices`, for tests.

        Raises:
            AudioError: no such device, or it cannot be opened. PortAudio is missing.
        """
        self._query = device
        self._on_notice = on_notice or (lambda message: None)
        self._config = config or CaptureConfig()
        self._clock = clock
        self._portaudio = portaudio

        # Of the capture thread:
        self._capture: Capture | None = None
        self._device: InputDevice | None = None  # the one opened last
        self._list_is_old = False
        self._lost_at: float | None = None  # the end of the last sound heard, while there is no device
        self._zeros_samples = 0
        self._told_lost = self._told_zeros = self._told_flags = False

        self._changed = threading.Condition()
        # Guarded by it:
        self._name = "default input" if device is None else str(device)
        self._queue: deque[AudioChunk] = deque()
        self._end = 0  # of the sound queued so far
        self._recent = np.zeros(0, np.float32)  # its last 100 ms
        self._before = self._status = CaptureStatus()  # up to the last opening; up to now
        self._paused = self._closed = self._iterating = False
        self._pause_told = False
        self._is_open = False
        self._drained = False  # after close: nothing more will be queued
        self._failure: AudioError | None = None

        self._wake = threading.Event()
        self._thread = threading.Thread(target=self._run, name="capture", daemon=True)
        self._thread.start()
        with self._changed:
            answered = self._changed.wait_for(lambda: self._is_open or self._drained, self._config.open_seconds)
        if not answered:
            self.close()
            raise AudioError(f'"{self._name}" does not answer. Connect it anew, or choose another with --device.')
        if self._failure is not None:
            raise self._failure

    @property
    def name(self) -> str:
        """The device's name."""
        with self._changed:
            return self._name

    @property
    def status(self) -> CaptureStatus:
        """Counters, now."""
        with self._changed:
            return self._status

    @property
    def arrived_samples(self) -> int:
        """What was captured, gaps included. A gap counts once its end is known."""
        with self._changed:
            return self._end

    @property
    def level(self) -> float:
        """Peak of the last 100 ms that arrived; 0 while paused and while the device is away."""
        with self._changed:
            return float(np.abs(self._recent).max(initial=0.0))

    def __iter__(self) -> Iterator[AudioChunk]:
        """See `AudioSource`. A chunk ends at a gap."""
        with self._changed:
            assert not self._iterating, "a source is iterated once"
            self._iterating = True
        end_sample = 0
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._queue or self._drained or self._is_silenced != self._pause_told)
                if self._queue:
                    chunk = self._take_until_gap()
                elif self._drained:
                    break
                else:
                    self._pause_told = self._is_silenced
                    if not self._pause_told:
                        continue
                    chunk = AudioChunk(end_sample, np.zeros(0, np.float32))
                end_sample = chunk.end_sample
            yield chunk
        if self._failure is not None:
            raise self._failure

    def pause(self) -> None:
        """Close the device; what was heard until now still arrives."""
        with self._changed:
            self._paused = True
            self._wake.set()
            self._changed.wait_for(lambda: not self._is_open or self._drained, self._config.close_seconds)

    def resume(self) -> None:
        """Open the device again, by its name. Where it is away, it is waited for."""
        with self._changed:
            self._paused = False
            self._wake.set()
            self._changed.notify_all()

    def close(self) -> None:
        """Hear no more. A device that hangs is left behind."""
        with self._changed:
            self._closed = True
            self._wake.set()
        if threading.current_thread() is not self._thread:
            self._thread.join(self._config.close_seconds)
        with self._changed:
            self._drained = True
            self._changed.notify_all()

    @property
    def _is_silenced(self) -> bool:
        """Paused, and the device is closed: no more sound of before the pause can come."""
        return self._paused and not self._is_open

    def _take_until_gap(self) -> AudioChunk:
        first = self._queue.popleft()
        parts, end = [first.samples], first.end_sample
        while self._queue and self._queue[0].start_sample == end:
            parts.append(self._queue.popleft().samples)
            end += len(parts[-1])
        return AudioChunk(first.start_sample, np.concatenate(parts))

    # The capture thread.

    def _run(self) -> None:
        try:
            self._open_first()
            while not self._closed:
                self._look_after()
                self._wake.wait(self._config.poll_seconds if self._capture else self._config.retry_seconds)
                self._wake.clear()
        except AudioError as error:
            self._failure = error
        except Exception as error:  # a mistake of ours: the reader must not take it for the end
            self._failure = AudioError(f"Capture failed: {error!r}")
            self._failure.__cause__ = error
        finally:
            self._let_go()
            with self._changed:
                self._drained = True
                self._changed.notify_all()

    def _open_first(self) -> None:
        for attempts_left in reversed(range(self._config.first_attempts)):
            device = choose_input(self._query, self._portaudio.list_inputs())
            try:
                return self._open(device)
            except AudioError:
                if not attempts_left or self._closed:
                    raise
            self._wake.wait(self._config.retry_seconds)
            self._portaudio.reinitialise()

    def _look_after(self) -> None:
        """One round: empty the ring, and mend what is broken."""
        if self._paused:
            self._let_go()
            self._lost_at = None  # what is not heard while paused is no gap
        elif self._capture is None:
            self._reopen()
        else:
            self._fetch(self._capture)
            if self._capture.is_lost(self._config):
                self._lose(self._capture)

    def _open(self, device: InputDevice) -> None:
        capture = Capture(device, self._config, self._clock)
        capture.stream = self._portaudio.open_input(
            device,
            capture.n_channels,
            capture.block_samples,
            self._config.latency_seconds,
            capture.on_block,
            capture.on_finished,
        )
        self._capture = capture
        self._device = device
        self._list_is_old = False
        self._zeros_samples = 0
        with self._changed:
            self._name = device.name
            self._is_open = True
            self._before = replace(self._status, n_opened=self._status.n_opened + 1)
            self._status = self._before
            self._changed.notify_all()

    def _reopen(self) -> None:
        was = self._device
        assert was is not None
        try:
            if self._list_is_old:
                self._portaudio.reinitialise()
            inputs = self._portaudio.list_inputs()
            if self._query is None:
                device = choose_input(None, inputs)
            else:
                # Never another device than the chosen one; its index tells two of the same name apart.
                same = [d for d in inputs if (d.index, d.name) == (was.index, was.name)]
                device = same[0] if same else choose_input(was.name, inputs)
                if device.name != was.name:
                    raise AudioError(f'"{was.name}" is away.')
            self._open(device)
        except AudioError:
            self._list_is_old = True
            self._lost_at = self._clock() if self._lost_at is None else self._lost_at
            self._tell_lost(was.name)
            return
        if device.name != was.name:
            self._on_notice(f'Now listening to "{device.name}", the default input.')

    def _lose(self, capture: Capture) -> None:
        if capture.last_block_at is not None:
            self._lost_at = capture.last_block_at
        elif self._lost_at is None:
            self._lost_at = capture.opened_at
        self._list_is_old = True
        self._let_go()
        self._tell_lost(capture.device.name)
        self._wake.set()  # try at once

    def _tell_lost(self, name: str) -> None:
        if not self._told_lost:
            self._told_lost = True
            self._on_notice(f'"{name}" is gone. Waiting for it; nothing is heard meanwhile.')

    def _let_go(self) -> None:
        """Take what is left, then close the device; the order matters, since closing may hang."""
        capture, self._capture = self._capture, None
        if capture is None:
            return
        self._fetch(capture)
        self._queue_up(capture.resampler.flush())
        with self._changed:
            self._recent = np.zeros(0, np.float32)
            self._is_open = False
            self._changed.notify_all()
        capture.shut()

    def _fetch(self, capture: Capture) -> None:
        """Move what the ring holds into the queue."""
        start, sound = capture.ring.read()
        if not len(sound):
            return
        rate = capture.device.default_rate
        n_lost = start - capture.expected
        capture.expected = start + len(sound)
        if self._lost_at is not None:
            self._end_of_loss(capture, self._lost_at)
        if n_lost:
            self._queue_up(capture.resampler.flush(), gap_samples=round(n_lost * SAMPLE_RATE / rate))
            capture.resampler = Resampler(rate, capture.n_channels)
        self._queue_up(capture.resampler.process(sound))
        self._count(capture, overflowed=n_lost > 0)
        self._watch_for_zeros(capture, sound)

    def _end_of_loss(self, capture: Capture, lost_at: float) -> None:
        assert capture.heard_from is not None
        gap_samples = max(0, round((capture.heard_from - lost_at) * SAMPLE_RATE))
        self._lost_at = None
        self._told_lost = False
        self._queue_up(np.zeros(0, np.float32), gap_samples)
        self._on_notice(f'"{capture.device.name}" is back; {gap_samples / SAMPLE_RATE:.1f} s were not heard.')

    def _queue_up(self, samples: NDArray[np.float32], gap_samples: int = 0) -> None:
        """Sound that follows what is queued, and then a gap."""
        with self._changed:
            if len(samples):
                self._queue.append(AudioChunk(self._end, samples))
                self._recent = np.concatenate([self._recent, samples])[-LEVEL_SAMPLES:]
            self._end += len(samples) + gap_samples
            self._changed.notify_all()

    def _count(self, capture: Capture, overflowed: bool) -> None:
        before = self._before
        with self._changed:
            self._before = before = replace(before, n_overflows=before.n_overflows + overflowed)
            self._status = replace(
                before,
                n_blocks=before.n_blocks + capture.n_blocks,
                n_flags=before.n_flags + capture.n_flags,
                longest_callback_seconds=max(before.longest_callback_seconds, capture.longest_callback_seconds),
            )
        if capture.n_flags and not self._told_flags:
            self._told_flags = True
            self._on_notice(f'"{capture.device.name}" reports that sound was lost before it reached livecap.')

    def _watch_for_zeros(self, capture: Capture, sound: NDArray[np.float32]) -> None:
        name = capture.device.name
        is_loopback = any(part in name.casefold() for part in LOOPBACKS)
        if sound.any():
            self._zeros_samples = 0
            self._told_zeros = self._told_zeros and is_loopback  # which is digitally silent whenever nothing plays
            return
        self._zeros_samples += len(sound)
        seconds = self._zeros_samples / capture.device.default_rate
        if seconds < self._config.zeros_seconds or self._told_zeros:
            return
        self._told_zeros = True
        if is_loopback:
            reason = "Nothing is playing into it yet?"
        elif sys.platform == "darwin":
            reason = "Muted, or not permitted? See System Settings > Privacy & Security > Microphone."
        else:
            reason = "Is it muted, or its permission missing?"
        self._on_notice(f'"{name}" delivers only digital silence for {seconds:.0f} s. {reason}')

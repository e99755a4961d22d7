"""A microphone, or any other input, heard live.

    PortAudio's callback ─▶ RingBuffer ─▶ capture thread: Resampler, positions ─▶ Spool ─▶ whoever takes

The capture thread alone opens, aborts and closes the device. It looks after it: a device that left, or that
says nothing any more, is opened again by its name, and the time between becomes a gap. PortAudio does not
help: a lost device raises nothing, a suspended one reports nothing, and `stop` can hang for ever, so it is
never called.
"""

import threading
import time
from collections.abc import Callable
from types import ModuleType
from typing import Any

from livecap.audio_in.device import portaudio as real_portaudio
from livecap.audio_in.device.capture import CaptureConfig, CaptureStatus, EarlyCapture
from livecap.audio_in.device.devices import choose_input
from livecap.audio_in.device.enumeration import OURS, Enumeration
from livecap.audio_in.device.kept_input import KeptInput
from livecap.audio_in.device.silence import OnNotice
from livecap.audio_in.device.watch import clock_through_sleep
from livecap.audio_in.handover import Handover
from livecap.audio_in.source import AudioBlock
from livecap.audio_in.spool import Spool
from livecap.errors import AudioError


class Microphone:
    """An `AudioSource` over an input. Used from several threads; a lock guards what they share."""

    live = True
    first_sample = 0

    def __init__(
        self,
        device: str | int | None = None,
        *,
        on_notice: OnNotice | None = None,
        spool: Spool | None = None,
        config: CaptureConfig | None = None,
        clock: Callable[[], float] = clock_through_sleep,
        awake_clock: Callable[[], float] = time.monotonic,
        portaudio: ModuleType | Any = real_portaudio,
        enumeration: Enumeration = OURS,
        early: EarlyCapture | None = None,
    ) -> None:
        """Opens the device and hears from now on, whether or not somebody takes yet. Nothing is ever dropped: what
        was not taken waits in the spool.

        Args:
            device: an index, a name or a part of one; None is the default input.
            spool: where sound waits; a new one in memory where None is given.
            clock: seconds, never falling, that go on while the machine sleeps.
            awake_clock: seconds, never falling, that do not.
            portaudio: in place of the functions of `livecap.audio_in.device.portaudio`, for tests.
            enumeration: shared by all microphones of one PortAudio.
            early: the same device, being opened already.

        Raises:
            AudioError: no such device, or it cannot be opened. PortAudio is missing.
        """
        self._config = config or CaptureConfig()
        self._portaudio = portaudio
        self.spool = spool or Spool()
        self._handover = Handover(self.spool)
        self._changed = threading.Condition()
        # Guarded by it:
        self._paused = self._closed = False
        self._drained = False  # after close: nothing more will be appended
        self._early = early

        self._arrival = threading.Event()
        self._wake = threading.Event()
        self._input = KeptInput(
            device,
            self.spool,
            self._config,
            on_notice=on_notice or (lambda message, severity="warning": None),
            on_change=self._tell_change,
            wake=self._wake.set,
            clock=clock,
            awake_clock=awake_clock,
            portaudio=portaudio,
            enumeration=enumeration,
        )
        self._thread = threading.Thread(target=self._run, name="capture", daemon=True)
        self._thread.start()
        with self._changed:
            answered = self._changed.wait_for(lambda: self._input.is_open or self._drained, self._config.open_seconds)
        if not answered:
            self.close()
            raise AudioError(f'"{self.name}" does not answer. Connect it anew, or choose another with --device.')
        if self._handover.failure is not None:
            raise self._handover.failure

    @property
    def name(self) -> str:
        """The device's name."""
        return self._input.name

    @property
    def status(self) -> CaptureStatus:
        """Counters, now."""
        return self._input.status

    @property
    def started_wall(self) -> float | None:
        """Unix time of sample 0; before the first block came, of the first opening."""
        return self._input.started_wall

    @property
    def trouble(self) -> str | None:
        """ "away", "silent" (exact zeros for seconds) or None."""
        return self._input.trouble

    @property
    def arrived_samples(self) -> int:
        """What was captured, gaps included. A gap counts once its end is known."""
        return self.spool.end_sample

    @property
    def level(self) -> float:
        """Peak of the last 100 ms that arrived; 0 while paused and while the device is away."""
        return self._input.level.value

    @property
    def ended(self) -> bool:
        """Closed, or failed and told so, and all that was heard is taken."""
        with self._changed:
            return self._handover.is_over(self._drained)

    def take(self) -> AudioBlock | None:
        """See `AudioSource`."""
        with self._changed:
            drained = self._drained
        return self._handover.take(drained)

    def wake(self, event: threading.Event) -> None:
        """See `AudioSource`."""
        self._arrival = event
        event.set()

    def pause(self) -> None:
        """Close the device; what was heard until now still arrives."""
        with self._changed:
            was_paused, self._paused = self._paused, True
            self._wake.set()
            self._changed.wait_for(lambda: not self._input.is_open or self._drained, self._config.close_seconds)
            if not was_paused:
                self._handover.pause()
        self._arrival.set()

    def resume(self) -> None:
        """Open the device again, by its name. Where it is away, it is waited for."""
        with self._changed:
            self._paused = False
            self._wake.set()
            self._changed.notify_all()
        self._arrival.set()

    def switch_to(self, device: str | int | None) -> None:
        """Go on with another input, whose name is checked now; opening it is the capture thread's.

        Raises:
            AudioError: no such input.
        """
        found = choose_input(device, self._portaudio.list_inputs())
        self._input.wanted = (device, found)
        self._wake.set()

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
        self._arrival.set()

    def _tell_change(self) -> None:
        with self._changed:
            self._changed.notify_all()
        self._arrival.set()

    def _run(self) -> None:
        """The capture thread, in full."""
        kept = self._input
        try:
            early = self._early.fetch(self._config.open_seconds) if self._early is not None else None
            if early is not None:
                kept.adopt(early)
            else:
                kept.open_first(lambda: self._closed, self._wake.wait)
            while not self._closed:
                kept.look_after(self._paused)
                self._wake.wait(self._config.poll_seconds)
                self._wake.clear()
        except AudioError as error:
            self._handover.failure = error
        except Exception as error:  # a mistake of ours: the reader must not take it for the end
            self._handover.failure = AudioError(f"Capture failed: {error!r}")
            self._handover.failure.__cause__ = error
        finally:
            try:
                kept.end()
            finally:
                with self._changed:
                    self._drained = True
                self._tell_change()

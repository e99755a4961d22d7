"""A microphone, or any other input, heard live.

    PortAudio's callback ─▶ RingBuffer ─▶ capture thread: Resampler, positions ─▶ Spool ─▶ whoever takes

The capture thread alone opens, aborts and closes the device. It looks after it: a device that left, or that
says nothing any more, is opened again by its name, and the time between becomes a gap. PortAudio does not
help: a lost device raises nothing, a suspended one reports nothing, and `stop` can hang for ever, so it is
never called.
"""

import time
from collections.abc import Callable
from types import ModuleType
from typing import Any

from livecap.audio_in.device import portaudio as real_portaudio
from livecap.audio_in.device.capture import CaptureConfig, EarlyCapture
from livecap.audio_in.device.devices import choose_input
from livecap.audio_in.device.enumeration import OURS, Enumeration
from livecap.audio_in.device.kept_input import KeptInput
from livecap.audio_in.device.status import CaptureStatus
from livecap.audio_in.device.watch import clock_through_sleep
from livecap.audio_in.live_source import LiveSource
from livecap.audio_in.source import OnNotice
from livecap.audio_in.spool import Spool
from livecap.errors import AudioError


class Microphone(LiveSource):
    """An `AudioSource` over an input. Used from several threads; a lock guards what they share."""

    live = True

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
        super().__init__("default input" if device is None else str(device), spool, self._config.close_seconds)
        self._portaudio = portaudio
        self._early = early
        self._input = KeptInput(
            device,
            self,
            self._config,
            on_notice=on_notice or (lambda message, severity="warning": None),
            clock=clock,
            awake_clock=awake_clock,
            portaudio=portaudio,
            enumeration=enumeration,
        )
        self.start()
        with self.changed:
            answered = self.changed.wait_for(lambda: self.is_open or self.drained, self._config.open_seconds)
        if not answered:
            self.close()
            raise AudioError(f'"{self.name}" does not answer. Connect it anew, or choose another with --device.')
        if self.failure is not None:
            raise self.failure

    @property
    def health(self) -> CaptureStatus:
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

    def switch_to(self, device: str | int | None) -> None:
        """Go on with another input, whose name is checked now; opening it is the capture thread's.

        Raises:
            AudioError: no such input.
        """
        found = choose_input(device, self._portaudio.list_inputs())
        self._input.wanted = (device, found)
        self.attention.set()

    def fill(self) -> None:
        """Look after the device until it is closed. On the capture thread."""
        kept = self._input
        try:
            early = self._early.fetch(self._config.open_seconds) if self._early is not None else None
            if early is not None:
                kept.adopt(early)
            else:
                kept.open_first()
            while not self.closed:
                kept.look_after()
                self.attention.wait(self._config.poll_seconds)
                self.attention.clear()
        finally:
            kept.end()

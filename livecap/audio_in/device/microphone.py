"""Microphone: an input device heard live, opened again whatever happens to it.

    PortAudio's callback ─▶ RingBuffer ─▶ capture thread: Intake ─▶ Spool ─▶ the reader's thread

PortAudio reports almost nothing of what can happen: the device leaves and returns, stops without a word, delivers
zeros, changes its rate, is not the default any more, or the computer sleeps. The capture thread watches for all of it.
It alone opens, aborts and closes the device, and never calls `stop`, which can hang for ever.
"""

import threading
import time
from collections.abc import Callable, Collection
from types import ModuleType
from typing import Any

from livecap.audio_in.device import portaudio as real_portaudio
from livecap.audio_in.device.capture import Capture, CaptureConfig, EarlyCapture
from livecap.audio_in.device.devices import InputDevice
from livecap.audio_in.device.enumeration import OURS, Enumeration
from livecap.audio_in.device.intake import Intake
from livecap.audio_in.device.monitors import ROUTED, default_source
from livecap.audio_in.device.notices import DeviceNotices
from livecap.audio_in.device.opener import Opener
from livecap.audio_in.device.status import CaptureStatus
from livecap.audio_in.device.watch import SleepWatch
from livecap.audio_in.live_source import LiveSource
from livecap.audio_in.source import OnNotice
from livecap.audio_in.spool import Spool
from livecap.errors import AudioError
from livecap.steady_clock import steady_seconds


def process_seconds() -> float:
    """Seconds that go on while this process is stopped."""
    return time.monotonic()


class Microphone(LiveSource):
    """An `AudioSource` for an input device. Used from several threads."""

    live = True

    def __init__(
        self,
        device: str | int | None = None,
        *,
        on_notice: OnNotice | None = None,
        spool: Spool | None = None,
        config: CaptureConfig | None = None,
        now: Callable[[], float] = steady_seconds,
        awake_now: Callable[[], float] = time.monotonic,
        portaudio: ModuleType | Any = real_portaudio,
        enumeration: Enumeration = OURS,
        early: EarlyCapture | None = None,
        taken: Callable[[], Collection[str]] = tuple,
        since: float | None = None,
    ) -> None:
        """Opens the device and hears from now on, whether or not anything is taken yet. Nothing is dropped: what was
        not taken waits in the spool.

        Args:
            device: an index, a name or a part of one; None is the default input.
            on_notice: called on the capture thread.
            spool: where sound waits; a new one in memory where None is given.
            now: seconds, never falling, that go on while the computer sleeps.
            awake_now: seconds, never falling, that do not.
            portaudio: stands in for the module `livecap.audio_in.device.portaudio` in tests.
            enumeration: shared by all microphones of one PortAudio.
            early: the same device, being opened already.
            taken: names of the inputs of other tracks: where one becomes the default input, it is not followed.
            since: sample 0, by `now`, if this input delivers sound a good deal later; None is its first sound.

        Raises:
            AudioError: no such device, or it cannot be opened. PortAudio is missing.
        """
        self._config = config or CaptureConfig()
        name = "default input" if device is None else str(device)
        super().__init__(name, spool, self._config.close_seconds, on_notice)
        self._now = now
        self._notices = DeviceNotices(
            self._config.zeros_seconds, on_notice or (lambda message, severity="warning": None)
        )
        self._intake = Intake(self, self._notices, now, since)
        self._opener = Opener(device, self._config, now=now, portaudio=portaudio, enumeration=enumeration, taken=taken)
        self._sleep = SleepWatch(now, awake_now)
        self._round_at = process_seconds()
        """When the capture thread looked after the device last."""
        self._early = early
        self._capture: Capture | None = None
        self._wanted: tuple[str | int | None, InputDevice] | None = None  # to switch to; set by any thread
        self._before_pause: tuple[str | int | None, InputDevice | None] | None = None
        """What was heard before a pause in which another input was chosen."""
        self.start()
        with self.changed:
            answered = self.changed.wait_for(lambda: self.is_open or self.drained, self._config.open_seconds)
        if not answered:
            self.close()
            raise AudioError(f'"{self.name}" does not answer. Reconnect it, or choose another with --device.')
        if self.failure is not None:
            raise self.failure

    @property
    def health(self) -> CaptureStatus:
        """Counters, now."""
        return self._intake.status

    @property
    def started_wall(self) -> float | None:
        """Unix time of sample 0; until the first sound, of the first opening."""
        return self._intake.started_wall

    @property
    def heard(self) -> tuple[int, float] | None:
        """See `AudioSource`."""
        return self._intake.heard

    @property
    def trouble(self) -> str | None:
        """See `AudioSource`: "away", or "silent" after seconds of exact zeros."""
        return self._notices.trouble

    def switch_to(self, name: str | int | None) -> None:
        """See `AudioSource`; None is the default input."""
        self._wanted = (name, self._opener.find(name))
        self.attention.set()

    def end_loss(self) -> None:
        """See `LiveSource`: what is not heard while paused is not a gap."""
        self._intake.end()

    def resume(self) -> None:
        """See `AudioSource`; what is missed until the device is open is a gap."""
        with self.changed:
            if self.paused and not self.is_open:
                self._intake.lose(self._now())
            super().resume()

    # The capture thread.

    def fill(self) -> None:
        """Look after the device until the source is closed."""
        try:
            early = self._early.fetch(self._config.open_seconds) if self._early is not None else None
            if early is not None:
                self._begin(self._opener.adopt(early))
            else:
                self._begin(self._opener.first(lambda: self.closed, self.attention.wait))
            while not self.closed:
                self._look_after()
                self.attention.wait(self._config.poll_seconds)
                self.attention.clear()
        finally:
            self._let_go(lost=False)
            self._intake.end()

    def _look_after(self) -> None:
        """One round: empty the ring buffer, and repair what is broken."""
        slept_since = self._sleep.slept_since()
        before, self._round_at = self._round_at, process_seconds()
        if self._wanted is not None and not self._opener.enumeration.wanted:
            self._switch(*self._wanted)
        capture = self._capture
        if self.paused:
            self._let_go(lost=False)
            self._notices.paused()
            self._opener.retry_at_once()
        elif capture is None:
            if self._opener.due:
                self._reopen()
        elif slept_since is not None:
            self._lose_asleep(capture, slept_since)
        elif self._opener.enumeration.wanted:
            self._step_aside()
        else:
            self._intake.fetch()
            self._check(capture, process_seconds() - before)

    def _check(self, capture: Capture, round_seconds: float) -> None:
        """Give up a device that is lost, has changed its rate, or is not the default input any more.

        Args:
            round_seconds: time since the last check; long if this process did not run.
        """
        is_lost = capture.is_lost(self._config)
        if is_lost and (slept_since := self._sleep.slept_since()) is not None:  # it slept since this round began
            self._lose_asleep(capture, slept_since)
        elif is_lost and round_seconds > self._config.stall_seconds:
            self._lose(capture, at_once=True)
            self._notices.tell(
                f"livecap did not run for {round_seconds:.0f} s: it was stopped, or the machine was too busy. Sound of "
                "that time may be missing."
            )
        elif is_lost:
            self._lose(capture)
        elif (counted_rate := capture.changed_rate()) is not None:
            self._notices.tell(
                f'"{capture.device.name}" delivers {counted_rate / 1000:.1f} kHz instead of '
                f"{capture.device.default_rate / 1000:g} kHz. Opening it again."
            )
            self._notices.expect_loss()
            self._lose(capture)
        elif self._opener.default_moved(capture):
            self._lose(capture, at_once=True)

    def _begin(self, capture: Capture) -> None:
        """This is the open device from now on, unless listening paused while it was opened."""
        with self.changed:
            is_wanted = not self.paused
            if is_wanted:
                self._capture, self.name = capture, capture.device.name
                self._intake.begin(capture)
                self.is_open = True
        if not is_wanted:
            self._shut(capture)
            return
        self.about = ""
        if self.name in ROUTED:  # asks another program: not on this thread
            threading.Thread(target=self._describe, args=(self.name,), name="input's name", daemon=True).start()
        self.announce()

    def _describe(self, name: str) -> None:
        about = default_source() or ""
        if self.name == name:
            self.about = about

    def _reopen(self) -> None:
        was = self.name
        try:
            self._begin(self._opener.again())
        except AudioError as error:
            if self._before_pause is None:
                self._notices.gone(was)
                return
            query, self._opener.device = self._before_pause
            if self._opener.device is not None:
                self.name = self._opener.device.name
            self._before_pause = None
            self._go_back(query, error)
        else:
            self._before_pause = None
            if self.name != was:
                self._notices.tell(f'Now listening to "{self.name}", the default input.')

    def _switch(self, query: str | int | None, device: InputDevice) -> None:
        """Go on with another input; where it cannot be opened, with the old one."""
        self._wanted = None
        self._let_go(lost=True)
        old_query, self._opener.query = self._opener.query, query
        self._notices.switching()
        if self.paused:  # opened when listening goes on
            self._before_pause = self._before_pause or (old_query, self._opener.device)
            self._opener.device, self.name = device, device.name
            return
        try:
            self._begin(self._opener.open(device))
        except AudioError as error:
            self._go_back(old_query, error)
        else:
            self._notices.tell(f'Now listening to "{device.name}".', "info")

    def _go_back(self, query: str | int | None, error: AudioError) -> None:
        """The chosen input cannot be opened: open again the one that this query found."""
        self._opener.query = query
        self._opener.retry_at_once()
        self._notices.not_switched()
        self._notices.tell(f"{error} The session goes on as before.", "error")

    def _step_aside(self) -> None:
        """Another capture thread lists the devices again, which would end this stream."""
        self._notices.expect_loss()
        self._let_go(lost=True)
        self._opener.enumeration.wait(self._config.aside_seconds)
        self._opener.retry_at_once()

    def _lose(self, capture: Capture, since: float | None = None, at_once: bool = False) -> None:
        """Close a device that is of no use as it is, to open it again.

        Args:
            since: when its last sound ended, if that is known better than by its last block.
            at_once: it is there, and is opened again without waiting and without a notice.
        """
        self._let_go(lost=True, since=since)
        self._opener.lost(capture)
        self._notices.lost(capture.device.name, self._opener.storm)
        if at_once:
            self._opener.retry_at_once()
        else:
            self._notices.gone(capture.device.name)
        self.attention.set()

    def _lose_asleep(self, capture: Capture, since: float) -> None:
        """The computer was asleep, which ends a stream."""
        self._lose(capture, since=since, at_once=True)
        self._notices.tell("The computer was asleep; nothing was captured meanwhile.")

    def _let_go(self, lost: bool, since: float | None = None) -> None:
        """Take what is left, then close the device, if one is open; in this order, since closing may hang.

        Args:
            lost: time from its last sound on, or from `since`, is a gap.
        """
        capture, self._capture = self._capture, None
        if capture is None:
            return
        self._intake.finish()
        if lost:
            self._intake.lose(since)
        self.is_open = False
        self.announce()
        self._shut(capture)

    def _shut(self, capture: Capture) -> None:
        try:
            capture.shut()
        finally:
            self._opener.enumeration.closed()

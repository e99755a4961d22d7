"""An input that is kept open: opened by name, watched, and opened again whatever happens to it. The capture thread's.

What can happen, and none of it is told by PortAudio: the device leaves and returns, falls silent without a word,
delivers zeros, changes its rate, is not the default any more, or the machine sleeps. Time in which nothing was heard is
a gap.
"""

import time
from collections.abc import Callable
from dataclasses import replace
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from livecap.audio_in.device.capture import Capture, CaptureConfig, open_capture
from livecap.audio_in.device.devices import InputDevice, choose_input
from livecap.audio_in.device.enumeration import Enumeration
from livecap.audio_in.device.silence import SilenceNotices
from livecap.audio_in.device.status import CaptureStatus
from livecap.audio_in.device.watch import RestartPace, SleepWatch
from livecap.audio_in.live_source import LiveSource
from livecap.audio_in.resample import Resampler
from livecap.audio_in.source import OnNotice
from livecap.errors import AudioError
from livecap.transcript import SAMPLE_RATE

RESAMPLED_TOLERANCE = 2
"""Samples by which a resampled piece may differ from its length times the ratio of the rates: rounding at both ends."""


class KeptInput:
    """Of one thread; what stands first may be read by any, since each field has this one writer."""

    def __init__(
        self,
        query: str | int | None,
        source: LiveSource,
        config: CaptureConfig,
        *,
        on_notice: OnNotice,
        clock: Callable[[], float],
        awake_clock: Callable[[], float],
        portaudio: ModuleType | Any,
        enumeration: Enumeration,
    ) -> None:
        """Opens nothing yet."""
        self.status = CaptureStatus()
        self.started_wall: float | None = None
        self.trouble: str | None = None

        self.wanted: tuple[str | int | None, InputDevice] | None = None
        """(query, input) to go on with, set by another thread; taken in the next round."""

        self._query = query
        self._source = source
        self._spool = source.spool
        self._config = config
        self._on_notice = on_notice
        self._clock = clock
        self._portaudio = portaudio
        self._enumeration = enumeration
        self._before = self.status  # up to the last opening
        self._capture: Capture | None = None
        self._resampler: Resampler  # of the open device
        self._device: InputDevice | None = None  # the one opened last
        self._list_is_old = False
        self._lost_at: float | None = None  # the end of the last sound heard, while there is no device
        self._silence = SilenceNotices(config.zeros_seconds, on_notice)
        self._sleep = SleepWatch(clock, awake_clock)
        self._pace = RestartPace(config.retry_seconds)
        self._not_before = self._next_probe = self._next_default = clock()
        self._probe_seconds = config.probe_seconds
        self._old_list_may_do = True  # a device that was opened by it delivered sound
        self._told_lost = self._told_flags = self._told_storm = False

    def open_first(self) -> None:
        """A busy device is tried a few times.

        Raises:
            AudioError: no such device, or it cannot be opened.
        """
        for attempts_left in reversed(range(self._config.first_attempts)):
            device = choose_input(self._query, self._portaudio.list_inputs())
            try:
                return self._open(device)
            except AudioError:
                if not attempts_left or self._source.closed:
                    raise
            self._source.attention.wait(self._config.retry_seconds)
            self._enumeration.anew(self._portaudio.reinitialise, self._config.aside_seconds)

    def look_after(self) -> None:
        """One round: empty the ring, and mend what is broken."""
        slept_since = self._sleep.slept_since()
        if self.wanted is not None and not self._enumeration.wanted:
            self._switch()
        capture = self._capture
        if self._source.paused:
            self.let_go()
            self._lost_at = None  # what is not heard while paused is no gap
            self._not_before = self._clock()
        elif capture is None:
            if self._clock() >= self._not_before and not self._enumeration.wanted:
                self._reopen()
        elif slept_since is not None:
            self._fetch(capture)
            self._lose(capture, slept_since, at_once=True)
            self._on_notice("The machine slept; nothing was heard meanwhile.")
        elif self._enumeration.wanted:
            self._step_aside(capture)
        else:
            self._fetch(capture)
            if capture.is_lost(self._config):
                self._lose(capture, capture.last_block_at)
            else:
                self._check_rate(capture)
                self._follow_default(capture)

    def _open(self, device: InputDevice) -> None:
        self.adopt(open_capture(device, self._config, self._clock, self._portaudio, self._enumeration))

    def adopt(self, capture: Capture) -> None:
        """From now on this is the open device."""
        device = capture.device
        self._resampler = Resampler(device.default_rate, capture.n_channels)
        self._capture = capture
        self._device = device
        self._list_is_old = False
        self._silence.begin()
        self._source.name = device.name
        self.started_wall = self.started_wall or capture.opened_wall
        self._before = self.status = replace(self.status, n_opened=self.status.n_opened + 1)
        self._source.is_open = True
        self._source.announce()

    def _reopen(self) -> None:
        was = self._device
        assert was is not None
        self._not_before = self._clock() + self._config.retry_seconds
        try:
            if not self._list_is_old:
                self._open(self._same(was, self._portaudio.list_inputs()))
            elif self._enumeration.shared:
                self._reopen_beside_others(was)
            else:
                self._enumeration.anew(self._portaudio.reinitialise, self._config.aside_seconds)
                self._open(self._same(was, self._portaudio.list_inputs()))
        except AudioError:
            self._list_is_old = True
            self._lost_at = self._clock() if self._lost_at is None else self._lost_at
            self._tell_lost(was.name)
            return
        self._probe_seconds = self._config.probe_seconds
        if self._source.name != was.name:
            self._on_notice(f'Now listening to "{self._source.name}", the default input.')

    def _reopen_beside_others(self, was: InputDevice) -> None:
        """As the old list has it; else the devices are read anew, which ends the streams of others for a moment: only
        where a new process sees the device, and less and less often where that does not help.

        Raises:
            AudioError: it is still away.
        """
        if self._opens_by_old_list(was):
            return
        if self._clock() < self._next_probe:
            raise AudioError(f'"{was.name}" is away.')
        self._next_probe = self._clock() + self._probe_seconds
        self._same(was, self._portaudio.probe_inputs(was.name))
        if self._opens_by_old_list(was):  # it came back meanwhile
            return
        self._probe_seconds = min(self._probe_seconds * 2, self._config.most_probe_seconds)
        self._enumeration.anew(self._portaudio.reinitialise, self._config.aside_seconds)
        self._open(self._same(was, self._portaudio.list_inputs()))

    def _opens_by_old_list(self, was: InputDevice) -> bool:
        if not self._old_list_may_do:
            return False
        try:
            self._open(self._same(was, self._portaudio.list_inputs()))
        except AudioError:
            return False
        return True

    def _same(self, was: InputDevice, inputs: list[InputDevice]) -> InputDevice:
        """The default where none was chosen; else never another device than the chosen one.

        Raises:
            AudioError: it is not among them.
        """
        if self._query is None:
            return choose_input(None, inputs)
        # Its index tells two of the same name apart.
        same = [d for d in inputs if (d.index, d.name) == (was.index, was.name)]
        device = same[0] if same else choose_input(was.name, inputs)
        if device.name != was.name:
            raise AudioError(f'"{was.name}" is away.')
        return device

    def _switch(self) -> None:
        """Go on with another input; where it cannot be opened, with the one there was."""
        assert self.wanted is not None
        (query, device), self.wanted = self.wanted, None
        capture = self._capture
        was_open = capture is not None
        if capture is not None:
            self._fetch(capture)
            self._lost_at = capture.last_block_at or capture.opened_at
            self.let_go()
        before, self._query = self._query, query
        self.trouble, self._told_lost = None, True  # the shortest of gaps needs no sentence
        if not was_open and self._lost_at is None:  # paused: opened when listening goes on
            self._device, self._source.name = device, device.name
            return
        try:
            self._open(device)
        except AudioError as error:
            self._query, self._told_lost = before, False
            self._not_before = self._clock()
            self._on_notice(f"{error} The session goes on as before.", "error")
        else:
            self._on_notice(f'Now listening to "{device.name}".', "info")

    def _step_aside(self, capture: Capture) -> None:
        """Another thread reads the devices anew, which would end this stream."""
        self._fetch(capture)
        self._lost_at = capture.last_block_at or capture.opened_at
        self._told_lost = True  # the shortest of gaps needs no sentence
        self.let_go()
        self._enumeration.wait(self._config.aside_seconds)
        self._not_before = self._clock()

    def _check_rate(self, capture: Capture) -> None:
        latest = capture.latest
        if latest is None:
            return
        capture.drift_watch.hear(*latest)
        counted = capture.rate_watch.changed_to(*latest)
        if counted is not None:
            self._on_notice(
                f'"{capture.device.name}" delivers {counted / 1000:.1f} kHz instead of '
                f"{capture.device.default_rate / 1000:g}: it changed its rate, and is opened anew."
            )
            self._told_lost = True
            self._lose(capture, latest[0])

    def _follow_default(self, capture: Capture) -> None:
        """A person who chose no device wants the default, also when it becomes another."""
        if self._query is not None or self._clock() < self._next_default:
            return
        self._next_default = self._clock() + self._config.default_seconds
        name = self._portaudio.default_input_name()
        if name is not None and name != capture.device.name:
            self._lose(capture, capture.last_block_at, at_once=True)

    def _lose(self, capture: Capture, lost_at: float | None, at_once: bool = False) -> None:
        if lost_at is not None:
            self._lost_at = lost_at
        elif self._lost_at is None:
            self._lost_at = capture.opened_at
        self._list_is_old = True
        self._old_list_may_do = capture.last_block_at is not None
        self.let_go()
        now = self._clock()
        wait_seconds = self._pace.died_after(now - capture.opened_at)
        self._not_before = now if at_once else now + wait_seconds
        if self._pace.storm:
            if not self._told_storm:
                self._on_notice(f'"{capture.device.name}" fails again and again; it is tried less and less often.')
            self._told_storm = self._told_lost = True
        else:
            self._told_storm = False
        if not at_once:
            self._tell_lost(capture.device.name)
        self._source.attention.set()  # try as soon as it may be

    def _tell_lost(self, name: str) -> None:
        self.trouble = "away"
        if not self._told_lost:
            self._told_lost = True
            self._on_notice(f'"{name}" is gone. Waiting for it; nothing is heard meanwhile.')

    def let_go(self) -> None:
        """Take what is left, then close the device; the order matters, since closing may hang."""
        capture, self._capture = self._capture, None
        if capture is None:
            return
        self._fetch(capture)
        self._append(capture, self._resampler.flush())
        self._account(capture)
        self._source.forget_level()
        self._source.is_open = False
        self._source.announce()
        try:
            capture.shut()
        finally:
            self._enumeration.closed()

    def end(self) -> None:
        """The last round: time since the device was lost is a gap."""
        self.let_go()
        if self._lost_at is not None:
            self._spool.append_gap(round((self._clock() - self._lost_at) * SAMPLE_RATE))

    def _fetch(self, capture: Capture) -> None:
        """Move what the ring holds into the spool."""
        start, data = capture.ring.read()
        if not data:
            return
        sound = np.frombuffer(data, np.float32).reshape(-1, capture.n_channels)
        rate = capture.device.default_rate
        if self._spool.end_sample == 0 and capture.heard_from is not None:
            self.started_wall = time.time() - (self._clock() - capture.heard_from)
        n_lost = start - capture.expected
        capture.expected = start + len(sound)
        if self._lost_at is not None:
            self._end_of_loss(capture, self._lost_at)
        if n_lost:
            self._append(capture, self._resampler.flush())
            self._account(capture)
            self._spool.append_gap(round(n_lost * SAMPLE_RATE / rate))
            self._resampler = Resampler(rate, capture.n_channels)
            capture.queued = capture.taken = 0
        capture.taken += len(sound)
        self._append(capture, self._resampler.process(sound))
        self._count(capture, overflowed=n_lost > 0)
        self.trouble = self._silence.hear(sound, capture.device)

    def _end_of_loss(self, capture: Capture, lost_at: float) -> None:
        assert capture.heard_from is not None
        gap_samples = max(0, round((capture.heard_from - lost_at) * SAMPLE_RATE))
        self._lost_at = None
        told, self._told_lost, self.trouble = self.trouble is not None, False, None
        self._spool.append_gap(gap_samples)
        if told and not self._told_storm:
            self._on_notice(
                f'"{capture.device.name}" is back; {gap_samples / SAMPLE_RATE:.1f} s were not heard.', "info"
            )

    def _append(self, capture: Capture, samples: NDArray[np.float32]) -> None:
        """Sound that follows what is in the spool."""
        capture.queued += len(samples)
        self._source.append(samples)

    def _account(self, capture: Capture) -> None:
        """What went into the resampler came out of it, now that it is flushed."""
        due = capture.taken * SAMPLE_RATE / capture.device.default_rate
        if abs(capture.queued - due) > RESAMPLED_TOLERANCE:
            self._on_notice(
                f"Samples do not add up: {due:.0f} were captured, {capture.queued} kept. This is a fault of livecap.",
                "error",
            )

    def _count(self, capture: Capture, overflowed: bool) -> None:
        self._before = before = replace(self._before, n_overflows=self._before.n_overflows + overflowed)
        drift_ppm = capture.drift_watch.ppm
        self.status = replace(
            before,
            n_blocks=before.n_blocks + capture.n_blocks,
            n_flags=before.n_flags + capture.n_flags,
            longest_callback_seconds=max(before.longest_callback_seconds, capture.longest_callback_seconds),
            callback_counts=tuple(map(sum, zip(before.callback_counts, capture.callback_counts, strict=True))),
            drift_ppm=before.drift_ppm if drift_ppm is None else drift_ppm,
        )
        if capture.n_flags and not self._told_flags:
            self._told_flags = True
            self._on_notice(f'"{capture.device.name}" reports that sound was lost before it reached livecap.')

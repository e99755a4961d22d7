"""Opener: finds one input device and opens it, again after every loss, by its name.

PortAudio lists the devices once and does not see new ones. Listing them again ends every stream of the process, so with
two inputs that is the last resort: see `enumeration`.
"""

from collections.abc import Callable, Collection
from types import ModuleType
from typing import Any

from livecap.audio_in.device.capture import Capture, CaptureConfig, open_capture
from livecap.audio_in.device.devices import InputDevice, choose_input
from livecap.audio_in.device.enumeration import Enumeration
from livecap.audio_in.device.watch import RestartPace
from livecap.errors import AudioError


class Opener:
    """Owned by the capture thread, except for `find`."""

    def __init__(
        self,
        query: str | int | None,
        config: CaptureConfig,
        *,
        now: Callable[[], float],
        portaudio: ModuleType | Any,
        enumeration: Enumeration,
        taken: Callable[[], Collection[str]] = tuple,
    ) -> None:
        """Opens nothing yet.

        Args:
            query: an index, a name or a part of one; None is the default input.
            taken: names of the inputs of other tracks, which the default input is not followed to.
        """
        self.query = query
        self.device: InputDevice | None = None
        """The one opened last, or chosen to be opened next."""
        self.enumeration = enumeration
        self._taken = taken
        self._config = config
        self._now = now
        self._portaudio = portaudio
        self._pace = RestartPace(config.retry_seconds)
        self._not_before = self._next_probe = self._next_default = now()
        self._probe_seconds = config.probe_seconds
        self._list_is_old = False
        self._old_list_may_do = True  # a device that was opened from it delivered sound
        self._followed: str | None = None
        """The default input that was looked for last, and may not be the one that was opened."""

    @property
    def due(self) -> bool:
        """It is time to call `again`."""
        return self._now() >= self._not_before and not self.enumeration.wanted

    @property
    def storm(self) -> bool:
        """The device fails again and again as soon as it is opened."""
        return self._pace.storm

    def find(self, query: str | int | None) -> InputDevice:
        """The input that `query` means. Any thread.

        Raises:
            AudioError: no or several inputs match.
        """
        return choose_input(query, self._portaudio.list_inputs())

    def adopt(self, capture: Capture) -> Capture:
        """Take over a capture that another thread opened."""
        self.device = capture.device
        self._list_is_old = False
        return capture

    def open(self, device: InputDevice) -> Capture:
        """An open device.

        Raises:
            AudioError: it cannot be opened.
        """
        return self.adopt(open_capture(device, self._config, self._now, self._portaudio, self.enumeration))

    def first(self, is_closed: Callable[[], bool], wait: Callable[[float], object]) -> Capture:
        """The device, opened for the first time. A busy one is tried a few times, with `wait` between.

        Raises:
            AudioError: no such device, or it cannot be opened.
        """
        for attempts_left in reversed(range(self._config.first_attempts)):
            device = self.find(self.query)
            try:
                return self.open(device)
            except AudioError:
                if not attempts_left or is_closed():
                    raise
            wait(self._config.retry_seconds)
            self._list_again()
        raise AssertionError("the last attempt returns or raises")

    def again(self) -> Capture:
        """The lost device, opened again; another one only where the default input is wanted.

        Raises:
            AudioError: it is still away.
        """
        self._not_before = self._now() + self._config.retry_seconds
        try:
            if self._list_is_old and self.enumeration.shared:
                capture = self._again_beside_others()
            else:
                if self._list_is_old:
                    self._list_again()
                capture = self._open_same()
        except AudioError:
            self._list_is_old = True
            raise
        self._probe_seconds = self._config.probe_seconds
        return capture

    def retry_at_once(self) -> None:
        """`again` is due now."""
        self._not_before = self._now()

    def lost(self, capture: Capture) -> None:
        """This capture was lost: the list of devices may be old. Sets when `again` is due."""
        self._list_is_old = True
        self._old_list_may_do = capture.last_block_at is not None
        now = self._now()
        self._not_before = now + self._pace.died_after(now - capture.opened_at)

    def default_moved(self, capture: Capture) -> bool:
        """The default input is wanted, and is now another device: once for each. Looks every `default_seconds` only."""
        if self.query is not None or self._now() < self._next_default:
            return False
        self._next_default = self._now() + self._config.default_seconds
        name, before = self._portaudio.default_input_name(), self._followed
        self._followed = None if name == capture.device.name or name in self._taken() else name
        return self._followed not in (None, before)

    def _list_again(self) -> None:
        self.enumeration.list_again(self._portaudio.reinitialise, self._config.aside_seconds)

    def _again_beside_others(self) -> Capture:
        """While other streams run: from the old list where that works. Else the devices are listed again, which ends
        the other streams for a moment: only where a new process sees the device, and less and less often if that does
        not help.

        Raises:
            AudioError: it is still away.
        """
        if capture := self._from_old_list():
            return capture
        if self._now() < self._next_probe:
            raise AudioError("The device is away.")
        self._next_probe = self._now() + self._probe_seconds
        assert self.device is not None
        self._same(self._portaudio.probe_inputs(self.device.name))
        if capture := self._from_old_list():  # it came back meanwhile
            return capture
        self._probe_seconds = min(self._probe_seconds * 2, self._config.most_probe_seconds)
        self._list_again()
        return self._open_same()

    def _from_old_list(self) -> Capture | None:
        if not self._old_list_may_do:
            return None
        try:
            return self._open_same(is_old=True)
        except AudioError:
            return None

    def _open_same(self, is_old: bool = False) -> Capture:
        return self.open(self._same(self._portaudio.list_inputs(), is_old))

    def _same(self, inputs: list[InputDevice], is_old: bool = False) -> InputDevice:
        """The default input where none was chosen, unless another track hears it; otherwise the chosen device, or the
        one before, and never another.

        Args:
            is_old: the inputs were listed before: another one may be the default now.

        Raises:
            AudioError: it is not among them.
        """
        if self.query is None:
            name = self._portaudio.default_input_name()
            named = [device for device in inputs if device.name == name]
            if is_old and name is not None and not named:
                raise AudioError(f'"{name}" is not listed yet.')
            default = max(named, key=lambda device: device.is_default) if named else choose_input(None, inputs)
            if default.name not in self._taken():
                return default
        was = self.device
        assert was is not None, "opened before"
        # The index tells two devices with the same name apart.
        same = [device for device in inputs if (device.index, device.name) == (was.index, was.name)]
        device = same[0] if same else choose_input(was.name, inputs)
        if device.name != was.name:
            raise AudioError(f'"{was.name}" is away.')
        return device

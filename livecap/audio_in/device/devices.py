"""The inputs of this machine, and how one is found by what a person calls it.

PortAudio is reached through sounddevice, which is imported at the first call and not before: importing it
opens every device, and fails where PortAudio is missing. PortAudio reads the devices once; `reinitialise`
sees new ones.
"""

import atexit
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, Protocol

from livecap.audio_in.device.monitors import list_monitors, pulse_source
from livecap.errors import AudioError

_portaudio_lock = threading.Lock()
"""Held while devices are listed, opened or read anew: each device has a thread of its own."""

LOCK_SECONDS = 5.0
"""PortAudio is waited for no longer: a device that hangs while it is opened must not take the others with it."""

EXIT_SECONDS = 1.0
"""The end of the program waits no longer for who uses PortAudio then."""

_left_behind: list[Any] = []
"""Streams that could not be closed: PortAudio may still call their callbacks, which must not be freed."""


@dataclass(frozen=True, slots=True)
class InputDevice:
    """An input as PortAudio sees it."""

    index: int
    """Counts all devices, outputs too, and changes when one is plugged in: a name lasts longer."""
    name: str
    host_api: str
    n_channels: int
    default_rate: int
    """Samples a second; its native rate where the host API tells."""
    is_default: bool
    carrier: int | None = None
    """The index of the PortAudio device it is opened through, where it is none itself: a monitor."""
    pulse_source: str = ""
    """A monitor's name at the sound server."""


class InputStream(Protocol):
    """The part of sounddevice.InputStream that we use. One thread only."""

    @property
    def active(self) -> bool: ...
    def abort(self) -> None: ...
    def close(self) -> None: ...


OnBlock = Callable[[Any, int, Any, Any], None]
"""sounddevice's callback: a buffer of float32 [n, n_channels], n, times, flags. On PortAudio's thread."""


def list_inputs(monitors: bool = True) -> list[InputDevice]:
    """All inputs, in PortAudio's order; empty where there is none.

    Args:
        monitors: also what this machine plays; another program has to be asked for that.

    Raises:
        AudioError: PortAudio is missing or does not start.
    """
    with _one_at_a_time():
        sounddevice = _sounddevice()
        try:
            default = sounddevice.default.device[0]
            apis = sounddevice.query_hostapis()
            found = sounddevice.query_devices()
        except sounddevice.PortAudioError as error:
            raise AudioError(f"The inputs of this machine could not be listed: {error}.") from None
    inputs = [
        InputDevice(
            index=device["index"],
            name=device["name"],
            host_api=apis[device["hostapi"]]["name"],
            n_channels=device["max_input_channels"],
            default_rate=round(device["default_samplerate"]),
            is_default=device["index"] == default,
        )
        for device in found
        if device["max_input_channels"] > 0
    ]
    if not monitors:
        return inputs
    return inputs + _monitors(inputs, n_devices=len(found), apis=[api["name"] for api in apis])


def _monitors(inputs: list[InputDevice], n_devices: int, apis: list[str]) -> list[InputDevice]:
    """What this machine plays, as inputs, where PortAudio does not list that itself."""
    carriers = [device for device in inputs if device.host_api == "ALSA" and device.name in ("pulse", "default")]
    if not carriers or any("pulse" in api.casefold() for api in apis):
        return []
    carrier = next((device for device in carriers if device.name == "pulse"), carriers[0])
    server = f"{carrier.host_api}, sound server"
    return [
        InputDevice(n_devices + i, each.name, server, each.n_channels, each.rate, False, carrier.index, each.source)
        for i, each in enumerate(list_monitors())
    ]


def find_input(query: str | int | None = None) -> InputDevice:
    """The input that `query` means: an index, a name or a part of one in any case; None is the default.

    Raises:
        AudioError: none or several; lists the candidates. PortAudio is missing.
    """
    try:
        return choose_input(query, list_inputs(monitors=False))
    except AudioError:
        return choose_input(query, list_inputs())  # a monitor is meant, or the candidates should be all there are


def choose_input(query: str | int | None, inputs: list[InputDevice]) -> InputDevice:
    """`find_input` among these. An exact name wins over an index, and an index over a part of a name.

    Raises:
        AudioError: none or several are meant.
    """
    if not inputs:
        sought = "No input was found" if query is None else f'No input named "{query}": no input was found at all'
        hint = _blackhole_hint(query) or "Connect a microphone; a recording needs none: livecap --replay FILE."
        raise AudioError(f"{sought}. {hint}")
    if query is None:
        matches = [device for device in inputs if device.is_default]
        if len(matches) == 1:
            return matches[0]
        raise AudioError(f"This machine has no default input. {_candidates(inputs)} Choose one with --device.")
    text = str(query).strip()
    if not text:
        raise AudioError(f"The name of the input is empty. {_candidates(inputs)}")
    for rule in (
        lambda device: device.name == text,
        lambda device: device.pulse_source == text,
        lambda device: str(device.index) == text,
        lambda device: device.name.casefold() == text.casefold(),
        lambda device: device.carrier is None and text.casefold() in device.name.casefold(),
        # Each output has a monitor called after it: who means that says so.
        lambda device: text.casefold() in device.name.casefold(),
        lambda device: text.casefold() in device.pulse_source.casefold(),
    ):
        matches = [device for device in inputs if rule(device)]
        if len(matches) == 1:
            return matches[0]
        if matches:
            raise AudioError(f'More than one input matches "{text}". {_candidates(matches)} Choose by index.')
    raise AudioError(f'No input named "{text}". {_candidates(inputs)} {_blackhole_hint(text, inputs) or _SEE_DEVICES}')


def open_input(
    device: InputDevice,
    n_channels: int,
    block_samples: int,
    latency_seconds: float,
    on_block: OnBlock,
    on_finished: Callable[[], None],
) -> InputStream:
    """A running stream of float32 blocks at the device's own rate. The caller's thread owns it from now on.

    Raises:
        AudioError: it cannot be opened.
    """
    sounddevice = _sounddevice()
    stream = None
    through = nullcontext() if device.carrier is None else pulse_source(device.pulse_source)
    try:
        with _one_at_a_time(), through:
            stream = sounddevice.RawInputStream(
                device=device.index if device.carrier is None else device.carrier,
                channels=n_channels,
                samplerate=device.default_rate,
                blocksize=block_samples,
                latency=latency_seconds,
                dtype="float32",
                callback=on_block,
                finished_callback=on_finished,
            )
            stream.start()
    except (sounddevice.PortAudioError, ValueError) as error:
        if stream is not None:
            stream.close(ignore_errors=True)
        raise AudioError(f'"{device.name}" could not be opened: {error}. {_OPEN_HINT}') from None
    return _OpenStream(stream)


class _OpenStream:
    """An InputStream. PortAudio keeps a list of streams that no two threads may change at once."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    @property
    def active(self) -> bool:
        return bool(self._stream.active)

    def abort(self) -> None:
        self._stream.abort()

    def close(self) -> None:
        _left_behind.append(self._stream)
        with _one_at_a_time():
            self._stream.close()
        _left_behind.remove(self._stream)


def open_output(rate: int) -> Any:
    """A running sounddevice.OutputStream of mono float32 on the default output. The caller's thread owns it; it closes
    it with `close_output`.

    Raises:
        AudioError: it cannot be opened. PortAudio is missing.
    """
    sounddevice = _sounddevice()
    try:
        with _one_at_a_time():
            stream = sounddevice.OutputStream(samplerate=rate, channels=1, dtype="float32")
            stream.start()
    except (sounddevice.PortAudioError, ValueError) as error:
        raise AudioError(f"The sound cannot be played: {error}.") from None
    return stream


def close_output(stream: Any) -> None:
    """Fall silent at once."""
    with _one_at_a_time():
        stream.abort(ignore_errors=True)
        stream.close(ignore_errors=True)


def reinitialise() -> None:
    """Make PortAudio read the devices anew. All streams must be closed.

    Raises:
        AudioError: PortAudio does not start again.
    """
    with _one_at_a_time():
        sounddevice = _sounddevice()
        try:
            sounddevice._terminate()
        except sounddevice.PortAudioError:
            pass  # it was not running
        try:
            sounddevice._initialize()
        except sounddevice.PortAudioError as error:
            raise AudioError(f"PortAudio did not start again: {error}.") from None


@contextmanager
def _one_at_a_time() -> Iterator[None]:
    if not _portaudio_lock.acquire(timeout=LOCK_SECONDS):
        raise AudioError("The sound system does not answer: a device hangs. Unplug it, or start livecap again.")
    try:
        yield
    finally:
        _portaudio_lock.release()


_SEE_DEVICES = "See `livecap devices`."
_OPEN_HINT = "Is another program using it, or the permission for microphones missing?"


def _sounddevice() -> Any:
    try:
        import sounddevice
    except OSError as error:
        raise AudioError(
            f"Sound cannot be captured: {error}. Install PortAudio (Debian and Ubuntu: libportaudio2, "
            "Fedora: portaudio); a recording needs none: livecap --replay FILE."
        ) from None
    # It would end PortAudio beside a thread that has just begun to read the devices anew: see `_end_portaudio`.
    atexit.unregister(sounddevice._exit_handler)
    return sounddevice


def _end_portaudio() -> None:
    """At the end of the program, unless somebody uses PortAudio just then; nobody does afterwards."""
    sounddevice = sys.modules.get("sounddevice")
    if sounddevice is not None and _portaudio_lock.acquire(timeout=EXIT_SECONDS):  # for good
        while sounddevice._initialized:
            sounddevice._terminate()


atexit.register(_end_portaudio)


def _candidates(inputs: list[InputDevice]) -> str:
    return f"Found: {', '.join(f'{device.index} {device.name}' for device in inputs)}."


def _blackhole_hint(query: str | int | None, inputs: Sequence[InputDevice] = ()) -> str | None:
    names = [str(query), *(device.name for device in inputs)]
    wanted, *here = ("blackhole" in name.casefold().replace(" ", "") for name in names)
    if not wanted or any(here):
        return None
    return (
        "BlackHole is not installed: brew install blackhole-2ch, restart, then make a Multi-Output Device of it and "
        "your speakers in Audio MIDI Setup (docs/macos.md)."
    )

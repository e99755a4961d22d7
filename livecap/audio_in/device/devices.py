"""The input devices of this computer: listed, found by name, opened.

PortAudio is reached through sounddevice, which is imported at the first call and not before: importing it opens every
device, and fails where PortAudio is missing. PortAudio lists the devices once; `reinitialise` lists them again.
"""

import atexit
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

from livecap.audio_in.device.monitors import list_monitors, pulse_source
from livecap.errors import AudioError

_portaudio_lock = threading.Lock()
"""Held while devices are listed, opened or closed: each device has a thread of its own."""

LOCK_SECONDS = 5.0
"""How long to wait for `_portaudio_lock`: a device that hangs while it is opened must not block the others."""

MOST_NAMED, MOST_NAME_LENGTH = 10, 60
"""How many inputs an error message names, and characters of each."""

CARRIERS = ("pulse", "default")
"""Names of the ALSA devices through which the sound server's monitors are opened."""

EXIT_SECONDS = 1.0
"""How long the end of the program waits for threads that use PortAudio."""

_outputs: list[Any] = []
"""Open outputs; a thread may be writing to each."""

_left_behind: list[Any] = []
"""Streams that hang in `close`: PortAudio may still call their callbacks, so they must not be freed."""


@dataclass(frozen=True, slots=True)
class InputDevice:
    """An input device as PortAudio reports it, or a monitor (see `monitors`)."""

    index: int
    """PortAudio's number for it. Outputs count too, and it changes when a device is plugged in: names last longer."""
    name: str
    host_api: str
    n_channels: int
    default_rate: int
    """Samples a second; the device's native rate where the host API reports it."""
    is_default: bool
    carrier: int | None = None
    """For a monitor: index of the PortAudio device it is opened through."""
    pulse_source: str = ""
    """For a monitor: its name at the sound server."""


OnBlock = Callable[[Any, int, Any, Any], None]
"""sounddevice's callback: a float32 buffer [n, n_channels], n, times, flags. Called on PortAudio's thread."""


def list_inputs(monitors: bool = True) -> list[InputDevice]:
    """All inputs, in PortAudio's order; may be empty.

    Args:
        monitors: include monitors, which another program has to be asked for.

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
            raise AudioError(f"The input devices cannot be listed: {error}.") from None
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
    """The monitors of all outputs, where PortAudio does not list them itself."""
    carriers = [device for device in inputs if device.host_api == "ALSA" and device.name in CARRIERS]
    if not carriers or any("pulse" in api.casefold() for api in apis):
        return []
    carrier = next((device for device in carriers if device.name == "pulse"), carriers[0])
    server = f"{carrier.host_api}, sound server"
    return [
        InputDevice(n_devices + i, each.name, server, each.n_channels, each.rate, False, carrier.index, each.source)
        for i, each in enumerate(list_monitors())
    ]


def find_input(query: str | int | None = None) -> InputDevice:
    """The input that `query` means: an index, a name or part of one in upper or lower case; None is the default.

    Raises:
        AudioError: no or several inputs match (the message lists them), or PortAudio is missing.
    """
    try:
        return choose_input(query, list_inputs(monitors=False))
    except AudioError:
        return choose_input(query, list_inputs())  # `query` may mean a monitor, and the message lists all inputs


def choose_input(query: str | int | None, inputs: list[InputDevice]) -> InputDevice:
    """As `find_input`, among `inputs`. An exact name wins over an index, and an index over part of a name.

    Raises:
        AudioError: no or several inputs match.
    """
    if not inputs:
        sought = "No input was found" if query is None else f'No input named "{query}": no input was found at all'
        hint = _blackhole_hint(query) or f"Connect a microphone. {_REPLAY_HINT}"
        raise AudioError(f"{sought}. {hint}")
    if query is None:
        matches = [device for device in inputs if device.is_default]
        if len(matches) == 1:
            return matches[0]
        raise AudioError(f"This computer has no default input. {_candidates(inputs)} Choose one with --device.")
    text = str(query).strip()
    if not text:
        raise AudioError(f"The name of the input is empty. {_candidates(inputs)}")
    for rule in (
        lambda device: device.name == text,
        lambda device: device.pulse_source == text,
        lambda device: str(device.index) == text,
        lambda device: device.name.casefold() == text.casefold(),
        lambda device: device.carrier is None and text.casefold() in device.name.casefold(),
        # Monitors come after all others: each is named after its output, which may have a microphone, too.
        lambda device: text.casefold() in device.name.casefold(),
        lambda device: text.casefold() in device.pulse_source.casefold(),
    ):
        matches = [device for device in inputs if rule(device)]
        if len(matches) == 1:
            return matches[0]
        if matches:
            raise AudioError(f'More than one input matches "{text}". {_candidates(matches)} Choose by index.')
    raise AudioError(f'No input named "{text}". {_candidates(inputs)} {_blackhole_hint(text, inputs) or _SEE_DEVICES}')


class InputStream:
    """An open stream, for one thread. PortAudio keeps a list of streams that two threads must not change at once."""

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


def open_input(
    device: InputDevice,
    n_channels: int,
    block_samples: int,
    latency_seconds: float,
    on_block: OnBlock,
    on_finished: Callable[[], None],
) -> InputStream:
    """A running stream of float32 blocks at the device's own rate. It belongs to the calling thread.

    Raises:
        AudioError: it cannot be opened.
    """
    sounddevice = _sounddevice()
    stream = None
    through = nullcontext() if device.carrier is None else pulse_source(device.pulse_source)
    try:
        with _one_at_a_time(), through:
            index, names = (device.index, (device.name,)) if device.carrier is None else (device.carrier, CARRIERS)
            if sounddevice.query_devices(index)["name"] not in names:
                raise AudioError(
                    f'"{device.name}" was not opened: the inputs were listed again meanwhile. Choose it again.'
                )
            stream = sounddevice.RawInputStream(
                device=index,
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
    return InputStream(stream)


def open_output(rate: int) -> Any:
    """A running sounddevice.OutputStream of mono float32 on the default output. It belongs to the calling thread, which
    closes it with `close_output`.

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
    _outputs.append(stream)
    return stream


def write_output(stream: Any, sound: Any) -> None:
    """Wait until an output has taken a sound, an array of float32 [n, 1].

    Raises:
        AudioError: the output does not play any more.
    """
    try:
        stream.write(sound)
    except _sounddevice().PortAudioError as error:
        raise AudioError(f"The output stopped playing: {error}.") from None


def close_output(stream: Any) -> None:
    """Stop playing at once."""
    with _one_at_a_time():
        stream.abort(ignore_errors=True)
        stream.close(ignore_errors=True)
    _outputs.remove(stream)


def reinitialise() -> None:
    """Make PortAudio list the devices again. All streams must be closed.

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
        raise AudioError("The sound system does not answer: a device hangs. Unplug it, or restart livecap.")
    try:
        yield
    finally:
        _portaudio_lock.release()


_SEE_DEVICES = "See `livecap devices`."
_OPEN_HINT = "Is another program using it, or is microphone permission missing?"
_REPLAY_HINT = "Recordings need no microphone: livecap --replay FILE."


def _sounddevice() -> Any:
    try:
        import sounddevice
    except OSError as error:
        raise AudioError(
            f"Sound cannot be captured: {error}. Install PortAudio (Debian and Ubuntu: libportaudio2, "
            f"Fedora: portaudio). {_REPLAY_HINT}"
        ) from None
    # It would terminate PortAudio while another thread lists the devices: `_end_portaudio` does it instead.
    atexit.unregister(sounddevice._exit_handler)
    return sounddevice


def _end_portaudio() -> None:
    """Terminate PortAudio at the end of the program, unless a thread is using it; keeps the lock, so none will."""
    sounddevice = sys.modules.get("sounddevice")
    latest = time.monotonic() + EXIT_SECONDS
    while _outputs and time.monotonic() < latest:
        time.sleep(0.01)
    if sounddevice is not None and not _outputs and _portaudio_lock.acquire(timeout=EXIT_SECONDS):
        while sounddevice._initialized:
            sounddevice._terminate()


atexit.register(_end_portaudio)


def _candidates(inputs: list[InputDevice]) -> str:
    """A sentence with the first inputs and how many more there are."""
    names = [f"{device.index} {_short(device.name)}" for device in inputs]
    rest = [f"and {len(names) - MOST_NAMED} more"] if len(names) > MOST_NAMED else []
    return f"Found: {', '.join([*names[:MOST_NAMED], *rest])}."


def _short(name: str) -> str:
    """A name in one line. A long one loses its middle: names of several devices may begin or end alike."""
    line, half = " ".join(name.split()), MOST_NAME_LENGTH // 2
    return line if len(line) <= MOST_NAME_LENGTH else f"{line[: half - 1]}…{line[-half:]}"


def _blackhole_hint(query: str | int | None, inputs: Sequence[InputDevice] = ()) -> str | None:
    names = [str(query), *(device.name for device in inputs)]
    wanted, *here = ("blackhole" in name.casefold().replace(" ", "") for name in names)
    if not wanted or any(here):
        return None
    return (
        "BlackHole is not installed. Run brew install blackhole-2ch, restart, then combine it with your speakers as a "
        "Multi-Output Device in Audio MIDI Setup (docs/macos.md)."
    )

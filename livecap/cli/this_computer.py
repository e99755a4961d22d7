"""What the screen lets the user choose on this computer: inputs with their levels, models and languages."""

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from livecap.audio_in.device import portaudio
from livecap.audio_in.device.capture import CaptureConfig, channels_of
from livecap.audio_in.device.devices import list_inputs
from livecap.audio_in.device.enumeration import OURS, inputs_now
from livecap.audio_in.device.microphone import Microphone
from livecap.audio_in.device.monitors import ROUTED, default_source
from livecap.audio_in.device.notices import LOOPBACKS
from livecap.audio_out.player import Player
from livecap.cli.model_table import model_table
from livecap.model.checkpoint.find import resolve
from livecap.settings.file import store
from livecap.settings.sources import settings_path
from livecap.text.languages import LANGUAGES
from livecap.this_machine import memory_bytes
from livecap.tui.choices import InputChoice, ModelChoice


class ThisComputer:
    """Implements `tui.choices.Machine`; thread-safe."""

    def inputs(self, again: bool = False) -> Sequence[InputChoice]:
        """See `Machine`."""
        inputs = inputs_now(portaudio, OURS, CaptureConfig().aside_seconds) if again else list_inputs()
        names = Counter(device.name for device in inputs)
        routed = default_source() if any(device.name in ROUTED for device in inputs) else None
        return [
            InputChoice(
                device.name,
                f"{device.default_rate / 1000:g} kHz  {channels_of(device, CaptureConfig())} ch",
                f"now {routed}"
                if routed and device.name in ROUTED
                else "default"
                if device.is_default
                else "what this computer plays"
                if any(part in device.name.casefold() for part in LOOPBACKS)
                else "",
                device.is_default,
                str(device.index) if names[device.name] > 1 else "",
            )
            for device in inputs
        ]

    def meter(self, name: str) -> Microphone:
        """Listen to an input until the result is closed. Raises AudioError if it cannot be opened."""
        return Microphone(name)

    def models(self) -> Sequence[ModelChoice]:
        """The models of livecap's table, and `tiny`; the one that this machine should take is marked."""
        return [row.choice for row in model_table(self.memory_bytes)]

    def download(self, name: str, progress: Callable[[int, int], None]) -> None:
        """See `Machine`."""
        resolve(name, progress=progress, tell=lambda sentence: None)  # the page has shown the licence

    def languages(self) -> Sequence[str]:
        """English names of the languages, in alphabetical order."""
        return sorted(LANGUAGES)

    def play(self, files: Sequence[Path], sample: int) -> Player:
        """See `Machine`."""
        return Player(files, sample)

    @property
    def memory_bytes(self) -> int:
        """Memory of the whole machine."""
        return memory_bytes()

    def remember(self, name: str, value: Any) -> None:
        """Store a setting in the user's file."""
        store(settings_path(), {name: value})

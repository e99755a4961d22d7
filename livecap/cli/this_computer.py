"""What the screen lets the user choose on this computer: inputs with their levels, models and languages."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from livecap.audio_in.device.devices import list_inputs
from livecap.audio_in.device.microphone import Microphone
from livecap.audio_in.device.notices import LOOPBACKS
from livecap.audio_out.player import Player
from livecap.model.checkpoint.catalogue import RELEASES, TINY, TINY_BYTES, is_here
from livecap.text.languages import LANGUAGES
from livecap.this_machine import memory_bytes
from livecap.tui.choices import InputChoice, ModelChoice

BESIDE_BYTES = 600_000_000
"""Memory besides the weights: MLX's buffers, the caches of a full prompt, Python. An estimate."""
SPARE = 0.75
"""The share of the memory that a model may take; the rest is for other programs."""


class ThisComputer:
    """Implements `tui.choices.Machine`; thread-safe."""

    def inputs(self) -> Sequence[InputChoice]:
        """The input devices. Raises AudioError if they cannot be listed."""
        return [
            InputChoice(
                device.name,
                f"{device.default_rate / 1000:g} kHz  {device.n_channels} ch",
                "default"
                if device.is_default
                else "what this computer plays"
                if any(part in device.name.casefold() for part in LOOPBACKS)
                else "",
            )
            for device in list_inputs()
        ]

    def meter(self, name: str) -> Microphone:
        """Listen to an input until the result is closed. Raises AudioError if it cannot be opened."""
        return Microphone(name)

    def models(self) -> Sequence[ModelChoice]:
        """The released models, the first that fits in memory marked as recommended, and `tiny`."""
        choices = []
        bytes_each = 2 if sys.platform == "darwin" else 4  # the CPU computes in float32
        for name, release in RELEASES.items():
            needed = release.n_parameters * bytes_each + BESIDE_BYTES
            fits = needed <= SPARE * self.memory_bytes
            choices.append(ModelChoice(name, release.about, release.disk_bytes, needed, is_here(name), fits))
        best = next((number for number, choice in enumerate(choices) if choice.fits), None)
        if best is not None:
            choices[best] = replace(choices[best], recommended=True)
        return [*choices, ModelChoice(TINY, "a demo: understands synthetic voices only", TINY_BYTES, None, True, True)]

    def download(self, name: str, progress: Callable[[int, int], None]) -> None:
        """See `Machine`."""
        from livecap.model.checkpoint.load import resolve  # loads MLX, which the first start does without

        resolve(name, progress=progress)

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

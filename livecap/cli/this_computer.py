"""This machine as the screen sees it: its inputs with their levels, models, languages, and sound to hear again."""

import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from livecap.audio_in.device.devices import list_inputs
from livecap.audio_in.device.microphone import Microphone
from livecap.audio_in.device.silence import LOOPBACKS
from livecap.audio_out.player import Player
from livecap.cli.model_here import is_here
from livecap.tui.choices import InputChoice, ModelChoice

SIZES = {
    "Qwen/Qwen3-ASR-0.6B": (1_876_091_704, 782_426_112, "for most machines"),
    "Qwen/Qwen3-ASR-1.7B": (4_698_521_512, 2_038_000_000, "fewer errors, slower"),
}
"""Bytes on the disk, and parameters in memory (the output head is the embedding again, and kept once)."""
BESIDE_BYTES = 600_000_000
"""Beside the weights: MLX's buffers, the caches of a full prompt, Python. An estimate."""
TINY_BYTES = 9_000_000
SPARE = 0.75
"""The part of a machine's memory that a model may take: other programs run, too."""


class ThisMachine:
    """A `Machine`; any thread may ask."""

    def inputs(self) -> Sequence[InputChoice]:
        """Raises AudioError where they cannot be listed."""
        return [
            InputChoice(
                device.name,
                f"{device.default_rate / 1000:g} kHz  {device.n_channels} ch",
                "default"
                if device.is_default
                else "what this machine plays"
                if any(part in device.name.casefold() for part in LOOPBACKS)
                else "",
            )
            for device in list_inputs()
        ]

    def meter(self, name: str) -> Microphone:
        """Listens to an input until it is closed. Raises AudioError where it cannot be opened."""
        return Microphone(name)

    def models(self) -> Sequence[ModelChoice]:
        """The released ones and `tiny`."""
        choices = []
        bytes_each = 2 if sys.platform == "darwin" else 4  # the CPU computes in float32
        for name, (disk_bytes, n_parameters, about) in SIZES.items():
            memory_bytes = n_parameters * bytes_each + BESIDE_BYTES
            fits = memory_bytes <= SPARE * self.memory_bytes
            choices.append(ModelChoice(name, about, disk_bytes, memory_bytes, is_here(name), fits))
        best = next((number for number, choice in enumerate(choices) if choice.fits), None)
        if best is not None:
            choices[best] = replace(choices[best], recommended=True)
        tiny = ModelChoice(
            "tiny", "for trying the screen: it understands synthetic voices only", TINY_BYTES, None, True, True
        )
        return [*choices, tiny]

    def download(self, name: str, progress: Callable[[int, int], None]) -> None:
        """See `Machine`."""
        from livecap.model.checkpoint.load import resolve

        resolve(name, progress=progress)

    def languages(self) -> Sequence[str]:
        """By their English names, in alphabetical order."""
        from livecap.model.text.prompt import LANGUAGES

        return sorted(LANGUAGES)

    def play(self, files: Sequence[Path], sample: int) -> Player:
        """See `Machine`."""
        return Player(files, sample)

    @property
    def memory_bytes(self) -> int:
        """Of this machine."""
        if sys.platform in ("darwin", "linux"):
            return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        return 0

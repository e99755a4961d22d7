"""The GPU of this computer, and what follows from it: the data type, guesses in a round, memory limits.

Nothing here was measured on a Mac: the numbers follow from MLX's source and from what others publish.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from livecap.model.backend import mx, on_cpu

FIRST_WITH_BFLOAT16 = 15
"""The generation of Apple's GPUs that got units for bfloat16: that of the M3."""
SMALL_MEMORY = 12 << 30
"""Bytes of a Mac that keeps little memory for later: 8 GB, which the model shares with everything else."""
UNKNOWN_MEMORY = 1 << 40
_GENERATION = re.compile(r"applegpu_g(\d+)")


@dataclass(frozen=True, slots=True)
class Chip:
    """The device that MLX computes on."""

    generation: int | None = None
    """Generation of Apple's GPUs: 13 in the M1, 14 in the M2, 15 in the M3, 16 in the M4. None for any other device."""
    on_cpu: bool = False
    memory_bytes: int = UNKNOWN_MEMORY
    """Memory of the whole Mac."""
    wired_bytes: int = 0
    """What Metal recommends as the most memory that stays resident; 0 where there is no Metal."""

    def dtype_for(self, stored: mx.Dtype) -> mx.Dtype:
        """The type to compute in, for a checkpoint that has most numbers in the type `stored`.

        Without units for bfloat16, a prompt takes a third more time in it than in float16 (published for an M2 Max).
        """
        if self.on_cpu:
            return mx.float32
        has_bfloat16 = self.generation is None or self.generation >= FIRST_WITH_BFLOAT16
        return mx.float16 if stored == mx.bfloat16 and not has_bfloat16 else stored

    def most_guessed(self, packed: bool) -> int:
        """Tokens of a draft that are guessed after a new one.

        On a processor, at the 0.6B's size, eight verified together cost as much as one and a half passes. Metal's
        kernels read the weights once for five rows from the M3 on; before, packed weights are unpacked for each row.
        """
        if self.generation is None:
            return 8
        if self.generation >= FIRST_WITH_BFLOAT16:
            return 4
        return 2 if packed else 8

    @property
    def cache_bytes(self) -> int:
        """How much freed memory MLX keeps. It keeps a buffer for each shape, and a stream has many shapes."""
        if self.on_cpu:
            return 64 << 20
        return (160 << 20) if self.memory_bytes <= SMALL_MEMORY else (512 << 20)


def this_chip() -> Chip:
    """The device that MLX computes on here."""
    if on_cpu:
        return Chip(on_cpu=True)
    return described(mx.device_info())


def described(device: Mapping[str, Any]) -> Chip:
    """A GPU from MLX's description of it."""
    found = _GENERATION.match(str(device.get("architecture", "")))
    wired = device.get("max_recommended_working_set_size", 0) if found else 0
    memory = device.get("memory_size", UNKNOWN_MEMORY) if found else UNKNOWN_MEMORY
    return Chip(int(found[1]) if found else None, False, int(memory), int(wired))


def set_limits(chip: Chip) -> None:
    """Limit the memory that MLX keeps for later, and let Metal keep the model resident between steps.

    A live session is idle in each pause. macOS unwires the memory of a GPU after about a second, and the step after it
    would wait until it is wired again.
    """
    mx.set_cache_limit(chip.cache_bytes)
    if chip.wired_bytes:
        mx.set_wired_limit(chip.wired_bytes)

"""Where sound comes from: the one interface of microphone, recording and pipe, and the blocks of sound they yield."""

import threading
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from livecap.audio_in.device.status import CaptureStatus
from livecap.audio_in.spool import Spool
from livecap.errors import AudioError
from livecap.transcript import SAMPLE_RATE

WAKE_SECONDS = 0.05
"""A reader that waits for sound looks again after this time: a recording goes by the clock and wakes nobody."""

LEVEL_SAMPLES = SAMPLE_RATE // 10
"""The level is the peak of the last 100 ms."""


@dataclass(frozen=True, slots=True)
class AudioBlock:
    """Sound that arrived. A `start_sample` beyond the end of the block before it is a gap: sound was lost."""

    start_sample: int
    """At 16 kHz, counted from the start of the session; paused time does not count."""
    samples: NDArray[np.float32]
    """[n] float32 mono, -1..1."""

    @property
    def end_sample(self) -> int:
        return self.start_sample + len(self.samples)


class OnNotice(Protocol):
    """Called with what the user should know, on the thread that found out."""

    def __call__(self, message: str, severity: str = "warning") -> None: ...


class AudioSource(Protocol):
    """Sound, in order, each sample once. One thread takes it; everything else may be called from any thread.

    A class that inherits from this gets the defaults: for a source that is not a device, cannot be steered and keeps
    nothing.
    """

    name: str
    """The device's or the file's name, for the user."""
    about: str = ""
    """What a name such as `default` stands for now; "" if the name says it."""
    live: bool = False
    """True for a device: its times are times of day."""
    drained: bool = False
    """Nothing more will come; what came may still wait to be taken."""
    first_sample: int
    """Where the sound begins: 0, or where the wanted part of a recording begins."""

    @property
    def started_wall(self) -> float | None:
        """Unix time of sample 0, for a device that was heard before now; None where that is the session's start."""
        return None

    @property
    def end_sample(self) -> int | None:
        """Where the sound will end; None where that is not known beforehand."""
        return None

    @property
    def arrived_samples(self) -> int:
        """Where the sound that has arrived ends, taken or not. Lag is counted from it. Falls only after `seek`."""

    @property
    def heard(self) -> tuple[int, float] | None:
        """A newest sample and when it was heard, by `steady_seconds`; None for a source that is not a device. What
        arrives late, such as the rest of before the computer slept, does not change it."""
        return None

    @property
    def level(self) -> float:
        """Peak of the last 100 ms that arrived, 0..1; 0 while paused."""

    @property
    def trouble(self) -> str | None:
        """What is wrong now, in a few words, such as "away"; None where all is well."""
        return None

    @property
    def ended(self) -> bool:
        """Nothing more will come, and everything was taken."""

    @property
    def seekable(self) -> bool:
        """True for a recording, which can go on at another place."""
        return False

    @property
    def health(self) -> CaptureStatus | None:
        """How well a device has been captured; None for a source that is not a device."""
        return None

    @property
    def spool(self) -> Spool | None:
        """Where sound that comes only once waits to be taken; None for a recording, which is kept already."""
        return None

    def take(self) -> AudioBlock | None:
        """Everything that arrived since the last call, up to the next gap and at most 30 s; None if there is nothing. A
        late reader gets more at once. An empty block says, once, that listening paused here: all sound before the pause
        was taken, and what follows came after it.

        Raises:
            AudioError: the source failed; everything that arrived before was taken.
        """

    def wake(self, event: threading.Event) -> None:
        """Before the first `take`: `event` is set when there may be something to take, or the source ended. A recording
        sets it only when it is paused, resumed or closed: look again after `WAKE_SECONDS`."""

    def pause(self) -> None:
        """Stop listening; the sample clock stands still. Twice is harmless."""

    def resume(self) -> None:
        """Go on listening. Twice is harmless."""

    def seek(self, sample: int) -> int:
        """Go on at another place of a recording, paused or not. Not during a `take`.

        Returns:
            Where it really goes on: within the wanted part, and within the file.

        Raises:
            AudioError: not `seekable`, or the file cannot be read there.
        """
        raise AudioError(f'"{self.name}" is heard live: only a recording can be rewound or skipped.')

    def switch_to(self, name: str | None) -> None:
        """Go on with another input device; the time between the two is a gap. Only the name is checked now: if the
        device cannot be opened, a notice says so and the old one is heard again.

        Args:
            name: as `livecap --device` takes it; None for the default input.

        Raises:
            AudioError: this source is not a device, or no input has this name.
        """
        raise AudioError(f'Cannot switch from "{self.name}" to "{name}": it is not an input device.')

    def close(self) -> None:
        """Stop listening for good. Returns soon, even when a device hangs. Twice is harmless."""

"""Where sound comes from: the one interface of microphone, recording and pipe, and the blocks of sound they yield."""

import threading
from collections.abc import Iterator
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

    `SourceDefaults` implements what a plain source need not know about.
    """

    @property
    def name(self) -> str:
        """The device's or the file's name, for the user."""

    @property
    def live(self) -> bool:
        """True for a device: its times are times of day."""

    @property
    def started_wall(self) -> float | None:
        """Unix time of sample 0, for a device that was heard before now; None where that is the session's start."""

    @property
    def first_sample(self) -> int:
        """Where the sound begins: 0, or where the wanted part of a recording begins."""

    @property
    def end_sample(self) -> int | None:
        """Where the sound will end, as far as that is known before; None where it is not."""

    @property
    def arrived_samples(self) -> int:
        """Where the sound that has arrived ends, taken or not. Lag is counted from it. Falls only after `seek`."""

    @property
    def level(self) -> float:
        """Peak of the last 100 ms that arrived, 0..1; 0 while paused."""

    @property
    def trouble(self) -> str | None:
        """What is wrong now, in a few words, such as "away"; None where all is well."""

    @property
    def ended(self) -> bool:
        """Nothing more will come, and everything was taken."""

    @property
    def seekable(self) -> bool:
        """True for a recording, which can go on at another place."""

    @property
    def health(self) -> CaptureStatus | None:
        """How well a device has been captured; None for a source that is no device."""

    @property
    def spool(self) -> Spool | None:
        """Where sound that comes only once waits to be taken; None for a recording, which is kept already."""

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

    def switch_to(self, name: str) -> None:
        """Go on with another input device; the time between the two is a gap. Only the name is checked now: if the
        device cannot be opened, a notice says so and the old one is heard again.

        Args:
            name: as `livecap --device` takes it.

        Raises:
            AudioError: this source is no device, or no input has this name.
        """

    def close(self) -> None:
        """Stop listening for good. Returns soon, even when a device hangs. Twice is harmless."""


class SourceDefaults:
    """A base for sources: what is the same for all that are not a device, a recording, or kept."""

    name: str
    live = False

    @property
    def started_wall(self) -> float | None:
        return None

    @property
    def end_sample(self) -> int | None:
        return None

    @property
    def trouble(self) -> str | None:
        return None

    @property
    def seekable(self) -> bool:
        return False

    @property
    def health(self) -> CaptureStatus | None:
        return None

    @property
    def spool(self) -> Spool | None:
        return None

    def seek(self, sample: int) -> int:
        raise AudioError(f'"{self.name}" is heard live: only a recording can be rewound or skipped.')

    def switch_to(self, name: str) -> None:
        raise AudioError(f'Cannot switch from "{self.name}" to "{name}": it is not an input device.')


def blocks(source: AudioSource) -> Iterator[AudioBlock]:
    """Everything from a source, as it comes, on the calling thread.

    Raises:
        AudioError: the source failed; everything that arrived before was yielded.
    """
    event = threading.Event()
    source.wake(event)
    while not source.ended:
        event.clear()
        block = source.take()
        if block is not None:
            yield block
        elif not source.ended:
            event.wait(WAKE_SECONDS)


class Level:
    """The peak of the last 100 ms. One thread hears, any asks."""

    def __init__(self) -> None:
        self._recent = np.zeros(0, np.float32)

    @property
    def value(self) -> float:
        """0..1."""
        return float(np.abs(self._recent).max(initial=0.0))

    def hear(self, samples: NDArray[np.float32]) -> None:
        """[n] float32 at 16 kHz."""
        self._recent = np.concatenate([self._recent, samples])[-LEVEL_SAMPLES:]

    def forget(self) -> None:
        """Nothing is heard now."""
        self._recent = np.zeros(0, np.float32)

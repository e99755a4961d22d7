"""What the user can choose from on this machine, as values and protocols; the screens know no device and no model."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class InputChoice:
    """An input device."""

    name: str
    form: str
    """Its format, such as `48 kHz  2 ch`."""
    note: str = ""
    """"default", "what this machine plays" for a loopback device, "now …" with what a default stands for, or ""."""
    is_default: bool = False
    index: str = ""
    """Tells it from another input with the same name; "" if there is none."""

    @property
    def query(self) -> str:
        """What `--device` takes for it."""
        return self.index or self.name


@dataclass(frozen=True, slots=True)
class ModelChoice:
    """A model that can be run."""

    name: str
    """The name that `--model` takes."""
    about: str
    disk_bytes: int | None
    """Size of the download; None if it is unknown."""
    memory_bytes: int | None
    """Memory needed while it runs; None if it is unknown."""
    is_here: bool
    """It is downloaded already."""
    fits: bool
    """This machine has enough memory for it."""
    recommended: bool = False
    licence: str = ""
    """What the user must know of it before a download; "" for a free one."""


class Meter(Protocol):
    """The level of one open input."""

    @property
    def level(self) -> float:
        """Peak of the last 100 ms, 0..1."""
        ...

    @property
    def trouble(self) -> str | None:
        """Why there is no sound, and what to do; None if all is well."""
        ...

    def close(self) -> None: ...


class Playing(Protocol):
    """Saved sound that is being played."""

    @property
    def sample(self) -> int:
        """The position of playback at 16 kHz, from the start of the session."""
        ...

    @property
    def ended(self) -> bool: ...

    @property
    def trouble(self) -> str | None:
        """Why it ended too early; None if it did not."""
        ...

    def close(self) -> None: ...


class Machine(Protocol):
    """Devices, models and languages. Calls may take seconds: not on the screen's thread, except `languages`."""

    def inputs(self, again: bool = False) -> Sequence[InputChoice]:
        """The inputs.

        Args:
            again: also those that were connected since the inputs were listed; if there are any, open inputs miss a
                moment of sound.

        Raises:
            AudioError: the devices cannot be listed.
        """
        ...

    def meter(self, name: str) -> Meter:
        """Opens the input with this `query`, until the meter is closed. Raises AudioError if it cannot be opened."""
        ...

    def models(self) -> Sequence[ModelChoice]: ...

    def download(self, name: str, progress: Callable[[int, int], None]) -> None:
        """Downloads a model, or the rest of it if an earlier call was stopped.

        Args:
            progress: called with (bytes so far, bytes in total). An exception from it stops the download and is raised.

        Raises:
            ModelError: the model does not exist, or the network failed.
        """
        ...

    def languages(self) -> Sequence[str]: ...

    def play(self, files: Sequence[Path], sample: int) -> Playing:
        """Plays files together, from a sample on. Raises AudioError if that is not possible."""
        ...

    @property
    def memory_bytes(self) -> int:
        """Memory of this machine."""
        ...


class Change(Protocol):
    """Changes settings of the running session."""

    def __call__(self, changes: Mapping[str, Any], track: str = "") -> None:
        """May take seconds.

        Args:
            changes: new values of `device`, `model`, `language` or `context`; None for the usual value.
            track: the track whose device changes, if there are several.

        Raises:
            LivecapError: the change failed; the session goes on as before.
        """
        ...

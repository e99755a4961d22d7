"""What a person can choose from on this machine, as values; who knows devices and models stands behind `Machine`."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class InputChoice:
    """An input a person can listen to."""

    name: str
    form: str
    """Such as `48 kHz  2 ch`."""
    note: str = ""
    """"default", or "system" for what hears the machine's own sound."""


@dataclass(frozen=True, slots=True)
class ModelChoice:
    """A model a person can run."""

    name: str
    """As `--model` takes it."""
    about: str
    disk_bytes: int | None
    """None where nobody knows before it is here."""
    memory_bytes: int | None
    """What it needs while it runs."""
    is_here: bool
    fits: bool
    """This machine has the memory."""
    recommended: bool = False


class Meter(Protocol):
    """The level of one input, while somebody looks at it."""

    @property
    def level(self) -> float:
        """Peak of the last 100 ms, 0..1."""
        ...

    @property
    def trouble(self) -> str | None:
        """Why nothing is heard, with what to do; None where all is well."""
        ...

    def close(self) -> None: ...


class Playing(Protocol):
    """Saved sound that is heard now."""

    @property
    def sample(self) -> int:
        """What is heard now, at 16 kHz from the start of the session."""
        ...

    @property
    def ended(self) -> bool: ...

    def close(self) -> None: ...


class Machine(Protocol):
    """Devices, models and languages. Calls may take seconds: not on the screen's thread, `languages` excepted."""

    def inputs(self) -> Sequence[InputChoice]:
        """Raises AudioError where they cannot be listed."""
        ...

    def meter(self, name: str) -> Meter:
        """Listens to an input until it is closed. Raises AudioError where it cannot be opened."""
        ...

    def models(self) -> Sequence[ModelChoice]: ...

    def download(self, name: str, progress: Callable[[int, int], None]) -> None:
        """Brings a model here; what an earlier call had got is not fetched again.

        Args:
            progress: told (bytes so far, bytes in all). What it raises stops the download and is raised.

        Raises:
            ModelError: no such model, or no network.
        """
        ...

    def languages(self) -> Sequence[str]: ...

    def play(self, files: Sequence[Path], sample: int) -> Playing:
        """Plays files, all at once, from a sample on. Raises AudioError where it cannot be."""
        ...

    @property
    def memory_bytes(self) -> int:
        """Of this machine."""
        ...


class Change(Protocol):
    """Changes settings of the session that runs."""

    def __call__(self, changes: Mapping[str, Any], track: str = "") -> None:
        """May take seconds.

        Args:
            changes: `device`, `model`, `language` or `context` to what it shall be; None for what is usual.
            track: whose device, where there are several tracks.

        Raises:
            LivecapError: it cannot be, and all goes on as before.
        """
        ...

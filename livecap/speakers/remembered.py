"""RememberedVoices: voices that the user asked livecap to know again, in one private file. They are biometric data."""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from livecap.errors import SettingsError
from livecap.files import make_folder, read_regular, replace_file
from livecap.speakers.networks import EMBEDDING_SIZE
from livecap.text.scripts import folded_name

MOST_BYTES = 16 << 20


@dataclass(frozen=True, slots=True)
class Remembered:
    """One voice."""

    name: str
    added: str
    """The day, as 2026-03-01."""
    vector: tuple[float, ...]
    """The voice, as a unit vector."""


class RememberedVoices:
    """Reads the file at each call. What is forgotten is overwritten. Several processes may use the file at once."""

    def __init__(self, path: Path) -> None:
        """
        Args:
            path: need not exist.
        """
        self.path = path

    def all(self) -> list[Remembered]:
        """Every voice, by name.

        Raises:
            SettingsError: the file cannot be read.
        """
        with self._locked(fcntl.LOCK_SH):
            return self._read()

    def _read(self) -> list[Remembered]:
        try:
            data = read_regular(self.path, MOST_BYTES)
        except FileNotFoundError:
            return []
        except OSError as error:
            raise SettingsError(f"Cannot read the voices in {self.path}: {error.strerror or error}.") from None
        try:
            return [_remembered(record) for record in json.loads(data)["voices"]]
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
            raise SettingsError(f"The voices in {self.path} are damaged. Delete the file and add them again.") from None

    def vectors(self) -> dict[str, NDArray[np.float32]]:
        """Name to voice."""
        return {voice.name: np.array(voice.vector, np.float32) for voice in self.all()}

    def add(self, name: str, vector: NDArray[np.float32], day: str) -> None:
        """Remember a voice; one of the same name is replaced.

        Raises:
            SettingsError: the file cannot be read or written.
        """
        try:
            make_folder(self.path.parent)
        except OSError as error:
            raise SettingsError(f"Cannot write the voices in {self.path}: {error.strerror or error}.") from None
        with self._locked(fcntl.LOCK_EX):
            others = [voice for voice in self._read() if folded_name(voice.name) != folded_name(name)]
            self._write([*others, Remembered(name, day, tuple(round(float(value), 6) for value in vector))])

    def forget(self, names: list[str] | None) -> list[str]:
        """Forget these voices, or all for None. Returns the names that were forgotten.

        Raises:
            SettingsError: there is no such voice, or the file cannot be written.
        """
        wanted = None if names is None else {folded_name(name): name for name in names}
        with self._locked(fcntl.LOCK_EX):
            voices = self._read()
            gone = [voice.name for voice in voices if wanted is None or folded_name(voice.name) in wanted]
            missing = sorted(set(wanted or ()) - {folded_name(name) for name in gone})
            if wanted and missing:
                known = ", ".join(voice.name for voice in voices) or "none"
                raise SettingsError(f"No voice of {wanted[missing[0]][:60]!r} is remembered. Remembered: {known}.")
            self._write([voice for voice in voices if voice.name not in gone])
        return gone

    @contextmanager
    def _locked(self, how: int) -> Iterator[None]:
        """Keep others from changing the file, or with LOCK_EX from reading it: its folder is locked, which leaves no
        other file behind."""
        try:
            folder = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError:
            yield  # there is no folder and so no file; what else is wrong is said where the file is read or written
            return
        try:
            with suppress(OSError):  # some network drives have no locks
                fcntl.flock(folder, how)
            yield
        finally:
            os.close(folder)

    def _write(self, voices: list[Remembered]) -> None:
        text = json.dumps(
            {"voices": [asdict(voice) for voice in sorted(voices, key=lambda each: each.name.casefold())]}
        )
        try:
            old = os.open(self.path, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC) if self.path.exists() else None
            try:
                if voices:
                    replace_file(self.path, [text + "\n"])
                else:
                    self.path.unlink(missing_ok=True)
                if old is not None:
                    _overwrite(old)
            finally:
                if old is not None:
                    os.close(old)
        except OSError as error:
            raise SettingsError(f"Cannot write the voices in {self.path}: {error.strerror or error}.") from None


def _remembered(record: dict[str, Any]) -> Remembered:
    """One voice from its JSON value. The user may have edited the file.

    Raises:
        ValueError, KeyError, TypeError, OverflowError: it is not a voice.
    """
    vector = tuple(map(float, record["vector"]))
    if len(vector) != EMBEDDING_SIZE or not all(map(isfinite, vector)):
        raise ValueError("not the vector of a voice")
    return Remembered(str(record["name"]), str(record["added"]), vector)


def _overwrite(descriptor: int) -> None:
    """Replace what an open file holds by zeros on the disk."""
    os.pwrite(descriptor, bytes(os.fstat(descriptor).st_size), 0)
    with suppress(OSError):  # some network drives cannot sync
        os.fsync(descriptor)

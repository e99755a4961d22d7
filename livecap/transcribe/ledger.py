"""What is finished in an output folder, and what a run that was stopped had done: so that the next run goes on there.

    .livecap-transcribed.jsonl    a line for each finished recording: its key, and the digests of its outputs
    .NAME.livecap-part            the segments of a recording that is not finished; deleted when it is

A key is made from the sound and from the options that decide its text. The line is written before the outputs take
their names, so an output with the digest that its line says was written by that run, even if the run was killed then.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, BinaryIO

from livecap.archive.folder import lock
from livecap.errors import LogError
from livecap.files import make_folder, open_regular
from livecap.text.safety import json_text
from livecap.transcribe.result import Segment
from livecap.transcript import Word

LEDGER = ".livecap-transcribed.jsonl"
PART = ".livecap-part"
"""Suffix of the file that holds the segments of an unfinished recording."""


def key_of(files: Mapping[str, Path], options: Mapping[str, Any]) -> str:
    """The key of the sound in these files, by track, under these options.

    Raises:
        OSError: a file cannot be read.
    """
    digest = hashlib.sha256(json_text({name: options[name] for name in sorted(options)}).encode())
    for track, path in files.items():
        with open_regular(path) as file:
            digest.update(f"\n{track}\n{hashlib.file_digest(file, 'sha256').hexdigest()}".encode())
    return digest.hexdigest()


def key_with(key: str, layout: Mapping[str, Any]) -> str:
    """The key of outputs that look different from the usual ones; the same key if `layout` is empty."""
    return hashlib.sha256(f"{key}\n{json_text(dict(layout))}".encode()).hexdigest() if layout else key


def digest_of(path: Path) -> str | None:
    """The digest of an output; None if there is none."""
    try:
        with open_regular(path) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None


class Ledger:
    """The finished recordings of one output folder. Several processes may write into it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._outputs: dict[str, dict[str, str]] = {}
        """Key to the name and digest of each output."""
        with suppress(OSError):  # there is none yet
            with open_regular(folder / LEDGER) as file:
                for line in file.read().splitlines():
                    self._learn(line)

    def state(self, key: str, name: str) -> str:
        """ "finished" if this output was written for this key, "changed" if it was and somebody has changed it since,
        else "", also where livecap has written it for another key since."""
        digest = self._outputs.get(key, {}).get(name)
        found = digest_of(self._folder / name) if digest is not None else None
        if found is None:
            return ""
        if found == digest:
            return "finished"
        return "" if self.has_written(name) else "changed"

    def has_written(self, name: str) -> bool:
        """Whether this output, as it is now, was written by livecap for any key."""
        digest = digest_of(self._folder / name)
        return digest is not None and any(outputs.get(name) == digest for outputs in self._outputs.values())

    def add(self, key: str, outputs: Mapping[str, str]) -> None:
        """Note that these outputs, name to digest, are about to be written.

        Raises:
            LogError: the ledger cannot be written.
        """
        known = self._outputs[key] = self._outputs.get(key, {}) | dict(outputs)
        path = self._folder / LEDGER
        try:
            make_folder(self._folder)
            with open(path, "a+b", opener=_private) as file:
                cut_off = file.tell() and os.pread(file.fileno(), 1, file.tell() - 1) != b"\n"
                file.write((b"\n" if cut_off else b"") + _line({"key": key, "outputs": known}))
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise LogError(f"Cannot write {path}: {error.strerror or error}.") from None

    def _learn(self, line: bytes) -> None:
        try:
            record = json.loads(line)
            outputs = {str(name): str(digest) for name, digest in record["outputs"].items()}
            self._outputs.setdefault(str(record["key"]), {}).update(outputs)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return  # cut off by a crash, or not ours: at worst a recording is transcribed again


class Part:
    """The segments of a recording that is not finished. Locked: only one process transcribes it into this folder."""

    def __init__(self, path: Path, key: str) -> None:
        """
        Args:
            path: made if it does not exist; what it holds of another key is dropped.

        Raises:
            LogError: another process transcribes this recording into this folder, or the file cannot be written.
        """
        self._path = path
        try:
            make_folder(path.parent)
            self._file: BinaryIO = open(path, "a+b", opener=_private)  # noqa: SIM115 - closed by `close`
        except OSError as error:
            raise LogError(f"Cannot write {path}: {error.strerror or error}.") from None
        if not lock(self._file.fileno()):
            self._file.close()
            raise LogError(f"{path.name.removeprefix('.').removesuffix(PART)} is being transcribed by another livecap.")
        self._is_empty = True
        self._known: dict[str, dict[tuple[int, int], Segment | None]] = {}
        self._file.seek(0)
        head, *lines = self._file.read().splitlines(keepends=True) or [b""]
        if head == _line({"key": key}):
            for line in lines:
                self._learn(line)
            if lines and not lines[-1].endswith(b"\n"):  # cut off by a crash
                self._file.write(b"\n")
        else:
            self._file.truncate(0)
            self._file.write(_line({"key": key}))

    def known(self, track: str) -> dict[tuple[int, int], Segment | None]:
        """[start, end) in samples of each piece of a track that is done, to its segment."""
        return self._known.get(track, {})

    def add(self, track: str, start_sample: int, end_sample: int, segment: Segment | None) -> None:
        """Note the segment of a piece, or that it has none.

        Raises:
            LogError: the file cannot be written.
        """
        record = {"track": track, "start": start_sample, "end": end_sample, "segment": segment and asdict(segment)}
        try:
            self._file.write(_line(record))
            self._file.flush()
            self._is_empty = False
        except OSError as error:
            raise LogError(f"Cannot write {self._path}: {error.strerror or error}.") from None

    def close(self, is_finished: bool) -> None:
        """
        Args:
            is_finished: the outputs are written, so the file is deleted; an empty one always is.
        """
        if is_finished or self._is_empty:
            self._path.unlink(missing_ok=True)
        with suppress(OSError):
            self._file.close()

    def _learn(self, line: bytes) -> None:
        try:
            record = json.loads(line)
            segment = None if record["segment"] is None else _segment(record["segment"])
            pieces = self._known.setdefault(str(record["track"]), {})
            pieces[int(record["start"]), int(record["end"])] = segment
            self._is_empty = False
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return  # cut off by a crash: the piece is decoded again


def _segment(record: dict[str, Any]) -> Segment:
    words = tuple(Word(**word) for word in record.pop("words"))
    names = {item.name for item in fields(Segment)} - {"words"}
    return Segment(words=words, **{name: value for name, value in record.items() if name in names})


def _line(record: Mapping[str, Any]) -> bytes:
    return (json_text(record) + "\n").encode()


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CLOEXEC, 0o600)

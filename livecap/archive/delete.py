"""Deleting: of a session's folder goes what livecap wrote there and nothing else, and only where it is a session's."""

import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from livecap.archive.folder import AUDIO, EVENTS, FAULT, SINGLE, TITLE, TRANSCRIPT, UNSAVED
from livecap.archive.line import DamagedLine, LogLine, decode_line
from livecap.archive.reader import MAX_LINE_BYTES, LogReader
from livecap.archive.steps import STEPS
from livecap.audio_in.wav_header import HEADER_BYTES, is_our_header
from livecap.errors import LogError
from livecap.transcript import SessionStarted

_REPLACED = "|".join(map(re.escape, (TRANSCRIPT, TITLE, FAULT)))
OURS = re.compile(
    rf"{re.escape(EVENTS)}|native\.log|screen-fault\.txt|\.DS_Store|"
    rf"({_REPLACED})(\.new)?|\.({_REPLACED})\.[0-9a-f]{{8}}\.new"
)
"""Names of the files that livecap writes into a session's folder, of what a crash leaves of a file that was being
replaced (see `replace_file`; earlier versions used NAME.new), and of what the Finder puts into any folder it shows."""
OURS_IN_AUDIO = frozenset((STEPS, UNSAVED, ".DS_Store"))
SESSION_NAME = re.compile(r"\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d(-\d+)?")
BEGINNING = b'{"type": "session_started"'
LINES = 100
"""Of a log, among which one must be whole."""
NAMED = 3
"""Of the files that stay, at most."""


@dataclass(frozen=True, slots=True)
class Deleted:
    """What became of a session's folder."""

    n_bytes: int
    """That its files took on the disk."""
    stays: str
    """A sentence about what is not livecap's and is still there, with a space before it; "" where nothing is."""


@dataclass(slots=True)
class Contents:
    """Of a session's folder and its `audio`, with names as they are below the folder."""

    ours: list[str] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    """Files, folders and links that are not livecap's; no link is followed, and none is livecap's."""


def to_delete(folder: Path) -> Contents:
    """What is in a session's folder; nothing is deleted yet.

    Raises:
        LogError: it is no session's folder.
        OSError: it cannot be read.
    """
    if folder.is_symlink():
        raise LogError(f"Not deleted: {folder} is a link. Give the folder that it leads to.")
    line = _first_line(folder / EVENTS)
    contents = _contents(folder, line)
    if line is None and (reason := _why_not(folder, contents.others)):
        raise LogError(f"Not deleted: {folder / EVENTS} is no session log of livecap: {reason}.")
    return contents


def delete(folder: Path, contents: Contents) -> Deleted:
    """Remove what is livecap's, and the folder if nothing else is in it.

    Raises:
        OSError: something cannot be removed; the log goes last, so that it can be tried again.
    """
    n_bytes = 0
    with _opened(folder) as root:
        if sounds := [name for name in contents.ours if "/" in name]:
            with _opened(AUDIO, root) as audio:
                n_bytes += sum(_remove(Path(name).name, audio) for name in sounds)
        if AUDIO in contents.ours:
            os.rmdir(AUDIO, dir_fd=root)
        files = [name for name in contents.ours if "/" not in name and name != AUDIO]
        n_bytes += sum(_remove(name, root) for name in sorted(files, key=lambda name: name == EVENTS))
    if contents.others:
        return Deleted(n_bytes, f" What livecap did not write stays in {folder}: {_listed(contents.others)}.")
    os.rmdir(folder)
    return Deleted(n_bytes, "")


def _first_line(log: Path) -> LogLine | None:
    """The first that only a livecap writes, of whatever version: with a checksum, or the header of format 1."""
    with open(log, "rb") as file:
        for data in islice(iter(lambda: file.readline(MAX_LINE_BYTES), b""), LINES):
            try:
                line = decode_line(data)
            except DamagedLine:
                continue
            if line.seq is not None or isinstance(line.event, SessionStarted):
                return line
    return None


def _why_not(folder: Path, others: list[str]) -> str | None:
    """Why a folder whose log has no line of livecap's is not a session's. None: a crash tore its first line, for its
    name is a session's and nothing strange is in it."""
    with open(folder / EVENTS, "rb") as file:
        start = file.read(200).strip(b"\0\r\n ")
    if not (start.startswith(BEGINNING) or BEGINNING.startswith(start) or _has_facts(folder / EVENTS)):
        return f"it begins with {start.splitlines()[0][:40].decode(errors='replace')!r}"
    if not SESSION_NAME.fullmatch(folder.name):
        return "its beginning is damaged, and the folder has not the name of a session"
    if others:
        return f"its beginning is damaged, and the folder has what livecap did not write: {_listed(others)}"
    return None


def _has_facts(log: Path) -> bool:
    try:
        LogReader(log)
    except LogError:
        return False
    return True


def _contents(folder: Path, line: LogLine | None) -> Contents:
    found = Contents()
    with _opened(folder) as root:
        for name, mode in _entries(root):
            if name == AUDIO and stat.S_ISDIR(mode):
                with _opened(AUDIO, root) as audio:
                    _sort_audio(audio, line, found)
            elif stat.S_ISREG(mode) and OURS.fullmatch(name):
                found.ours.append(name)
            else:
                found.others.append(name)
    found.others.sort()
    return found


def _sort_audio(audio: int, line: LogLine | None, found: Contents) -> None:
    """The sound of each track goes by its name; where the header is lost, by what the file begins with."""
    header = line.event if line else None
    tracks = header.tracks if isinstance(header, SessionStarted) else None
    sounds = {f"{track or SINGLE}.wav" for track in tracks or ()} | {f"{SINGLE}.wav"}
    n_others = len(found.others)
    for name, mode in _entries(audio):
        is_ours = stat.S_ISREG(mode) and (
            name in OURS_IN_AUDIO or name in sounds or tracks is None and _is_our_sound(name, audio)
        )
        (found.ours if is_ours else found.others).append(f"{AUDIO}/{name}")
    if len(found.others) == n_others:
        found.ours.append(AUDIO)


def _is_our_sound(name: str, audio: int) -> bool:
    descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=audio)
    try:
        return is_our_header(os.read(descriptor, HEADER_BYTES))
    finally:
        os.close(descriptor)


@contextmanager
def _opened(folder: Path | str, parent: int | None = None) -> Iterator[int]:
    """A folder that is no link."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _entries(folder: int) -> list[tuple[str, int]]:
    """Name and mode of everything in a folder; a link has its own."""
    return [(name, os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode) for name in os.listdir(folder)]


def _remove(name: str, folder: int) -> int:
    n_bytes = os.stat(name, dir_fd=folder, follow_symlinks=False).st_blocks * 512
    os.unlink(name, dir_fd=folder)
    return n_bytes


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more

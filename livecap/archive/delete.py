"""Deletes what livecap wrote into a session's folder, and nothing else. A folder that is not a session's is refused."""

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
    rf"({_REPLACED})(\.new)?|\.({_REPLACED}|{re.escape(EVENTS)}|screen-fault\.txt)\.[0-9a-f]{{8}}\.new"
)
"""Names of the files that livecap writes into a session's folder, of what a crash leaves of a file that was being
replaced (see `replace_file`; earlier versions used NAME.new), and of what the Finder puts into any folder it shows."""
OURS_IN_AUDIO = re.compile(rf"{re.escape(STEPS)}|{UNSAVED}|\.{UNSAVED}\.[0-9a-f]{{8}}\.new|\.DS_Store")
SESSION_NAME = re.compile(r"\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d(-\d+)?")
BEGINNING = b'{"type": "session_started"'
LINES = 100
"""Lines at the start of a log that are searched for one that livecap wrote."""
NAMED = 3
"""Most files that a message names."""


@dataclass(frozen=True, slots=True)
class Deleted:
    """The result of a deletion."""

    n_bytes: int
    """Space that the deleted files took on the disk."""
    stays: str
    """A sentence, after a space, that names the files that are still there; "" if none are."""


@dataclass(slots=True)
class Contents:
    """The names in a session's folder and in its `audio`, relative to the folder."""

    ours: list[str] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    """Files, folders and links that livecap did not write. A link is always one of them, and is not followed."""


def to_delete(folder: Path) -> Contents:
    """List what is in a session's folder; nothing is deleted yet.

    Raises:
        LogError: it is not the folder of a session.
        OSError: it cannot be read.
    """
    if folder.is_symlink():
        raise LogError(f"Not deleted: {folder} is a link. Name the folder that it points to.")
    line = _first_line(folder / EVENTS)
    contents = _contents(folder, line)
    if line is None and (reason := _why_not(folder, contents.others)):
        raise LogError(f"Not deleted: {folder / EVENTS} is not a session log of livecap: {reason}.")
    return contents


def delete(folder: Path, contents: Contents) -> Deleted:
    """Delete what livecap wrote, and the folder if nothing else is in it.

    Raises:
        OSError: something cannot be deleted. The log is deleted last, so that the user can try again.
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
        return Deleted(n_bytes, f" Files that livecap did not write stay in {folder}: {_listed(contents.others)}.")
    os.rmdir(folder)
    return Deleted(n_bytes, "")


def delete_sound(folder: Path) -> None:
    """Delete the sound that livecap wrote into a session's folder. The marker that it is not to be kept goes last, so
    that a deletion that was interrupted is made again.

    Raises:
        OSError: something cannot be deleted.
    """
    found = Contents()
    with _opened(folder) as root:
        with _opened(AUDIO, root) as audio:
            log = folder / EVENTS
            _sort_audio(audio, _first_line(log) if log.is_file() else None, found)
            sounds = [Path(name).name for name in found.ours if name != AUDIO]
            for name in sorted(sounds, key=lambda name: name == UNSAVED):
                _remove(name, audio)
        if AUDIO in found.ours:
            os.rmdir(AUDIO, dir_fd=root)


def _first_line(log: Path) -> LogLine | None:
    """The first line that only livecap can have written: one with a checksum, or the header of format 1."""
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
    """Why a folder whose log has no line of livecap is not a session. None if a crash damaged its first line: then its
    name is that of a session, and it has no other files."""
    with open(folder / EVENTS, "rb") as file:
        start = file.read(200).strip(b"\0\r\n ")
    if not (start.startswith(BEGINNING) or BEGINNING.startswith(start) or _has_facts(folder / EVENTS)):
        return f"it begins with {start.splitlines()[0][:40].decode(errors='replace')!r}"
    if not SESSION_NAME.fullmatch(folder.name):
        return "its beginning is damaged, and the folder does not have the name of a session"
    if others:
        return f"its beginning is damaged, and the folder has files that livecap did not write: {_listed(others)}"
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
    """Sound files of livecap have the name of a track; if the header is lost, the first bytes of the file decide."""
    header = line.event if line else None
    tracks = header.tracks if isinstance(header, SessionStarted) else None
    sounds = {f"{track or SINGLE}.wav" for track in tracks or ()} | {f"{SINGLE}.wav"}
    n_others = len(found.others)
    for name, mode in _entries(audio):
        is_ours = stat.S_ISREG(mode) and bool(
            OURS_IN_AUDIO.fullmatch(name) or name in sounds or tracks is None and _is_our_sound(name, audio)
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
    """A descriptor of a folder; a link is an error."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _entries(folder: int) -> list[tuple[str, int]]:
    """(name, mode) of everything in a folder; links are not followed."""
    return [(name, os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode) for name in os.listdir(folder)]


def _remove(name: str, folder: int) -> int:
    n_bytes = os.stat(name, dir_fd=folder, follow_symlinks=False).st_blocks * 512
    os.unlink(name, dir_fd=folder)
    return n_bytes


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more

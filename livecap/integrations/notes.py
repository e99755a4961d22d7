"""NotesFile: a session as a Markdown note in a folder of the user's, such as an Obsidian vault.

The note has front matter, the transcript, and a line below which everything is the user's own. It is written every
minute and at the end of the session. What stands below the line, and front matter that livecap does not write, stays.
"""

import os
import re
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from livecap.archive.archive import file_name
from livecap.archive.clock import elapsed
from livecap.archive.recorded import RecordedSession
from livecap.errors import LogError
from livecap.export.formats import export_pieces
from livecap.files import make_folder, read_regular, replace_file
from livecap.text.safety import json_text
from livecap.transcript import SessionEvent, TranscriptUpdate

LINE = "<!-- livecap: write below this line; the text above it is replaced -->"
_LINE = re.compile(rf"^({re.escape(LINE)}[ \t]*(?:\r?\n|\Z))", re.MULTILINE)
EVERY_SECONDS = 60.0
IDLE_SHARE = 50
"""The time between two writes is at least this many times as long as the last write took."""
HEAD_BYTES = 4096
"""The beginning of a note in which its session is looked for."""
MOST_BYTES = 64 << 20
MOST_NOTES = 20_000
"""Files of the folder that are looked at for a note that the user renamed."""
OWN_KEYS = ("date", "title", "duration", "labels", "tags", "livecap")
"""Front matter that livecap writes; existing tags are kept. `speakers` is written only where they are labelled."""

OnNotice = Callable[[str, str], None]


class NotesFile:
    """The listener of a session that writes its note, on a thread of its own."""

    def __init__(
        self, folder: Path, session: Callable[[], Path], notice: OnNotice, wait_for_end: Callable[[], object]
    ) -> None:
        """
        Args:
            folder: of the notes; made if it does not exist.
            session: where the folder of the session is now.
            notice: told once if the note cannot be written later.
            wait_for_end: returns once the log of the session is finished.

        Raises:
            LogError: the folder cannot be made or written.
        """
        self._folder = folder
        self._session = session
        self._notice = notice
        self._wait_for_end = wait_for_end
        self._path: Path | None = None
        self._keeps_name = False
        """The user has renamed the note."""
        self._has_begun = False
        """The session has a fact."""
        self._is_new = False
        """Something was said since the last write."""
        self._closing = threading.Event()
        try:
            make_folder(folder)
            if not os.access(folder, os.W_OK | os.X_OK):
                raise PermissionError(13, "Permission denied")
        except OSError as error:
            raise LogError(f"Cannot write notes to {folder}: {error.strerror or error}.") from None
        self._thread = threading.Thread(target=self._run, name="notes", daemon=True)
        self._thread.start()

    def __call__(self, item: SessionEvent | TranscriptUpdate) -> None:
        if not isinstance(item, TranscriptUpdate):
            self._is_new = self._has_begun = True

    def close(self) -> None:
        """Write the finished note, if the session has begun."""
        self._closing.set()
        self._thread.join()

    def _run(self) -> None:
        wait, told = EVERY_SECONDS, False
        while True:
            is_end = self._closing.wait(wait)
            if is_end and not self._has_begun:
                return
            if is_end:
                self._wait_for_end()
                if not self._session().is_dir():  # nothing was heard, so livecap deleted it
                    return
            elif not self._is_new:
                continue
            self._is_new = False
            began = time.monotonic()
            try:
                self.write()
            except (OSError, LogError) as error:
                if not told and self._session().is_dir():  # else it was renamed a moment ago, and the log looks for it
                    why = getattr(error, "strerror", None) or str(error).rstrip(".")
                    self._notice(f"Cannot write the note in {self._folder}: {why}.", "warning")
                    told = True
            wait = max(EVERY_SECONDS, IDLE_SHARE * (time.monotonic() - began))
            if is_end:
                return

    def write(self) -> None:
        """Write the note as the session is now. Raises as `write_note`."""
        before, session = self._path, RecordedSession(self._session())
        self._path = write_note(self._folder, session, before, self._keeps_name)
        if before not in (None, self._path):
            self._keeps_name = not _is_named(self._path, _name(session))


def write_note(folder: Path, session: RecordedSession, known: Path | None = None, keeps_name: bool = False) -> Path:
    """Write the note of a session; returns its path.

    A note of this session that has the line is replaced above it; one without the line is left alone, and a new one is
    written beside it.

    Args:
        known: where the note was the last time.
        keeps_name: the user has named it, so that a title of the session does not rename it.

    Raises:
        OSError: the note cannot be read or written.
        LogError: the session cannot be read.
    """
    # The name at the start: the folder may be renamed. Notes of an older livecap have the name of the folder then.
    path = _note_of(folder, (session.started.session, session.name), known)
    wanted = _name(session)
    if path is None:
        path = _free(folder, wanted)
    elif path == known and not keeps_name and not _is_named(path, wanted) and session.title:
        free = _free(folder, wanted)  # the session got a title
        os.rename(path, free)
        path = free
    while True:
        before = _stamp(path)
        old = read_regular(path, MOST_BYTES).decode("utf-8", errors="surrogateescape") if before else ""
        text = "".join(_pieces(session, old))
        if _stamp(path) == before:  # otherwise the user saved the note just now
            break
    replace_file(path, [text], errors="surrogateescape")
    return path


def _pieces(session: RecordedSession, old: str) -> Iterator[str]:
    kept_keys, tags = _user_keys(old, OWN_KEYS + (("speakers",) if session.speakers else ()))
    yield "---\n"
    yield f"title: {json_text(session.title or session.clock.date)}\n"
    yield f"date: {session.clock.started:%Y-%m-%dT%H:%M:%S}\n"
    yield f"duration: {json_text(elapsed(session.n_samples))}\n"
    yield f"labels: {json_text([label for label in session.tracks if label])}\n"
    if session.speakers:
        yield f"speakers: {json_text(session.speakers)}\n"
    yield tags or 'tags: ["transcript"]\n'
    yield f"livecap: {json_text(session.started.session)}\n"
    yield from kept_keys
    yield "---\n\n"
    yield from export_pieces(session, "md")
    kept = _LINE.split(old, 1)[1:]
    yield from kept or [f"{LINE}\n"]


def _user_keys(old: str, own: Sequence[str]) -> tuple[list[str], str]:
    """The front matter of a note that is the user's: the keys that livecap does not write (`own`), and the tags."""
    kept, tags, current = [], "", ""
    for line in _front_matter(old):
        if found := re.match(r"([^\s#:][^:]*):(\s|$)", line):
            current = found[1].strip()
        if current == "tags":
            tags += line
        elif current not in own:
            kept.append(line)
    return kept, tags


def _front_matter(text: str) -> list[str]:
    lines = text.removeprefix("\ufeff").splitlines(keepends=True)
    if not lines or lines[0].strip() != "---":
        return []
    end = next((number for number, line in enumerate(lines[1:], 1) if line.strip() in ("---", "...")), 0)
    return lines[1:end]


def _name(session: RecordedSession) -> str:
    """The file name of a note without its suffix: the date, and the title or the time."""
    day, time_of_day = f"{session.clock.started:%Y-%m-%d}", f"{session.clock.started:%H-%M-%S}"
    return f"{day} {file_name(session.title, time_of_day).replace('-', ' ') if session.title else time_of_day}"


def _is_named(path: Path, wanted: str) -> bool:
    return re.fullmatch(re.escape(wanted) + r"( \d+)?", path.stem) is not None


def _free(folder: Path, name: str) -> Path:
    """A path in the folder that does not exist."""
    names = (f"{name}{f' {number}' if number > 1 else ''}.md" for number in range(1, MOST_NOTES))
    return next(path for path in map(folder.joinpath, names) if not os.path.lexists(path))


def _note_of(folder: Path, names: Sequence[str], known: Path | None) -> Path | None:
    """The note of a session that may be written, also if the user renamed it; None if there is none.

    Args:
        names: that the session has or had.
    """
    if known is not None and _is_note(known, names):
        return known
    with os.scandir(folder) as entries:
        found = [Path(entry.path) for _, entry in zip(range(MOST_NOTES), entries, strict=False)]
    return next((path for path in found if path.suffix == ".md" and _is_note(path, names)), None)


def _is_note(path: Path, names: Sequence[str]) -> bool:
    """True for a note of this session that still has the line."""
    try:
        if path.is_symlink() or not path.is_file():
            return False
        with open(path, "rb") as file:
            head = file.read(HEAD_BYTES).decode("utf-8", errors="replace")
        written = (each for name in names for each in (json_text(name), name, f"'{name}'"))  # as editors write it
        named = {f"livecap: {each}" for each in written}
        is_ours = any(line.strip() in named for line in _front_matter(head + "\n---\n"))
        return is_ours and _LINE.search(path.read_text("utf-8", errors="replace")) is not None
    except OSError:
        return False


def _stamp(path: Path) -> tuple[int, int] | None:
    """What changes when a file is saved; None without a file."""
    try:
        status = os.stat(path, follow_symlinks=False)
    except FileNotFoundError:
        return None
    return status.st_mtime_ns, status.st_size

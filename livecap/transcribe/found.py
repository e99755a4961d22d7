"""Finds recordings: files, folders, patterns and recorded sessions. Imports nothing slow."""

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from glob import escape, glob, has_magic
from pathlib import Path

from livecap.archive.folder import EVENTS, saved_sounds
from livecap.audio_in.formats import LOOK_BYTES, format_of
from livecap.errors import AudioError, LivecapError
from livecap.files import MOST_NAME_BYTES, open_regular, shortened_name
from livecap.text.scripts import folded_name

SUFFIXES = frozenset(
    ".wav .wave .w64 .rf64 .flac .ogg .oga .ogv .opus .spx .mp3 .mp2 .mpga .aif .aiff .aifc .caf .au .snd .voc .m4a "
    ".m4b .m4r .mp4 .m4v .mov .aac .adts .webm .mkv .mka .wma .wmv .asf .amr .gsm .3gp .3g2 .avi .flv .f4v .mts .m2ts "
    ".vob .mpg .mpeg .ac3 .eac3 .dts .wv .ape .tta .qta".split()
)
"""Suffixes by which recordings are found in a folder. A file that is named itself may have any."""
MAYBE_SUFFIXES = {".ts": "MPEG-TS"}
"""Suffixes that other files have, too: their recordings have this format. TypeScript is also .ts."""

MOST_STEM_BYTES = MOST_NAME_BYTES - len(".json")
"""The longest name of outputs, without suffix."""

Looks = tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Found:
    """A recording, or a session with its sound."""

    path: Path
    name: str
    """Name of its outputs, without suffix: relative to the folder that was given."""
    is_session: bool = False

    @property
    def files(self) -> dict[str, Path]:
        """Track to its sound file; the track of a recording is ""."""
        return saved_sounds(self.path) if self.is_session else {"": self.path}

    @property
    def looks(self) -> Looks:
        """Bytes and time of change of each file.

        Raises:
            OSError: one cannot be looked at.
        """
        return tuple((path.stat().st_size, path.stat().st_mtime_ns) for path in self.files.values())

    @property
    def n_bytes(self) -> int:
        """Size of all its files; 0 where they cannot be looked at."""
        try:
            return sum(path.stat().st_size for path in self.files.values())
        except OSError:
            return 0


def find(arguments: Iterable[str]) -> tuple[list[Found], list[LivecapError]]:
    """The recordings that were asked for, each once; and what is wrong with the other arguments.

    Names of outputs are different: recordings of the same name keep their suffix, then get the name of their folder,
    and then a number. Names that would be too long for a disk are shortened.
    """
    found: dict[str, Found] = {}
    errors: list[LivecapError] = []
    for argument in arguments:
        try:
            for each in _of(argument):
                found.setdefault(os.path.realpath(each.path), each)
        except LivecapError as error:
            errors.append(error)
    return named_apart(list(found.values())), errors


def in_folder(folder: Path, on_error: Callable[[OSError], None] | None = None) -> Iterator[Found]:
    """The recordings and sessions in a folder and below it, in order; hidden ones are left out.

    Args:
        on_error: gets what is wrong with each folder that cannot be read.
    """
    for place, folders, files in os.walk(folder, onerror=on_error):
        here = Path(place)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in [name for name in folders if _is_session(here / name)]:
            folders.remove(name)
            if saved_sounds(here / name):
                yield Found(here / name, str((here / name).relative_to(folder)), is_session=True)
        for name in sorted(files):
            path = here / name
            if not name.startswith(".") and _is_recording(path) and os.path.isfile(path):
                yield Found(path, str(path.relative_to(folder).with_suffix("")))


def closed(error: OSError) -> str:
    """What is said about a folder that cannot be read, by what `in_folder` tells."""
    return f"Cannot look for recordings in {error.filename}: {error.strerror}."


def _of(argument: str) -> Iterator[Found]:
    if not argument:  # a variable of the shell without a value; a path made of it is the current folder
        raise AudioError("Cannot transcribe '': this is not the name of a file. A dot is the current folder.")
    if "://" in argument and not os.path.lexists(argument):
        raise AudioError(
            f"Cannot transcribe {argument}: livecap does not open web addresses. Download it first, for example with "
            f"yt-dlp -x {argument} or curl -LO {argument}, and give the file."
        )
    path = Path(os.path.expanduser(argument))
    unread: list[OSError] = []
    if os.path.isdir(path):
        if _is_session(path):
            if not saved_sounds(path):
                raise AudioError(
                    f"Cannot transcribe {argument}: this session has no sound. "
                    "--save-audio keeps it when one is recorded."
                )
            yield Found(path, path.resolve().name, is_session=True)
            return
        recordings = list(in_folder(path, unread.append))
        yield from recordings
        if unread:
            raise AudioError(closed(unread[0]))
        if not recordings:
            raise AudioError(f"Cannot transcribe {argument}: there is no recording in this folder.")
        return
    if has_magic(argument) and not os.path.lexists(path):
        matches = sorted(_matches(str(path)))
        recordings = [each for match in matches for each in _matched(Path(match), unread.append)]
        yield from recordings
        if unread:
            raise AudioError(closed(unread[0]))
        if not recordings:
            raise AudioError(f"Cannot transcribe {argument}: no recording has a name like that.")
        return
    try:
        path.stat()
    except FileNotFoundError:  # said before a model is downloaded
        if argument == "-":
            raise AudioError(
                "Cannot transcribe -: files are transcribed. For sound on standard input use livecap --stdin --plain."
            ) from None
        raise AudioError(f"Cannot transcribe {argument}: no such file.") from None
    except OSError:
        pass  # said with the recording, after those before it
    yield Found(path, path.stem or path.name)


def _matches(pattern: str) -> Iterator[str]:
    """The paths that a pattern means. `**` is a folder and all below it; as in a folder, links are not followed there
    and hidden folders are left out.

    The standard library has no such `**`: that of `glob` follows links, also in circles; that of `Path.glob` enters
    hidden folders, and takes no absolute pattern."""
    parts = pattern.split(os.sep)
    if "**" not in parts:
        yield from glob(pattern)
        return
    at = parts.index("**")
    for top in glob(os.sep.join([*parts[:at], ""]) or "."):
        if parts[at:] == ["**"]:
            yield top
            continue
        for place, folders, _ in os.walk(top):
            folders[:] = [name for name in folders if not name.startswith(".")]
            yield from _matches(os.path.join(escape(place), *parts[at + 1 :]))


def _matched(path: Path, on_error: Callable[[OSError], None]) -> Iterator[Found]:
    """What a pattern means by a path: in a folder, only recordings."""
    if os.path.isdir(path):
        yield from [Found(path, path.name, is_session=True)] if _is_session(path) else in_folder(path, on_error)
    elif not path.suffix or _is_recording(path):
        yield Found(path, path.stem)


def _is_recording(path: Path) -> bool:
    """Whether a file in a folder is taken for a recording."""
    suffix = path.suffix.lower()
    if suffix not in MAYBE_SUFFIXES:
        return suffix in SUFFIXES
    try:
        with open_regular(path) as file:
            return format_of(file.read(LOOK_BYTES)) == MAYBE_SUFFIXES[suffix]
    except OSError:
        return False


def _is_session(folder: Path) -> bool:
    return os.path.isfile(folder / EVENTS)


def named_apart(found: list[Found]) -> list[Found]:
    """The same recordings with names of outputs that are different, as `find` says, also on a Mac's disk, which knows
    neither case nor the two forms of an accent."""
    for longer in (lambda each: each.name + each.path.suffix, _with_folder):
        n_of = Counter(folded_name(each.name) for each in found)
        found = [replace(each, name=longer(each)) if n_of[folded_name(each.name)] > 1 else each for each in found]
    used: dict[str, int] = {}
    named = []
    for each in found:
        n = used[folded_name(each.name)] = used.get(folded_name(each.name), 0) + 1
        named.append(_fitting(each if n == 1 else replace(each, name=f"{each.name}-{n}")))
    return named


def _with_folder(found: Found) -> str:
    folder = os.path.basename(os.path.dirname(os.path.abspath(found.path)))
    return f"{folder}-{found.name}" if folder else found.name


def _fitting(found: Found) -> Found:
    """The recording with a name of outputs that is not too long for a disk."""
    folder, slash, name = found.name.rpartition("/")
    suffix = found.path.suffix
    kept = suffix if suffix.lower() in SUFFIXES and name.endswith(suffix) else ""
    return replace(found, name=folder + slash + shortened_name(name, MOST_STEM_BYTES, kept))

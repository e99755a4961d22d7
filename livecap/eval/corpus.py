"""Recordings with their texts as data sets have them: LibriSpeech's folders, or a manifest of JSON lines.

LibriSpeech    .../SPEAKER/CHAPTER/SPEAKER-CHAPTER.trans.txt, a line for each SPEAKER-CHAPTER-0000.flac beside it
manifest       a line for each recording: {"sound": "a.wav", "text": "...", "language": "de", "speaker": "17"}
"""

import json
import os
import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from livecap.errors import AudioError, SettingsError
from livecap.eval.wer import normalise
from livecap.text.languages import parse_language

SOUND_KEYS = ("sound", "audio", "audio_filepath", "audio_path", "path", "file")
TEXT_KEYS = ("text", "transcript", "transcription", "reference", "sentence")
LANGUAGE_KEYS = ("language", "lang", "locale")
SPEAKER_KEYS = ("speaker", "speaker_id", "client_id")
"""Names that manifests of different projects have for the same thing; the first that is there counts."""
SOUNDS = (".flac", ".wav", ".mp3", ".ogg", ".opus", ".m4a", ".aac", ".webm", ".aiff")
UNKNOWN = ""
"""The language of a recording whose manifest names none."""
CODES = {"cmn": "zh", "in": "id", "tl": "fil"}
"""Codes that data sets use, and those of the languages' list."""


@dataclass(frozen=True, slots=True)
class Item:
    """One recording of a data set."""

    name: str
    path: Path
    text: str
    language: str
    """Full name, or UNKNOWN."""
    speaker: str
    start_seconds: float = 0.0
    seconds: float | None = None
    """The part of the file that belongs to the text; None for all of it."""


def is_corpus(path: Path) -> bool:
    """Whether a path is a data set, not a recording."""
    return path.is_dir() or path.suffix.lower() in (".jsonl", ".json", ".manifest")


def read_corpus(path: Path) -> list[Item]:
    """All recordings of a folder in LibriSpeech's layout, or of a manifest.

    Raises:
        AudioError: there are none, or a line cannot be understood or names a file that is missing.
    """
    try:
        items = list(_librispeech(path) if path.is_dir() else _manifest(path))
    except OSError as error:
        raise AudioError(f"Cannot measure {error.filename or path}: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise AudioError(f"Cannot measure {path}: a text is not UTF-8.") from None
    if not items:
        what = "no *.trans.txt of LibriSpeech's layout in it" if path.is_dir() else "it names no recordings"
        raise AudioError(f"Cannot measure {path}: {what}. Give such a folder, or a manifest of JSON lines.")
    return items


def sampled(items: Sequence[Item], n: int | None, seed: int = 1) -> list[Item]:
    """`n` recordings, as evenly over languages and speakers as possible, the same for the same seed; None for all."""
    if n is None or n >= len(items):
        return list(items)
    chance = random.Random(seed)
    languages = [_by(group, lambda item: item.speaker) for group in _by(items, lambda item: item.language)]
    queues = [_in_turn(chance, [_shuffled(chance, spoken) for spoken in speakers]) for speakers in languages]
    return _in_turn(chance, queues)[:n]


def _by(items: Iterable[Item], key: Callable[[Item], str]) -> list[list[Item]]:
    groups: dict[str, list[Item]] = {}
    for item in items:
        groups.setdefault(key(item), []).append(item)
    return [groups[name] for name in sorted(groups)]


def _shuffled(chance: random.Random, items: Sequence[Item]) -> list[Item]:
    return chance.sample(items, len(items))


def _in_turn(chance: random.Random, lists: list[list[Item]]) -> list[Item]:
    """One of each list in turn, the lists in a random order."""
    chance.shuffle(lists)
    longest = max(map(len, lists), default=0)
    return [each[place] for place in range(longest) for each in lists if place < len(each)]


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8-sig").split("\n")  # a text may hold the other ends of lines of Unicode
    except UnicodeDecodeError:
        raise AudioError(f"Cannot measure {path}: it is not text in UTF-8.") from None


def _librispeech(folder: Path) -> Iterator[Item]:
    for listing in sorted(folder.rglob("*.trans.txt")):
        sounds = {path.stem: path for path in listing.parent.iterdir() if path.suffix.lower() in SOUNDS}
        for number, line in enumerate(_lines(listing), 1):
            name, _, text = line.strip().partition(" ")
            if not name:
                continue
            if name not in sounds:
                raise AudioError(f"Cannot measure {listing}: line {number} names {name}, which is not beside it.")
            _check_text(text, f"Cannot measure {listing}: line {number}")
            yield Item(name, sounds[name], text, "English", name.partition("-")[0])


def _manifest(path: Path) -> Iterator[Item]:
    for number, line in enumerate(_lines(path), 1):
        if not line.strip():
            continue
        where = f"Cannot measure {path}: line {number}"
        try:
            entry = json.loads(line)
        except (ValueError, RecursionError):
            raise AudioError(f"{where} is not JSON. A manifest has one JSON object per line.") from None
        if not isinstance(entry, dict):
            raise AudioError(f"{where} is not a JSON object.")
        sound, text = _first(entry, SOUND_KEYS), _first(entry, TEXT_KEYS)
        if not isinstance(sound, str) or not isinstance(text, str):
            raise AudioError(f'{where} has no recording and text: {{"sound": "a.wav", "text": "..."}} is needed.')
        _check_text(text, where)
        file = path.parent / os.path.expanduser(sound)
        if not file.is_file():
            raise AudioError(f"{where} names {sound}, which is not there.")
        offset = entry.get("offset")
        start, seconds = (0.0, None) if offset is None else (offset, entry.get("duration"))
        if not _is_time(start) or not (seconds is None or _is_time(seconds)):
            raise AudioError(f"{where} has an offset or a duration that is not a number of seconds.")
        speaker = _first(entry, SPEAKER_KEYS)
        language = _language(_first(entry, LANGUAGE_KEYS), where)
        name = f"{file.stem}@{start:g}" if start else file.stem
        yield Item(name, file, text, language, file.stem if speaker is None else str(speaker), float(start), seconds)


def _check_text(text: str, where: str) -> None:
    """Raise AudioError for a text without words: it has no error rate."""
    if not normalise(text):
        raise AudioError(f"{where} has a text without words. Correct the line, or remove it.")


def _is_time(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1e9


def _first(entry: Mapping[str, object], keys: Sequence[str]) -> object:
    return next((entry[key] for key in keys if entry.get(key) not in (None, "")), None)


def _language(given: object, where: str) -> str:
    """The full name of a language, from a name, a code, or a locale such as `cmn_hans_cn` and `pt-BR`."""
    if given is None:
        return UNKNOWN
    locale = str(given).replace("_", "-")  # with its region: zh-HK is Cantonese
    try:
        return parse_language(CODES.get(locale.partition("-")[0].lower(), locale))
    except SettingsError as error:
        raise AudioError(f"{where}: {error}") from None

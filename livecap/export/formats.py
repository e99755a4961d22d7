"""Exports a recorded session to text, Markdown, subtitles, tables, JSON and HTML, piece by piece.

for piece in export_pieces(session, "srt"): ...
export_file(session, "srt", folder)          → the path
"""

import json
import os
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from livecap.archive.archive import file_name
from livecap.archive.recorded import Document, Fact, RecordedSession, Utterance
from livecap.archive.transcript_file import finished_lines
from livecap.errors import LogError
from livecap.export.cues import USUAL_LIMITS, Cue, CueLimits, Unit, cues, units_of
from livecap.export.html_page import html_pieces
from livecap.export.omnisteval import to_omnisteval
from livecap.files import make_folder, replace_file
from livecap.text.safety import json_text, printable
from livecap.transcript import SAMPLE_RATE, AudioGap, Marked, UtteranceEnded, UtteranceSettled, to_json

FORMULA = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""What a formula of a spreadsheet begins with, also in full width."""


class FileExists(LogError):
    """An export would replace a file."""


def export_pieces(
    session: Document, format_name: str, limits: CueLimits = USUAL_LIMITS, word_times: bool = False
) -> Iterator[str]:
    """The text of an export in pieces.

    Args:
        format_name: a key of FORMATS or, for a session, of MEASURES.
        limits: of the cues of subtitles.
        word_times: give each word its own times, in the formats that have a place for them.
    """
    if format_name in MEASURES:
        assert isinstance(session, RecordedSession), "only a session knows when its text came"
        return MEASURES[format_name](session)
    if format_name == "vtt":
        return to_vtt(session, limits, word_times)
    if format_name in SUBTITLES:
        return SUBTITLES[format_name](session, limits)
    return (TIMED if word_times and format_name in TIMED else FORMATS)[format_name](session)


def export_file(
    session: Document,
    format_name: str,
    folder: Path,
    overwrite: bool = False,
    limits: CueLimits = USUAL_LIMITS,
    word_times: bool = False,
) -> Path:
    """Write an export into `folder`, with mode 0600, named after the session's title or name. See `replace_file` and
    `export_pieces`.

    Returns:
        the path of the file.

    Raises:
        FileExists: the file exists already.
        LogError: it cannot be written.
    """
    path = (
        folder
        / f"{file_name(session.title, file_name(session.name, 'session'))}.{SUFFIXES.get(format_name, format_name)}"
    )
    if not overwrite and os.path.lexists(path):
        raise FileExists(f"{path} exists already. Choose another folder with -o, or add --overwrite.")
    try:
        make_folder(folder)
        replace_file(path, export_pieces(session, format_name, limits, word_times))
    except OSError as error:
        raise LogError(f"Cannot write {path}: {error.strerror or error}.") from None
    return path


def to_txt(session: Document) -> Iterator[str]:
    """One line per utterance, without times."""
    for fact in session.facts():
        match fact:
            case UtteranceEnded() | UtteranceSettled() if fact.text.strip():
                label = f"{fact.label}: " if fact.label else ""
                yield printable(label + fact.text.strip()) + "\n"
            case Marked():
                yield printable(f"★ {fact.note}".rstrip()) + "\n"


def to_md(session: Document) -> Iterator[str]:
    """The finished transcript.md, with Markdown syntax in speech escaped."""
    for number, text in enumerate(finished_lines(session)):
        yield _markdown_line(text) if number else "#" + _markdown(text[1:])


def to_srt(session: Document, limits: CueLimits = USUAL_LIMITS) -> Iterator[str]:
    """SubRip subtitles, without marks, which the format has no place for."""
    yield from subrip(cues(session.utterances(), len(session.tracks) > 1 or bool(session.speakers), limits))


def subrip(found: Iterable[Cue]) -> Iterator[str]:
    """SubRip subtitles of these cues."""
    for number, cue in enumerate(found, 1):
        text = "\n".join(_subrip(line) for line in cue.lines)
        yield f"{number}\n{_time(cue.start_sample, ',')} --> {_time(cue.end_sample, ',')}\n{text}\n\n"


def to_vtt(session: Document, limits: CueLimits = USUAL_LIMITS, word_times: bool = False) -> Iterator[str]:
    """WebVTT subtitles, with marks as notes; with `word_times`, a timestamp stands before each word but the first."""
    yield "WEBVTT\n\n"
    marks = [fact for fact in session.facts() if isinstance(fact, Marked)]
    for cue in cues(session.utterances(), False, limits):
        while marks and marks[0].sample <= cue.start_sample:
            yield _vtt_note(marks.pop(0))
        yield f"{_time(cue.start_sample, '.')} --> {_time(cue.end_sample, '.')}\n{_vtt_text(cue, word_times)}\n\n"
    for mark in marks:
        yield _vtt_note(mark)


def to_tsv(session: Document, word_times: bool = False) -> Iterator[str]:
    """Start and end in milliseconds, label, text; with `word_times`, a row for each word. A mark ends where it starts,
    and its text begins with a star."""
    yield "start\tend\tlabel\ttext\n"
    for fact in session.facts():
        match fact:
            case UtteranceEnded() | UtteranceSettled() if fact.text.strip():
                for unit in units_of(fact) if word_times else [Unit(fact.text, fact.start_sample, fact.end_sample)]:
                    yield _row(unit.start_sample, unit.end_sample, fact.label, unit.text.strip())
            case Marked():
                yield _row(fact.sample, fact.sample, fact.track, f"★ {fact.note}".rstrip())


def to_json_document(session: Document, word_times: bool = False) -> Iterator[str]:
    """One object: the session, and its facts as in docs/events.md, with seconds beside the samples; with `word_times`,
    also a list of all words with their times in seconds."""
    head: dict[str, Any] = {
        "session": session.name,
        "title": session.title,
        "started": session.clock.started.isoformat(timespec="milliseconds"),
        "seconds": round(session.seconds, 3),
        "header": asdict(session.started),
        **({"speakers": list(session.speakers)} if session.speakers else {}),
        "damages": [str(damage) for damage in session.damages],
        **session.details,
    }
    if word_times:
        head["words"] = [word for utterance in session.utterances() for word in _word_records(utterance)]
    yield json_text(head, indent=2)[:-2] + ',\n  "facts": ['
    for number, fact in enumerate(session.facts()):
        record = json.loads(to_json(fact)) | _times(session, fact)
        yield ("," if number else "") + "\n    " + json_text(record)
    yield "\n  ]\n}\n"


FORMATS: dict[str, Callable[[Document], Iterator[str]]] = {
    "txt": to_txt,
    "md": to_md,
    "srt": to_srt,
    "vtt": to_vtt,
    "tsv": to_tsv,
    "json": to_json_document,
    "html": html_pieces,
}
"""Format name, also the file suffix, to the function that writes it."""
TIMED: dict[str, Callable[[Document], Iterator[str]]] = {
    "tsv": partial(to_tsv, word_times=True),
    "json": partial(to_json_document, word_times=True),
    "html": partial(html_pieces, word_times=True),
}
"""The formats that have a place for the times of words, beside vtt."""
MEASURES: dict[str, Callable[[RecordedSession], Iterator[str]]] = {"omnisteval": to_omnisteval}
"""Logs of sessions for tools that measure; written only where they are named."""
SUFFIXES = {"omnisteval": "omnisteval.jsonl"}
"""File suffixes that differ from the name of the format."""
SUBTITLES: dict[str, Callable[[Document, CueLimits], Iterator[str]]] = {"srt": to_srt, "vtt": to_vtt}
"""The formats of cues."""


def _time(sample: int, point: str) -> str:
    """A sample as 00:12:03,450, with `point` before the milliseconds."""
    milliseconds = sample * 1000 // SAMPLE_RATE
    seconds, milliseconds = divmod(milliseconds, 1000)
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}{point}{milliseconds:03}"


def _subrip(line: str) -> str:
    """A line in which tags and arrows are replaced by similar characters, since SubRip has no escapes."""
    line = re.sub(r"<(?=[/!a-zA-Z])", "‹", line.replace("-->", "→"))
    return re.sub(r"\{(?=\\)", "(", line)


def _vtt(text: str) -> str:
    return printable(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _vtt_text(cue: Cue, word_times: bool) -> str:
    """The lines of a cue with a voice tag for the cue, or for each line if two people speak."""
    voices = [f"<v {_vtt(label)}>" if label else "" for label in cue.labels]
    lines = _timed_lines(cue) if word_times else [_vtt(line) for line in cue.lines]
    if len(set(voices)) > 1:
        return "\n".join(f"{voice}{line}</v>" if voice else line for voice, line in zip(voices, lines, strict=True))
    return voices[0] + "\n".join(lines)


def _timed_lines(cue: Cue) -> list[str]:
    """The lines of a cue with a timestamp before each word. Timestamps rise and lie within the cue, as WebVTT asks."""
    lines, units, shown = [], list(cue.units), cue.start_sample
    for line in cue.lines:
        parts, at = [], 0
        while units and (found := line.find(word := units[0].text.strip(), at)) >= 0:
            start = units.pop(0).start_sample
            parts.append(_vtt(line[at:found]))
            if shown < start < cue.end_sample and _time(start, ".") != _time(shown, "."):
                parts.append(f"<{_time(start, '.')}>")
                shown = start
            parts.append(_vtt(word))
            at = found + len(word)
        lines.append("".join([*parts, _vtt(line[at:])]))
    return lines


def _vtt_note(mark: Marked) -> str:
    return f"NOTE {_time(mark.sample, '.')} ★ {_vtt(mark.note)}".rstrip() + "\n\n"


def _row(start_sample: int, end_sample: int, label: str, text: str) -> str:
    start, end = (sample * 1000 // SAMPLE_RATE for sample in (start_sample, end_sample))
    return f"{start}\t{end}\t{_cell(label)}\t{_cell(text)}\n"


def _cell(text: str) -> str:
    """A cell that a spreadsheet takes for no formula nor, with a quotation mark at its start, for one that goes on
    in the next line: an apostrophe goes before what could be one."""
    text = printable(text)
    return f"'{text}" if text.lstrip().startswith((*FORMULA, '"')) else text


def _word_records(utterance: Utterance) -> Iterator[dict[str, Any]]:
    """The words of an utterance with their times in seconds."""
    for word in utterance.words:
        label = {"label": utterance.track} if utterance.track else {}
        start, end = (round(sample / SAMPLE_RATE, 3) for sample in (word.start_sample, word.end_sample))
        yield label | {"text": word.text, "start": start, "end": end, "quality": word.quality}


def _markdown(text: str) -> str:
    return re.sub(r"([\\`*_\[\]<>#|])", r"\\\1", text)


def _markdown_line(text: str) -> str:
    """A line of transcript.md in which everything after the time in brackets is escaped."""
    time, space, rest = text.partition("] ")
    return f"{time}{space}{_markdown(rest)}" if space else text


def _times(session: Document, fact: Fact) -> dict[str, Any]:
    times: dict[str, Any] = {}
    match fact:
        case UtteranceEnded() | UtteranceSettled() | AudioGap():
            times["start_seconds"] = round(fact.start_sample / SAMPLE_RATE, 3)
            times["end_seconds"] = round(fact.end_sample / SAMPLE_RATE, 3)
            times["at"] = session.clock.at_fact(fact)
        case Marked():
            times["seconds"] = round(fact.sample / SAMPLE_RATE, 3)
            times["at"] = session.clock.at_fact(fact)
    return times

"""Queries to the index and their answers: utterances, newest first."""

import os
import sqlite3
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from livecap.archive.folder import read_title
from livecap.archive.search_terms import Pieces, fts_query, snippet
from livecap.text.scripts import folded_name


class DamagedIndex(sqlite3.DatabaseError):
    """The index holds something that livecap did not write; it has to be built again."""


def checked(row: tuple[Any, ...], *kinds: type) -> tuple[Any, ...]:
    """The row, if its columns have these types. Raises DamagedIndex if not."""
    if tuple(map(type, row)) != kinds:
        raise DamagedIndex(f"a row of {', '.join(type(value).__name__ for value in row)}")
    return row


@dataclass(frozen=True, slots=True)
class Query:
    """A search in past sessions."""

    words: str
    """Words that must all be in one utterance; words in quotes must be adjacent."""
    since: datetime | None = None
    """Earliest start of an utterance."""
    until: datetime | None = None
    """An utterance must start before this."""
    label: str | None = None
    """Label of the track, matched exactly."""
    speaker: str | None = None
    """Name or letter of the speaker, or label of a track whose speakers are not labelled; in any case."""
    language: str | None = None
    """Name of the language, such as English, in any case."""
    session: str | None = None
    """Name of the only session to search."""
    limit: int = 50
    """Most hits to return."""
    prefix: bool = False
    """The last word may be the beginning of a longer one, from two letters on; for search while typing."""


@dataclass(frozen=True, slots=True)
class Hit:
    """An utterance that a search found."""

    session: str
    title: str
    track: str
    speaker: str
    """Name or letter of the speaker; the track's label where speakers are not labelled."""
    utterance: int
    start_sample: int
    at: str
    """Time as text: 10:02:03, or 0:12:03 from the start of a recording."""
    started: datetime
    """Start of the utterance."""
    language: str | None
    text: str
    """Text of the whole utterance, or of the speaker's part of it."""
    snippet: Pieces
    """Part of the text around the first found word."""


def find(db: sqlite3.Connection, parent: Path, query: Query) -> list[Hit]:
    """The newest utterances that match `query`.

    Args:
        db: an index of the sessions in `parent`.
    """
    terms = fts_query(
        query.words, prefix=query.prefix, track=query.label, speaker=query.speaker, language=query.language
    )
    if terms is None:
        return []
    low = milliseconds(query.since) if query.since else 0
    high = milliseconds(query.until) if query.until else 2**62
    conditions = ["words MATCH :terms", "words.rowid >= :low", "words.rowid < :high"]
    values: dict[str, object] = {"terms": terms, "limit": query.limit}
    if query.session is not None:
        # Only rows from the session's own time are searched: a common word has a million hits elsewhere.
        first, last, values["session"] = _span(db, query.session)
        low, high = max(low, first), min(high, last + 1)
        conditions.append("u.session = :session")
    if query.label is not None:
        conditions.append("u.track = :label")
        values["label"] = query.label
    if query.speaker is not None:
        db.create_function("folded", 1, folded_name, deterministic=True)  # NOCASE knows ASCII only
        conditions.append("folded(u.speaker) = :speaker")
        values["speaker"] = folded_name(query.speaker)
    if query.language is not None:
        conditions.append("u.language = :language COLLATE NOCASE")
        values["language"] = query.language
    rows = db.execute(
        "SELECT s.name, u.track, u.speaker, u.number, u.start_sample, u.at, u.id, u.language, u.text "
        "FROM words JOIN utterances u ON u.id = words.rowid JOIN sessions s ON s.id = u.session "
        f"WHERE {' AND '.join(conditions)} ORDER BY words.rowid DESC LIMIT :limit",
        values | {"low": low, "high": high},
    ).fetchall()
    for row in rows:
        checked(row, bytes, str, str, int, int, str, int, str, str)
    titles = {name: read_title(parent / os.fsdecode(name)) for name in {row[0] for row in rows}}
    return [_hit(row, titles[row[0]], query) for row in rows]


def milliseconds(moment: datetime) -> int:
    """Milliseconds since 1970: the row number in the index of an utterance that starts then."""
    return max(0, round(moment.timestamp() * 1000))


def _span(db: sqlite3.Connection, session: str) -> tuple[int, int, int]:
    """(first row, last row, session row) of a session; (1, 0, 0) if it has no utterances."""
    first, last, number = db.execute(
        "SELECT min(u.id), max(u.id), s.id FROM sessions s LEFT JOIN utterances u ON u.session = s.id WHERE s.name = ?",
        (os.fsencode(session),),
    ).fetchone()
    return (1, 0, 0) if first is None else (first, last, number)


def _hit(row: tuple[bytes, str, str, int, int, str, int, str, str], title: str, query: Query) -> Hit:
    session, track, speaker, number, start_sample, at, began, language, text = row
    try:
        started = datetime.fromtimestamp(began / 1000).astimezone()
    except (ValueError, OverflowError, OSError):
        raise DamagedIndex(f"row {began} has no time") from None
    return Hit(
        session=os.fsdecode(session),
        title=title,
        track=track,
        speaker=speaker,
        utterance=number,
        start_sample=start_sample,
        at=at,
        started=started,
        language=language or None,
        text=text,
        snippet=snippet(text, query.words, query.prefix),
    )

"""`livecap search`: what was said in past sessions."""

import argparse
import re
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime, time, timedelta

from livecap.archive.archive import Archive
from livecap.archive.search import Hit, Query
from livecap.cli.arguments import SESSION, add_log_dir, add_output, sessions_folder, value_of
from livecap.cli.terminal import warn
from livecap.errors import SettingsError
from livecap.settings.fields import Settings
from livecap.settings.values import NAME, Number
from livecap.text.languages import parse_language
from livecap.text.printing import Style, say, say_json

_AGE = re.compile(r"(\d+)\s*(min|h|d|w|m|y)")
_DAYS = {"min": 1 / 1440, "h": 1 / 24, "d": 1, "w": 7, "m": 30, "y": 365}


def add_arguments(search: argparse.ArgumentParser) -> None:
    """The options of `livecap search`."""
    search.add_argument("query", nargs="+", metavar="WORD", help='words to find; "quoted words" must be adjacent')
    search.add_argument("--since", metavar="WHEN", help="a date such as 2026-03-01, today, or an age such as 3d or 6m")
    search.add_argument("--until", metavar="WHEN", help="only what was said before this date or age")
    name = value_of(NAME)
    search.add_argument("--label", metavar="NAME", type=name, help="only on this track, such as them")
    search.add_argument("--speaker", metavar="NAME", type=name, help="only what this speaker said, such as Priya or B")
    search.add_argument(
        "--language", dest="spoken", metavar="NAME", type=name, help="only in this language, such as English"
    )
    search.add_argument("--session", metavar="SESSION", type=name, help=f"only in this session ({SESSION})")
    limit = value_of(Number(1, 100_000, whole=True))
    search.add_argument(
        "--limit", metavar="N", type=limit, default=50, help="at most N results, newest first (default: 50)"
    )
    add_output(search, "json", json="print one JSON object per line")
    add_log_dir(search)


def run(options: argparse.Namespace, settings: Settings) -> int:
    """Print what was found; returns the exit status, 1 if nothing was found."""
    archive, only = Archive(sessions_folder(settings)), None
    if options.session:
        folder = archive.folder_of(options.session)
        archive, only = Archive(folder.parent), folder.name  # a path may be in another folder
    now = datetime.now().astimezone()
    query = Query(
        " ".join(map(_as_typed, options.query)),
        since=moment(options.since, now),
        until=moment(options.until, now),
        label=options.label,
        speaker=options.speaker,
        language=parse_language(options.spoken)
        if options.spoken
        else None,  # not the language of the settings, which is for new sessions
        session=only,
        limit=options.limit,
    )
    hits = archive.search(query)
    if settings.output == "json":
        for hit in hits:
            snippet = "".join(f"[{piece}]" if found else piece for piece, found in hit.snippet)
            say_json({**asdict(hit), "snippet": snippet}, default=datetime.isoformat)
    elif hits:
        _print_hits(hits)
    else:
        _report_nothing_found(archive, query)
    return 0 if hits else 1


def _as_typed(argument: str) -> str:
    """A word, or words in quotes, as the user typed them: the shell has removed quotes around words."""
    return f'"{argument}"' if len(argument.split()) > 1 and '"' not in argument else argument


def _report_nothing_found(archive: Archive, query: Query) -> None:
    if not archive.parent.is_dir():
        warn(f"Nothing to search: the folder {archive.parent} does not exist.")
        return
    names = [summary.name for summary in archive.sessions()]
    for trouble in archive.unreadable(names):
        warn(trouble)
    n = 1 if query.session else len(names)
    warn(f"Nothing found for {query.words!r} in {n} session{'s' if n != 1 else ''}.")


def _print_hits(hits: Sequence[Hit]) -> None:
    session = None
    for hit in hits:
        if hit.session != session:
            session = hit.session
            say(Style.BOLD, session, Style.PLAIN, f"  {hit.title}" if hit.title else "")
        label = f"{hit.speaker}: " if hit.speaker else ""
        text = [
            part for piece, found in hit.snippet for part in ((Style.BOLD, piece, Style.PLAIN) if found else (piece,))
        ]
        say(f"  {hit.at}  {label}", *text)


def moment(text: str | None, now: datetime) -> datetime | None:
    """A time from text: 2026-03-01, 2026-03-01T10:00, today, yesterday, or an age such as 30min, 12h, 3d, 2w or 6m.

    Args:
        now: ages are counted back from here; dates are local time.

    Raises:
        SettingsError: the text is none of these.
    """
    if text is None:
        return None
    if text in ("today", "yesterday"):
        day = now.date() - timedelta(days=text == "yesterday")
        return datetime.combine(day, time()).astimezone()  # of that day: the offset of `now` may be another one
    try:
        if age := _AGE.fullmatch(text.strip()):
            return now - timedelta(days=int(age[1]) * _DAYS[age[2]])
        return datetime.fromisoformat(text).astimezone()
    except (ValueError, OverflowError):
        raise SettingsError(
            f"{text!r} is not a time. Use a date such as 2026-03-01, today, yesterday, or an age such as 3d, 2w or 6m."
        ) from None

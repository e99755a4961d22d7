"""`livecap sessions`, `livecap search` and `livecap reindex`: past sessions, listed, named, deleted and searched."""

import argparse
import json
import re
import sys
import time
from datetime import datetime, timedelta
from typing import Any

from livecap.cli.arguments import add_log_dir, sessions_folder
from livecap.cli.terminal import ask, warn
from livecap.errors import LogError, SettingsError
from livecap.settings.fields import Settings, settings_path
from livecap.settings.file import store
from livecap.text.safety import printable

_AGE = re.compile(r"(\d+)\s*(min|h|d|w|m|y)")
_UNITS = {"min": 1 / 1440, "h": 1 / 24, "d": 1, "w": 7, "m": 30, "y": 365}


def add_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """The three commands and their options."""
    sessions = commands.add_parser("sessions", help="look through past sessions; list, name or delete them")
    actions = sessions.add_subparsers(dest="action", metavar="", title="actions")
    for parser in (sessions, actions.add_parser("list", help="list them, newest first")):
        parser.add_argument("--json", dest="as_json", action="store_true", help="as JSON")
        add_log_dir(parser)
    rename = actions.add_parser("rename", help="give a session a title")
    rename.add_argument("session", help="its name, a part of its title, a path, or last")
    rename.add_argument("title", help='"" takes the title away')
    delete = actions.add_parser("delete", help="remove sessions and every trace of them")
    delete.add_argument("session", nargs="+", help="its name, a part of its title, a path, or last")
    delete.add_argument("--yes", action="store_true", help="do not ask")
    for parser in (rename, delete):
        add_log_dir(parser)
    sessions.set_defaults(run=_sessions)

    search = commands.add_parser("search", help="find what was said in past sessions")
    search.add_argument("query", nargs="+", help='words; "in quotes" they stand together')
    search.add_argument("--since", metavar="WHEN", help="a date such as 2026-03-01, or an age: 3d, 2w, 6m")
    search.add_argument("--until", metavar="WHEN", help="the same; what was said before it")
    search.add_argument("--label", metavar="NAME", help="said by this track, such as them")
    search.add_argument("--language", metavar="NAME", help="heard as this language, such as English")
    search.add_argument("--session", metavar="NAME", help="in this session alone")
    search.add_argument("--limit", metavar="N", type=_count, default=50, help="at most so many, the newest (50)")
    search.add_argument("--json", dest="as_json", action="store_true", help="one JSON object a line")
    add_log_dir(search)
    search.set_defaults(run=_search)

    reindex = commands.add_parser("reindex", help="make the search index anew from the logs")
    add_log_dir(reindex)
    reindex.set_defaults(run=_reindex)


def _sessions(options: argparse.Namespace, settings: Settings) -> int:
    from livecap.archive.archive import Archive

    archive = Archive(sessions_folder(settings))
    if options.action == "rename":
        archive.rename(options.session, options.title)
        return 0
    if options.action == "delete":
        return _delete(archive, options.session, options.yes)
    as_json = options.as_json or options.json
    if options.action is None and not as_json and settings.output == "screen" and sys.stdin.isatty():
        return browse(settings)
    return _list(archive, as_json)


def browse(settings: Settings) -> int:
    """Show past sessions on the screen until the user leaves; returns the exit status."""
    from livecap.cli.this_computer import ThisComputer
    from livecap.tui.screens.sessions_screen import SessionsScreen
    from livecap.tui.terminal import run_screen

    screen = SessionsScreen(sessions_folder(settings), time.monotonic, ThisComputer())
    left = run_screen(screen, settings, lambda name, value: store(settings_path(), {name: value}))
    return 0 if left == "finished" else 1


def _list(archive: Any, as_json: bool) -> int:
    summaries = archive.sessions()
    troubles = archive.unreadable(summary.name for summary in summaries)
    for trouble in troubles:
        warn(trouble)
    status = int(bool(troubles))
    if as_json:
        print(json.dumps([_as_json(summary) for summary in summaries], ensure_ascii=False, indent=2))
        return status
    if not summaries:
        if not troubles:
            warn(f"No sessions in {archive.parent} yet.")
        return status
    for summary in summaries:
        said = summary.title or summary.first_words or "(nothing was said)"
        end = "" if summary.ended else "  [no end]"
        print(f"{summary.name}  {length(summary.seconds):>9}  {size(summary.n_bytes):>8}  {printable(said)[:80]}{end}")
    total = sum(summary.seconds for summary in summaries)
    n = len(summaries)
    print(f"\n{n} session{'s' if n != 1 else ''}, {length(total)}, in {archive.parent}")
    return status


def _delete(archive: Any, wanted: list[str], sure: bool) -> int:
    folders = [archive.folder_of(name) for name in wanted]
    if not sure:
        if not sys.stdin.isatty():
            raise SettingsError("Nobody can be asked here: add --yes to delete without a question.")
        names = ", ".join(folder.name for folder in folders)
        if ask(f"Delete {names} with sound and text? There is no way back. [y/N] ") not in ("y", "yes"):
            return 1
    status = 0
    for folder in folders:
        try:
            deleted = archive.delete(str(folder))
            print(printable(f"Deleted {folder.name}, {size(deleted.n_bytes)}.{deleted.stays}"))
        except LogError as error:
            warn(str(error))
            status = 1
    return status


def _search(options: argparse.Namespace, settings: Settings) -> int:
    from livecap.archive.archive import Archive
    from livecap.archive.search import Query

    archive = Archive(sessions_folder(settings))
    now = datetime.now().astimezone()
    query = Query(
        " ".join(options.query),
        since=moment(options.since, now),
        until=moment(options.until, now),
        label=options.label,
        language=_language(options.language),  # not that of the settings, which is for what is heard
        session=archive.folder_of(options.session).name if options.session else None,
        limit=options.limit,
    )
    hits = archive.search(query)
    if options.as_json or options.json:
        for hit in hits:
            print(json.dumps(_as_json(hit), ensure_ascii=False))
    elif hits:
        _print_hits(hits)
    else:
        _tell_nothing_found(archive, query)
    return 0 if hits else 1


def _tell_nothing_found(archive: Any, query: Any) -> None:
    if not archive.parent.is_dir():
        warn(f"Nothing to search: there is no folder {archive.parent}.")
        return
    names = [summary.name for summary in archive.sessions()]
    for trouble in archive.unreadable(names):
        warn(trouble)
    n = 1 if query.session else len(names)
    warn(f"Nothing found for {query.words!r} in {n} session{'s' if n != 1 else ''}.")


def _language(name: str | None) -> str | None:
    if name is None:
        return None
    from livecap.text.languages import parse_language

    return parse_language(name)


def _print_hits(hits: list[Any]) -> None:
    bold, plain = ("\033[1m", "\033[0m") if sys.stdout.isatty() else ("", "")
    session = None
    for hit in hits:
        if hit.session != session:
            session = hit.session
            title = f"  {printable(hit.title)}" if hit.title else ""
            print(f"{bold}{session}{plain}{title}")
        label = f"{printable(hit.track)}: " if hit.track else ""
        text = "".join(
            f"{bold}{printable(piece)}{plain}" if found else printable(piece) for piece, found in hit.snippet
        )
        print(f"  {hit.at}  {label}{text}")


def _reindex(options: argparse.Namespace, settings: Settings) -> int:
    from livecap.archive.archive import Archive
    from livecap.archive.index import Index, erase

    archive = Archive(sessions_folder(settings))
    names = archive.names()
    if not names:
        raise LogError(f"No sessions in {archive.parent} yet.")
    erase(archive.parent)
    with Index(archive.parent) as index:
        troubles = index.refresh(lambda: names)
    for trouble in troubles:
        warn(trouble)
    print(f"Indexed {len(names) - len(troubles)} sessions.")
    return int(bool(troubles))


def moment(text: str | None, now: datetime) -> datetime | None:
    """2026-03-01 or 2026-03-01T10:00 in local time, today, yesterday, or an age before `now`: 30min, 12h, 3d, 2w, 6m.

    Raises:
        SettingsError: it is none of these.
    """
    if text is None:
        return None
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    if text in ("today", "yesterday"):
        return midnight - timedelta(days=text == "yesterday")
    try:
        if age := _AGE.fullmatch(text.strip()):
            return now - timedelta(days=int(age[1]) * _UNITS[age[2]])
        return datetime.fromisoformat(text).astimezone()
    except (ValueError, OverflowError):
        raise SettingsError(
            f"{text!r} is no time: give a date such as 2026-03-01, or an age such as 3d, 2w, 6m."
        ) from None


def length(seconds: float) -> str:
    """40 s, 12 min, 1 h 05."""
    minutes = round(seconds / 60)
    if seconds < 60:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02}"


def size(n_bytes: int) -> str:
    """12 kB, 3.4 MB."""
    if n_bytes < 1_000_000:
        return f"{max(n_bytes, 0) / 1000:.0f} kB"
    return f"{n_bytes / 1e6:.1f} MB" if n_bytes < 1e9 else f"{n_bytes / 1e9:.1f} GB"


def _as_json(value: Any) -> dict[str, Any]:
    from dataclasses import asdict

    record: dict[str, Any] = asdict(value)
    record |= {name: item.isoformat() for name, item in record.items() if isinstance(item, datetime)}
    if "snippet" in record:
        record["snippet"] = "".join(f"[{piece}]" if found else piece for piece, found in value.snippet)
    return record


def _count(text: str) -> int:
    try:
        number = int(text)
    except ValueError:
        number = 0
    if not 1 <= number <= 100_000:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of hits: give 1 or more")
    return number

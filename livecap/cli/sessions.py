"""`livecap sessions`: past sessions, browsed, listed, renamed and deleted."""

import argparse
import sys
from dataclasses import asdict
from datetime import datetime

from livecap.archive.archive import Archive
from livecap.cli.arguments import SESSION, add_json, add_log_dir, sessions_folder
from livecap.cli.terminal import ask, warn
from livecap.errors import LogError, SettingsError
from livecap.settings.fields import Settings
from livecap.text.printing import say, say_json
from livecap.text.safety import printable
from livecap.text.units import length_of_time, size


def add_arguments(sessions: argparse.ArgumentParser) -> None:
    """The options and actions of `livecap sessions`."""
    actions = sessions.add_subparsers(dest="action", metavar="[ACTION]", title="actions")
    for parser in (sessions, actions.add_parser("list", help="list them, newest first")):
        add_json(parser)
        add_log_dir(parser)
    rename = actions.add_parser("rename", help="give a session a title")
    rename.add_argument("session", metavar="SESSION", help=SESSION)
    rename.add_argument("title", nargs="+", metavar="TITLE", help='the title; "" removes it')
    add_log_dir(rename)
    delete = actions.add_parser("delete", help="delete sessions and everything livecap keeps of them")
    delete.add_argument("session", nargs="+", metavar="SESSION", help=SESSION)
    delete.add_argument("--yes", action="store_true", help="do not ask")
    add_log_dir(delete)


def run(options: argparse.Namespace, settings: Settings) -> int:
    """Run the chosen action; without one, browse on a terminal and list elsewhere. Returns the exit status."""
    archive = Archive(sessions_folder(settings))
    if options.action == "rename":
        archive.rename(options.session, " ".join(options.title))
        return 0
    if options.action == "delete":
        return _delete(archive, options.session, options.yes)
    if options.action is None and settings.output == "screen" and sys.stdin.isatty():
        from livecap.cli.browse import browse  # loads Textual

        return browse(settings)
    return _list(archive, settings.output == "json")


def _list(archive: Archive, as_json: bool) -> int:
    summaries = archive.sessions()
    troubles = archive.unreadable(summary.name for summary in summaries)
    for trouble in troubles:
        warn(trouble)
    status = int(bool(troubles))
    if as_json:
        say_json(list(map(asdict, summaries)), indent=2, default=datetime.isoformat)
        return status
    if not summaries:
        if not troubles:
            warn(f"No sessions in {archive.parent} yet.")
        return status
    for summary in summaries:
        said = summary.title or summary.first_words or "(no speech)"
        end = "" if summary.ended else "  [recording now]" if summary.running else "  [no end]"
        seconds, n_bytes = length_of_time(summary.seconds), size(summary.n_bytes)
        say(f"{summary.name}  {seconds:>11}  {n_bytes:>8}  {printable(said)[:80]}{end}")
    total = sum(summary.seconds for summary in summaries)
    n = len(summaries)
    say()
    say(f"{n} session{'s' if n != 1 else ''}, {length_of_time(total)}, in {archive.parent}")
    return status


def _delete(archive: Archive, wanted: list[str], sure: bool) -> int:
    folders, status = [], 0
    for folder in dict.fromkeys(map(archive.folder_of, wanted)):
        try:
            archive.check_not_running(folder)
            folders.append(folder)
        except LogError as error:  # it could not be deleted: do not ask about it
            warn(str(error))
            status = 1
    if folders and not sure:
        if not sys.stdin.isatty():
            raise SettingsError("Nobody can confirm, since this is not a terminal. Add --yes to delete without asking.")
        names = ", ".join(folder.name for folder in folders)
        if ask(f"Delete {names} with sound and text? This cannot be undone. [y/N] ") not in ("y", "yes"):
            return 1
    for folder in folders:
        try:
            deleted = archive.delete(str(folder))
            say(f"Deleted {folder.name}, {size(deleted.n_bytes)}.{deleted.stays}")
        except LogError as error:
            warn(str(error))
            status = 1
    return status

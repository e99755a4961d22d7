"""`livecap export`: a past session as text, subtitles, a table, JSON or a page."""

import argparse
from collections.abc import Iterable
from functools import partial

from livecap.archive.archive import Archive
from livecap.cli.arguments import SESSION, add_log_dir, given_once, sessions_folder, value_of
from livecap.cli.terminal import warn
from livecap.errors import SettingsError
from livecap.export.cues import USUAL_LIMITS, CueLimits
from livecap.export.formats import FORMATS, MEASURES, export_file, export_pieces
from livecap.settings.fields import Settings
from livecap.settings.values import PATH, Number
from livecap.text.printing import say, send

FORMATS_ONCE = given_once("Separate formats with commas, as in -f srt,txt")


def add_arguments(export: argparse.ArgumentParser) -> None:
    """The options of `livecap export`."""
    export.add_argument("session", metavar="SESSION", help=SESSION)
    add_outputs(export, MEASURES)
    add_log_dir(export)


def add_outputs(parser: argparse.ArgumentParser, more: Iterable[str] = ()) -> None:
    """The options that say which files are written, where, and how subtitles look.

    Args:
        more: formats beside the usual ones; "all" does not name them.
    """
    add = parser.add_argument
    add(
        "-f", "--format", metavar="FORMATS", type=partial(_formats, more), default=["txt"], action=FORMATS_ONCE,
        help=f"{','.join((*FORMATS, *more))}, or all (default: txt)",
    )  # fmt: skip
    add_folder(parser)
    add(
        "--max-line", metavar="N", type=value_of(Number(20, 200, whole=True)), default=USUAL_LIMITS.max_cells,
        help=f"width of a line of subtitles, 20 to 200 (default: {USUAL_LIMITS.max_cells})",
    )  # fmt: skip
    add("--max-words", metavar="N", type=value_of(Number(1, 1000, whole=True)), help="at most N words in one subtitle")
    add(
        "--max-gap", metavar="SECONDS", type=value_of(Number(0.05, 60, "seconds")),
        help="a longer silence ends a subtitle",
    )  # fmt: skip
    add("--timestamps", action="store_true", help="also give the times of each word, in json, vtt, tsv and html")


def add_folder(parser: argparse.ArgumentParser) -> None:
    """The options that say where files are written."""
    add = parser.add_argument
    add(
        "-o", "--output", dest="folder", metavar="DIR", default=".", type=value_of(PATH),
        help="folder to write to (default: the current one); - prints to standard output",
    )  # fmt: skip
    add("--stdout", dest="folder", action="store_const", const="-", help="the same as -o -")
    add("--overwrite", "--force", action="store_true", help="replace files that exist")


def limits_of(options: argparse.Namespace) -> CueLimits:
    """What the options say about subtitles."""
    return CueLimits(options.max_line, options.max_words, options.max_gap)


def run(options: argparse.Namespace, settings: Settings) -> int:
    """Write or print the session; returns the exit status."""
    session = Archive(sessions_folder(settings)).open(options.session)
    for damage in session.damages:
        warn(f"The log of {session.name} is damaged at {damage}.")
    if str(options.folder) == "-":
        if len(options.format) != 1:
            raise SettingsError("Only one format can be printed. Choose one with -f, or write to a folder with -o.")
        send(export_pieces(session, options.format[0], limits_of(options), options.timestamps))
        return 0
    for name in options.format:
        limits = limits_of(options)
        say(str(export_file(session, name, options.folder, options.overwrite, limits, options.timestamps)))
    return 0


def _formats(more: Iterable[str], text: str) -> list[str]:
    names = list(FORMATS) if text == "all" else [name.strip().lower() for name in text.split(",")]
    for name in names:
        if name not in (*FORMATS, *more):
            raise argparse.ArgumentTypeError(f"must be some of {','.join((*FORMATS, *more))}, or all, not {name!r}")
    return list(dict.fromkeys(names))

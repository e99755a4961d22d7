"""`livecap export`: a past session as text, subtitles, a table, JSON or a page."""

import argparse

from livecap.archive.archive import Archive
from livecap.cli.arguments import SESSION, add_log_dir, sessions_folder, value_of
from livecap.cli.terminal import warn
from livecap.errors import SettingsError
from livecap.export.formats import FORMATS, export_file, export_pieces
from livecap.settings.fields import Settings
from livecap.settings.values import PATH
from livecap.text.printing import say, send


def add_arguments(export: argparse.ArgumentParser) -> None:
    """The options of `livecap export`."""
    export.add_argument("session", help=SESSION)
    export.add_argument(
        "-f", "--format", metavar="FORMATS", type=_formats, default=["txt"],
        help=f"{','.join(FORMATS)}, or all (default: txt)",
    )  # fmt: skip
    export.add_argument(
        "-o", "--output", dest="folder", metavar="DIR", default=".", type=value_of(PATH),
        help="folder to write to (default: the current one); - prints to standard output",
    )  # fmt: skip
    export.add_argument("--overwrite", action="store_true", help="replace files that exist")
    add_log_dir(export)


def run(options: argparse.Namespace, settings: Settings) -> int:
    """Write or print the session; returns the exit status."""
    session = Archive(sessions_folder(settings)).open(options.session)
    for damage in session.damages:
        warn(f"The log of {session.name} is damaged at {damage}.")
    if str(options.folder) == "-":
        if len(options.format) != 1:
            raise SettingsError("Only one format can be printed. Choose one with -f, or write to a folder with -o.")
        send(export_pieces(session, options.format[0]))
        return 0
    for name in options.format:
        say(str(export_file(session, name, options.folder, options.overwrite)))
    return 0


def _formats(text: str) -> list[str]:
    names = list(FORMATS) if text == "all" else [name.strip().lower() for name in text.split(",")]
    for name in names:
        if name not in FORMATS:
            raise argparse.ArgumentTypeError(f"must be some of {','.join(FORMATS)}, or all, not {name!r}")
    return names

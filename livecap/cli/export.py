"""`livecap export`: a past session as text, subtitles, a table, JSON or a page."""

import argparse
import sys
from pathlib import Path

from livecap.cli.arguments import add_log_dir, sessions_folder
from livecap.errors import SettingsError
from livecap.settings.fields import Settings

FORMS = ("txt", "md", "srt", "vtt", "tsv", "json", "html")


def add_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """`livecap export SESSION [-f FORMS] [-o DIR]`."""
    export = commands.add_parser("export", help="write a past session as txt, md, srt, vtt, tsv, json or html")
    export.add_argument("session", help="its name, a part of its title, a path, or last")
    export.add_argument(
        "-f",
        "--format",
        metavar="FORMS",
        type=_forms,
        default=["txt"],
        help=f"{','.join(FORMS)}, or all (default: txt)",
    )
    export.add_argument(
        "-o", "--output", metavar="DIR", default=".", help="into this folder (default: this one); - prints"
    )
    export.add_argument("--overwrite", action="store_true", help="files that are there already are replaced")
    add_log_dir(export)
    export.set_defaults(run=_export)


def _export(options: argparse.Namespace, settings: Settings) -> int:
    from livecap.archive.archive import Archive
    from livecap.cli.terminal import warn
    from livecap.export.formats import export_file, export_pieces

    session = Archive(sessions_folder(settings)).open(options.session)
    for damage in session.damages:
        warn(f"The log of {session.name} is damaged at {damage}.")
    if options.output == "-":
        if len(options.format) != 1:
            raise SettingsError("Only one format can be printed: give one with -f, or a folder with -o.")
        reconfigure = getattr(sys.stdout, "reconfigure", None)
        if reconfigure:
            reconfigure(encoding="utf-8", errors="replace")
        sys.stdout.writelines(export_pieces(session, options.format[0]))
        return 0
    for form in options.format:
        print(export_file(session, form, Path(options.output), options.overwrite))
    return 0


def _forms(text: str) -> list[str]:
    forms = list(FORMS) if text == "all" else [form.strip().lower() for form in text.split(",")]
    for form in forms:
        if form not in FORMS:
            raise argparse.ArgumentTypeError(f"{form!r} is no format: give some of {','.join(FORMS)}, or all")
    return forms

"""`livecap transcribe`: recordings become text files, as fast as the computer decodes."""

import argparse
import threading
from importlib import import_module

from livecap.cli.arguments import add_setting, value_of
from livecap.cli.export import add_outputs
from livecap.cli.speakers import add_counts, counts_of
from livecap.cli.terminal import INTERRUPTED, loading_code, signals_stop, warn
from livecap.errors import SettingsError
from livecap.settings.fields import Settings
from livecap.settings.values import NAME, PATH, Number
from livecap.transcribe.found import find

ABOUT = """\
Transcribe recordings into text files.

FILE is a recording or a video, a folder of them, a pattern such as "talks/*.m4a", or the folder of a session that was
recorded with --save-audio. Each becomes NAME.txt in the current folder; -o names another folder, -f other formats.
A second run skips finished recordings and continues where the first one stopped.

"""
EXAMPLES = """\
examples:
  livecap transcribe talk.m4a                         talk.txt
  livecap transcribe talks/ -f txt,srt -o text        every recording in a folder
  livecap transcribe talk.m4a --stdout                print the text alone
  livecap transcribe meeting.m4a --speakers -f md     who said what
  livecap transcribe talks/ -o text --ray auto        on all machines of a Ray cluster
  livecap transcribe --watch inbox/ -o text           new recordings in a folder, until Ctrl-C
"""


def add_arguments(transcribe: argparse.ArgumentParser) -> None:
    """The options of `livecap transcribe`."""
    transcribe.description, transcribe.epilog = ABOUT, EXAMPLES
    transcribe.formatter_class = argparse.RawDescriptionHelpFormatter
    add = transcribe.add_argument
    add("files", nargs="*", metavar="FILE", help="recording, folder or pattern")
    add_outputs(transcribe)
    add(
        "--resume", action=argparse.BooleanOptionalAction, help="skip finished recordings (default without --overwrite)"
    )
    for name in ("model", "dtype", "language", "context", "context_file", "vad"):
        add_setting(transcribe, name)
    about = "forced aligner for the times of words, downloaded if necessary (default: used if it is downloaded), or off"
    add_setting(transcribe, "aligner", about)
    add_setting(transcribe, "speakers", help="label who speaks: A, B …")
    add_counts(transcribe)
    add(
        "--watch", metavar="DIR", type=value_of(PATH),
        help="transcribe the recordings in a folder, and new ones when they appear, until Ctrl-C",
    )  # fmt: skip
    add(
        "--batch",
        metavar="N",
        type=value_of(Number(1, 64, whole=True)),
        help="pieces that are decoded together (default: 4)",
    )
    add(
        "--draft-model", metavar="NAME", type=value_of(NAME),
        help="smaller model that drafts the text, such as 0.6b for 1.7b; the text is the same and may come sooner",
    )  # fmt: skip
    add(
        "--ray", metavar="ADDRESS", type=value_of(NAME),
        help="decode on the machines of a Ray cluster: auto, or the address of its head (docs/transcribe.md)",
    )  # fmt: skip
    decoding = transcribe.add_argument_group("decoding")
    for flag, metavar, kind, about in (
        ("--temperature", "T", Number(0, 2), "draw tokens at random; 0 takes the best (default)"),
        ("--top-k", "N", Number(0, 1_000_000, whole=True), "draw from the N best tokens only"),
        ("--top-p", "P", Number(0, 1, above=True), "draw from the best tokens that add up to this probability"),
        ("--repetition-penalty", "X", Number(0.1, 10), "make repeated tokens less likely (default: 1, off)"),
        ("--seed", "N", Number(0, 2**63, whole=True), "seed of the random draws (default: 0)"),
        ("--max-tokens", "N", Number(1, 100_000, whole=True), "at most N tokens per piece (default: by its length)"),
    ):
        decoding.add_argument(flag, metavar=metavar, type=value_of(kind), help=about)
    decoding.add_argument(
        "--repair-repetitions", action="store_true", help="reduce repeated text as the official package does"
    )
    output = transcribe.add_mutually_exclusive_group()
    output.add_argument("--quiet", action="store_true", help="print errors only")
    output.add_argument("--verbose", action="store_true", help="also print how long each recording took")
    add("--no-progress", action="store_true", help="do not show progress")
    add("--profile", action="store_true", help="print where the time and the memory went")


def run(options: argparse.Namespace, settings: Settings) -> int:
    """Transcribe; returns the exit status, 1 if a recording failed and 130 after Ctrl-C."""
    prints = str(options.folder) == "-"
    if prints and len(options.format) != 1:
        raise SettingsError("Only one format can be printed. Choose one with -f, or write to a folder with -o.")
    watched = options.watch
    if not options.files and watched is None:
        raise SettingsError("Nothing to transcribe. Give a recording, a folder, or --watch DIR.")
    if watched is not None and (prints or not watched.is_dir()):
        what = "cannot be printed; use -o DIR" if prints else f"needs a folder, and {watched} is not one"
        raise SettingsError(f"What --watch finds {what}." if prints else f"--watch {what}.")
    counts_of(options)  # raises before anything is loaded
    if options.ray is not None and (prints or watched is not None):
        raise SettingsError(
            "--ray writes files: leave out " + ("--watch." if not prints else "--stdout, or use -o DIR.")
        )
    recordings, errors = find(options.files)
    if prints and options.format != ["txt"] and len(recordings) > 1:
        raise SettingsError(f"Several recordings can be printed only as txt, not as {options.format[0]}. Use -o DIR.")
    for error in errors:
        warn(str(error))
    if not recordings and watched is None:
        return 1
    module, name = ("transcribe_work", "Work") if options.ray is None else ("transcribe_ray", "SpreadWork")
    with loading_code():
        make = getattr(import_module(f"livecap.cli.{module}"), name)
    stop = threading.Event()
    work = make(options, settings, stop, recordings)  # may download: Ctrl-C ends that at once
    with signals_stop(stop.set):
        status = work.run(recordings) if watched is None else work.watch(recordings, watched)
    if watched is not None:
        return INTERRUPTED
    if stop.is_set():
        keeps = work.outputs is not None and work.outputs.resume
        follows = "goes on from there" if keeps else "begins from the start"
        warn(f"Stopped: {work.n_done} of {len(recordings)} finished. The same command {follows}.")
        return INTERRUPTED
    return 1 if errors else status

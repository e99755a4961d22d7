"""`livecap speakers`: who spoke in a past session: labelled, named, merged, split and listed."""

import argparse

from livecap.archive.archive import Archive
from livecap.cli.arguments import SESSION, add_json, add_log_dir, sessions_folder, value_of
from livecap.errors import brief
from livecap.settings.fields import Settings
from livecap.settings.values import NAME, Number
from livecap.speakers.counts import Counts

ABOUT = """\
Label who spoke in a past session, from its kept sound (--save-audio) and the times of its words. Nothing is transcribed
again. A session that is labelled already is only listed, named, merged or split.

"""
EXAMPLES = """\
examples:
  livecap speakers last                               find out who spoke, and list the speakers
  livecap speakers last --name A=Tom --name B=Priya   name them, for the whole session
  livecap speakers last --merge C=B                   C is B
  livecap speakers last --split B                     B is two people
  livecap speakers last --num-speakers 3              label again, with three speakers
"""


def add_arguments(speakers: argparse.ArgumentParser) -> None:
    """The options of `livecap speakers`."""
    speakers.description, speakers.epilog = ABOUT, EXAMPLES
    speakers.formatter_class = argparse.RawDescriptionHelpFormatter
    add = speakers.add_argument
    add("session", metavar="SESSION", help=SESSION)
    add_counts(speakers)
    add("--track", metavar="LABEL", type=value_of(NAME), help="label only this track, such as them")
    add("--again", action="store_true", help="label again a session that is labelled already")
    add(
        "--name", metavar="A=NAME", action="append", default=[], type=_pair,
        help="name a speaker, by letter or old name; A= removes the name; repeat for others",
    )  # fmt: skip
    add(
        "--merge", metavar="A=B", action="append", default=[], type=_pair,
        help="A is B; A=A separates them again; repeat for others",
    )  # fmt: skip
    add(
        "--split", metavar="A", action="append", default=[],
        help="A is two people, or was merged by mistake; repeat for others",
    )  # fmt: skip
    add_json(speakers)
    add_log_dir(speakers)


def add_counts(parser: argparse.ArgumentParser) -> None:
    """The options that say how many people speak."""
    n_speakers = value_of(Number(1, 100, whole=True))
    parser.add_argument("--num-speakers", metavar="N", type=n_speakers, help="exactly N people speak")
    parser.add_argument("--min", dest="min_speakers", metavar="N", type=n_speakers, help="at least N people speak")
    parser.add_argument("--max", dest="max_speakers", metavar="N", type=n_speakers, help="at most N people speak")


def counts_of(options: argparse.Namespace) -> Counts:
    """How many people speak.

    Raises:
        SettingsError: the numbers contradict each other.
    """
    return Counts(options.num_speakers, options.min_speakers, options.max_speakers)


def run(options: argparse.Namespace, settings: Settings) -> int:
    """Do what was asked, then list the speakers; returns the exit status."""
    folder = Archive(sessions_folder(settings)).folder_of(options.session)
    counts = counts_of(options)
    from livecap.cli.speakers_work import work  # loads NumPy

    work(folder, options, counts, settings.output == "json")
    return 0


def _pair(text: str) -> tuple[str, str]:
    left, equals, right = text.partition("=")
    if not equals or not left.strip():
        raise argparse.ArgumentTypeError(f"must be like A=NAME, not {brief(text)}")
    return left.strip(), right.strip()

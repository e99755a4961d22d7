"""`livecap voices`: voices that livecap knows again, because the user asked for it."""

import argparse

from livecap.archive.archive import Archive
from livecap.cli.arguments import SESSION, add_json, add_log_dir, sessions_folder, value_of
from livecap.errors import SettingsError
from livecap.settings.fields import Settings
from livecap.settings.sources import voices_path
from livecap.settings.values import PATH

ABOUT = """\
Remember voices, so that their speakers have names in sessions and recordings that are labelled later.

A remembered voice is biometric data: it can identify a person. Ask the person first. It is kept in one file that only
you can read, on this computer alone, never in a session, an export or a note, until you forget it.

"""
EXAMPLES = """\
examples:
  livecap voices add Priya --session last --speaker B    the voice of B in a session whose sound was kept
  livecap voices add Priya priya.wav                     the voice in a recording in which nobody else speaks
  livecap voices list
  livecap voices forget Priya                            delete it without a trace; --all deletes every voice
"""


def add_arguments(voices: argparse.ArgumentParser) -> None:
    """The actions of `livecap voices`."""
    voices.description, voices.epilog = ABOUT, EXAMPLES
    voices.formatter_class = argparse.RawDescriptionHelpFormatter
    actions = voices.add_subparsers(dest="action", metavar="ACTION", title="actions", required=True)
    add = actions.add_parser("add", help="remember a voice; one of the same name is replaced")
    add.add_argument("name", metavar="NAME", help="of the person")
    add.add_argument("file", metavar="FILE", nargs="?", type=value_of(PATH), help="recording of this person alone")
    add.add_argument("--session", metavar="SESSION", help=f"session with this person ({SESSION})")
    add.add_argument("--speaker", metavar="A", help="letter or name of the person in that session")
    add_log_dir(add)
    listed = actions.add_parser("list", help="list the names of remembered voices")
    add_json(listed)
    forget = actions.add_parser("forget", help="delete voices without a trace")
    forget.add_argument("name", metavar="NAME", nargs="*", help="of the person")
    forget.add_argument("--all", action="store_true", help="delete every voice")


def run(options: argparse.Namespace, settings: Settings) -> int:
    """Run the chosen action; returns the exit status."""
    from livecap.cli import voices_work  # loads NumPy

    path = voices_path()
    if options.action == "list":
        voices_work.show(path, settings.output == "json")
    elif options.action == "forget":
        if bool(options.name) == options.all:
            raise SettingsError("Name the voices to forget, or give --all.")
        voices_work.forget(path, None if options.all else options.name)
    else:
        from_session = options.session is not None
        if from_session == (options.file is not None) or from_session != (options.speaker is not None):
            raise SettingsError("Give a recording of the voice, or --session SESSION and --speaker A.")
        if from_session:
            folder = Archive(sessions_folder(settings)).folder_of(options.session)
            voices_work.add_from_session(path, options.name, folder, options.speaker)
        else:
            voices_work.add_from_file(path, options.name, options.file)
    return 0

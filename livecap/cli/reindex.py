"""`livecap reindex`: the search index, rebuilt from the logs."""

import argparse

from livecap.archive.archive import Archive
from livecap.cli.arguments import add_log_dir, sessions_folder
from livecap.cli.terminal import warn
from livecap.errors import LogError
from livecap.settings.fields import Settings
from livecap.text.printing import say


def add_arguments(reindex: argparse.ArgumentParser) -> None:
    """The options of `livecap reindex`."""
    add_log_dir(reindex)


def run(options: argparse.Namespace, settings: Settings) -> int:
    """Rebuild the index; returns the exit status, 1 if a log could not be read."""
    archive = Archive(sessions_folder(settings))
    if not archive.names():
        raise LogError(f"No sessions in {archive.parent} yet.")
    n, troubles = archive.reindex()
    for trouble in troubles:
        warn(trouble)
    say(f"Indexed {n} session{'s' * (n != 1)}.")
    return int(bool(troubles))

"""What a person asked for on the command line, laid over the environment and the settings file."""

import argparse
import sys

from livecap.settings.fields import Effective, load_settings

FILED = {"device": "device", "model": "model", "language": "language", "context": "context"}
"""Setting to the option that gives it, of those that a settings file may hold too; None is not given."""

GIVEN = ("mic", "stdin", "rate", "channels", "start_seconds", "end_seconds", "save_audio", "step_cost_seconds")
"""Settings whose option has their name; None and False are not given."""


def effective(options: argparse.Namespace) -> Effective:
    """The settings of this run, and where each came from.

    Raises:
        SettingsError: the file or the environment holds something that makes no sense.
    """
    flags = {name: getattr(options, option) for name, option in FILED.items() if getattr(options, option) is not None}
    if options.mic and options.device is None:
        flags["device"] = None
    flags |= {name: getattr(options, name) for name in GIVEN if getattr(options, name) not in (None, False)}
    if options.label:
        flags["labels"] = tuple(options.label)
    if options.chunk is not None:
        flags["chunk_seconds"] = None if options.chunk == "auto" else options.chunk
    if options.settle is not None:
        flags["settle"] = options.settle
    if options.log_dir is not None:
        flags["log_dir"] = options.log_dir
    if options.replay is not None:
        flags["replay"] = options.replay
    if options.pace != 1.0:
        flags["pace"] = options.pace
    screen = "inline" if options.inline else "screen"
    output = "json" if options.json else "plain" if options.plain or not sys.stdout.isatty() else screen
    return load_settings({**flags, "output": output})

"""`livecap demo`: a shipped recording through the embedded model."""

import argparse
from dataclasses import replace

from livecap.cli.arguments import add_log_dir, add_output, add_setting
from livecap.cli.run import run_session
from livecap.settings.fields import Settings
from livecap.shipped import demo_recording


def add_arguments(demo: argparse.ArgumentParser) -> None:
    """The options of `livecap demo`; they may also precede it."""
    add_output(demo)
    add_setting(demo, "pace")
    add_setting(demo, "model", help="model to use instead of tiny")
    add_log_dir(demo)


def run(options: argparse.Namespace, settings: Settings) -> int:
    """Run a session on the recording; returns the exit status."""
    remote = settings.remote if "remote" in options else None  # not where only the settings name a server
    model = getattr(options, "model", "tiny")
    return run_session(replace(settings, replay=demo_recording(), model=model, remote=remote))

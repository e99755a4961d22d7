"""Where sessions are."""

import argparse
from pathlib import Path

from livecap.settings.fields import Settings


def sessions_folder(settings: Settings) -> Path:
    """The folder that has a folder for each session: `--log-dir`, or the platform's."""
    import platformdirs

    return settings.log_dir or Path(platformdirs.user_data_dir("livecap", appauthor=False)) / "sessions"


def add_log_dir(parser: argparse.ArgumentParser) -> None:
    """`--log-dir` may also stand behind a command."""
    parser.add_argument(
        "--log-dir", metavar="DIR", type=Path, default=argparse.SUPPRESS, help="the folder of the sessions"
    )

"""Values of options that several commands take."""

import argparse
import math
from pathlib import Path

import platformdirs

from livecap.settings.fields import Settings


def pace(text: str) -> float | None:
    """Times real time; None for `max`."""
    if text == "max":
        return None
    try:
        times = float(text)
    except ValueError:
        times = math.nan
    if not (math.isfinite(times) and times > 0):
        raise argparse.ArgumentTypeError(f"{text!r} is no pace: give a number above 0, or max")
    return times


def moment(text: str) -> float:
    """Seconds of `90`, `1:30` or `1:02:03.5`."""
    seconds = 0.0
    try:
        for part in text.split(":"):
            number = float(part)
            if not (math.isfinite(number) and number >= 0):
                raise ValueError
            seconds = seconds * 60 + number
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no time: give seconds, 1:30 or 1:02:03") from None
    return seconds


def rate(text: str) -> int:
    """Samples a second."""
    return _whole(text, 1_000, 768_000, "sample rate in Hz")


def channels(text: str) -> int:
    """How many lie side by side."""
    return _whole(text, 1, 64, "number of channels")


def _whole(text: str, least: int, most: int, what: str) -> int:
    if not text.isascii() or not text.isdigit() or not least <= int(text) <= most:
        raise argparse.ArgumentTypeError(f"{text!r} is no {what}: give {least} to {most}")
    return int(text)


def sessions_folder(settings: Settings) -> Path:
    """The folder that contains the session folders: `--log-dir`, or the platform's folder for user data."""
    return settings.log_dir or Path(platformdirs.user_data_dir("livecap", appauthor=False)) / "sessions"


def add_log_dir(parser: argparse.ArgumentParser) -> None:
    """Let `--log-dir` also follow a command."""
    parser.add_argument(
        "--log-dir", metavar="DIR", type=Path, default=argparse.SUPPRESS, help="the folder of the sessions"
    )

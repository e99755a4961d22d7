"""The command line: which command, with which settings. Heavy imports wait until a command needs them."""

import argparse
import math
from collections.abc import Sequence
from pathlib import Path

from livecap.cli import config, demo, devices, doctor, eval, sessions
from livecap.cli.arguments import pace
from livecap.cli.effective import effective
from livecap.errors import LivecapError, SettingsError
from livecap.settings import DEFAULT_MODEL
from livecap.version import VERSION

GROUPS = (config, demo, devices, doctor, eval, sessions)
"""The files of this folder that add commands: `add_commands` says what each is called and which function runs it."""

EXAMPLES = """\
examples:
  livecap --mic                        live notes from the default microphone
  livecap --device "BlackHole 2ch"     captions for system audio
  livecap --replay talk.wav            a recording, as if it were live
  livecap demo                         a shipped recording through the embedded model
  livecap doctor --selftest            what this machine has, and how well it does
"""


def run(arguments: Sequence[str]) -> int:
    """Run one command; returns the exit status. Trouble is one line on standard error."""
    options = _parser().parse_args(arguments)
    try:
        return _run(options)
    except LivecapError as error:
        from livecap.cli.output import warn

        warn(str(error))
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        return 0


def _run(options: argparse.Namespace) -> int:
    if options.command and (options.mic or options.device or options.replay):
        raise SettingsError(
            f"livecap {options.command} chooses its own sound: leave --mic, --device and --replay away."
        )
    if options.pace != 1.0 and not options.replay and options.command != "demo":
        raise SettingsError("--pace is for recordings: give it with --replay FILE or demo.")
    settings = effective(options).settings
    if options.command:
        status: int = options.run(options, settings)
        return status
    from livecap.cli.session import run_session

    return run_session(settings)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="livecap",
        description="Realtime transcription on your own machine: sound becomes text while people speak.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"livecap {VERSION}")
    source = parser.add_argument_group("sound").add_mutually_exclusive_group()
    source.add_argument("--mic", action="store_true", help="the default microphone (what livecap does without options)")
    source.add_argument("--device", metavar="NAME", help="an input: its index, its name or a part of it")
    source.add_argument("--replay", metavar="FILE", type=Path, help="a recording, as if it were live")
    parser.add_argument("--pace", metavar="N", type=pace, default=1.0, help="replay N times real time, or max")

    text = parser.add_argument_group("text")
    text.add_argument("--model", metavar="NAME", help=f"a name, folder or repository; tiny (default: {DEFAULT_MODEL})")
    text.add_argument("--language", metavar="NAME", help="force a language, such as English or en")
    text.add_argument("--context", metavar="TEXT", help="names and words to expect")
    text.add_argument("--chunk", metavar="SECONDS", type=_chunk, help="sound per step (default: by what a step costs)")

    output = parser.add_argument_group("output")
    form = output.add_mutually_exclusive_group()
    form.add_argument("--plain", action="store_true", help="print a line an utterance; no screen")
    form.add_argument("--json", action="store_true", help="print one event a line (docs/events.md)")
    output.add_argument("--log-dir", metavar="DIR", type=Path, help="put the session's folder into DIR")

    commands = parser.add_subparsers(dest="command", metavar="", title="commands")
    for group in GROUPS:
        group.add_commands(commands)
    return parser


def _chunk(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0.2 <= seconds <= 12:
        raise argparse.ArgumentTypeError(f"{text!r} is no chunk length: give seconds from 0.2 to 12")
    return seconds

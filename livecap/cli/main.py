"""The command line: which command, with which settings. Heavy imports wait until a command needs them."""

import argparse
import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from livecap.cli import compare as replay
from livecap.cli import config, demo, devices, doctor, eval, export, recover, sessions
from livecap.cli.arguments import channels, moment, pace, rate
from livecap.cli.effective import effective
from livecap.errors import LivecapError, SettingsError
from livecap.settings.fields import DEFAULT_MODEL
from livecap.version import VERSION

GROUPS = (config, demo, devices, doctor, eval, export, recover, replay, sessions)
"""The files of this folder that add commands: `add_commands` says what each is called and which function runs it."""

EXAMPLES = """\
examples:
  livecap --mic                        live notes from the default microphone
  livecap --device "BlackHole 2ch"     captions for system audio
  livecap --mic --device BlackHole     both sides of a call, as "me" and "them"
  ffmpeg ... | livecap --stdin         what another program hears
  livecap --replay talk.wav            a recording, as if it were live
  livecap demo                         a shipped recording through the embedded model
  livecap doctor --selftest            what this machine has, and how well it does
"""


def run(arguments: Sequence[str]) -> int:
    """Run one command; returns the exit status. Trouble is one line on standard error."""
    try:
        if arguments[:1] == ["bench"]:
            raise SettingsError("livecap bench is now `python -m benchmarks`, run in a checkout of the project.")
        return _run(_parser().parse_args(arguments))
    except LivecapError as error:
        from livecap.cli.terminal import warn

        warn(str(error))
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        return 0
    except OSError as error:
        from livecap.cli.terminal import warn

        warn(f"Cannot read or write {error.filename or 'the output'}: {error.strerror or error}.")
        return 1


def _run(options: argparse.Namespace) -> int:
    if options.command and (options.mic or options.device or options.replay or options.stdin):
        raise SettingsError(
            f"livecap {options.command} chooses its own sound: leave --mic, --device, --stdin and --replay away."
        )
    if sum(map(bool, (options.mic or options.device, options.replay, options.stdin))) > 1:
        raise SettingsError("Sound comes from devices, from --replay or from --stdin: choose one of the three.")
    if (options.rate or options.channels) and not options.stdin:
        raise SettingsError("--rate and --channels are of raw samples on standard input: give them with --stdin.")
    if (options.start_seconds is not None or options.end_seconds is not None) and not options.replay:
        raise SettingsError("--start and --end are for recordings: give them with --replay FILE.")
    if options.pace != 1.0 and not options.replay and options.command != "demo":
        raise SettingsError("--pace is for recordings: give it with --replay FILE or demo.")
    settings = effective(options).settings
    if options.command:
        status: int = options.run(options, settings)
        return status
    if options.model is None and not (options.mic or options.device or options.replay or options.stdin):
        from livecap.cli.first_run import is_first_run, run_first

        if is_first_run(settings):
            chosen = run_first()
            if not chosen:
                return 1
            settings = effective(options).settings
    from livecap.cli.run import run_session

    return run_session(settings)


class _Parser(argparse.ArgumentParser):
    """Says in one line what is wrong, without all the options before it."""

    def error(self, message: str) -> NoReturn:
        unknown = re.match(r"argument (?:COMMAND)?: invalid choice: '(.*?)' \(choose from (.*)\)", message)
        if unknown:
            message = f"there is no command {unknown[1]!r}, but {unknown[2]}"
            if self.prog == "livecap":
                message += "; a recording is given with --replay FILE"
        self.exit(2, f"{self.prog}: {message}. `{self.prog} --help` has the rest.\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="livecap",
        description="Realtime transcription on your own machine: sound becomes text while people speak.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"livecap {VERSION}")
    sound = parser.add_argument_group("sound", "without options: the input used last, or the default microphone")
    sound.add_argument("--mic", action="store_true", help="the default microphone; with --device both, as two tracks")
    sound.add_argument("--device", metavar="NAME", help="an input: its index, its name or a part of it")
    sound.add_argument(
        "--label", metavar="NAME", action="append", help="call a track so; give it once a track (default: me, them)"
    )
    sound.add_argument("--stdin", action="store_true", help="WAV or raw 16-bit samples from a pipe")
    sound.add_argument("--rate", metavar="HZ", type=rate, help="of raw samples (default: 16000)")
    sound.add_argument("--channels", metavar="N", type=channels, help="of raw samples (default: 1)")
    sound.add_argument("--replay", metavar="FILE", type=Path, help="a recording or a session's folder, as if live")
    sound.add_argument("--pace", metavar="N", type=pace, default=1.0, help="replay N times real time, or max")
    sound.add_argument("--start", dest="start_seconds", metavar="TIME", type=moment, help="replay from 90 or 1:30 on")
    sound.add_argument("--end", dest="end_seconds", metavar="TIME", type=moment, help="and up to here")

    text = parser.add_argument_group("text")
    text.add_argument("--model", metavar="NAME", help=f"a name, folder or repository; tiny (default: {DEFAULT_MODEL})")
    text.add_argument("--language", metavar="NAME", help="force a language, such as English or en")
    text.add_argument("--context", metavar="TEXT", help="names and words to expect")
    text.add_argument("--chunk", metavar="SECONDS", type=_chunk, help="sound per step (default: auto, by its cost)")
    text.add_argument("--step-cost", dest="step_cost_seconds", metavar="SECONDS", type=_cost, help=argparse.SUPPRESS)
    text.add_argument("--no-settle", dest="settle", action="store_false", default=None, help="live text is final text")

    output = parser.add_argument_group("output")
    form = output.add_mutually_exclusive_group()
    form.add_argument("--plain", action="store_true", help="print a line an utterance; no screen")
    form.add_argument("--json", action="store_true", help="print one event a line (docs/events.md)")
    form.add_argument("--inline", action="store_true", help="captions in a few lines below the prompt")
    output.add_argument("--log-dir", metavar="DIR", type=Path, help="put the session's folder into DIR")
    output.add_argument("--save-audio", action="store_true", help="keep the sound beside the log, to replay it")

    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    for group in GROUPS:
        group.add_commands(commands)
    return parser


def _cost(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds <= 60:
        raise argparse.ArgumentTypeError(f"{text!r} is no cost of a step: give seconds above 0, at most 60")
    return seconds


def _chunk(text: str) -> float | str:
    if text == "auto":
        return text
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0.2 <= seconds <= 12:
        raise argparse.ArgumentTypeError(f"{text!r} is no chunk length: give seconds from 0.2 to 12, or auto")
    return seconds

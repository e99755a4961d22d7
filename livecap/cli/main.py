"""The command line: a table of commands. The module of a command is imported when the command is chosen."""

import argparse
import difflib
import importlib
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace

from livecap.cli.arguments import Parser, add_output, add_setting, effective
from livecap.cli.terminal import INTERRUPTED, loading_code, warn
from livecap.errors import LivecapError, SettingsError, for_user
from livecap.settings.fields import SETTINGS, Settings
from livecap.settings.sources import settings_path
from livecap.text.printing import draws, open_standard_streams
from livecap.version import VERSION

COMMANDS = {
    "transcribe": ("livecap.cli.transcribe", "write recordings as txt, md, srt, vtt, tsv, json or html"),
    "align": ("livecap.cli.align", "find when each word of a known text was said in a recording"),
    "languages": ("livecap.cli.languages", "list the languages, their codes and other names"),
    "demo": ("livecap.cli.demo", "replay a shipped recording through the embedded demo model"),
    "devices": ("livecap.cli.devices", "list the input devices"),
    "doctor": ("livecap.cli.doctor", "report what this computer has, and test it"),
    "models": ("livecap.cli.models", "list, download, check or remove models"),
    "quantize": ("livecap.cli.quantize", "write a packed copy of a model, and measure what it costs"),
    "config": ("livecap.cli.config", "print or change settings"),
    "sessions": ("livecap.cli.sessions", "browse, list, rename or delete past sessions"),
    "speakers": ("livecap.cli.speakers", "label, name, merge or split the speakers of a past session"),
    "voices": ("livecap.cli.voices", "remember voices, so that their speakers have names; list or forget them"),
    "search": ("livecap.cli.search", "find what was said in past sessions"),
    "reindex": ("livecap.cli.reindex", "rebuild the search index from the logs"),
    "export": ("livecap.cli.export", "write a past session as txt, md, srt, vtt, tsv, json or html"),
    "bridge": ("livecap.cli.bridge", "transcribe for a program, over JSON on standard input and output"),
    "serve": ("livecap.cli.serve", "transcribe for other programs, over HTTP and WebSockets"),
    "ctl": ("livecap.cli.ctl", "steer the running session: pause, mark, mute, title, stop, copy"),
    "mcp": ("livecap.cli.mcp", "let an assistant read sessions, over the Model Context Protocol"),
    "recover": ("livecap.cli.recover", "finish sessions that a crash or an error cut off"),
    "compare": ("livecap.cli.compare", "show where two sessions of the same sound differ"),
    "eval": ("livecap.cli.eval", "measure errors and latencies on recordings with a reference"),
}
"""Name to the module that has `add_arguments(parser)` and `run(options, settings)`, and to its line of help."""
RENAMED = {"replay": ("compare", "livecap replay A --against B is now livecap compare A B; the old form still works.")}
"""Old names of commands that still work, and what they print."""
MOVED = {"bench": "livecap bench is now `python -m benchmarks`; run it in a checkout of the project."}
"""Old names of commands that say where to look."""

GROUPS = {
    "sound": "default: the input used last, or the default microphone",
    "text": None,
    "output": None,
    "programs": "see docs/integrations.md",
}
EXAMPLES = """\
examples:
  livecap --mic                        transcribe the default microphone
  livecap --device "BlackHole 2ch"     transcribe what the computer plays
  livecap --mic --device BlackHole     both sides of a call, as "me" and "them"
  ffmpeg ... | livecap --stdin         transcribe the output of another program
  livecap --replay talk.wav            transcribe a recording as if it were live
  livecap demo                         try the shipped recording and model
  livecap doctor --selftest            check this computer and its speed
"""

Run = Callable[[argparse.Namespace, Settings], int]


def run(arguments: Sequence[str]) -> int:
    """Run one command; returns the exit status. An error is one line on standard error."""
    open_standard_streams()
    try:
        options, command = parse(arguments)
        _check(options)
        if command and options.command == "config":
            return command(options, Settings())  # it reads settings where it needs them, and mends invalid ones
        settings = _here_or_there(options, effective(options).settings)
        if _shows_screen(options) and sys.stdout.isatty() and not draws(sys.stdout):
            warn(f"This terminal cannot show the screen (TERM is {os.environ.get('TERM', '')!r}); printing plain text.")
        return command(options, settings) if command else _transcribe(options, settings)
    except LivecapError as error:
        warn(str(error))
        return 1
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        return 0
    except OSError as error:
        warn(for_user(error, "the output"))
        return 1


def parse(arguments: Sequence[str]) -> tuple[argparse.Namespace, Run | None]:
    """The options, and the function that runs the chosen command; None where none was chosen.

    Raises:
        SettingsError: the command is no longer part of livecap.
        SystemExit: help was printed, or the arguments are invalid.
    """
    parser = _parser()
    options = parser.parse_args(arguments)
    name = options.command
    if name is None:
        return options, None
    if name in MOVED:
        raise SettingsError(MOVED[name])
    if name in RENAMED:
        name, notice = RENAMED[name]
        warn(notice)
        options.command = name
    if name not in COMMANDS:
        near = difflib.get_close_matches(name, COMMANDS, n=1)
        hint = f". Did you mean {near[0]!r}?" if near else "; to transcribe a recording, use livecap transcribe FILE"
        parser.error(f"there is no command {name!r}{hint}")
    module, about = COMMANDS[name]
    with loading_code():
        command = importlib.import_module(module)
    deeper = Parser(prog=f"livecap {name}", description=f"{about[0].upper()}{about[1:]}.")
    command.add_arguments(deeper)
    rest = options.arguments
    if arguments[: len(arguments) - len(rest)][-1] == "--":
        rest = ["--", *rest]  # argparse removes it where it follows the command
    deeper.parse_args(rest, options)
    chosen: Run = command.run
    return options, chosen


def _parser() -> argparse.ArgumentParser:
    width = max(map(len, COMMANDS))
    commands = "\n".join(f"  {name:{width}}  {about}" for name, (_, about) in COMMANDS.items())
    parser = Parser(
        prog="livecap",
        usage="livecap [OPTION ...] [COMMAND ...]",
        description="Realtime transcription on your own computer: speech becomes text while people speak.",
        epilog=f"commands (livecap COMMAND --help):\n{commands}\n\n{EXAMPLES}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"livecap {VERSION}")
    parser.add_argument("command", nargs="?", help=argparse.SUPPRESS)
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    groups = {name: parser.add_argument_group(name, about) for name, about in GROUPS.items()}
    add_output(groups["output"])
    for setting in SETTINGS.values():
        if setting.flag:
            add_setting(groups[setting.group], setting.name)
    return parser


def _check(options: argparse.Namespace) -> None:
    """Raise SettingsError for options that do not belong together."""
    given = vars(options).keys()
    sound = given & {"mic", "device", "replay", "stdin"}
    if options.command and sound:
        raise SettingsError(
            f"livecap {options.command} does not take its sound from --mic, --device, --stdin or --replay; remove them."
        )
    if len({"device" if name == "mic" else name for name in sound}) > 1:
        raise SettingsError("Sound comes from devices, from --replay or from --stdin; choose one of the three.")
    if given & {"rate", "channels"} and "stdin" not in given:
        raise SettingsError("--rate and --channels describe raw samples on standard input; use them with --stdin.")
    if given & {"start_seconds", "end_seconds"} and "replay" not in given:
        raise SettingsError("--start and --end are for recordings; use them with --replay FILE.")
    if "pace" in given and "replay" not in given and options.command != "demo":
        raise SettingsError("--pace is for recordings; use it with --replay FILE or with demo.")


def _here_or_there(options: argparse.Namespace, settings: Settings) -> Settings:
    """The settings without their server where `--model` names a model of this computer.

    Raises:
        SettingsError: the options name a model of a server, and no server or another model too.
    """
    if "remote_model" in options and settings.remote is None:
        raise SettingsError("--remote-model names a model of a server; use it with --remote URL.")
    if "model" not in options or settings.remote is None:
        return settings
    if "remote" in options or "remote_model" in options:
        raise SettingsError(
            "--model names a model of this computer. For the model of a server, choose it with --remote-model, "
            "not --model."
        )
    return replace(settings, remote=None)


def _shows_screen(options: argparse.Namespace) -> bool:
    """Whether the screen is what the user expects of this command."""
    is_screen = options.command in (None, "demo") or options.command == "sessions" and options.action is None
    return is_screen and getattr(options, "output", "screen") in ("screen", "inline")


def _transcribe(options: argparse.Namespace, settings: Settings) -> int:
    """Run one session; the very first one on a terminal asks a few things before it."""
    if not vars(options).keys() & {"mic", "device", "replay", "stdin", "model", "remote"} and _is_first_run(settings):
        from livecap.cli.first_run import run_first

        if not run_first():
            return 1
        settings = effective(options).settings
    from livecap.cli.run import run_session  # not for --help: it loads what opens a device

    return run_session(settings)


def _is_first_run(settings: Settings) -> bool:
    """Nothing was ever chosen, and a user sits at the terminal."""
    usual = Settings()
    chosen = (settings.device, settings.model, settings.language) != (usual.device, usual.model, usual.language)
    return settings.output == "screen" and sys.stdin.isatty() and not chosen and not settings_path().exists()

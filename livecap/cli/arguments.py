"""Command-line options. Those of settings are made from the fields of `Settings`, so each is described once."""

import argparse
import difflib
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from livecap.errors import brief
from livecap.settings.fields import SETTINGS, Setting, Settings
from livecap.settings.sources import Effective, load_settings, user_folder
from livecap.settings.values import SWITCH, Kind
from livecap.text.printing import draws, say

SESSION = "name, part of the title, path, or last"
"""How a session is named on the command line."""
OUTPUTS = {
    "plain": "print one line per utterance instead of the screen",
    "json": "print one JSON event per line (docs/events.md)",
    "inline": "show captions in a few lines below the prompt",
}
ONCE = {
    "device": "For two tracks: livecap --mic --device NAME",
    "replay": "Replay one recording after the other",
    "context": "Separate names and terms with commas",
    "context_file": "Put all names and terms into one file",
    "on_line": "Give one command, such as a script that runs both",
    "on_mark": "Give one command, such as a script that runs both",
    "on_end": "Give one command, such as a script that runs both",
}
"""Settings of which a second value would silently replace the first, and what to do instead."""


class Parser(argparse.ArgumentParser):
    """A parser that reports an error in one line, without its usage, with the nearest option to an unknown one. The
    values of its last argument may stand before and after options."""

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> tuple[Any, list[str]]:
        """See `argparse.ArgumentParser`, for which the last argument ends at an option."""
        options, rest = super().parse_known_args(args, namespace)
        before, after = (rest[: rest.index("--")], rest[rest.index("--") + 1 :]) if "--" in rest else (rest, [])
        last = next(reversed(self._get_positional_actions()), None)
        if last is None or any(text.startswith("-") and text != "-" for text in before):
            return options, rest
        late = [*before, *after]
        given = getattr(options, last.dest, None)
        try:
            if last.nargs in ("*", "+"):
                setattr(options, last.dest, [*(given or []), *(self._get_value(last, text) for text in late)])
                return options, []
            if last.nargs == "?" and given == last.default and len(late) == 1:
                setattr(options, last.dest, self._get_value(last, late[0]))
                return options, []
        except argparse.ArgumentError as error:
            self.error(str(error))
        return options, rest

    def error(self, message: str) -> NoReturn:
        message = re.sub(r"^argument (.+?): expected one argument", r"\1 needs a value", message)
        message = re.sub(r"^argument (.+?): must be", r"\1 must be", message)
        message = re.sub(r"^argument (.+?): ignored explicit argument", r"\1 takes no value, and got", message)
        if unknown := re.search(r"^unrecognized arguments:.* (--[\w-]+)", message):
            known = [flag for flag, action in self._option_string_actions.items() if action.help != argparse.SUPPRESS]
            near = difflib.get_close_matches(unknown[1], known, n=1, cutoff=0.75)
            message += f". Did you mean {near[0]}?" if near else ""
        name = message.removeprefix("unrecognized arguments: ")
        if name != message and name.startswith("-") and os.path.lexists(name):
            message += f". For the file of that name, write ./{name}"
        end = "" if message.endswith("?") else "."
        say(f"{self.prog}: {message}{end} See `{self.prog} --help`.", file=sys.stderr)
        self.exit(2)


def value_of(kind: Kind) -> Callable[[str], Any]:
    """The `type` of an option whose values are of this kind."""

    def parse(text: str) -> Any:
        try:
            return kind.from_text(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"must be {kind.expected}, not {brief(text)}") from None

    return parse


def given_once(advice: str) -> type[argparse.Action]:
    """The `action` of an option that may not be given twice.

    Args:
        advice: what to do instead.
    """

    class Once(argparse.Action):
        def __call__(
            self,
            parser: argparse.ArgumentParser,
            namespace: argparse.Namespace,
            values: Any,
            option_string: str | None = None,
        ) -> None:
            if getattr(namespace, self.dest, self.default) is not self.default:
                parser.error(f"{option_string} was given twice. {advice}")
            setattr(namespace, self.dest, values)

    return Once


def add_setting(parser: argparse._ActionsContainer, name: str, help: str | None = None, **changes: Any) -> None:
    """Add the option of a setting. An option that is not given leaves no attribute in the parsed options.

    Args:
        help: instead of the setting's own sentence.
        changes: of what is passed to `add_argument`.
    """
    setting = SETTINGS[name]
    flag, _, metavar = setting.flag.partition(" ")
    keywords: dict[str, Any] = {"dest": name, "default": argparse.SUPPRESS, "help": help or _help(setting)}
    if setting.kind is SWITCH:
        keywords |= {"action": "store_const", "const": not setting.default}
    else:
        keywords |= {"metavar": metavar, "type": value_of(setting.kind)}
        if isinstance(setting.default, tuple):
            keywords["action"] = "append"
        elif name in ONCE:
            keywords["action"] = given_once(ONCE[name])
    parser.add_argument(flag, **keywords | changes)


def _help(setting: Setting) -> str:
    default = setting.default
    if setting.help is not None:
        return setting.help or argparse.SUPPRESS
    if isinstance(default, bool) or not default:
        return setting.about
    return f"{setting.about} (default: {default if isinstance(default, str) else format(default, 'g')})"


def add_output(parser: argparse._ActionsContainer, *names: str, **helps: str) -> None:
    """Add the options that choose the output: all of them, or those named; `helps` gives other sentences."""
    forms = parser.add_mutually_exclusive_group()
    for name in names or OUTPUTS:
        forms.add_argument(
            f"--{name}", dest="output", action="store_const", const=name, default=argparse.SUPPRESS,
            help=helps.get(name, OUTPUTS[name]),
        )  # fmt: skip


def add_json(parser: argparse.ArgumentParser) -> None:
    """Add `--json` to a command that otherwise prints text for people."""
    add_output(parser, "json", json="print JSON")


def add_log_dir(parser: argparse.ArgumentParser) -> None:
    """Let `--log-dir` also follow a command."""
    add_setting(parser, "log_dir", help="folder that contains the sessions")


def effective(options: argparse.Namespace) -> Effective:
    """The settings of this run, with the flags that were given.

    Raises:
        SettingsError: the file or the environment holds an unknown setting or an invalid value.
    """
    flags = {name: value for name, value in vars(options).items() if name in SETTINGS}
    if "labels" in flags:
        flags["labels"] = tuple(flags["labels"])
    if "mic" in flags:
        flags.setdefault("device", None)  # also where the settings file names another
    if flags.get("output") not in ("plain", "json") and not draws(sys.stdout):
        flags["output"] = "plain"
    return load_settings(flags)


def sessions_folder(settings: Settings) -> Path:
    """The folder that contains the session folders: `--log-dir`, or the platform's folder for user data. Its path is
    absolute, since other programs are told it: hooks, and `livecap ctl` from another folder.

    Raises:
        SettingsError: neither is known.
    """
    return (settings.log_dir or user_folder("data") / "sessions").absolute()

"""`livecap config`: the settings in force, where each came from, and how to change them."""

import argparse
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from livecap.cli.arguments import add_json, effective
from livecap.model.checkpoint.catalogue import TINY
from livecap.settings.fields import STORED, Setting, Settings, get
from livecap.settings.file import store, toml_key, toml_value
from livecap.settings.sources import Effective, parse_value, read_file, require_known, settings_path
from livecap.text.printing import say, say_json, say_lines


def add_arguments(config: argparse.ArgumentParser) -> None:
    """The options and actions of `livecap config`."""
    add_json(config)
    config.set_defaults(act=_print_settings)
    actions = config.add_subparsers(metavar="[ACTION]", title="actions")
    path = actions.add_parser("path", help="print the path of the settings file")
    path.set_defaults(act=_print_path)
    change = actions.add_parser("set", help="write a setting into the file")
    change.add_argument("name", metavar="NAME", help="such as language or screen.theme")
    change.add_argument("value", metavar="VALUE")
    change.set_defaults(act=_set)
    remove = actions.add_parser("unset", help="remove a setting from the file")
    remove.add_argument("name", metavar="NAME")
    remove.set_defaults(act=_unset)
    template = actions.add_parser("template", help="print a settings file with every setting, commented out")
    template.set_defaults(act=_print_template)


def run(options: argparse.Namespace, settings: Settings) -> int:
    """Run the chosen action; returns the exit status."""
    options.act(options)
    return 0


def _print_settings(options: argparse.Namespace) -> None:
    now = effective(options)
    if now.settings.output == "json":
        say_json([_row(setting, now) for setting in STORED.values()], indent=2)
        return
    state = "" if now.path and now.path.exists() else " (does not exist yet)"
    say(f"# {now.path}{state}" if now.path else "# no settings file: this user has no home folder")
    table = ""
    for setting in STORED.values():
        head, _, key = setting.name.rpartition(".")
        value, origin = get(now.settings, setting.name), now.origins.get(setting.name, "default")
        if setting.name == "keys":
            rows, head = [(*item, origin) for item in value.items()], "keys"
        else:
            rows = [(key, value, origin)]
        if head != table and rows:
            say()
            say(f"[{head}]")
            table = head
        for name, shown, source in rows:
            if shown is None:
                say(f"# {name} is not set")
            else:
                say(f"{toml_key(name)} = {toml_value(shown)}".ljust(44) + f"  # {source}")


def _row(setting: Setting, now: Effective) -> dict[str, Any]:
    value = get(now.settings, setting.name)
    return {
        "name": setting.name,
        "value": str(value) if isinstance(value, Path) else value,
        "origin": now.origins.get(setting.name, "default"),
        "about": sentence(setting),
    }


def _print_path(options: argparse.Namespace) -> None:
    say(str(settings_path()))


def _set(options: argparse.Namespace) -> None:
    name: str = options.name
    if name.startswith("keys."):
        from livecap.tui.keys import checked_keymap  # loads Textual, which the other actions do not need

        known = effective(options).settings.keys
        checked_keymap({**known, name.removeprefix("keys."): options.value}, "config set")
        store(settings_path(), {name: options.value})
    elif name == "screen.theme":
        from livecap.tui.themes import checked_theme  # loads Textual, too

        store(settings_path(), {name: checked_theme(options.value, "config set")})
    else:
        store(settings_path(), {name: _from_anywhere(name, parse_value(name, options.value, "config set"))})


def _from_anywhere(name: str, value: Any) -> Any:
    """The value of a setting, with the whole path where it names a file or a folder: livecap may run in another one."""
    is_model = name in ("model", "aligner") and value != TINY
    if isinstance(value, Path) or is_model and (value.startswith((".", "~")) or os.path.isdir(value)):
        return Path(os.path.expanduser(value)).absolute()
    return value


def _unset(options: argparse.Namespace) -> None:
    name: str = options.name
    path = settings_path()
    if not name.startswith("keys.") and not _is_in(read_file(path), name):
        require_known(name, "config unset")
    store(path, {name: None})


def _is_in(values: Mapping[str, Any], name: str) -> bool:
    """Whether a settings file has a setting of this name, which may be an unknown one."""
    table, dot, key = name.partition(".")
    return name in values or bool(dot) and isinstance(inner := values.get(table), dict) and key in inner


def _print_template(options: argparse.Namespace) -> None:
    say_lines(template())


def sentence(setting: Setting) -> str:
    """What a setting is, as a whole sentence."""
    return f"{setting.about[0].upper()}{setting.about[1:]}."


def template() -> str:
    """A settings file in which every setting is commented out."""
    lines = ["# Settings of livecap. Remove the # before a setting to change it."]
    table = ""
    for setting in STORED.values():
        head, _, key = setting.name.rpartition(".")
        if head and head != table:
            lines += ["", f"[{head}]"]
            table = head
        lines += ["", f"# {sentence(setting)}"]
        lines += ["[keys]"] if setting.name == "keys" else [f"# {key} = {_example(setting)}"]
    return "\n".join(lines)


def _example(setting: Setting) -> str:
    examples = {
        "device": "BlackHole 2ch",
        "language": "English",
        "remote": "https://gpu.example.org/v1",
        "remote_model": "Qwen/Qwen3-ASR-0.6B",
        "remote_key_file": "~/key.txt",
        "chunk_seconds": 2.0,
        "context_file": "~/names.txt",
        "log_dir": "~/livecap",
        "stop_after_silence": "15m",
        "caption_file": "~/captions.txt",
        "notes_dir": "~/Notes",
        "serve": "8765",
        "on_line": "say-it --quietly",
        "on_mark": "add-to-do",
        "on_end": "summarise --short",
    }
    return toml_value(examples.get(setting.name, "") if setting.default is None else setting.default)

"""`livecap config`: the settings that hold, where each came from, and how to change them."""

import argparse
import json
from pathlib import Path
from typing import Any

from livecap.cli.effective import effective
from livecap.settings.fields import (
    Effective,
    Setting,
    Settings,
    get,
    known_settings,
    parse_value,
    require_known,
    settings_path,
    variable_of,
)
from livecap.settings.file import store, toml_value
from livecap.text.safety import printable


def add_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """`livecap config [--json | path | set NAME VALUE | unset NAME | template]`."""
    config = commands.add_parser("config", help="print the settings that hold, and where each came from")
    config.add_argument("--json", dest="as_json", action="store_true", help="as JSON")
    config.set_defaults(run=_print_settings)
    deeper = config.add_subparsers(metavar="", title="changing them")
    path = deeper.add_parser("path", help="print where the settings file is")
    path.set_defaults(run=_print_path)
    change = deeper.add_parser("set", help="write a setting into the file")
    change.add_argument("name", metavar="NAME", help="such as language or screen.theme")
    change.add_argument("value", metavar="VALUE")
    change.set_defaults(run=_set)
    remove = deeper.add_parser("unset", help="take a setting out of the file")
    remove.add_argument("name", metavar="NAME")
    remove.set_defaults(run=_unset)
    template = deeper.add_parser("template", help="print a file with every setting, its default and what it means")
    template.set_defaults(run=_print_template)


def _print_settings(options: argparse.Namespace, settings: Settings) -> int:
    now = effective(options)
    if options.as_json or options.json:
        print(json.dumps(_as_json(now), ensure_ascii=False, indent=2))
        return 0
    state = "" if now.path.exists() else " (not there yet)"
    print(f"# {printable(str(now.path))}{state}")
    table = ""
    for setting in known_settings():
        head, _, key = setting.name.rpartition(".")
        value, origin = get(now.settings, setting.name), now.origins.get(setting.name, "default")
        if setting.name == "keys":
            _print_keys(value)
            continue
        if head != table:
            print(f"\n[{head}]")
            table = head
        if value is None:
            print(f"# {key} is not set")
        else:
            print(printable(f"{key} = {toml_value(value)}").ljust(44) + f"  # {origin}")
    return 0


def _print_keys(keys: dict[str, str]) -> None:
    if keys:
        print("\n[keys]")
    for name, value in keys.items():
        print(printable(f"{name} = {toml_value(value)}").ljust(44) + "  # the settings file")


def _as_json(now: Effective) -> list[dict[str, Any]]:
    rows = []
    for setting in known_settings():
        value = get(now.settings, setting.name)
        rows.append(
            {
                "name": setting.name,
                "value": str(value) if isinstance(value, Path) else value,
                "origin": now.origins.get(setting.name, "default"),
                "about": setting.about,
            }
        )
    return rows


def _print_path(options: argparse.Namespace, settings: Settings) -> int:
    print(settings_path())
    return 0


def _set(options: argparse.Namespace, settings: Settings) -> int:
    name: str = options.name
    if name.startswith("keys."):
        _check_key(name.removeprefix("keys."), options.value)
        store(settings_path(), {name: options.value})
    else:
        store(settings_path(), {name: parse_value(name, options.value, "livecap config set")})
    return 0


def _check_key(name: str, keys: str) -> None:
    from livecap.tui.keys import checked_keymap

    checked_keymap({name: keys}, "livecap config set")


def _unset(options: argparse.Namespace, settings: Settings) -> int:
    name: str = options.name
    if not name.startswith("keys."):
        require_known(name, [setting.name for setting in known_settings()], "livecap config unset")
    store(settings_path(), {name: None})
    return 0


def _print_template(options: argparse.Namespace, settings: Settings) -> int:
    print(template())
    return 0


def template() -> str:
    """A settings file in which every setting is a comment."""
    lines = ["# Settings of livecap. Take the # away from what you change."]
    table = ""
    for setting in known_settings():
        head, _, key = setting.name.rpartition(".")
        if head and head != table:
            lines += ["", f"[{head}]"]
            table = head
        lines += ["", f"# {setting.about}"]
        lines += ["[keys]"] if setting.name == "keys" else [f"# {key} = {_example(setting)}"]
    return "\n".join(lines)


def _example(setting: Setting) -> str:
    examples = {"device": "BlackHole 2ch", "language": "English", "chunk_seconds": 2.0, "log_dir": "~/livecap"}
    return toml_value(examples.get(setting.name, "") if setting.default is None else setting.default)


def settings_table() -> str:
    """docs/settings.md's table: every setting, its environment variable, its default and what it means."""
    rows = ["| setting | environment | default | |", "| --- | --- | --- | --- |"]
    for setting in known_settings():
        variable = "" if setting.name == "keys" else f"`{variable_of(setting.name)}`"
        default = "" if setting.default is None or setting.name == "keys" else f"`{toml_value(setting.default)}`"
        rows.append(f"| `{setting.name}` | {variable} | {default} | {setting.about} |")
    return "\n".join(rows)

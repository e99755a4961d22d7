"""Which key does what: what the screens offer, what a person changed in the settings, and the page of docs/keys.md."""

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass

from textual.binding import Binding
from textual.dom import DOMNode
from textual.keys import Keys

from livecap.errors import SettingsError

TWINS = {"pause": "resume", "mute": "unmute"}
"""Commands that share their key with another one: only one of the two is there at a time."""
_NAMED_KEYS = {key.value for key in Keys} | {f"f{number}" for number in range(1, 25)} | {"space", "enter", "tab"}


@dataclass(frozen=True, slots=True)
class Command:
    """Something a key does."""

    name: str
    """In the table `keys` of the settings file."""
    keys: str
    """By default: key names, comma between."""
    label: str
    about: str
    place: str
    """The screen it belongs to."""


def commands() -> list[Command]:
    """Everything that has a key, screen by screen."""
    from livecap.tui.app import LivecapApp
    from livecap.tui.screens.device_screen import DeviceScreen
    from livecap.tui.screens.live_screen import LiveScreen
    from livecap.tui.screens.session_screen import SessionScreen
    from livecap.tui.screens.sessions_screen import SessionsScreen
    from livecap.tui.transcript.transcript_view import TranscriptView

    places: dict[str, type[DOMNode]] = {
        "everywhere": LivecapApp,
        "a session": LiveScreen,
        "the transcript": TranscriptView,
        "the sessions": SessionsScreen,
        "a past session": SessionScreen,
        "the devices": DeviceScreen,
    }
    found: dict[str, Command] = {}
    for place, owner in places.items():
        for binding in owner.BINDINGS:
            assert isinstance(binding, Binding) and binding.id, f"{owner.__name__}: {binding}"
            if binding.id not in TWINS.values():
                about = binding.tooltip or binding.description
                found.setdefault(binding.id, Command(binding.id, binding.key, binding.description, about, place))
    return list(found.values())


def checked_keymap(changes: Mapping[str, str], where: str) -> dict[str, str]:
    """What Textual is told about changed keys.

    Args:
        changes: command to keys, comma between; an empty text takes the key away.
        where: named in the message of an error.

    Raises:
        SettingsError: no such command or key, or two commands of one screen want the same key.
    """
    known = {command.name: command for command in commands()}
    keymap: dict[str, str] = {}
    for name, keys in changes.items():
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"Did you mean {near[0]!r}?" if near else f"There are: {', '.join(sorted(known))}."
            raise SettingsError(f"{where}: no key does {name!r}. {hint}")
        wanted = [key_name(key) for key in keys.split(",") if key.strip()]
        for key in wanted:
            if not _is_key(key):
                near = difflib.get_close_matches(key, _NAMED_KEYS, n=1)
                hint = f"Did you mean {near[0]!r}?" if near else "Keys are called a, A, f5, ctrl+b, space, pageup."
                raise SettingsError(f"{where}: there is no key {key!r} for {name!r}. {hint}")
        for twin in (name, TWINS.get(name)):
            if twin:
                keymap[twin] = ",".join(wanted) or "f24"
    _check_clashes(known, keymap, where)
    return keymap


def _check_clashes(known: Mapping[str, Command], keymap: Mapping[str, str], where: str) -> None:
    taken: dict[tuple[str, str], str] = {}
    for command in known.values():
        for key in keymap.get(command.name, command.keys).split(","):
            place = "a session" if command.place in ("everywhere", "the transcript") else command.place
            other = taken.setdefault((place, key_name(key)), command.name)
            if other != command.name and (command.name in keymap or other in keymap):
                raise SettingsError(f"{where}: {key.strip()!r} is wanted by {other!r} and by {command.name!r}.")


def key_name(key: str) -> str:
    """As Textual calls a key: `?` is question_mark."""
    from textual.keys import _character_to_key

    key = key.strip()
    return _character_to_key(key) if len(key) == 1 else key.lower() if "+" not in key else key


def _is_key(key: str) -> bool:
    last = key.rpartition("+")[2]
    prefix = key[: -len(last)].rstrip("+")
    if prefix and not set(prefix.split("+")) <= {"ctrl", "shift", "alt", "super", "meta"}:
        return False
    return bool(re.fullmatch(r"\w", last)) or last in _NAMED_KEYS or last in _PUNCTUATION


def _punctuation() -> set[str]:
    from textual.keys import _character_to_key

    return {_character_to_key(character) for character in "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"}


_PUNCTUATION = _punctuation()


def keys_table() -> str:
    """docs/keys.md's table."""
    rows = ["| where | key | does | name in `[keys]` |", "| --- | --- | --- | --- |"]
    for command in commands():
        keys = " ".join(f"`{shown_key(key)}`" for key in command.keys.split(","))
        rows.append(f"| {command.place} | {keys} | {command.about} | `{command.name}` |")
    return "\n".join(rows)


def shown_key(key: str) -> str:
    """A key as people read it: `?`, not question_mark."""
    from textual.keys import format_key

    return format_key(key)

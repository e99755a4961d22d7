"""Keys: the table of commands, and the changes to it from the settings."""

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from textual.binding import Binding
from textual.keys import Keys, _character_to_key

from livecap.errors import SettingsError

if TYPE_CHECKING:
    from textual.screen import Screen


def command(
    name: str,
    keys: str,
    label: str,
    about: str = "",
    *,
    action: str = "",
    hinted: bool = False,
    shown: str | None = None,
) -> Binding:
    """A command with its default keys.

    Args:
        name: the command's name in the settings file.
        keys: key names, separated by commas.
        label: shown in the footer and the palette.
        about: the line in the help; the label if empty.
        action: the action method, if it is not called like the command.
        hinted: show the command in the footer.
        shown: how the footer writes the key, if not by its name.
    """
    return Binding(keys, action or name, label, show=hinted, key_display=shown, tooltip=about, id=name)


EVERYWHERE = [
    command("help", "question_mark,f1", "Help", "Show all keys of this screen", hinted=True, shown="?"),
    command("theme", "T", "Theme", "Choose a theme", action="change_theme"),
    command("palette", "ctrl+p", "palette", "Find a command by name", action="command_palette"),
    command("suspend", "ctrl+z", "Suspend", "Suspend livecap to the shell; not while a session runs"),
    Binding(
        "ctrl+q,ctrl+c",
        "quit",
        "Leave",
        show=False,
        priority=True,
        tooltip="Leave; press twice to leave at once",
        id="leave",
    ),
]
"""Commands of the app."""

READING = [
    command("search", "slash,ctrl+f", "Search", "Search the transcript", hinted=True, shown="/"),
    command("next", "n", "Next", "Next match", action="match(1)"),
    command("previous", "N", "Previous", "Previous match", action="match(-1)"),
    command("rename", "r", "Name speaker", "Name the speaker of this line, for the whole session"),
    command("copy", "y", "Copy", "Copy the selection, or the last utterance"),
    command("copy-all", "Y", "Copy all", "Copy the whole transcript", action="copy_all"),
    command("times", "t", "Times", "Change or hide the timestamps"),
    command("compact", "z", "Compact", "Compact view: no blank lines or bars"),
    command("follow", "end,G", "Follow", "Go to the end and follow new text"),
    command("dismiss", "escape", "Dismiss", "Close the search, question or notice", action="dismiss_one"),
]
"""Commands of both kinds of session screen."""

RUNNING = [
    command("pause", "space", "Pause", "Pause; the clock stops", hinted=True),
    command("resume", "space", "Resume", "Resume listening", hinted=True),
    command("mark", "m", "Mark", "Mark this moment, with a note if you like", hinted=True),
    *READING,
    command("captions", "c", "Captions", "Captions: only the last few lines", hinted=True),
    command("mute", "u", "Mute", "Mute; the clock keeps running"),
    command("unmute", "u", "Unmute", "Unmute"),
    command("paragraph", "enter", "New paragraph", "End this utterance and start a new paragraph"),
    command("seek-back", "left", "Back 5 s", "Go back 5 s in a recording", action="seek(-5)"),
    command("seek-on", "right", "Forward 5 s", "Go forward 5 s in a recording", action="seek(5)"),
    command(
        "seek-far-back", "shift+left,less_than_sign", "Back 30 s", "Go back 30 s in a recording", action="seek(-30)"
    ),
    command(
        "seek-far-on",
        "shift+right,greater_than_sign",
        "Forward 30 s",
        "Go forward 30 s in a recording",
        action="seek(30)",
    ),
    command("device", "d", "Device", "Switch to another input device"),
    command("model", "M", "Model", "Switch to another model"),
    command("language", "l", "Language", "Set the language"),
    command("context", "w", "Words", "Set names and terms to expect"),
    command("more-lines", "plus", "More lines", "Show one more caption line", action="caption_lines(1)"),
    command("fewer-lines", "minus", "Fewer lines", "Show one caption line fewer", action="caption_lines(-1)"),
    command("export", "e", "Export", "Export the transcript to another format"),
    command("diagnostics", "i", "Diagnostics", "Show latency, memory, gaps and the log"),
    command("sessions", "s", "Sessions", "Browse past sessions"),
    command("quit", "q", "Quit", "End the session properly and quit", hinted=True),
    command(
        "quit-early", "q", "Quit now", "Quit without waiting for the rest of the text", action="quit_early", hinted=True
    ),
]
"""Commands of a running session, in the order of the footer."""

TRANSCRIPT = [
    command("beginning", "home,g", "To the beginning", action="scroll_home"),
    command("down", "down,j", "Scroll down", action="scroll_down"),
    command("up", "up,k", "Scroll up", action="scroll_up"),
    command("page-down", "pagedown", "Page down", action="page_down"),
    command("page-up", "pageup", "Page up", action="page_up"),
]
"""Commands of the transcript itself."""

SESSIONS = [
    command("sessions.open", "enter", "Open", "Open the session", action="open", hinted=True),
    command(
        "sessions.search", "slash,ctrl+f", "Search", "Search all sessions", action="search", hinted=True, shown="/"
    ),
    command("sessions.export", "e", "Export", "Export the session to another format", action="export", hinted=True),
    command("sessions.rename", "r", "Rename", "Change the title of the session", action="rename", hinted=True),
    command(
        "sessions.delete",
        "delete,backspace,X",
        "Delete",
        "Delete the session; asks first",
        action="delete",
        hinted=True,
        shown="del",
    ),
    command("sessions.refresh", "f5", "Refresh", "Refresh the list", action="refresh_list"),
    command("sessions.back", "escape,q", "Back", "Close the search, then the list", action="leave", hinted=True),
]
"""Commands of the list of past sessions."""

PAST = [
    *READING,
    command(
        "session.play", "space,enter", "Play", "Play from this line; press again to stop", action="play", hinted=True
    ),
    command("session.export", "e", "Export", "Export the session to another format", action="export", hinted=True),
    command("session.back", "q", "Back", "Back to the list", action="leave", hinted=True),
]
"""Commands of a past session."""

BACK = "Go back without changing anything"

DEVICES = [
    command("device.choose", "enter", "Choose", "Listen to the highlighted input", action="choose", hinted=True),
    command("device.back", "escape,q", "Back", BACK, action="leave", hinted=True),
    command("device.quit", "escape,q", "Quit", "Leave without choosing", action="leave_livecap", hinted=True),
    command("device.refresh", "r", "Refresh", "Refresh the list of inputs", action="refresh", hinted=True),
    command(
        "device.track", "tab", "Other track", "Choose the input of the other track", action="other_track", hinted=True
    ),
]
"""Commands of the list of input devices."""

PLACES: Mapping[str, Sequence[Binding]] = {
    "everywhere": EVERYWHERE,
    "a session": RUNNING,
    "the transcript": TRANSCRIPT,
    "the sessions": SESSIONS,
    "a past session": PAST,
    "the devices": DEVICES,
}
"""The commands whose keys can be changed in the settings, by where they apply."""

GROUPS: Mapping[str, Sequence[str]] = {
    "Listening": [
        *("pause", "resume", "mute", "unmute", "mark", "paragraph", "seek-back", "seek-on", "seek-far-back"),
        *("seek-far-on", "device", "model", "language", "context", "quit", "quit-early"),
    ],
    "Reading": [
        *("search", "next", "previous", "rename", "copy", "copy-all", "times", "compact"),
        *("captions", "more-lines", "fewer-lines", "dismiss"),
        *("follow", *(str(binding.id) for binding in TRANSCRIPT)),
    ],
    "Other screens": ["sessions", "export", "diagnostics", "help", "theme", "palette", "suspend", "leave"],
}
"""The groups of the help: heading to names of commands. Commands of other screens have no group."""

TWINS = {"pause": "resume", "mute": "unmute", "quit": "quit-early", "device.back": "device.quit"}
"""Pairs of commands that share a key: only one of the two is active at a time."""


_AS_BYTES = {
    "ctrl+space": "ctrl+@",
    "ctrl+i": "tab",
    "ctrl+m": "enter",
    "ctrl+h": "backspace",
    "ctrl+left_square_bracket": "escape",
    "ctrl+slash": "ctrl+underscore",
}
"""Keys that only terminals with kitty's protocol tell apart from others, and what the rest send for them."""

NO_KEY = "no-key-"
"""The key of a command without a key begins with this, so that no keyboard has it; the name of the command follows."""


@dataclass(frozen=True, slots=True)
class Command:
    """A command as the settings and the documents know it."""

    name: str
    """Its name in the `keys` table of the settings file."""
    keys: str
    """Its default keys: key names, separated by commas."""
    label: str
    about: str
    place: str
    """Where it applies, a key of `PLACES`."""


def commands() -> list[Command]:
    """Every command whose keys can be changed."""
    found: dict[str, Command] = {}
    for place, bindings in PLACES.items():
        for binding in bindings:
            if binding.id and binding.id not in TWINS.values():
                about = binding.tooltip or binding.description
                found.setdefault(binding.id, Command(binding.id, binding.key, binding.description, about, place))
    return list(found.values())


def checked_keymap(changes: Mapping[str, str], where: str) -> dict[str, str]:
    """The user's changes to the keys, as Textual takes them: binding to keys.

    Args:
        changes: command to keys, separated by commas; an empty string leaves the command without a key.
        where: where the changes are written, for the message of an error.

    Raises:
        SettingsError: a command or a key does not exist, two commands of one screen have the same key, or livecap would
            be left with a key that is pressed while text is typed.
    """
    known = {command.name: command for command in commands()}
    keymap: dict[str, str] = {}
    for name, keys in changes.items():
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"Did you mean {near[0]!r}?" if near else f"Commands: {', '.join(sorted(known))}."
            raise SettingsError(f"{where}: there is no command {name!r}. {hint}")
        wanted: list[str] = []
        for key in [keys] if keys == " " else filter(str.strip, keys.split(",")):
            if not _is_key(_exact_name(key)):
                near = difflib.get_close_matches(key.strip(), _NAMED_KEYS, n=1)
                hint = f"Did you mean {near[0]!r}?" if near else "Examples of keys: a, A, f5, ctrl+b, space, pageup."
                raise SettingsError(f"{where}: there is no key {key.strip()!r} (for {name!r}). {hint}")
            if name == "leave" and _writes(key_name(key)):
                raise SettingsError(
                    f"{where}: the key {key!r} cannot leave livecap, since it is pressed while text is typed. "
                    "Choose one such as f10 or ctrl+q."
                )
            wanted += [_exact_name(key), key_name(key)]
        wanted = list(dict.fromkeys(wanted))
        for twin in (name, TWINS.get(name)):
            if twin:
                keymap[twin] = ",".join(wanted) or NO_KEY + twin
    _check_clashes(known, keymap, where)
    return keymap


def _check_clashes(known: Mapping[str, Command], keymap: Mapping[str, str], where: str) -> None:
    for bindings in (RUNNING + TRANSCRIPT, SESSIONS, PAST + TRANSCRIPT, DEVICES):
        taken: dict[str, str] = {}
        names = [binding.id or "" for binding in [*bindings, *EVERYWHERE]]
        for command in (known[name] for name in names if name in known):
            for key in keymap.get(command.name, command.keys).split(","):
                key_sent = key_name(key)
                other = taken.setdefault(key_sent, command.name)
                if other != command.name and (command.name in keymap or other in keymap):
                    two = f"{other!r} and to {command.name!r}"
                    same = "" if key_sent == key.strip() else f" ({key_sent})"
                    raise SettingsError(f"{where}: the key {key.strip()!r}{same} is given to {two}.")


def key_name(key: str) -> str:
    """Textual's name of a key as any terminal sends it: `?` is question_mark, `ctrl+B` is ctrl+b, `ctrl+i` is tab."""
    exact = _exact_name(key)
    return _AS_BYTES.get(exact, exact)


def _exact_name(key: str) -> str:
    """Textual's name of a key as a terminal with kitty's protocol sends it, which tells ctrl+i from tab."""
    modifiers, last = _parts(" " if key == " " else key.strip())
    last = _character_to_key(last) if len(last) == 1 else last.lower()
    last = {"return": "enter"}.get(last, last)
    if modifiers and len(last) == 1:
        if modifiers == {"shift"}:
            return last.upper() if last.lower() != last.upper() else f"shift+{last}"
        if last.isupper() and "ctrl" not in modifiers:
            modifiers.add("shift")
        last = last.lower()
    name = "+".join([*sorted(modifiers), last])
    return "ctrl+@" if name == "ctrl+at" else name


def _parts(key: str) -> tuple[set[str], str]:
    """The modifiers of a key, and the key without them."""
    last = key.rpartition("+")[2] or "+"
    before = key[: -len(last)].rstrip("+").lower()
    return set(before.split("+")) if before else set(), last


def _is_key(name: str) -> bool:
    """Whether there is a key of this name, as `_exact_name` writes it."""
    modifiers, last = _parts(name)
    if not modifiers <= {"ctrl", "shift", "alt", "super", "meta"}:
        return False
    if modifiers == {"shift"} and last != "space" and is_typed(last):
        return False  # terminals send the character that shift makes of it
    return name in _NAMED_KEYS or bool(re.fullmatch(r"\w", last)) or last in _NAMED_KEYS or last in _PUNCTUATION


def key_of(screen: "Screen[Any]", command: str) -> str:
    """What to press for a command of a screen: its first key, as it is shown, or that of the palette where it has none;
    "" while the command is not there."""
    found = (active.binding.description for active in screen.active_bindings.values() if active.binding.id == command)
    label, palette = next(found, ""), shown_key(screen, "palette")
    by_palette = f"{palette} and choose {label}" if palette else "(no key)"
    return shown_key(screen, command) or (by_palette if label else "")


def shown_key(screen: "Screen[Any]", command: str) -> str:
    """The first key of a command of a screen, as it is shown; "" without a key, or while the command is not there."""
    found = (active.binding for active in screen.active_bindings.values() if active.binding.id == command)
    return next((screen.app.get_key_display(binding) for binding in found), "")


def has_key(key: str) -> bool:
    """False for the key, by Textual's name, of a command without a key."""
    return not key.startswith(NO_KEY)


def is_typed(key: str) -> bool:
    """True for a key, by Textual's name, that writes a character."""
    return key == "space" or len(key) == 1 or key in _PUNCTUATION


def _writes(key: str) -> bool:
    """True for a key, by Textual's name, that is pressed while text is typed."""
    return is_typed(key) or key in ("enter", "backspace")


_NAMED_KEYS = {key.value for key in Keys if key.value[0] != "<"} - {"ctrl-at", "return"} | {"space"}
_PUNCTUATION = {_character_to_key(character) for character in "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"}

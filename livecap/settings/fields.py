"""Settings: what a person asked for, as typed values. The file, then the environment, then flags; the later one wins.

    language = "English"            in the file that `livecap config path` names
    LIVECAP_LANGUAGE=English        in the environment; LIVECAP_SCREEN_THEME for what stands in a table
    --language English              as a flag

The sentence below a field is what `livecap config` and docs/settings.md say about it.
"""

import ast
import difflib
import inspect
import os
import tomllib
import types
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from livecap.errors import SettingsError

DEFAULT_MODEL = "Qwen/Qwen3-ASR-0.6B"
"""Downloaded on first use."""
FILE_VARIABLE = "LIVECAP_SETTINGS"
"""In the environment: another settings file."""
PREFIX = "LIVECAP_"

TimesShown = Literal["minutes", "seconds", "elapsed", "hidden"]


@dataclass(frozen=True, slots=True)
class ScreenSettings:
    """What the screen looks like."""

    theme: str = "textual-dark"
    """Colours; `T` on the screen shows them all. ansi-dark and ansi-light are the terminal's own."""
    times: TimesShown = "minutes"
    """Beside the text: "minutes" where the minute changes, "seconds", "elapsed" since the start, or "hidden"."""
    compact: bool = False
    """No empty rows, no meter, no key hints."""
    caption_lines: int = 3
    """Of the caption view, 1 to 8."""
    caption_partial: bool = True
    """The caption view also shows text that may still change."""


@dataclass(frozen=True, slots=True)
class Settings:
    """One run of livecap."""

    replay: Path | None = field(default=None, metadata={"flag_only": True})
    """A recording to hear as if live; None listens to a device."""
    pace: float | None = field(default=1.0, metadata={"flag_only": True})
    """Of a replay, times real time; None is as fast as it can be read."""
    device: str | None = None
    """An input's index, name or part of one; not set is the default microphone."""
    mic: bool = field(default=False, metadata={"flag_only": True})
    """The default microphone was asked for; with a device it is a track of its own."""
    labels: tuple[str, ...] = field(default=(), metadata={"flag_only": True})
    """What the tracks are called, the microphone's first; empty is "me" and "them" where there are two."""
    stdin: bool = field(default=False, metadata={"flag_only": True})
    """Sound comes through standard input: WAV, or raw 16-bit samples."""
    rate: int = field(default=16_000, metadata={"flag_only": True})
    """Of raw samples on standard input, in Hz."""
    channels: int = field(default=1, metadata={"flag_only": True})
    """Of raw samples on standard input."""
    start_seconds: float = field(default=0.0, metadata={"flag_only": True})
    """Where a replay begins."""
    end_seconds: float | None = field(default=None, metadata={"flag_only": True})
    """Where a replay ends; None is the end of the recording."""
    save_audio: bool = False
    """Keep the sound of live sessions beside their logs, to replay it."""
    model: str = DEFAULT_MODEL
    """A name, a folder or a Hugging Face repository."""
    language: str | None = None
    """Force this language, by name or ISO code; not set lets the model say which."""
    context: str = ""
    """Names and words to expect."""
    chunk_seconds: float | None = None
    """New sound that makes a decoding step, 0.2 to 12; not set follows what a step costs."""
    step_cost_seconds: float | None = field(default=None, metadata={"flag_only": True})
    """What a step is taken to cost where the chunk follows the cost; not set measures it."""
    settle: bool = True
    """Hear each closed utterance once more as a whole, for the text that exports use."""
    log_dir: Path | None = None
    """Sessions are kept in this folder; not set is the platform's folder for user data."""
    output: str = field(default="screen", metadata={"flag_only": True})
    """"screen", "inline" (captions below the prompt), "plain" or "json"."""
    screen: ScreenSettings = field(default_factory=ScreenSettings)
    keys: Mapping[str, str] = field(default_factory=dict)
    """Keys of the screen by what they do, such as pause = "p,f5"; docs/keys.md names them all."""


LIMITS = {"chunk_seconds": (0.2, 12.0), "screen.caption_lines": (1, 8)}
"""The least and the most of numbers, by name."""


@dataclass(frozen=True, slots=True)
class Effective:
    """The settings that hold now, and where each came from."""

    settings: Settings
    origins: Mapping[str, str]
    """Dotted name to "the settings file", an environment variable or "a flag"; what is not there is the default."""
    path: Path
    """Of the settings file, whether it exists or not."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting of the file."""

    name: str
    """Dotted: `screen.theme`."""
    kind: Any
    """Its type hint."""
    default: Any
    about: str


def known_settings() -> list[Setting]:
    """Every setting that a file may hold, in the order of the fields above; keys are one."""
    return list(_settings_of(Settings, ""))


def _settings_of(cls: type, prefix: str) -> Iterator[Setting]:
    hints, sentences, defaults = get_type_hints(cls), _sentences(cls), cls()
    for item in fields(cls):
        if item.metadata.get("flag_only"):
            continue
        kind = hints[item.name]
        if is_dataclass(kind):
            assert isinstance(kind, type)
            yield from _settings_of(kind, f"{item.name}.")
        else:
            yield Setting(prefix + item.name, kind, getattr(defaults, item.name), sentences.get(item.name, ""))


def _sentences(cls: type) -> dict[str, str]:
    """Field to the sentence below it."""
    body = ast.parse(inspect.getsource(cls)).body[0]
    assert isinstance(body, ast.ClassDef)
    found = {}
    for one, after in zip(body.body, body.body[1:], strict=False):
        if isinstance(one, ast.AnnAssign) and isinstance(one.target, ast.Name) and isinstance(after, ast.Expr):
            if isinstance(after.value, ast.Constant):
                found[one.target.id] = " ".join(str(after.value.value).split())
    return found


# ---- from three places


def settings_path(environ: Mapping[str, str] = os.environ) -> Path:
    """The settings file, whether it exists or not."""
    if environ.get(FILE_VARIABLE):
        return Path(environ[FILE_VARIABLE]).expanduser()
    import platformdirs

    return Path(platformdirs.user_config_dir("livecap", appauthor=False)) / "settings.toml"


def load_settings(flags: Mapping[str, Any], environ: Mapping[str, str] = os.environ) -> Effective:
    """The settings that hold.

    Args:
        flags: field to value, of those that were given; typed already.

    Raises:
        SettingsError: the file cannot be read, or a setting is unknown or has no meaning.
    """
    path = settings_path(environ)
    known = {setting.name: setting for setting in known_settings()}
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for name, value in _flat(read_file(path), known, str(path)):
        values[name] = _checked(known[name], value, str(path))
        origins[name] = "the settings file"
    for variable, text in sorted(environ.items()):
        named = _named_by(variable, known)
        if named is not None and text != "":
            values[named] = _checked(known[named], _from_text(known[named], text, variable), variable)
            origins[named] = variable
    for name, value in flags.items():
        values[name] = value
        origins[name] = "a flag"
    screen = {name.partition(".")[2]: values.pop(name) for name in list(values) if name.startswith("screen.")}
    settings = replace(Settings(), **values, screen=replace(ScreenSettings(), **screen))
    return Effective(settings, origins, path)


def read_file(path: Path) -> dict[str, Any]:
    """What a settings file says; nothing where there is none.

    Raises:
        SettingsError: it cannot be read, or is no TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} is no TOML: {error}. Mend it or move it away.") from None
    except OSError as error:
        raise SettingsError(f"Cannot read {path}: {error.strerror}.") from None


def _flat(values: Mapping[str, Any], known: Mapping[str, Setting], where: str) -> Iterator[tuple[str, Any]]:
    """(dotted name, value) of everything in a file."""
    tables = {name.partition(".")[0] for name in known if "." in name}
    for name, value in values.items():
        if name in tables and isinstance(value, Mapping):
            for inner, inner_value in value.items():
                yield require_known(f"{name}.{inner}", known, where), inner_value
        else:
            yield require_known(name, known, where), value


def require_known(name: str, known: Iterable[str], where: str) -> str:
    """The name, which is one of the known ones.

    Raises:
        SettingsError: it is none; names the nearest.
    """
    if name in known:
        return name
    raise SettingsError(f"{where}: there is no setting {name!r}. {nearest(name, known)}")


def nearest(name: str, known: Iterable[str]) -> str:
    """A sentence that names what is most like `name`, or all there is."""
    names = sorted(known)
    last = {full.rpartition(".")[2]: full for full in reversed(names)}
    near = difflib.get_close_matches(name, names, n=1) or difflib.get_close_matches(name.rpartition(".")[2], last, n=1)
    if near:
        return f"Did you mean {last.get(near[0], near[0])!r}?"
    return f"There are: {', '.join(names)}."


def _named_by(variable: str, known: Mapping[str, Setting]) -> str | None:
    """The setting an environment variable gives; None where it gives none."""
    if not variable.startswith(PREFIX) or variable == FILE_VARIABLE:
        return None
    variables = {variable_of(name): name for name in known if name != "keys"}
    if variable in variables:
        return variables[variable]
    near = difflib.get_close_matches(variable[len(PREFIX) :], [v[len(PREFIX) :] for v in variables], n=1, cutoff=0.75)
    if near:
        raise SettingsError(f"There is no setting {variable}. Did you mean {PREFIX}{near[0]}?")
    return None


def variable_of(name: str) -> str:
    """The environment variable of a setting."""
    return PREFIX + name.upper().replace(".", "_")


# ---- values


def parse_value(name: str, text: str, where: str) -> Any:
    """The value of a setting that a person typed.

    Raises:
        SettingsError: no such setting, or the text makes no value of it.
    """
    known = {setting.name: setting for setting in known_settings()}
    setting = known[require_known(name, known, where)]
    return _checked(setting, _from_text(setting, text, where), where)


def _from_text(setting: Setting, text: str, where: str) -> Any:
    kinds = _kinds(setting.kind)
    if bool in kinds:
        said = {"true": True, "1": True, "yes": True, "on": True, "false": False, "0": False, "no": False, "off": False}
        if text.casefold() not in said:
            raise SettingsError(f"{where}: {setting.name} is true or false, not {text!r}.")
        return said[text.casefold()]
    for number in (int, float):
        if number in kinds:
            try:
                return number(text)
            except ValueError:
                raise SettingsError(f"{where}: {setting.name} is a number, not {text!r}.") from None
    return text


def _checked(setting: Setting, value: Any, where: str) -> Any:
    """The value as its field has it."""
    kinds = _kinds(setting.kind)
    choices = [choice for kind in kinds if get_origin(kind) is Literal for choice in get_args(kind)]
    if choices:
        if value in choices:
            return value
        hint = nearest(str(value), choices)
        raise SettingsError(f"{where}: {setting.name} cannot be {value!r}. {hint}")
    if Mapping in kinds:
        if isinstance(value, Mapping) and all(isinstance(keys, str) for keys in value.values()):
            return dict(value)
        raise SettingsError(f'{where}: {setting.name} is a table of names and keys, such as pause = "space".')
    if type(value) is int and float in kinds:
        value = float(value)
    if Path in kinds and isinstance(value, str):
        return Path(value).expanduser()
    if not any(isinstance(kind, type) and type(value) is kind for kind in kinds):
        raise SettingsError(f"{where}: {setting.name} is {_spoken(kinds)}, not {value!r}.")
    least, most = LIMITS.get(setting.name, (None, None))
    if least is not None and most is not None and not least <= value <= most:
        raise SettingsError(f"{where}: {setting.name} is from {least:g} to {most:g}, not {value:g}.")
    return value


def _kinds(hint: Any) -> tuple[Any, ...]:
    """What a type hint allows, without None."""
    origin = get_origin(hint)
    if origin in (Union, types.UnionType):
        return tuple(kind for option in get_args(hint) for kind in _kinds(option) if kind is not type(None))
    return (Mapping,) if isinstance(origin, type) and issubclass(origin, Mapping) else (hint,)


def _spoken(kinds: tuple[Any, ...]) -> str:
    names = {str: "text", Path: "a path", int: "a whole number", float: "a number", bool: "true or false"}
    return " or ".join(names[kind] for kind in kinds)


def get(settings: Settings, name: str) -> Any:
    """The value of a setting by its dotted name."""
    value: Any = settings
    for part in name.split("."):
        value = getattr(value, part)
    return value

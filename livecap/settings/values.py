"""Kinds of values: how each is written as text and in the settings file, and its range. Ranges are checked only here.

Text comes from flags, from the environment and from `livecap config set`; all of them go through `from_text`.
"""

import ipaddress
import math
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit


class Kind:
    """A kind of value. Both methods raise ValueError for a value that does not fit."""

    @property
    def expected(self) -> str:
        """What fits, to follow "must be"."""
        raise NotImplementedError

    def from_text(self, text: str) -> Any:
        """The value of text that a user typed."""
        return self.checked(text)

    def checked(self, value: object) -> Any:
        """The value of what TOML holds."""
        raise NotImplementedError


class _Text(Kind):
    expected = "text in UTF-8"

    def checked(self, value: object) -> str:
        if not isinstance(value, str):
            raise ValueError
        value.encode()  # half a surrogate pair, as Python has it for other bytes, raises ValueError
        return value


class _Name(Kind):
    expected = "a name"

    def checked(self, value: object) -> str:
        """A name, or a path, which may have any bytes. An empty one comes from a script's variable that is not set; it
        must not mean "any"."""
        if not isinstance(value, str) or not value.strip():
            raise ValueError
        return value


class _Path(Kind):
    expected = "a path, in which ~ and ~NAME stand for home folders that exist"

    def checked(self, value: object) -> Path:
        if not isinstance(value, str) or not value or "\0" in value:
            raise ValueError
        try:
            return Path(value).expanduser()
        except RuntimeError:  # no such user, or no home folder
            raise ValueError from None


class _Switch(Kind):
    expected = "true or false"
    words = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}

    def from_text(self, text: str) -> bool:
        try:
            return self.words[text.casefold()]
        except KeyError:
            raise ValueError from None

    def checked(self, value: object) -> bool:
        if not isinstance(value, bool):
            raise ValueError
        return value


class _KeyTable(Kind):
    expected = 'a table of names and keys, such as pause = "space"'

    def checked(self, value: object) -> dict[str, str]:
        """Name to keys. A name with a dot may be written without quotes, which TOML takes for a table."""
        if not isinstance(value, Mapping):
            raise ValueError
        found: dict[str, str] = {}
        for name, keys in value.items():
            if isinstance(keys, str):
                found[name] = keys
            else:
                found |= {f"{name}.{end}": more for end, more in self.checked(keys).items()}
        return found


class _Moment(Kind):
    expected = "seconds, 1:30 or 1:02:03"

    def from_text(self, text: str) -> float:
        """Seconds of `90`, `1:30` or `1:02:03.5`."""
        seconds = 0.0
        for part in text.split(":"):
            seconds = SECONDS.checked(seconds * 60 + SECONDS.from_text(part))
        return seconds


class _Command(_Text):
    expected = "a command with its arguments, quoted as in a shell"

    def checked(self, value: object) -> str:
        text = super().checked(value)
        if not shlex.split(text) or "\0" in text:
            raise ValueError
        return text


class _Duration(_Moment):
    expected = "a time such as 90s, 15m, 1h30m or 1:30:00"
    _UNITS = re.compile(r"(?:([\d.]+)h)?(?:([\d.]+)m(?:in)?)?(?:([\d.]+)s)?")

    def from_text(self, text: str) -> float:
        found = self._UNITS.fullmatch(text.replace(" ", ""))
        if found and any(found.groups()):
            hours, minutes, seconds = (float(part or 0) for part in found.groups())
            return self.checked(hours * 3600 + minutes * 60 + seconds)
        return self.checked(super().from_text(text))

    def checked(self, value: object) -> float:
        seconds = self.from_text(value) if isinstance(value, str) else SECONDS.checked(value)
        if seconds <= 0:
            raise ValueError
        return float(seconds)


class _Address(_Text):
    expected = "a port such as 8765, or an address such as 0.0.0.0:8765"

    def checked(self, value: object) -> str:
        text = super().checked(str(value) if type(value) is int else value)
        address_of(text)
        return text


class _Url(_Text):
    expected = "an address such as https://host/v1, without a user, a key or a query"

    def checked(self, value: object) -> str:
        text = super().checked(value).strip().rstrip("/")
        parts = urlsplit(text)
        wrong = parts.username is not None or parts.password is not None or parts.query or parts.fragment
        if parts.scheme not in ("http", "https") or not parts.hostname or wrong or parts.port == 0:
            raise ValueError
        parts.hostname.encode("idna")
        if not text.isprintable() or " " in text:
            raise ValueError
        return text


class _Origin(_Text):
    expected = "the origin of a web page, such as https://app.example.com, without a path"
    _WRITTEN = re.compile(r"[a-z][a-z0-9+.-]*://([a-z0-9_.-]+|\[[0-9a-f:]+\])(:[0-9]{1,5})?")

    def checked(self, value: object) -> str:
        """The origin as browsers write it: in lower case, without the usual port."""
        text = super().checked(value).lower().removesuffix("/")
        if not self._WRITTEN.fullmatch(text):
            raise ValueError
        return text.removesuffix({"http": ":80", "https": ":443"}.get(text.partition(":")[0], "/"))


def address_of(text: str) -> tuple[str, int]:
    """Host and port of "8765" (this computer only), "0.0.0.0:8765" or "[::1]:8765".

    Raises:
        ValueError: it is something else.
    """
    host, colon, port = text.rpartition(":")
    host = host_of(host.strip("[]")) if colon else "127.0.0.1"
    if not (port.isascii() and port.isdigit() and int(port) <= 65535):
        raise ValueError
    return host, int(port)


def host_of(text: str) -> str:
    """`localhost`, or an address such as 0.0.0.0 or ::1.

    Raises:
        ValueError: it is something else.
    """
    if text != "localhost":
        ipaddress.ip_address(text)
    return text


TEXT, NAME, PATH, SWITCH, KEY_TABLE, MOMENT = _Text(), _Name(), _Path(), _Switch(), _KeyTable(), _Moment()
ADDRESS, COMMAND, DURATION, ORIGIN, URL = _Address(), _Command(), _Duration(), _Origin(), _Url()


@dataclass(frozen=True)
class Choice(Kind):
    """One of several words."""

    words: tuple[str, ...]

    @property
    def expected(self) -> str:
        return f"{', '.join(self.words[:-1])} or {self.words[-1]}"

    def checked(self, value: object) -> str:
        if not isinstance(value, str) or value not in self.words:
            raise ValueError
        return value


@dataclass(frozen=True)
class Number(Kind):
    """A finite number from `least` to `most`."""

    least: float
    most: float = math.inf
    unit: str = ""
    whole: bool = False
    above: bool = False
    """`least` itself does not fit."""
    word: str | None = None
    """A word that stands for None, such as `auto`."""

    @property
    def expected(self) -> str:
        number = ("a whole number" if self.whole else "a number") + (f" of {self.unit}" if self.unit else "")
        low, high = f"{self.least:.15g}", f"{self.most:.15g}"
        if self.above:
            limits = f" above {low}" + (f", at most {high}" if math.isfinite(self.most) else "")
        else:
            limits = f" from {low} to {high}" if math.isfinite(self.most) else f", at least {low}"
        return number + limits + (f", or {self.word}" if self.word else "")

    def from_text(self, text: str) -> Any:
        if text == self.word:
            return None
        return self.checked(int(text) if self.whole else float(text))

    def checked(self, value: object) -> Any:
        if value == self.word and value is not None:
            return None
        if isinstance(value, bool) or not isinstance(value, int if self.whole else int | float):
            raise ValueError
        if not self.least <= value <= self.most or value == math.inf or (self.above and value == self.least):
            raise ValueError
        try:
            return value if self.whole else float(value)
        except OverflowError:
            raise ValueError from None


SECONDS = Number(0, 1e9, "seconds")

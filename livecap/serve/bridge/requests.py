"""Requests of the bridge: one JSON object per line, and an error with a code for everything else (docs/bridge.md)."""

import base64
import binascii
import json
import math
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from livecap.errors import AudioError, LivecapError, ModelError, SettingsError, brief
from livecap.serve.worker import Busy

Record = dict[str, Any]
"""A JSON object."""

MOST_LINE_BYTES = 32 << 20
"""Length of a request: 13 minutes of 16-bit samples at 16 kHz."""
MOST_NAME = 200
"""Characters of the id of a request, a stream or an utterance."""
RATES = 8_000, 192_000


class BridgeError(LivecapError):
    """A request that cannot be carried out."""

    def __init__(self, code: str, message: str, **more: Any) -> None:
        """
        Args:
            code: what programs look at; docs/bridge.md lists them.
            more: further fields of the answer.
        """
        super().__init__(message)
        self.code, self.more = code, more


CODES = ((AudioError, "audio_error"), (ModelError, "model_error"), (SettingsError, "invalid_field"), (Busy, "busy"))


def error_record(error: LivecapError) -> Record:
    """The answer to a request that raised an error."""
    if isinstance(error, BridgeError):
        return {"type": "error", "code": error.code, "message": str(error), **error.more}
    code = next((code for kind, code in CODES if isinstance(error, kind)), "failed")
    return {"type": "error", "code": code, "message": str(error)}


class Request:
    """One request. Its methods read a field each, and raise BridgeError for a value that cannot be used."""

    def __init__(self, fields: Mapping[str, Any]) -> None:
        self._fields = fields
        self.id: str | int | None = None
        """The id of the request, which the answer repeats."""
        self.on_answered: Callable[[], None] = lambda: None
        """Called once the answer was sent."""
        kind, given = fields.get("type"), fields.get("id")
        if given is not None:
            if isinstance(given, bool) or not isinstance(given, str | int) or len(str(given)) > MOST_NAME:
                self._refuse("id", f"a text or a whole number of at most {MOST_NAME} characters")
            self.id = given
        if not isinstance(kind, str):
            raise BridgeError("invalid_message", 'A request has a "type", such as {"type": "start"}.')
        self.kind = kind

    def has(self, name: str) -> bool:
        """Whether the field is there and not null."""
        return self._fields.get(name) is not None

    def text(self, name: str, usual: str | None = None) -> str:
        """A text; a request without the field is refused if there is no usual value."""
        value = self._fields.get(name)
        if value is None:
            if usual is None:
                raise BridgeError("missing_field", f"{self.kind} needs {name!r}.", field=name)
            return usual
        if not isinstance(value, str):
            self._refuse(name, "a text")
        return value

    def name(self, name: str, usual: str) -> str:
        """The id of a stream or an utterance; a number counts as its digits, and no text as the usual one."""
        value = self._fields.get(name)
        if isinstance(value, int) and not isinstance(value, bool) and abs(value) < 1 << 63:
            value = str(value)
        if value is None or value == "":
            return usual
        if not isinstance(value, str) or len(value) > MOST_NAME:
            self._refuse(name, f"a text of at most {MOST_NAME} characters")
        return value

    def number(self, name: str, usual: int, least: int, most: int, code: str = "invalid_field") -> int:
        """A whole number, which may also be written as 16000.0 or "16000"."""
        value = self._fields.get(name)
        if value is None:
            return usual
        if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) < 20:
            value = int(value)
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            self._refuse(name, f"a whole number from {least} to {most}", code)
        return value

    def flag(self, name: str, usual: bool = False) -> bool:
        """True or false."""
        value = self._fields.get(name)
        if value is None:
            return usual
        if not isinstance(value, bool):
            self._refuse(name, "true or false")
        return value

    def path(self, name: str) -> str:
        """The path of a file."""
        return self._path(name, self.text(name))

    def paths(self, name: str) -> list[str]:
        """The paths of one or more files."""
        value = self._fields.get(name)
        if not isinstance(value, list) or not value or not all(isinstance(path, str) for path in value):
            self._refuse(name, "a list of at least one path")
        return [self._path(name, path) for path in value]

    def _path(self, name: str, path: str) -> str:
        try:
            usable = bool(path) and b"\0" not in path.encode()
        except UnicodeEncodeError:  # half a surrogate pair
            usable = False
        if not usable:
            self._refuse(name, "the path of a file")
        return path

    def rate(self, usual: int) -> int:
        """Samples per second."""
        return self.number("sample_rate", usual, *RATES, code="invalid_rate")

    def choice(self, name: str, choices: tuple[str, ...]) -> str:
        """One of some words, in any case; the first is the usual one."""
        value = self.text(name, choices[0]).lower()
        if value not in choices:
            self._refuse(name, " or ".join(choices))
        return value

    def samples(self, n_channels: int) -> NDArray[np.int16]:
        """[n, n_channels] of `pcm16`: base64 of little-endian 16-bit samples."""
        text = "".join(self.text("pcm16", "").split())  # some encoders break lines
        try:
            data = base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError):  # ValueError: letters outside ASCII
            raise BridgeError("invalid_base64", "pcm16 is not base64.", field="pcm16") from None
        frame_bytes = 2 * n_channels
        if len(data) % frame_bytes:
            raise BridgeError(
                "invalid_pcm",
                f"pcm16 has {len(data)} bytes, which are not whole 16-bit samples of {n_channels} channel(s).",
                field="pcm16",
            )
        return np.frombuffer(data, "<i2").reshape(-1, n_channels)

    def _refuse(self, name: str, wanted: str, code: str = "invalid_field") -> NoReturn:
        raise BridgeError(code, f"{name} must be {wanted}, not {brief(self._fields.get(name))}.", field=name)


def parse(line: bytes) -> Mapping[str, Any]:
    """The JSON object in a line.

    Raises:
        BridgeError: the line is something else.
    """
    try:
        text = line.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BridgeError("invalid_utf8", f"The line is not UTF-8: byte {error.start + 1} of it is wrong.") from None
    try:
        value = json.loads(text, parse_constant=_refuse_constant, parse_float=_finite)
    except BridgeError:
        raise
    except RecursionError:
        raise BridgeError("invalid_json", "The JSON is nested too deeply.") from None
    except ValueError as error:
        raise BridgeError("invalid_json", f"The line is not JSON: {error}.") from None
    if not isinstance(value, dict):
        raise BridgeError("invalid_message", 'A request is a JSON object, such as {"type": "start"}.')
    return value


def _refuse_constant(name: str) -> NoReturn:
    raise BridgeError("invalid_json", f"{name} is not JSON.")


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise BridgeError("invalid_json", f"The number {digits[:20]} is too large.")
    return number

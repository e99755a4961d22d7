"""One line of session.jsonl: an event, its number, and a checksum that tells if it is whole (docs/log-format.md)."""

import json
import zlib
from dataclasses import dataclass
from typing import Any

from livecap.transcript import SessionEvent, TranscriptUpdate, from_record, knows, to_json

LOG_FORMAT = 2
"""Of the lines written here. Format 1 had neither numbers nor checksums."""

_CHECKSUM = b', "crc": "'
_TAIL_BYTES = len(_CHECKSUM) + 8 + len(b'"}')


class DamagedLine(ValueError):
    """These bytes are no whole line of a log; says why."""


@dataclass(frozen=True, slots=True)
class LogLine:
    """A whole line."""

    event: SessionEvent | None
    """None: of a type that this livecap does not know."""
    wall_seconds: float
    """When it was written, since the session's start."""
    seq: int | None
    """None in format 1."""
    log_format: int | None
    """Told by the first line alone."""


def encode_line(event: SessionEvent, wall_seconds: float, seq: int) -> bytes:
    """The line that is fact number `seq` of a session, with its line end."""
    text = to_json(event, wall_seconds)[:-1]
    if seq == 0:
        text += f', "log": {LOG_FORMAT}'
    text += f', "seq": {seq}'
    body = text.encode("utf-8", errors="backslashreplace")  # half a surrogate pair becomes \udXXX, which JSON has
    return body + _CHECKSUM + b'%08x"}\n' % zlib.crc32(body)


def decode_line(data: bytes) -> LogLine:
    """What a line of any format says; line end and zero bytes around it are allowed.

    Raises:
        DamagedLine: it is not whole, or no line of ours.
    """
    data = data.strip(b"\0\r\n ")
    body, tail = data[:-_TAIL_BYTES], data[-_TAIL_BYTES:]
    is_summed = tail.startswith(_CHECKSUM)
    if is_summed and tail != _CHECKSUM + b'%08x"}' % zlib.crc32(body):
        raise DamagedLine("its checksum does not fit")
    record = _record(data)
    seq = record.get("seq") if is_summed else None
    if is_summed and (not isinstance(seq, int) or isinstance(seq, bool) or seq < 0):
        raise DamagedLine("it has a checksum and no number")
    wall_seconds, log_format = record.get("wall_seconds", 0.0), record.get("log")
    return LogLine(
        event=_event(record),
        wall_seconds=float(wall_seconds) if isinstance(wall_seconds, int | float) else 0.0,
        seq=seq,
        log_format=log_format if isinstance(log_format, int) else None,
    )


def _record(data: bytes) -> dict[str, Any]:
    try:
        record = json.loads(data.decode("utf-8", errors="surrogatepass"))
    except (ValueError, RecursionError):
        raise DamagedLine("it is not JSON") from None
    if not isinstance(record, dict) or not isinstance(record.get("type"), str):
        raise DamagedLine("it is no event")
    return record


def _event(record: dict[str, Any]) -> SessionEvent | None:
    if not knows(record):
        return None  # a later livecap's: whole, but not for us
    try:
        event = from_record(record)
    except ValueError as error:
        raise DamagedLine(str(error)) from None
    return None if isinstance(event, TranscriptUpdate) else event

"""One line of session.jsonl: an event, its number, and a checksum that shows damage (docs/log-format.md)."""

import json
import zlib
from dataclasses import dataclass
from typing import Any

from livecap.transcript import SessionEvent, TranscriptUpdate, from_record, knows, to_json

LOG_FORMAT = 2
"""Version of the format written here. Format 1 had neither numbers nor checksums."""

MAX_FACTS = 1 << 40
"""A higher number of a line is not one of ours."""

_CHECKSUM = b', "crc": "'
_TAIL_BYTES = len(_CHECKSUM) + 8 + len(b'"}')


class DamagedLine(ValueError):
    """The bytes are not an undamaged line of a log; the message says why."""


@dataclass(frozen=True, slots=True)
class LogLine:
    """A line that was read."""

    event: SessionEvent | None
    """None for a type that this version does not know."""
    wall_seconds: float
    """Seconds from the start of the session to the writing of this line; 0 where the line does not say."""
    seq: int | None
    """Number of the fact in its session; None in format 1."""
    log_format: int | None
    """Version of the format, in the first line of a log; else None."""


def encode_line(event: SessionEvent, wall_seconds: float, seq: int) -> bytes:
    """The line for fact number `seq` of a session, with its line end."""
    text = to_json(event, wall_seconds)[:-1]
    if seq == 0:
        text += f', "log": {LOG_FORMAT}'
    text += f', "seq": {seq}'
    body = text.encode("utf-8", errors="backslashreplace")  # half a surrogate pair becomes \udXXX, valid in JSON
    return body + _CHECKSUM + b'%08x"}\n' % zlib.crc32(body)


def decode_line(data: bytes) -> LogLine:
    """Read a line of any format. Line ends and zero bytes around it are ignored.

    Raises:
        DamagedLine: the line is incomplete, damaged or not a line of a session log.
    """
    data = data.strip(b"\0\r\n ")
    body, tail = data[:-_TAIL_BYTES], data[-_TAIL_BYTES:]
    is_summed = tail.startswith(_CHECKSUM)
    if is_summed and tail != _CHECKSUM + b'%08x"}' % zlib.crc32(body):
        raise DamagedLine("the checksum is wrong")
    record = _record(data)
    seq = record.get("seq") if is_summed else None
    if is_summed and not (type(seq) is int and 0 <= seq < MAX_FACTS):
        raise DamagedLine("it has a checksum but no number")
    log_format = record.get("log")
    return LogLine(
        event=_event(record),
        wall_seconds=_seconds(record.get("wall_seconds")),
        seq=seq,
        log_format=min(log_format, MAX_FACTS) if type(log_format) is int else None,
    )


def _seconds(value: Any) -> float:
    """A sensible time; 0 for anything else."""
    return float(value) if type(value) in (int, float) and 0 <= value < 1e12 else 0.0


def _record(data: bytes) -> dict[str, Any]:
    try:
        record = json.loads(data.decode("utf-8", errors="surrogatepass"))
    except (ValueError, RecursionError):
        raise DamagedLine("it is not JSON") from None
    if not isinstance(record, dict) or not isinstance(record.get("type"), str):
        raise DamagedLine("it is not an event")
    return record


def _event(record: dict[str, Any]) -> SessionEvent | None:
    if not knows(record):
        return None  # written by a later version
    try:
        event = from_record(record)
    except ValueError as error:
        raise DamagedLine(str(error)) from None
    except RecursionError:
        raise DamagedLine("it is nested too deeply") from None
    return None if isinstance(event, TranscriptUpdate) else event

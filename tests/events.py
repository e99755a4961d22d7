"""Reads the JSON that livecap prints and writes."""

import json

from livecap.transcript import SessionEvent, TranscriptUpdate, from_record


def event_of(line: str | bytes) -> SessionEvent | TranscriptUpdate:
    """The update or event in a line of `--json` or of a session log."""
    return from_record(json.loads(line))

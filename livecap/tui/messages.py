"""Messages heard across the app."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from textual.message import Message

from livecap.transcript import SessionEvent, TranscriptUpdate


@dataclass
class TranscriptChanged(Message):
    """An utterance has new text."""

    update: TranscriptUpdate

    def can_replace(self, message: Message) -> bool:
        """True where `message`, which came later, makes this one worthless. A final one never is."""
        if not isinstance(message, TranscriptChanged):
            return False
        mine, later = self.update, message.update
        return not mine.final and (mine.track, mine.utterance) == (later.track, later.utterance)


@dataclass
class SessionReported(Message):
    """The session has a new fact. Never dropped."""

    event: SessionEvent


@dataclass
class Changed(Message):
    """What a person wanted changed in the session is changed, or cannot be."""

    changes: Mapping[str, Any]
    """Setting to value."""
    trouble: str = ""
    """Why not, in a sentence."""

"""Facts of a session for the tests of what listens to it."""

from livecap.transcript import SessionStarted, TranscriptUpdate, UtteranceEnded

SECOND = 16_000
STARTED_EVENT = SessionStarted("s", "mic", "tiny", "2026-03-01T10:02:03.000+00:00", True, None, "0")


def line(number, text, track=""):
    """A finished utterance of 5 s, one in ten seconds."""
    start = number * 10 * SECOND
    return UtteranceEnded(track, number, text, start, start + 5 * SECOND, "English")


def update(number, stable, partial="", track="", final=False):
    """What is shown of an utterance."""
    start = number * 10 * SECOND
    return TranscriptUpdate(track, number, stable, partial, start, start + 5 * SECOND, "English", final)

"""A folder with three past sessions, written with SessionLog."""

from datetime import datetime

from livecap.archive.log import SessionLog
from livecap.transcript import (
    AudioGap,
    Marked,
    Paused,
    Resumed,
    SessionEnded,
    SessionStarted,
    TextCommitted,
    UtteranceEnded,
)

SECOND = 16_000
SAID = {
    "2020-03-02T10:02:00.000+01:00": (
        "Good morning everyone, let's get started with the weekly review.",
        "The budget for the summer is still open.",
    ),
    "2020-03-05T14:30:00.000+01:00": (
        "Interview notes, second round.",
        "She built the pump herself; the budget was small.",
    ),
    "2020-04-01T09:00:00.000+02:00": ("\x1b[2J[bold]An odd one\u202e from an old log.",),
}


def write_sessions(folder):
    """Returns the names of the sessions, oldest first."""
    names = []
    for moment, texts in SAID.items():
        started = datetime.fromisoformat(moment)
        log = SessionLog(folder, started.replace(tzinfo=None))
        log.append(SessionStarted(log.session, "Yeti", "Qwen3-ASR-0.6B", moment, True, None, "0.1.0"), 0.0)
        for number, text in enumerate(texts):
            start = (number * 30 + 3) * SECOND
            log.append(TextCommitted("", number, text, start, start + 5 * SECOND), 1.0)
            log.append(UtteranceEnded("", number, text, start, start + 5 * SECOND, "English"), 1.0)
        log.append(Marked("", 20 * SECOND, "check [this]", moment), 1.0)
        log.append(AudioGap("", 25 * SECOND, 26 * SECOND), 1.0)
        log.append(Paused("", 27 * SECOND, moment), 1.0)
        log.append(Resumed("", 27 * SECOND, moment), 1.0)
        log.append(SessionEnded(600 * SECOND, "stopped"), 2.0)
        log.close()
        names.append(log.session)
    return names

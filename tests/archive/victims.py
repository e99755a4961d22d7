"""Programs that tests start and kill."""

from itertools import count
from pathlib import Path

from livecap.archive.log import SessionLog
from livecap.cli.main import run
from livecap.transcript import SessionStarted, TextCommitted, UtteranceEnded
from tests.archive.when import STARTED


def write_for_ever(parent: Path) -> None:
    """Write a session as fast as possible; print its folder, and then each piece of text once it is in the log."""
    log = SessionLog(parent, STARTED)
    log.append(SessionStarted(log.session, "Mic", "tiny", "2026-03-01T10:02:03+01:00", True, None, "0.1.0"), 0.0)
    print(log.folder, flush=True)
    for number in count():
        text = ""
        for word in range(5):
            piece = f" {number}.{word}"
            log.append(TextCommitted("", number, piece, number * 1000, number * 1000 + word), 1.0)
            text += piece
            print(f"{number} {piece}", flush=True)
        log.append(UtteranceEnded("", number, text, number * 1000, number * 1000 + 5, "English"), 1.0)


def replay(parent: Path, *arguments: str) -> None:
    """The whole program with the built-in model; prints every event and update."""
    run(["--model", "tiny", "--json", "--log-dir", str(parent), *arguments])

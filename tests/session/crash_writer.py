"""A process that writes a session as fast as it can, says each fact that is written, and waits to be killed.

python -m tests.session.crash_writer FOLDER
"""

import sys
from itertools import count
from pathlib import Path

from livecap.session.log import SessionLog
from livecap.transcript import SessionStarted, TextCommitted, UtteranceEnded
from tests.session.when import STARTED


def main() -> None:
    log = SessionLog(Path(sys.argv[1]), STARTED)
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


if __name__ == "__main__":
    main()

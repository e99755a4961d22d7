"""amend: adds facts about speakers to the log of a session that has ended. What is in it does not change."""

from collections.abc import Callable, Iterable
from pathlib import Path

from livecap.archive.archive import Archive
from livecap.archive.log import SessionLog
from livecap.archive.recorded import RecordedSession
from livecap.errors import LogError
from livecap.transcript import SpeakerNamed, SpeakersHeard, SpeakersMerged, SpeakerSplit

Said = SpeakersHeard | SpeakerNamed | SpeakersMerged | SpeakerSplit


def amend(folder: Path, facts: Callable[[RecordedSession], Iterable[Said]]) -> RecordedSession:
    """Add facts to the log of a session, write its transcript.md again, and let the search index read it again.

    Args:
        facts: what to add to this session, which no other process changes meanwhile.

    Returns:
        the session with these facts.

    Raises:
        LogError: the session is running, was cut off, or cannot be read or written.
    """
    session = finished(folder)
    while True:
        log = SessionLog.reopen(folder, session.n_facts, session.clock)
        try:
            before, session = session.n_facts, finished(folder)
            if session.n_facts == before:  # nobody has added facts before the log was locked
                assert session.ended is not None
                is_changed = False
                try:
                    for fact in facts(session):
                        is_changed = True
                        log.append(fact, session.wall_seconds)
                finally:  # also after Ctrl-C: far from the end of the log, its end would not be found
                    if is_changed:
                        log.append(session.ended, session.wall_seconds)
                break
        finally:
            try:
                log.close()
            finally:
                Archive(folder.parent).expire(folder)  # facts may be in the log although transcript.md is not written
    return RecordedSession(folder)


def finished(folder: Path) -> RecordedSession:
    """The session in a folder, if it has ended properly.

    Raises:
        LogError: it is running, was cut off, or cannot be read.
    """
    session = RecordedSession(folder)
    if session.ended is None:
        if session.is_running:
            raise LogError(f"The session {folder.name} is being recorded. End it first.")
        raise LogError(f"The session {folder.name} was cut off. Finish it with `livecap recover {folder.name}` first.")
    return session

"""An MCP server over standard input and output, with which an assistant reads sessions. It changes nothing.

Needs the package `mcp` (the extra `livecap[mcp]`).
"""

import asyncio
import math
import os
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Annotated, Any, TypeVar

from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.server.subscriptions import InMemorySubscriptionBus, ResourceUpdated
from mcp_types import ToolAnnotations
from pydantic import Field

from livecap.archive.archive import Archive
from livecap.archive.folder import EVENTS, is_being_written
from livecap.archive.recorded import Fact, RecordedSession
from livecap.archive.search import Query
from livecap.errors import LogError
from livecap.export.formats import export_pieces
from livecap.text.safety import printable
from livecap.transcript import SAMPLE_RATE, AudioGap, Marked, Notice, Paused, UtteranceEnded, UtteranceSettled
from livecap.version import VERSION

T = TypeVar("T")
RUNNING = "livecap://running"
"""The resource with the text of the session that runs."""
LOOK_SECONDS = 1.0
"""Time between two looks whether the running session has new text."""
AGAIN_SECONDS = 70
"""The end of the text of a running session that is read again: longer than an utterance (30 s) and the sound that is
decoded of one track before the next one has its turn (30 s)."""
INSTRUCTIONS = """Transcripts of what was said near this computer's microphone or in its calls, made by livecap on this
computer. list_sessions names the sessions, read_transcript reads one (also while it runs: pass next_since_seconds as
since_seconds to read on), search finds words in all of them. Nothing can be changed."""

Name = Annotated[str, Field(description='name of a session, part of its title, "last", or "running"')]
Limit = Annotated[int, Field(ge=1, le=1000, description="at most this many entries")]
READ_ONLY = ToolAnnotations(read_only_hint=True, open_world_hint=False)


def make_server(parent: Path) -> "MCPServer[None]":
    """The server for the sessions in one folder.

    Raises:
        LogError: the folder cannot be read.
    """
    archive, bus = Archive(parent), InMemorySubscriptionBus()
    archive.names()  # one error now, and not one in each answer

    @asynccontextmanager
    async def watching(server: "MCPServer[None]") -> AsyncIterator[None]:
        task = asyncio.create_task(_tell_updates(archive, bus, await asyncio.to_thread(_state, archive)))
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    server: MCPServer[None] = MCPServer(
        "livecap",
        instructions=INSTRUCTIONS,
        version=VERSION,
        log_level="ERROR",
        lifespan=watching,
        subscriptions=bus,
    )

    @server.tool(annotations=READ_ONLY)
    def list_sessions(limit: Limit = 20) -> dict[str, Any]:
        """List sessions, newest first: name, title, start, length, tracks, languages, first words, running or not."""
        found = _asked(archive.sessions)
        return {
            "sessions": [
                {
                    "name": summary.name,
                    "title": printable(summary.title),
                    "started": summary.started.isoformat(timespec="seconds"),
                    "seconds": round(summary.seconds, 1),
                    "tracks": [printable(label) for label in summary.tracks if label],
                    "languages": list(summary.languages),
                    "first_words": printable(summary.first_words),
                    "running": summary.running,
                }
                for summary in found[:limit]
            ],
            "total": len(found),
        }

    @server.tool(annotations=READ_ONLY)
    def read_transcript(session: Name = "last", since_seconds: float = 0.0, limit: Limit = 300) -> dict[str, Any]:
        """Read what was said in a session, in order of time, from `since_seconds` after its start.

        An entry with "open": true is not finished. To read on, pass `next_since_seconds` as `since_seconds`; the last
        entries of a running session come again then, with the same "id" and perhaps more words.
        """
        recorded = _asked(lambda: RecordedSession(_folder_of(archive, session)))
        since, running = since_seconds * SAMPLE_RATE, recorded.is_running
        entries = [(sample, entry) for sample, entry in _entries(recorded) if sample >= since]
        # From here on words may still be added, also to what another track said before. Sound that has arrived does not
        # count: it may wait to be decoded.
        again = recorded.text_samples - AGAIN_SECONDS * SAMPLE_RATE if running else math.inf
        n = len(entries[:limit])
        while 0 < n < len(entries) and (entries[n][0] == entries[n - 1][0] or entries[n - 1][0] >= again):
            n += 1  # `next_since_seconds` would pass over what begins at the same moment, or never reach the end
        next_sample = max(since, min(max((sample + 1 for sample, _ in entries[:n]), default=since), again))
        return {
            "session": recorded.name,
            "title": printable(recorded.title),
            "started": recorded.clock.started.isoformat(timespec="seconds"),
            "seconds": round(recorded.seconds, 1),
            "running": running,
            "entries": [entry for _, entry in entries[:n]],
            "more": len(entries) > n,
            "next_since_seconds": round(next_sample / SAMPLE_RATE, 5),
        }

    @server.tool(annotations=READ_ONLY)
    def search(
        words: Annotated[str, Field(description='words that one utterance must hold; "quoted words" are adjacent')],
        session: Annotated[str, Field(description="name of the only session to search; empty for all")] = "",
        track: Annotated[str, Field(description="only this track, such as them; empty for all")] = "",
        limit: Limit = 20,
    ) -> dict[str, Any]:
        """Find utterances by their words, newest first."""
        only = _folder_of(archive, session).name if session else None
        hits = _asked(lambda: archive.search(Query(words, label=track or None, session=only, limit=limit)))
        return {
            "hits": [
                {
                    "session": hit.session,
                    "title": printable(hit.title),
                    "track": printable(hit.track),
                    **({"speaker": printable(hit.speaker)} if hit.speaker != hit.track else {}),
                    "at": hit.at,
                    "seconds": round(hit.start_sample / SAMPLE_RATE, 2),
                    "text": printable(hit.text),
                }
                for hit in hits
            ]
        }

    @server.resource(RUNNING, title="The running session", mime_type="text/markdown")
    def running() -> str:
        """The text so far of the session that runs now; empty if none runs."""
        folder = _running(archive)
        return "".join(export_pieces(RecordedSession(folder), "md")) if folder else ""

    return server


async def _tell_updates(archive: Archive, bus: InMemorySubscriptionBus, before: tuple[str, int]) -> None:
    """Tell subscribers of the running session whenever its log has grown, or another session runs.

    Args:
        before: what `_state` returned before the first client could subscribe.
    """
    while True:
        await asyncio.sleep(LOOK_SECONDS)
        now = await asyncio.to_thread(_state, archive)
        if now != before:
            await bus.publish(ResourceUpdated(uri=RUNNING))
        before = now


def _state(archive: Archive) -> tuple[str, int]:
    try:
        folder = _running(archive)
        return ("", 0) if folder is None else (folder.name, os.stat(folder / EVENTS).st_size)
    except (OSError, LogError):  # whoever asks for the text is told
        return "", 0


def _running(archive: Archive) -> Path | None:
    """The newest session that is being written; only the newest few can be."""
    for name in archive.names()[:10]:
        with suppress(OSError):
            if is_being_written(archive.parent / name):
                return archive.parent / name
    return None


def _folder_of(archive: Archive, wanted: str) -> Path:
    if wanted == "running":
        folder = _running(archive)
        if folder is None:
            raise ToolError("No session is running.")
        return folder
    if os.sep in wanted or wanted.startswith((".", "~")):
        raise ToolError("A session has a name, not a path; list_sessions lists the names.")
    return _asked(partial(archive.folder_of, wanted))


def _asked(question: Callable[[], T]) -> T:
    """The answer of the archive. Raises ToolError with its sentence if it has none."""
    try:
        return question()
    except (LogError, OSError) as error:
        raise ToolError(str(error)) from None


def _sample(fact: Fact) -> int:
    """Where a fact belongs in the order of time."""
    return fact.start_sample if isinstance(fact, UtteranceEnded | UtteranceSettled | AudioGap) else fact.sample


def _entries(recorded: RecordedSession) -> Iterator[tuple[int, dict[str, Any]]]:
    """(sample, entry) of each fact in the order of time. An id is that of the same entry in every reading: further
    parts of an utterance, whose speakers may be found later, are numbered behind the first."""
    n_same: Counter[str] = Counter()
    for fact in recorded.facts():
        sample = _sample(fact)
        entry: dict[str, Any] = {"seconds": round(sample / SAMPLE_RATE, 2)}
        kind, said = _said(fact)
        if isinstance(fact, UtteranceEnded | UtteranceSettled):
            name = f"{printable(fact.track)}:{fact.utterance}"
            entry |= {"speaker": printable(fact.speaker)} if fact.speaker else {}
            entry |= {"open": True} if (fact.track, fact.utterance) in recorded.open else {}
        else:
            name = f"{kind}:{sample}"
        if not isinstance(fact, Notice):
            entry["at"] = recorded.clock.at_fact(fact)
            entry |= {"track": printable(fact.track)} if fact.track else {}
        n_same[name] += 1
        yield sample, {"id": name if n_same[name] == 1 else f"{name}:{n_same[name]}", **entry, kind: said}


def _said(fact: Fact) -> tuple[str, str]:
    """The field of an entry that says what happened, and its text."""
    match fact:
        case UtteranceEnded() | UtteranceSettled():
            return "text", printable(fact.text.strip())
        case Marked():
            return "mark", printable(fact.note)
        case AudioGap():
            return "gap", fact.remark
        case Notice():
            return "notice", printable(fact.message)
        case _:
            return "event", "paused" if isinstance(fact, Paused) else "resumed"

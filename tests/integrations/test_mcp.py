"""An assistant reads sessions over the Model Context Protocol, with the protocol's own client, and changes nothing."""

import asyncio
import json
import signal
import subprocess
import sys

import pytest
from mcp import Client
from mcp.client.stdio import StdioServerParameters
from mcp_types import TextResourceContents

from livecap.archive.archive import Archive
from livecap.archive.log import SessionLog
from livecap.cli.main import run as livecap
from livecap.integrations import mcp_server
from livecap.integrations.mcp_server import RUNNING, make_server
from livecap.transcript import (
    ClockAnchored,
    Marked,
    SessionEnded,
    SpeakerNamed,
    SpeakersHeard,
    TextCommitted,
    UtteranceEnded,
)
from tests.archive import facts
from tests.archive.test_speakers import TALK
from tests.archive.when import STARTED
from tests.integrations.facts import SECOND, STARTED_EVENT, line


def recorded(parent, *items):
    log = SessionLog(parent, STARTED)
    for item in (STARTED_EVENT, *items):
        log.append(item, 0.0)
    assert log.flush(60)
    return log


@pytest.fixture
def parent(tmp_path):
    said = [line(0, "the budget is\x1b[2J late", "me"), Marked("", 7 * SECOND, "ask Priya", STARTED_EVENT.wall_time)]
    said += [line(1, "it was approved", "them"), SessionEnded(20 * SECOND, "stopped")]
    recorded(tmp_path, *said).close()
    return tmp_path


async def asked(parent, tool, **arguments):
    async with Client(make_server(parent)) as client:
        answer = await client.call_tool(tool, arguments)
        return answer.structured_content if not answer.is_error else answer.content[0].text


async def test_a_transcript_has_what_was_said_in_order_without_control_characters(parent):
    found = await asked(parent, "read_transcript")
    assert found["entries"] == [
        {"id": "me:0", "seconds": 0.0, "at": "10:02:03", "track": "me", "text": "the budget is[2J late"},
        {"id": "mark:112000", "seconds": 7.0, "at": "10:02:10", "mark": "ask Priya"},
        {"id": "them:1", "seconds": 10.0, "at": "10:02:13", "track": "them", "text": "it was approved"},
    ]
    assert (found["running"], found["more"], found["seconds"]) == (False, False, 20.0)


async def test_reading_on_gives_the_rest_and_nothing_twice(parent):
    first = await asked(parent, "read_transcript", limit=2)
    assert [len(first["entries"]), first["more"]] == [2, True]
    rest = await asked(parent, "read_transcript", since_seconds=first["next_since_seconds"])
    assert [entry.get("text") for entry in rest["entries"]] == ["it was approved"]
    nothing = await asked(parent, "read_transcript", since_seconds=rest["next_since_seconds"])
    assert nothing["entries"] == [] and nothing["next_since_seconds"] == rest["next_since_seconds"]


async def test_each_part_of_an_utterance_has_its_speaker_and_an_id_of_its_own(tmp_path):
    facts.write(tmp_path, [*TALK, SpeakerNamed(1, "Pri\x1bya")])
    entries = (await asked(tmp_path, "read_transcript"))["entries"]
    assert [(entry["speaker"], entry["text"]) for entry in entries] == [
        ("A", "Shall we begin?"),
        ("Priya", "Yes, of course."),
        ("A", "Who has the numbers?"),
        ("Priya", "Me."),
    ]
    assert [entry["id"] for entry in entries] == [":0", ":1", ":1:2", ":2"]
    hits = (await asked(tmp_path, "search", words="numbers"))["hits"]
    assert [hit["speaker"] for hit in hits] == ["A"]


async def test_an_entry_keeps_its_id_when_its_speaker_is_found_and_wherever_reading_begins(tmp_path):
    facts.write(tmp_path, [event for event in TALK if not isinstance(event, SpeakersHeard)])
    before = (await asked(tmp_path, "read_transcript"))["entries"]
    facts.write(tmp_path / "later", TALK)
    after = (await asked(tmp_path / "later", "read_transcript"))["entries"]
    assert [entry["id"] for entry in before] == [entry["id"] for entry in after if entry["id"].count(":") == 1]
    rest = (await asked(tmp_path / "later", "read_transcript", since_seconds=after[1]["seconds"]))["entries"]
    assert rest == after[1:]


async def test_sessions_are_listed_and_searched(parent):
    Archive(parent).rename("last", "Planning")
    listed = await asked(parent, "list_sessions")
    assert listed["total"] == 1
    assert (
        listed["sessions"][0] | {"title": "Planning", "running": False, "tracks": ["me", "them"]}
        == (listed["sessions"][0])
    )
    hits = (await asked(parent, "search", words="approved"))["hits"]
    assert [(hit["title"], hit["track"], hit["seconds"]) for hit in hits] == [("Planning", "them", 10.0)]
    assert (await asked(parent, "search", words="approved", track="me"))["hits"] == []


@pytest.mark.parametrize(
    ("session", "sentence"),
    [
        ("../../etc", "A session has a name, not a path"),
        ("~/x", "A session has a name, not a path"),
        ("nothing", "No session 'nothing'"),
        ("running", "No session is running."),
    ],
)
async def test_a_session_that_cannot_be_read_is_a_sentence(parent, session, sentence):
    assert sentence in await asked(parent, "read_transcript", session=session)


async def test_the_running_session_is_a_resource_and_its_updates_are_told(parent, monkeypatch):
    monkeypatch.setattr(mcp_server, "LOOK_SECONDS", 0.05)
    log = recorded(parent)
    async with Client(make_server(parent)) as client:
        async with client.listen(resource_subscriptions=[RUNNING]) as updates:
            log.append(TextCommitted("me", 0, "now we speak", 0, 2 * SECOND), 1.0)
            event = await asyncio.wait_for(anext(aiter(updates)), 20)
            assert str(event.uri) == RUNNING
        [text] = (await client.read_resource(RUNNING)).contents
        assert isinstance(text, TextResourceContents) and "me: now we speak" in text.text
        entries = (await client.call_tool("read_transcript", {"session": "running"})).structured_content["entries"]
        assert [(entry["text"], entry["open"]) for entry in entries] == [("now we speak", True)]
    log.close()


async def test_every_tool_says_that_it_only_reads(parent):
    async with Client(make_server(parent)) as client:
        tools = (await client.list_tools()).tools
    assert {tool.name for tool in tools} == {"list_sessions", "read_transcript", "search"}
    assert all(tool.annotations.read_only_hint and tool.description for tool in tools)


async def test_the_command_serves_on_standard_input_and_output(parent):
    command = StdioServerParameters(command=sys.executable, args=["-m", "livecap", "mcp", "--log-dir", str(parent)])
    async with Client(command) as client:
        found = (await client.call_tool("read_transcript", {"session": "last"})).structured_content
    assert len(found["entries"]) == 3


def test_an_interrupt_ends_it_while_nothing_comes(parent):
    version = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "test", "version": "0"}}
    request = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": version}
    command = [sys.executable, "-m", "livecap", "mcp", "--log-dir", str(parent)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as server:
        try:
            server.stdin.write(json.dumps(request).encode() + b"\n")
            server.stdin.flush()
            assert json.loads(server.stdout.readline())["id"] == 1
            server.send_signal(signal.SIGINT)
            assert server.wait(20) == -signal.SIGINT
        finally:
            server.kill()


def test_a_folder_that_is_not_one_is_said_in_one_line(tmp_path, capsys):
    path = tmp_path / "sessions"
    path.write_text("")
    assert livecap(["mcp", "--log-dir", str(path)]) == 1
    assert capsys.readouterr().err == f"livecap: Cannot read the sessions in {path}: Not a directory.\n"


def test_without_the_package_one_line_says_what_to_install(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "mcp.server.mcpserver", None)
    monkeypatch.delitem(sys.modules, "livecap.integrations.mcp_server")
    assert livecap(["mcp"]) == 1
    assert 'in a clone, run uv tool install ".[serve,mcp]"' in capsys.readouterr().err


async def test_what_begins_at_the_same_moment_is_not_passed_over(tmp_path):
    recorded(tmp_path, line(0, "one", "me"), line(0, "two", "them"), SessionEnded(20 * SECOND, "stopped")).close()
    first = await asked(tmp_path, "read_transcript", limit=1)
    rest = await asked(tmp_path, "read_transcript", since_seconds=first["next_since_seconds"])
    assert [entry["text"] for entry in first["entries"] + rest["entries"]] == ["one", "two"]


class Reader:
    """Reads a running session on."""

    def __init__(self, parent, **arguments):
        self._parent, self._arguments, self._since = parent, arguments, 0.0

    async def __call__(self):
        found = await asked(
            self._parent, "read_transcript", session="running", since_seconds=self._since, **self._arguments
        )
        assert found["running"] and found["next_since_seconds"] >= self._since
        self._since, self.has_more = found["next_since_seconds"], found["more"]
        return [entry["text"] for entry in found["entries"] if "text" in entry]


@pytest.fixture
def running(tmp_path):
    """Adds facts to a session that runs."""
    log = recorded(tmp_path)

    def add(*items):
        for item in items:
            log.append(item, 0.0)
        assert log.flush(60)

    yield add
    log.close()


def said(text, second, track=""):
    return UtteranceEnded(track, second, text, second * SECOND, (second + 3) * SECOND, None)


async def test_text_that_was_decoded_long_after_its_sound_came_is_read(running, tmp_path):
    read, now = Reader(tmp_path), STARTED_EVENT.wall_time
    running(said("before", 5), ClockAnchored("", 0, now), Marked("", 100 * SECOND, "important", now))
    running(ClockAnchored("", 160 * SECOND, now))
    assert await read() == ["before"]
    running(said("late", 20), said("later", 60), said("now", 165))
    assert await read() == ["before", "late", "later", "now"]
    running(said("and", 170), said("on", 240))
    assert await read() == ["now", "and", "on"]
    assert await read() == ["on"]


async def test_a_track_that_is_silent_lets_the_reader_go_on(running, tmp_path):
    read = Reader(tmp_path)
    running(said("hello", 0, "me"), said("good morning", 4, "them"))
    assert await read() == ["hello", "good morning"]
    running(*(said(f"{second}", second, "them") for second in range(10, 400, 10)))
    assert len(await read()) == 41
    assert await read() == [str(second) for second in range(330, 400, 10)]


async def test_a_small_limit_reaches_the_end_of_a_running_session(running, tmp_path):
    read, heard = Reader(tmp_path, limit=2), []
    running(*(said(f"{second}", second) for second in range(0, 200, 20)))
    while True:
        heard += await read()
        if not read.has_more:
            break
    assert heard == [f"{second}" for second in range(0, 200, 20)]

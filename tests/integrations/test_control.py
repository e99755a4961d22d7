"""`livecap ctl` steers the running session, and only its user can."""

import json
import os
import socket
import stat
import threading
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from livecap.archive.folder import read_title
from livecap.archive.log import SessionLog
from livecap.cli import ctl
from livecap.cli.main import run as livecap
from livecap.engine import EngineSettings
from livecap.integrations import control
from livecap.integrations.attach import attached
from livecap.integrations.control import ControlServer, ask, running_sockets, sockets_folder
from livecap.integrations.session_timer import SessionTimer
from livecap.session.live import LiveSession
from livecap.session.tracks import TrackSource
from livecap.settings.fields import Settings
from livecap.transcript import (
    Jumped,
    Marked,
    Notice,
    SessionEnded,
    SpeakerNamed,
    SpeakersHeard,
    TranscriptUpdate,
    Voice,
)
from tests.archive.when import STARTED
from tests.audio_in.waiting import eventually
from tests.session.scripted import SECOND, ScriptedSource, ScriptedTranscriber, engine_of


class Running:
    """A session whose source yields a second of sound for each release of its gate."""

    def __init__(self, folder, n_seconds=6, transcriber=ScriptedTranscriber):
        self.gate = threading.Semaphore(0)
        self.source = ScriptedSource([i * SECOND for i in range(n_seconds)], self.gate)
        log = SessionLog(folder, STARTED)
        self.session = LiveSession(
            [TrackSource("", self.source)],
            EngineSettings("old"),
            log,
            load_engine=engine_of(lambda track: transcriber(track=track)),
        )
        self.told = []
        self.session.listen(self.told.append)

    def all(self, kind):
        return [event for event in self.told if isinstance(event, kind)]


@pytest.fixture
def running(tmp_path):
    running = Running(tmp_path / "sessions")
    running.session.start()
    eventually(lambda: running.told)
    yield running
    running.session.stop()
    assert running.session.wait(20)


@pytest.fixture
def sockets(monkeypatch):
    # The path of a socket has at most 103 bytes on a Mac and 107 on Linux, and tmp_path alone can be longer.
    with TemporaryDirectory(prefix="livecap-", dir="/tmp") as name:
        folder = Path(name)
        monkeypatch.setattr(ctl, "running_sockets", lambda: running_sockets(folder))
        yield folder


@pytest.fixture
def server(running, sockets):
    server = ControlServer(running.session, folder=sockets)
    yield server
    server.close()
    assert not server.path.exists()


def test_each_command_reaches_the_session(running, server, capsys):
    session = running.session
    eventually(lambda: session.status.state.value == "listening")
    assert livecap(["ctl", "pause"]) == 0 and session.status.state.value == "paused"
    assert livecap(["ctl", "resume"]) == 0 and session.status.state.value == "listening"
    assert livecap(["ctl", "mute"]) == 0 and session.status.muted
    assert livecap(["ctl", "unmute"]) == 0 and not session.status.muted
    assert livecap(["ctl", "mark", "ask", "Priya"]) == 0
    assert [mark.note for mark in running.all(Marked)] == ["ask Priya"]
    assert livecap(["ctl", "title", "The", "budget"]) == 0 and read_title(session.log_folder) == "The budget"
    assert livecap(["ctl", "status", "--json"]) == 0
    status = json.loads(capsys.readouterr().out)
    assert status | {"state": "listening", "title": "The budget", "model": "old", "ok": True} == status
    assert livecap(["ctl", "rename", "B=Priya"]) == 1
    assert f"There is no speaker 'B' in {session.log_folder.name}. Speakers: none." in capsys.readouterr().err
    assert livecap(["ctl", "rename", "B"]) == 1 and "such as: livecap ctl rename B=Priya" in capsys.readouterr().err
    for number in range(2):
        voices = (Voice(0, SECOND, number),)
        session.requests._publisher.publish_while_running(SpeakersHeard("", number, voices, settled=False))
    assert livecap(["ctl", "rename", "b=Priya", "Sharma"]) == 0 and livecap(["ctl", "rename", "priya sharma=Ravi"]) == 0
    assert [(fact.speaker, fact.name) for fact in running.all(SpeakerNamed)] == [(1, "Priya Sharma"), (1, "Ravi")]
    assert livecap(["ctl", "rename", "A=" + "x" * 61]) == 1
    assert "at most 60 characters" in capsys.readouterr().err
    assert livecap(["ctl", "stop"]) == 0
    assert session.wait(20) and running.all(SessionEnded)[0].reason == "stopped"
    assert livecap(["ctl", "pause"]) == 1
    assert "The session has ended." in capsys.readouterr().err


def test_the_text_so_far_is_copied(running, server, capsys, monkeypatch):
    monkeypatch.setattr(ctl, "clipboard_command", lambda: None)
    for _ in range(3):
        running.gate.release()
    eventually(lambda: running.session.status.arrived_samples == 3 * SECOND)
    running.session.requests.mark("here")
    assert livecap(["ctl", "copy"]) == 0
    assert "★ here" in capsys.readouterr().out
    with pytest.raises(SystemExit) as left:
        livecap(["ctl", "copy", "--minutes", "0"])
    assert left.value.code == 2


def test_before_the_session_begins_it_can_be_muted_and_what_cannot_be_done_is_refused(tmp_path, sockets):
    running = Running(tmp_path / "sessions")
    session = running.session
    with closing(ControlServer(session, folder=sockets)) as server:
        for name in ("pause", "resume", "mark", "rename"):
            answer = ask(server.path, {"command": name})
            assert answer == {"ok": False, "error": "The session is starting. Try again."}
        assert ask(server.path, {"command": "status"})["ok"]
        assert ask(server.path, {"command": "mute"})["muted"]
        session.start()
        eventually(lambda: running.all(Notice))
        assert [notice.message for notice in running.all(Notice)] == ["Muted: nothing is transcribed."]
        assert session.status.muted and ask(server.path, {"command": "mark"})["ok"] and running.all(Marked)
        session.stop()
        assert session.wait(20)
    session.requests.unmute()
    session.requests.mute()
    assert not session.status.muted


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"\n",
        b"pause\n",
        b"[1]\n",
        b'{"command": 3}\n',
        b'{"command": "rm -rf"}\n',
        b'{"command": "mark", "note": 3}\n',
        b"[" * 100_000 + b"\n",
        b"\xff\xfe\n",
    ],
)
def test_a_bad_request_is_answered_in_one_line_and_survived(server, line):
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(20)
        connection.connect(str(server.path))
        connection.sendall(line)
        connection.shutdown(socket.SHUT_WR)
        answer = b""
        try:
            while piece := connection.recv(1 << 16):
                answer += piece
        except ConnectionResetError:  # the rest of a long request was not read
            pass
    assert not answer or (json.loads(answer)["ok"] is False and answer.count(b"\n") == 1)
    assert ask(server.path, {"command": "status"})["ok"]


def test_a_command_that_the_disk_refuses_is_answered(server, monkeypatch):
    def full(request):
        raise OSError(28, "No space left on device")

    monkeypatch.setitem(server._commands, "title", full)
    assert ask(server.path, {"command": "title"}) == {"ok": False, "error": "title failed: No space left on device."}
    assert ask(server.path, {"command": "status"})["ok"]


def test_a_client_that_says_nothing_does_not_stop_others(server):
    with socket.socket(socket.AF_UNIX) as silent:
        silent.connect(str(server.path))
        threading.Timer(0.2, silent.close).start()
        assert ask(server.path, {"command": "status"})["ok"]


def test_only_the_user_can_open_the_socket(server):
    assert stat.S_IMODE(os.stat(server.path).st_mode) == 0o600
    folder = sockets_folder()
    assert stat.S_IMODE(os.stat(folder).st_mode) == 0o700 and os.stat(folder).st_uid == os.getuid()


def test_without_a_session_or_with_several_the_user_is_told_which(running, sockets, tmp_path, capsys):
    assert livecap(["ctl", "pause"]) == 1
    assert "No session is running. Start one with livecap --mic." in capsys.readouterr().err
    dead = socket.socket(socket.AF_UNIX)
    dead.bind(str(sockets / "1-killed.sock"))
    dead.close()
    other = Running(tmp_path / "sessions")
    first, second = ControlServer(running.session, folder=sockets), ControlServer(other.session, folder=sockets)
    try:
        assert livecap(["ctl", "pause"]) == 1
        assert "2 sessions are running" in capsys.readouterr().err
        assert livecap(["ctl", "pause", "--session", "nothing"]) == 1
        assert "No running session is named 'nothing'" in capsys.readouterr().err
        assert not (sockets / "1-killed.sock").exists()
    finally:
        first.close()
        second.close()
        other.session.start()
        other.session.stop()
        assert other.session.wait(20)


def test_a_session_without_a_captions_page_says_how_to_get_one(tmp_path, sockets, monkeypatch, capsys):
    monkeypatch.setattr(control, "sockets_folder", lambda: sockets)
    running = Running(tmp_path / "sessions")
    with attached(running.session, Settings(), print):
        running.session.start()
        assert livecap(["ctl", "captions"]) == 1
        running.session.stop()
        assert running.session.wait(20)
    assert capsys.readouterr().err == "livecap: This session has no captions page. Start it with --serve 8765.\n"


def test_a_session_whose_start_fails_is_not_left_behind(tmp_path):
    running = Running(tmp_path)
    with pytest.raises(ZeroDivisionError), attached(running.session, Settings(), print):
        raise ZeroDivisionError
    assert not list(tmp_path.iterdir())


def test_a_session_ends_after_its_time(tmp_path):
    running = Running(tmp_path)
    with attached(running.session, Settings(for_seconds=0.2), print):
        running.session.start()
        assert running.session.wait(20)
    assert [n.message for n in running.all(Notice)] == ["The session ends after 0.2 s, as set by --for."]
    assert running.all(SessionEnded)[0].reason == "stopped"


class SilentFrom3(ScriptedTranscriber):
    """Recognises nothing after three seconds."""

    def step(self, chunk_samples=None):
        yield from super().step() if self._n <= 3 else ()


def test_a_session_ends_after_silence_but_not_while_people_speak(tmp_path):
    running = Running(tmp_path, 30, SilentFrom3)
    session = running.session
    timer = SessionTimer(session, None, 4.0)
    session.listen(timer)
    timer.start()
    session.start()
    for _ in range(6):
        running.gate.release()
    eventually(lambda: session.status.tracks[0].decoded_samples == 6 * SECOND)
    assert not session.wait(1.2) and not session.requests.is_stopping
    running.gate.release()
    assert session.wait(20)
    timer.close()
    assert [notice.message for notice in running.all(Notice)] == [
        "The session ends after 4 s without speech, as set by --stop-after-silence."
    ]


def test_sound_that_is_skipped_by_a_jump_is_not_silence(tmp_path):
    running = Running(tmp_path, 30)
    timer = SessionTimer(running.session, None, 4.0)
    timer(TranscriptUpdate("", 0, "Hello.", "", 0, 2 * SECOND, "English", False))
    timer(Jumped("", 3 * SECOND, 600 * SECOND))
    assert timer.silent_seconds(603 * SECOND) == 4.0
    timer(Jumped("", 603 * SECOND, 0))
    assert timer.silent_seconds(1 * SECOND) == 5.0


def test_the_silence_of_a_replay_begins_where_the_replay_begins(tmp_path):
    running = Running(tmp_path, 30)
    running.source.first_sample = 1200 * SECOND
    timer = SessionTimer(running.session, None, 4.0)
    assert timer.silent_seconds(1203 * SECOND) == 3.0


def test_a_jump_of_two_tracks_counts_once(tmp_path):
    gate = threading.Semaphore(0)
    tracks = [TrackSource(label, ScriptedSource([0], gate)) for label in ("me", "them")]
    log = SessionLog(tmp_path, STARTED)
    session = LiveSession(tracks, EngineSettings("old"), log, load_engine=engine_of(ScriptedTranscriber))
    timer = SessionTimer(session, None, 4.0)
    timer(TranscriptUpdate("me", 0, "Hello.", "", 0, 98 * SECOND, "English", False))
    for track in ("me", "them"):
        timer(Jumped(track, 100 * SECOND, 40 * SECOND))
    assert timer.silent_seconds(41 * SECOND) == 3.0
    session.discard()

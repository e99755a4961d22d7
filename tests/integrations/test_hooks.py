"""Commands of the user get the facts as JSON, in order, within bounds, and never as a part of a command line."""

import json
import os
import re
import shutil
import sys
import threading

import pytest

from livecap.archive.log import SessionLog
from livecap.integrations.hooks import MOST_WAITING, Hook, Hooks
from livecap.transcript import Marked, SessionEnded
from tests.archive.when import STARTED
from tests.audio_in.waiting import eventually
from tests.integrations.facts import SECOND, STARTED_EVENT, line

APPEND = f'{sys.executable} -c \'import sys; open("told", "a").write(sys.stdin.read())\''


class Told(list):
    def __call__(self, message, severity):
        self.append(message)


def hook(folder, command, seconds=20.0, shell=False, notice=None):
    return Hook("on_line", command, lambda: folder, seconds, shell, Told() if notice is None else notice)


def told_to(folder):
    return [json.loads(text) for text in (folder / "told").read_text().splitlines()]


def test_lines_and_marks_reach_their_commands_in_order_with_times_and_the_folder(tmp_path):
    hooks = Hooks(
        {"on_line": hook(tmp_path, APPEND), "on_mark": hook(tmp_path, APPEND)}, lambda: tmp_path, lambda: None
    )
    hooks(STARTED_EVENT)
    for number in range(3):
        hooks(line(number, f"said {number}"))
    hooks(line(3, "  "))  # nothing was said
    hooks.close()
    hooks = Hooks({"on_mark": hook(tmp_path, APPEND)}, lambda: tmp_path, lambda: None)
    hooks(STARTED_EVENT)
    hooks(Marked("", 90 * SECOND, "budget", STARTED_EVENT.wall_time))
    hooks(line(4, "no command for this"))
    hooks.close()
    lines = told_to(tmp_path)
    assert [record.get("text", record.get("note")) for record in lines] == ["said 0", "said 1", "said 2", "budget"]
    assert (
        lines[1] | {"start_seconds": 10.0, "end_seconds": 15.0, "at": "10:02:13", "session": tmp_path.name} == lines[1]
    )
    assert lines[3] | {"type": "marked", "seconds": 90.0, "folder": str(tmp_path)} == lines[3]


@pytest.mark.parametrize(
    "text", ["$(touch harm)", "; touch harm", "`touch harm`", "'\"\n touch harm", "\x1b[2J --help"]
)
@pytest.mark.parametrize("shell", [False, True])
def test_what_is_said_is_never_part_of_a_command(tmp_path, text, shell):
    hooks = Hooks({"on_line": hook(tmp_path, APPEND, shell=shell)}, lambda: tmp_path, lambda: None)
    hooks(STARTED_EVENT)
    hooks(line(0, text))
    hooks.close()
    assert told_to(tmp_path)[0]["text"] == text
    assert not (tmp_path / "harm").exists()


def test_pipes_need_the_shell(tmp_path):
    for shell, name in ((True, "with"), (False, "without")):
        one = hook(tmp_path, f"cat > {name}", shell=shell)
        one.run(lambda: {"text": "a"})
        one.close()
    assert json.loads((tmp_path / "with").read_text()) == {"text": "a"}
    assert not (tmp_path / "without").exists()


@pytest.mark.parametrize(
    ("command", "sentence"),
    [
        ("sh -c 'echo first >&2; echo Nobody is here. >&2; exit 3'", "on_line: sh failed: status 3: Nobody is here."),
        ("false", "on_line: false failed: status 1."),
        ("livecap-no-such-command x", "on_line: livecap-no-such-command failed: No such file or directory."),
    ],
)
def test_a_command_that_fails_is_one_notice(tmp_path, command, sentence):
    told = Told()
    one = hook(tmp_path, command, notice=told)
    for _ in range(3):
        one.run(lambda: {})
    one.close()
    assert told == [sentence]
    assert one.n_failed == 3


def test_a_command_that_takes_too_long_is_killed_with_what_it_started(tmp_path):
    told = Told()
    os.mkfifo(tmp_path / "held")
    reader = os.open(tmp_path / "held", os.O_RDONLY | os.O_NONBLOCK)
    one = hook(tmp_path, "sh -c 'exec 3> held; echo started >&3; sleep 60 & sleep 60'", seconds=4.0, notice=told)
    one.run(lambda: {})
    one.close()
    [message] = told
    assert re.fullmatch(r"on_line: sh failed: it took longer than (4|3\.\d+) s\.", message)
    assert os.read(reader, 100) == b"started\n"

    def is_closed():
        try:
            return os.read(reader, 100) == b""
        except BlockingIOError:  # a process still holds it
            return False

    eventually(is_closed)
    os.close(reader)


def test_a_session_that_was_deleted_since_nothing_was_heard_is_no_failure(tmp_path):
    told = Told()
    log = SessionLog(tmp_path, STARTED)
    hooks = Hooks(
        {"on_end": hook(log.folder, "cat", notice=told)}, lambda: log.folder, lambda: shutil.rmtree(log.folder)
    )
    hooks(SessionEnded(0, "stopped"))
    hooks.close()
    log.close()
    assert told == []


def test_commands_follow_a_folder_that_another_program_renames(tmp_path):
    told, places = Told(), [tmp_path / "session"]
    places[0].mkdir()
    one = Hook("on_line", APPEND, lambda: places[-1], 20.0, False, told)
    hooks = Hooks({"on_line": one}, lambda: places[-1], lambda: None)
    hooks(STARTED_EVENT)
    hooks(line(0, "before"))
    eventually(lambda: (places[0] / "told").exists() and told_to(places[0]))
    renamed = places[0].rename(tmp_path / "weekly meeting")
    threading.Timer(0.3, places.append, [renamed]).start()  # the log finds it a moment later
    hooks(line(1, "after"))
    eventually(lambda: len(told_to(renamed)) == 2)
    hooks.close()
    assert told == []
    assert [(record["text"], record["session"]) for record in told_to(renamed)] == [
        ("before", "session"),
        ("after", "weekly meeting"),
    ]


def test_a_flood_of_errors_takes_no_memory_and_its_end_is_told(tmp_path):
    told = Told()
    one = hook(tmp_path, "sh -c 'yes wrong | head -c 3000000 >&2; echo the end >&2; exit 1'", notice=told)
    one.run(lambda: {})
    one.close()
    assert told == ["on_line: sh failed: status 1: the end."]


def test_a_slow_command_never_holds_up_the_session_and_lines_that_are_left_out_are_told_once(tmp_path):
    told, gate = Told(), threading.Event()
    one = hook(tmp_path, "true", notice=told)
    one.run(lambda: gate.wait(20) and {} or {})
    for _ in range(MOST_WAITING + 10):
        one.run(lambda: {})
    assert one.n_left_out >= 9
    assert told == ["on_line: the command is slower than the speech; some runs are left out."]
    gate.set()
    one.close()


def test_the_end_gives_the_whole_text_once_the_files_are_finished(tmp_path):
    log = SessionLog(tmp_path, STARTED)
    hooks = Hooks({"on_end": hook(log.folder, APPEND)}, lambda: log.folder, log.close)
    for item in (STARTED_EVENT, line(0, "good morning"), SessionEnded(20 * SECOND, "stopped")):
        log.append(item, 0.0)
        hooks(item)
    hooks.close()
    [record] = told_to(log.folder)
    assert record | {"type": "session_ended", "reason": "stopped", "text": "good morning\n", "seconds": 20.0} == record
    assert (log.folder / "transcript.md").exists()

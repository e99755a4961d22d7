"""Past sessions from the command line."""

import io
import json
import os
import pty
import select
import subprocess
import sys
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from livecap.archive.log import SessionLog
from livecap.archive.recorded import RecordedSession
from livecap.cli.main import run
from livecap.cli.search import moment
from livecap.errors import SettingsError
from livecap.transcript import UtteranceSettled
from tests.archive.facts import SECOND, header, said, write
from tests.archive.when import STARTED

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Out:
    returncode: int
    stdout: str
    stderr: str


Livecap = Callable[..., Out]


@pytest.fixture
def livecap(logs: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Livecap:
    """Runs the command line on these sessions, in this process."""
    monkeypatch.setattr("sys.stdin", io.StringIO())

    def call(*arguments: str | Path) -> Out:
        try:
            status = run([*map(str, arguments), "--log-dir", str(logs)])
        except SystemExit as leaving:  # argparse
            status = int(leaving.code or 0)
        out = capsys.readouterr()
        return Out(status, out.out, out.err)

    return call


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    write(tmp_path / "logs", said(["The budget for the summer.", "Eleven thousand left."], "me"))
    settled = UtteranceSettled("me", 0, "The budget for this summer.", 0, 4 * SECOND, "English")
    write(tmp_path / "logs", [*said(["The budget for a summer.", "Eleven thousand left."], "me"), settled])
    return tmp_path / "logs"


def test_sessions_are_listed_for_people_and_programs(livecap: Livecap) -> None:
    out = livecap("sessions")
    assert out.returncode == 0 and "2 sessions" in out.stdout and "The budget for the summer." in out.stdout
    listed = json.loads(livecap("sessions", "list", "--json").stdout)
    assert [row["name"] for row in listed] == ["2026-03-01_10-02-03-2", "2026-03-01_10-02-03"]


def test_a_search_prints_lines_or_json(livecap: Livecap) -> None:
    out = livecap("search", "budget", "summer")
    assert out.returncode == 0 and "[" not in out.stdout and "10:02:03  me: The budget for this summer." in out.stdout
    lines = livecap("search", "budget", "--json", "--limit", "1").stdout.splitlines()
    assert [json.loads(line)["snippet"] for line in lines] == ["The [budget] for this summer."]
    assert livecap("search", "nosuchword").returncode == 1
    assert livecap("search", "budget", "--since", "2w").returncode in (0, 1)


def test_words_that_the_shell_passes_in_one_argument_are_adjacent(livecap: Livecap) -> None:
    assert "[budget] for this [summer]" in livecap("search", "budget", "summer", "--json").stdout
    assert livecap("search", "budget summer") == Out(
        1, "", "livecap: Nothing found for '\"budget summer\"' in 2 sessions.\n"
    )
    assert "[this summer]" in livecap("search", "this summer", "--json").stdout
    assert "The [budget] for [this summer]." in livecap("search", "this summer", "budget ", "--json").stdout
    assert "The [budget] for [this summer]." in livecap("search", '"this summer" budget', "--json").stdout


def test_the_language_of_the_settings_does_not_narrow_a_search(
    livecap: Livecap, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIVECAP_LANGUAGE", "Chinese")
    assert livecap("search", "budget").returncode == 0
    assert livecap("search", "budget", "--language", "zh").returncode == 1


def test_reindex_rebuilds_the_index(livecap: Livecap, logs: Path) -> None:
    out = livecap("reindex")
    assert out.returncode == 0 and out.stdout == "Indexed 2 sessions.\n"
    assert (logs / "index.sqlite").stat().st_mode & 0o777 == 0o600
    livecap("sessions", "delete", "last", "--yes")
    assert livecap("reindex").stdout == "Indexed 1 session.\n"
    livecap("sessions", "delete", "last", "--yes")
    assert livecap("export", "last").stderr.endswith(f"No session 'last' in {logs}. There are no sessions yet.\n")


def test_rename_export_and_delete(livecap: Livecap, logs: Path, tmp_path: Path) -> None:
    assert livecap("sessions", "rename", "last", "Budget", "talk").returncode == 0
    out = livecap("export", "budget talk", "-f", "srt,md", "-o", tmp_path / "out")
    assert out.stdout.split() == [str(tmp_path / "out" / f"Budget-talk.{form}") for form in ("srt", "md")]
    out = livecap("export", "last", "-o", "-")
    assert out.stdout == "me: The budget for this summer.\nme: Eleven thousand left.\n"
    again = livecap("export", "last", "-f", "srt", "-o", tmp_path / "out")
    assert again.returncode == 1 and "exists already" in again.stderr
    refused = livecap("sessions", "delete", "last")
    assert refused.returncode == 1 and "--yes" in refused.stderr
    assert livecap("sessions", "rename", "last", "").returncode == 0
    assert "No session 'budget talk'" in livecap("export", "budget talk", "-o", "-").stderr
    assert livecap("sessions", "delete", "last", "--yes").returncode == 0
    assert [path.name for path in logs.iterdir() if path.is_dir()] == ["2026-03-01_10-02-03"]


def test_a_refused_deletion_is_one_line_and_the_others_are_deleted(livecap: Livecap, logs: Path) -> None:
    (logs / "project").mkdir()
    (logs / "project" / "session.jsonl").write_text('{"a": 1}\n')
    (logs / "2026-03-01_10-02-03" / "notes.txt").write_text("mine")
    out = livecap("sessions", "delete", "project", "2026-03-01_10-02-03", "2026-03-01_10-02-03-2", "--yes")
    assert out.returncode == 1 and (logs / "project" / "session.jsonl").exists()
    assert len(out.stderr.splitlines()) == 1 and "Not deleted" in out.stderr
    assert out.stdout.count("Deleted ") == 2 and out.stdout.count("did not write stay in") == 1
    assert [path.name for path in logs.glob("2026*/*")] == ["notes.txt"]


def test_logs_that_cannot_be_read_are_named_beside_those_that_can(livecap: Livecap, logs: Path, tmp_path: Path) -> None:
    later = (logs / "2026-03-01_10-02-03" / "session.jsonl").read_bytes().splitlines()[0]
    body = later.replace(b'"log": 2', b'"log": 3').rpartition(b', "crc": "')[0]
    for name, log in (
        ("other", b'{"a": 1}\n'),
        ("new", body + b', "crc": "%08x"}\n' % zlib.crc32(body)),
        ("none", b""),
    ):
        (logs / name).mkdir()
        (logs / name / "session.jsonl").write_bytes(log)
    for arguments in (("sessions",), ("sessions", "--json")):
        out = livecap(*arguments)
        assert out.returncode == 1 and out.stdout.count("2026-03-01_10-02-03-2") == 1
        assert ["new" in line and "Update livecap" in line for line in out.stderr.splitlines()] == [True, False]
        assert "other" in out.stderr and "not a session log of livecap" in out.stderr
    nothing = livecap("search", "nosuchword").stderr.splitlines()
    assert len(nothing) == 3 and nothing[-1] == "livecap: Nothing found for 'nosuchword' in 2 sessions."
    for name in ("2026-03-01_10-02-03", "2026-03-01_10-02-03-2"):
        livecap("sessions", "delete", name, "--yes")
    out = livecap("sessions")
    assert out.returncode == 1 and not out.stdout and "No sessions" not in out.stderr
    assert len(out.stderr.splitlines()) == 2


def test_a_search_without_a_result_says_so_in_text(livecap: Livecap, logs: Path) -> None:
    out = livecap("search", "nosuchword")
    assert (out.returncode, out.stdout) == (1, "")
    assert out.stderr == "livecap: Nothing found for 'nosuchword' in 2 sessions.\n"
    out = livecap("search", "nosuchword", "--session", "last")
    assert out.stderr == "livecap: Nothing found for 'nosuchword' in 1 session.\n"
    assert livecap("search", "nosuchword", "--json") == Out(1, "", "")
    logs.rename(logs.with_name("elsewhere"))
    out = livecap("search", "budget")
    assert (out.returncode, out.stdout) == (1, "") and f"the folder {logs} does not exist" in out.stderr
    assert len(out.stderr.splitlines()) == 1


def test_two_sessions_are_compared(livecap: Livecap) -> None:
    out = livecap("compare", "last", "2026-03-01_10-02-03")
    assert (out.returncode, out.stderr) == (0, "")
    assert "[-the-] {+this+}" in out.stdout and out.stdout.endswith("1 substituted, 0 missing, 0 added\n")
    document = json.loads(livecap("compare", "last", "2026-03-01_10-02-03", "--json").stdout)
    assert document["n_substituted"] == 1
    one = livecap("compare", "last")
    assert one.returncode == 2 and "livecap compare SESSION OTHER" in one.stderr


def test_the_old_form_of_a_comparison_works_and_says_the_new_one(livecap: Livecap) -> None:
    out = livecap("replay", "last", "--against", "2026-03-01_10-02-03")
    assert out.returncode == 0 and out.stdout == livecap("compare", "last", "2026-03-01_10-02-03").stdout
    assert out.stderr.count("\n") == 1 and "livecap compare A B" in out.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["export", "nosuch"],
        ["export", "last", "-f", "doc"],
        ["search", "budget", "--since", "whenever"],
        ["search", "budget", "--limit", "0"],
        ["search", "budget", "--language", "Klingon"],
        ["sessions", "delete", "../..", "--yes"],
        ["sessions", "rename", "nosuch", "x"],
        ["compare", "last", "nosuch"],
        ["recover", "last"],
        ["recover", "nosuch"],
    ],
    ids=" ".join,
)
def test_bad_requests_are_one_clear_line(livecap: Livecap, logs: Path, arguments: list[str]) -> None:
    before = {path: path.read_bytes() for path in logs.rglob("*") if path.is_file()}
    out = livecap(*arguments)
    assert out.returncode in (1, 2) and "Traceback" not in out.stderr
    assert len([line for line in out.stderr.splitlines() if line.startswith("livecap")]) == 1
    assert all(path.read_bytes() == content for path, content in before.items())


def test_cut_off_sessions_are_listed_and_kept(livecap: Livecap, logs: Path) -> None:
    folder = write(logs, said(["Good morning."]), end=False)
    assert "was cut off" in livecap("recover", "--list").stdout
    assert RecordedSession(folder).was_cut_off
    out = livecap("recover", "--keep")
    assert out.returncode == 0 and RecordedSession(folder).ended
    assert "No session" in livecap("recover").stdout


def test_deleting_a_cut_off_session_leaves_files_of_others(livecap: Livecap, logs: Path) -> None:
    folder = write(logs, said(["Good morning."]), end=False)
    (folder / "notes.txt").write_text("mine")
    out = livecap("recover", "--delete")
    assert out.returncode == 0 and f"Deleted {folder.name}." in out.stdout and "notes.txt" in out.stdout
    assert [path.name for path in folder.iterdir()] == ["notes.txt"]


def read_until(terminal: int, words: bytes) -> bytes:
    """What a program prints on a terminal, up to these words; fails if they do not come."""
    seen = b""
    while words not in seen:
        assert select.select([terminal], [], [], 60)[0], seen
        seen += os.read(terminal, 1000)
    return seen


def test_the_next_start_on_a_terminal_offers_what_was_cut_off(tmp_path: Path) -> None:
    folder = write(tmp_path, said(["Good morning."]), end=False)
    script = (
        "from livecap.cli.run import offer_recovery\nfrom livecap.settings.fields import Settings\n"
        "from pathlib import Path\n"
        f"offer_recovery(Settings(log_dir=Path({str(tmp_path)!r})))\nprint('on we go')\n"
    )
    ours, theirs = pty.openpty()
    wide = os.environ | {"COLUMNS": "200"}
    with subprocess.Popen([sys.executable, "-c", script], stdin=theirs, stdout=theirs, cwd=ROOT, env=wide) as process:
        os.close(theirs)
        seen = read_until(ours, b"> ")
        os.write(ours, b"k\n")
        seen += read_until(ours, b"on we go")
        assert process.wait(60) == 0
    os.close(ours)
    assert "was cut off after 4 s: “Good morning.”".encode() in seen
    assert RecordedSession(folder).ended


def test_no_question_is_asked_without_a_terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from livecap.cli.run import offer_recovery
    from livecap.settings.fields import Settings

    folder = write(tmp_path, said(["Good morning."]), end=False)
    monkeypatch.setattr("livecap.cli.recover.ask", lambda question: pytest.fail("asked"))
    offer_recovery(Settings(log_dir=tmp_path))
    assert RecordedSession(folder).was_cut_off


NOW = datetime.fromisoformat("2026-03-15T12:00:00+01:00")


@pytest.mark.parametrize(("text", "days"), [("3d", 3), ("2w", 14), ("12h", 0.5), ("1y", 365), ("6m", 180)])
def test_ages_are_counted_from_now(text: str, days: float) -> None:
    assert moment(text, NOW) == NOW - timedelta(days=days)


def test_dates_are_local_time() -> None:
    assert moment(None, NOW) is None
    found = moment("2026-03-01", NOW)
    assert found and found.strftime("%Y-%m-%d %H:%M") == "2026-03-01 00:00"
    for text in ("", "soon", "99999999999y", "2026-13-01"):
        with pytest.raises(SettingsError):
            moment(text, NOW)


@pytest.mark.parametrize(
    ("now", "today", "yesterday"),
    [
        ("2026-03-29T12:00:00+02:00", "2026-03-29T00:00:00+01:00", "2026-03-28T00:00:00+01:00"),
        ("2026-10-25T12:00:00+01:00", "2026-10-25T00:00:00+02:00", "2026-10-24T00:00:00+02:00"),
        ("2026-10-26T12:00:00+01:00", "2026-10-26T00:00:00+01:00", "2026-10-25T00:00:00+02:00"),
    ],
)
def test_a_day_on_which_summer_time_changes_begins_at_its_midnight(
    now: str, today: str, yesterday: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3")
    time.tzset()
    try:
        days = [moment(text, datetime.fromisoformat(now)) for text in ("today", "yesterday")]
    finally:
        monkeypatch.undo()
        time.tzset()
    assert [day and day.isoformat() for day in days] == [today, yesterday]


def test_a_session_that_is_being_recorded_is_marked_and_not_asked_about(
    livecap: Livecap, logs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(logs, said(["Cut off."]), end=False)
    log = SessionLog(logs, STARTED)
    log.append(header(log.session), 0.0)
    assert log.flush(60)
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("livecap.cli.sessions.ask", lambda question: pytest.fail("asked"))
    lines = livecap("sessions", "list").stdout.splitlines()
    assert [line for line in lines if line.endswith("[recording now]")] == [
        line for line in lines if log.session in line
    ]
    assert len([line for line in lines if line.endswith("[no end]")]) == 1
    rows = json.loads(livecap("sessions", "list", "--json").stdout)
    assert [row["name"] for row in rows if row["running"]] == [log.session]
    out = livecap("sessions", "delete", log.session)
    assert out == Out(1, "", f"livecap: The session {log.session} is being recorded. End it first.\n")
    assert log.session not in livecap("recover", "--list").stdout
    log.close()
    assert "[recording now]" not in livecap("sessions", "list").stdout


@pytest.mark.parametrize("arguments", [["sessions"], ["search", "budget"], ["export", "last", "-f", "json", "-o", "-"]])
def test_json_escapes_what_a_terminal_acts_on(livecap: Livecap, logs: Path, arguments: list[str]) -> None:
    nasty = "budget \x9b2J\x1b]0;x\x07 \u202e\u2067\u200f \u2028 \ud800"
    folder = write(logs, said([nasty], track=nasty), replace(header(tracks=(nasty,)), source=nasty))
    (folder / "title.txt").write_text(nasty, errors="replace")
    out = livecap(*arguments, *(["--json"] if arguments[0] != "export" else []))
    assert out.returncode == 0 and r"\u009b2J" in out.stdout and r"\u202e\u2067\u200f" in out.stdout
    assert not set(out.stdout) & set("\x1b\x07\x7f\x9b\u202e\u2067\u200f\u2028\ud800")


@pytest.mark.parametrize("action", [["--delete"], ["--keep"], ["--list"]])
def test_a_path_names_that_session_and_not_one_of_the_same_name(
    livecap: Livecap, logs: Path, tmp_path: Path, action: list[str]
) -> None:
    copy = write(tmp_path / "copy", said(["Good morning."]), end=False)
    assert (logs / copy.name).is_dir()
    out = livecap("recover", *action, copy)
    assert out.returncode == 0 and (logs / copy.name).is_dir()
    assert copy.exists() != (action == ["--delete"])
    assert "Good morning." in out.stdout if action == ["--list"] else not RecordedSession(logs / copy.name).was_cut_off


@pytest.mark.parametrize("action", ["--delete", "--list", "--keep"])
def test_a_session_that_has_an_end_is_not_taken_for_one_that_was_cut_off(
    livecap: Livecap, logs: Path, action: str
) -> None:
    out = livecap("recover", action, "last")
    assert out.returncode == 1 and "has an end; there is nothing to recover" in out.stderr
    assert len(livecap("sessions").stdout.splitlines()) == 4


def test_a_search_in_a_session_that_a_path_names(livecap: Livecap, tmp_path: Path) -> None:
    folder = write(tmp_path / "copy", said(["The harbour."]))
    assert "harbour" in livecap("search", "harbour", "--session", folder).stdout

"""One bad log, folder name or title never stops what concerns all sessions, nor its own deletion."""

import json
import os
import zlib
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livecap.archive.archive import Archive
from livecap.archive.folder import EVENTS, TITLE, all_have_ends
from livecap.archive.index import INDEX
from livecap.archive.recorded import RecordedSession
from livecap.archive.search import Query
from livecap.archive.steps import recorded_steps
from livecap.cli.main import run
from livecap.errors import LogError
from livecap.export.formats import FORMATS, export_pieces
from livecap.text.safety import printable
from livecap.transcript import SessionEvent, to_json
from tests.archive.facts import WALL, header, said, write

GOOD = "The budget is here."


def line(record: dict[str, Any], seq: int) -> bytes:
    """A line with a right checksum, whatever it says."""
    body = json.dumps(record)[:-1].encode() + b', "seq": %d' % seq
    return body + b', "crc": "%08x"}\n' % zlib.crc32(body)


def started(**changes: Any) -> dict[str, Any]:
    return json.loads(to_json(header())) | {"log": 2} | changes


UTTERANCE = {
    "type": "utterance_ended", "track": "", "utterance": 0, "text": "Bad.", "start_sample": 0, "end_sample": 9,
    "language": "English", "words": [],
}  # fmt: skip
ANCHOR = {"type": "clock_anchored", "track": "", "sample": 2**48, "wall_time": WALL}
YEAR_1900 = "1900-01-01T00:00:00+00:00"
YEAR_9000 = "9000-12-31T23:59:59-23:59"
HUGE = 10**400
NESTED: Any = "deep"
for _ in range(400):
    NESTED = [NESTED]

LOGS: dict[str, list[dict[str, Any]]] = {
    "time of 400 digits": [started(), UTTERANCE | {"wall_seconds": HUGE}],
    "time of 400 digits first": [started(wall_seconds=HUGE)],
    "negative time": [started(wall_seconds=-1e300), UTTERANCE | {"wall_seconds": -HUGE}],
    "clock far ahead": [started(), UTTERANCE, ANCHOR | {"step_seconds": 9e11}],
    "clock far back": [started(wall_time=YEAR_1900), UTTERANCE, ANCHOR | {"step_seconds": -6e10}],
    "clock a little ahead of the last year": [
        started(wall_time=YEAR_9000),
        ANCHOR | {"wall_time": YEAR_9000, "step_seconds": 9.9e9},
        UTTERANCE,
        ANCHOR | {"step_seconds": 9.9e9},
        UTTERANCE | {"start_sample": 2**48, "end_sample": 2**48},
    ],
    "clock a little before the first year": [
        started(wall_time=YEAR_1900),
        UTTERANCE,
        ANCHOR | {"step_seconds": -9.9e9},
    ],
    "nested settings": [started(settings={"a": NESTED}), UTTERANCE],
    "nested language": [started(language=NESTED), UTTERANCE],
    "huge setting": [started(settings={"pace": HUGE}), UTTERANCE],
    "settings that are no numbers": [started(settings={"a": float("nan")}, versions={"a": float("inf")}), UTTERANCE],
    "format of 400 digits": [started(log=HUGE), UTTERANCE],
    "half characters": [
        started(source="\ud800", session="\udfff"),
        UTTERANCE | {"text": "Bad \ud83d.", "track": "\ud800"},
    ],
    "control characters": [
        started(source="\x1b[2J\x9b", model="\x1b]52;c;eA==\x07"),
        UTTERANCE | {"track": "\x1b[31m\u202e", "text": "\x9b2J"},
    ],
    "path in a label": [started(tracks=["../../x", "/etc"]), UTTERANCE | {"track": "../../x"}],
}
NAMES = [
    "2026-03-01_10-05-00",
    "0001-01-01_00-00-00",
    "9999-12-31_23-59-59",
    "a\udcff",
    "\x1b]52;c;eA==\x07",
    "a\nb",
    "'; --",
    "-rf",
]


def put(parent: Path, name: str, log: list[dict[str, Any]], end: bool = True) -> Path:
    folder = parent / name
    folder.mkdir()
    ended = [{"type": "session_ended", "n_samples": 0, "reason": "stopped"}] if end else []
    (folder / EVENTS).write_bytes(b"".join(line(record, seq) for seq, record in enumerate([*log, *ended])))
    return folder


Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def call(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Call:
    """Runs a command beside a good session; what it printed is safe."""
    write(tmp_path / "logs", said([GOOD]))

    def call(*arguments: str) -> tuple[int, str, str]:
        status = run([*arguments, "--log-dir", str(tmp_path / "logs")])
        out, err = capsys.readouterr()
        for text in (out, err):
            assert all(printable(shown) == shown for shown in text.split("\n")), ascii(text)
        assert "Traceback" not in err and all(each.startswith("livecap: ") for each in err.splitlines())
        return status, out, err

    return call


def check_all_commands(call: Call, parent: Path) -> None:
    """Every command that concerns all sessions still shows the good one."""
    assert GOOD in call("sessions")[1]
    assert GOOD in call("sessions", "--json")[1]
    assert GOOD in "".join(call("search", "budget")[1].split("\x1b"))
    assert GOOD in call("search", "budget", "--json")[1]
    _, out, err = call("reindex")
    assert "Indexed" in out
    assert call("recover", "--list")[0] in (0, 1)
    all_have_ends(parent, 100)
    Archive(parent).cut_off(100)


def check_deletion(call: Call, folder: Path) -> None:
    status, out, err = call("sessions", "delete", str(folder), "--yes")
    assert (out + err).count("\n") == 1
    assert (status == 0) == (not folder.exists()), "all of it is gone, or one line says why not"
    assert [each.name for each in Archive(folder.parent).sessions() if each.first_words == GOOD]


@pytest.mark.parametrize("end", [True, False], ids=["ended", "cut off"])
@pytest.mark.parametrize("name", LOGS)
def test_a_bad_line_stops_nothing_and_its_session_can_be_deleted(
    call: Call, tmp_path: Path, name: str, end: bool
) -> None:
    folder = put(tmp_path / "logs", "2026-03-01_10-05-00", LOGS[name], end)
    check_all_commands(call, tmp_path / "logs")
    for form in FORMATS:
        try:
            text = "".join(export_pieces(RecordedSession(folder), form))
        except LogError:
            assert "format" in name
        else:
            assert not set(map(chr, range(0x80, 0xA0))) & set(text) and "\x1b" not in text and "\u202e" not in text
            text.encode()
    check_deletion(call, folder)
    assert not folder.exists() or "format" not in name


@pytest.mark.parametrize("name", NAMES)
def test_a_strange_folder_name_stops_nothing_and_the_session_is_as_good_as_any(
    call: Call, tmp_path: Path, name: str
) -> None:
    folder = put(tmp_path / "logs", name, [started(), UTTERANCE | {"text": "Zebra crossing."}])
    check_all_commands(call, tmp_path / "logs")
    assert "Zebra" in call("sessions")[1]
    [hit] = Archive(tmp_path / "logs").search(Query("zebra"))
    assert hit.session == name and Archive(tmp_path / "logs").search(Query("zebra", session=name)) == [hit]
    assert json.loads(call("search", "zebra", "--json")[1])["session"] == name
    assert call("export", str(folder), "-o", str(tmp_path / "out"))[0] == 0
    [exported] = (tmp_path / "out").iterdir()
    assert exported.name.isprintable() and "\x1b" not in exported.name
    check_deletion(call, folder)
    assert not folder.exists() and Archive(tmp_path / "logs").search(Query("zebra")) == []


@pytest.mark.parametrize("name", NAMES[:3])
@pytest.mark.parametrize("changed", [-1e15, -1, 1e15])
def test_a_lost_header_and_an_absurd_date_stop_nothing(call: Call, tmp_path: Path, name: str, changed: float) -> None:
    folder = put(tmp_path / "logs", name, [UTTERANCE])
    try:
        os.utime(folder / EVENTS, (0, changed))
    except OverflowError:
        os.utime(folder / EVENTS, (0, 2**53 if changed > 0 else -(2**53)))
    check_all_commands(call, tmp_path / "logs")
    check_deletion(call, folder)


def replace_by(path: Path, kind: str) -> None:
    path.unlink(missing_ok=True)
    if kind == "FIFO":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif kind == "long":
        path.write_bytes(b"\x1b[2Jx" * 1_000_000)
    else:
        path.symlink_to({"device": "/dev/zero", "loop": path.name, "nowhere": "no such file"}[kind])


@pytest.mark.parametrize("kind", ["FIFO", "device", "folder", "loop", "nowhere"])
def test_what_is_not_a_file_in_place_of_a_log_is_one_line_and_is_not_opened(
    call: Call, tmp_path: Path, kind: str
) -> None:
    folder = put(tmp_path / "logs", "2026-03-01_10-05-00", [started(), UTTERANCE])
    for known in (False, True):
        if known:
            assert Archive(tmp_path / "logs").search(Query("bad")), "the index knows the session"
        replace_by(folder / EVENTS, kind)
        check_all_commands(call, tmp_path / "logs")
        _, out, err = call("sessions")
        assert err.count("\n") == 1 and str(folder / EVENTS) in err and out.count("[no end]") == 0
        assert call("export", "last", "-o", "-")[1] == GOOD + "\n"
        status, out, err = call("sessions", "delete", folder.name, "--yes")
        assert (status, out) == (1, "") and err.startswith(f"livecap: Not deleted: {folder / EVENTS} is not a session")
        (folder / EVENTS).rmdir() if kind == "folder" else (folder / EVENTS).unlink()
        folder.rmdir()
        if not known:
            put(tmp_path / "logs", folder.name, [started(), UTTERANCE])


@pytest.mark.parametrize("kind", ["FIFO", "device", "folder", "loop", "nowhere", "long"])
def test_a_bad_title_is_none_or_cut_short(call: Call, tmp_path: Path, kind: str) -> None:
    folder = put(tmp_path / "logs", "2026-03-01_10-05-00", [started(), UTTERANCE])
    replace_by(folder / TITLE, kind)
    check_all_commands(call, tmp_path / "logs")
    assert call("export", "bad title", "-o", "-")[0] == 1
    assert len(call("sessions")[1]) < 1000
    if kind != "folder":
        assert call("sessions", "rename", folder.name, "A title")[0] == 0
        assert "A title" in call("sessions")[1]
        check_deletion(call, folder)


def test_folders_within_folders_are_no_trouble(call: Call, tmp_path: Path) -> None:
    folder = put(tmp_path / "logs", "2026-03-01_10-05-00", [started(), UTTERANCE])
    here = os.open(folder, os.O_RDONLY)
    for _ in range(1500):
        os.mkdir("d", dir_fd=here)
        inner = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = inner
    os.close(here)
    check_all_commands(call, tmp_path / "logs")
    while (folder / "d").exists():  # longer than a path may be: from the outside in
        inner = folder / "d" / "d"
        if inner.exists():
            inner.rename(folder / "e")
        (folder / "d").rmdir()
        if (folder / "e").exists():
            (folder / "e").rename(folder / "d")


@pytest.mark.parametrize("kind", ["FIFO", "device", "folder"])
def test_a_strange_file_of_steps_is_none(tmp_path: Path, kind: str) -> None:
    (tmp_path / "audio").mkdir()
    replace_by(tmp_path / "audio" / "steps.jsonl", kind)
    assert recorded_steps(tmp_path) == {}


@pytest.mark.parametrize(
    "record",
    [
        b'{"track": "", "end_sample": 1e999, "step_samples": 1, "closes": false}',
        b'{"track": "", "end_sample": 5, "step_samples": -1, "closes": false}',
        b'{"track": "", "end_sample": "5", "step_samples": 1, "closes": false}',
        b'{"track": "", "end_sample": %d, "step_samples": 1, "closes": false}' % 10**30,
        b"[" * 100_000,
        b"\xff",
    ],
    ids=["infinite", "negative", "text", "huge", "nested", "bytes"],
)
def test_a_bad_step_ends_the_list(tmp_path: Path, record: bytes) -> None:
    (tmp_path / "audio").mkdir()
    good = b'{"track": "", "end_sample": 4, "step_samples": 1, "closes": false}'
    (tmp_path / "audio" / "steps.jsonl").write_bytes(b"\n".join([good, record, good]))
    assert [step.end_sample for step in recorded_steps(tmp_path)[""]] == [4]


def test_the_newest_session_is_one_that_can_be_read(call: Call, tmp_path: Path) -> None:
    (tmp_path / "logs" / "strange").mkdir()
    (tmp_path / "logs" / "strange" / EVENTS).write_text("of another program\n")
    (tmp_path / "logs" / "2030-01-01_00-00-00").mkdir()
    (tmp_path / "logs" / "2030-01-01_00-00-00" / EVENTS).write_text("of another program\n")
    assert call("export", "last", "-o", "-")[1] == GOOD + "\n"


VALUES = st.one_of(
    st.none(), st.booleans(), st.text(max_size=8), st.sampled_from([0, -1, 1, 2**48, 2**63, HUGE, 9.9e9, -1e10, 1e300]),
    st.floats(), st.sampled_from([WALL, YEAR_1900, YEAR_9000, "\ud800", "\x9b"]),
    st.sampled_from([[], {}, [1], ["a"], {"a": [[1]]}, NESTED]),
    st.just([{"text": "a", "start_sample": 0, "end_sample": HUGE, "quality": "step"}]),
)  # fmt: skip


@st.composite
def records(draw: st.DrawFn) -> dict[str, Any]:
    """An event of livecap with right or wrong values."""
    kind = draw(st.sampled_from(get_args(SessionEvent)))
    record = json.loads(to_json(kind(**{field.name: "" for field in fields(kind)})))
    for field in fields(kind):
        right: dict[str, Any] = {"int": 5, "wall_time": WALL, "float": 1.0, "words": [], "tracks": [""], "bool": True}
        right |= {"settings": {}, "versions": {}, "language": None}
        value = right.get(field.name, right.get(str(getattr(field.type, "__name__", field.type)), "x"))
        record[field.name] = draw(VALUES) if draw(st.integers(0, 3)) == 0 else value
    return record | {"wall_seconds": draw(VALUES)}


@given(st.lists(records(), max_size=6))
def test_any_log_is_read_or_refused_and_stops_nothing(
    tmp_path_factory: pytest.TempPathFactory, log: list[dict[str, Any]]
) -> None:
    parent = tmp_path_factory.mktemp("logs")
    write(parent, said([GOOD]))
    folder = put(parent, "2026-03-01_10-05-00", [started(), *log], end=False)
    archive = Archive(parent)
    assert {summary.first_words for summary in archive.sessions()} >= {GOOD}
    assert archive.search(Query("budget"))
    assert archive.cut_off() == [folder.name] or any('"session_ended"' in json.dumps(record) for record in log)
    for form in FORMATS:
        "".join(export_pieces(RecordedSession(folder), form)).encode()
    RecordedSession(folder, last_seconds=1)
    archive.delete(folder.name)
    assert not folder.exists() and (parent / INDEX).exists()


@pytest.mark.parametrize("wanted", ["x" * 5000, "/x" * 5000, "~nosuchuser", "~nosuchuser/x", "\x1b[2J", "\ud800"])
def test_an_absurd_name_of_a_session_is_one_short_line(call: Call, wanted: str) -> None:
    for command in (
        ["export", wanted],
        ["sessions", "delete", wanted, "--yes"],
        ["search", "budget", "--session", wanted],
    ):
        status, out, err = call(*command)
        assert (status, out) == (1, "") and err.count("\n") == 1 and "No session" in err and len(err) < 400

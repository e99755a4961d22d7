"""session.jsonl of every version: undamaged lines are read, damaged ones reported and skipped."""

import json
import os
import random
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from livecap.archive.folder import EVENTS
from livecap.archive.index import Index
from livecap.archive.line import DamagedLine, decode_line, encode_line
from livecap.archive.reader import LogReader
from livecap.archive.recorded import RecordedSession
from livecap.errors import LogError
from livecap.export.formats import FORMATS, export_pieces
from livecap.session.recovery import keep
from livecap.transcript import (
    AudioGap,
    Marked,
    Notice,
    Paused,
    SessionEnded,
    SessionEvent,
    SessionStarted,
    SpeakerNamed,
    SpeakersHeard,
    SpeakersMerged,
    SpeakerSplit,
    TextCommitted,
    UtteranceEnded,
    Voice,
    Word,
    to_json,
)
from tests.archive.facts import header, said, write

N_FUZZED = 10_000 if os.environ.get("LIVECAP_PROVE") else 400

text = st.text(max_size=30)
samples = st.integers(0, 2**40)
words = st.lists(st.builds(Word, text, samples, samples, st.just("step")), max_size=3).map(tuple)
numbers = st.integers(0, 2**16 - 1)
voices = st.lists(st.builds(Voice, samples, samples, numbers), max_size=3).map(tuple)
events = st.one_of(
    st.builds(TextCommitted, text, samples, text, samples, samples),
    st.builds(UtteranceEnded, text, samples, text, samples, samples, st.none() | text, words),
    st.builds(AudioGap, text, samples, samples),
    st.builds(SpeakersHeard, text, samples, voices, st.booleans()),
    st.builds(SpeakerNamed, numbers, text),
    st.builds(SpeakersMerged, numbers, numbers),
    st.builds(SpeakerSplit, numbers, numbers),
    st.builds(Marked, text, samples, text, st.just("2026-03-01T10:02:03+01:00")),
    st.builds(Notice, text, samples, text),
)


def log_of(folder: Path, facts: list[SessionEvent]) -> bytes:
    lines = [encode_line(fact, float(n), n) for n, fact in enumerate([header(), *facts])]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / EVENTS).write_bytes(b"".join(lines))
    return b"".join(lines)


def read(folder: Path) -> tuple[list[SessionEvent], list[str]]:
    reader = LogReader(folder / EVENTS)
    found = [event for _, event in reader.events()]
    return found, [damage.reason for damage in reader.damages]


@given(events, st.integers(0, 1000), st.floats(0, 1e6))
def test_a_line_holds_a_whole_fact(event: SessionEvent, seq: int, seconds: float) -> None:
    data = encode_line(event, seconds, seq)
    assert data.endswith(b"\n") and data.count(b"\n") == 1
    assert json.loads(data)["seq"] == seq
    line = decode_line(data)
    assert (line.event, line.seq, line.wall_seconds) == (event, seq, round(seconds, 3))


@given(events, st.data())
def test_every_changed_byte_is_noticed(event: SessionEvent, data: st.DataObject) -> None:
    line = bytearray(encode_line(event, 1.0, 7))
    place = data.draw(st.integers(0, len(line) - 3))
    line[place] ^= data.draw(st.integers(1, 255))
    try:
        found = decode_line(bytes(line))
    except DamagedLine:
        return
    assert found.seq is None, "it may only pass as a line of format 1, which a log of format 2 refuses"


@given(st.lists(events, max_size=6), st.data())
def test_any_truncation_leaves_a_valid_prefix(tmp_path_factory: pytest.TempPathFactory, facts, data) -> None:  # type: ignore[no-untyped-def]
    folder = tmp_path_factory.mktemp("log")
    whole = log_of(folder, facts)
    first = len(encode_line(header(), 0.0, 0)) - 1
    cut = data.draw(st.integers(first, len(whole)))
    (folder / EVENTS).write_bytes(whole[:cut])
    found, reasons = read(folder)
    n_whole = whole[:cut].count(b"\n")
    everything = [header(), *facts]
    assert found[:n_whole] == everything[:n_whole]
    assert len(found) <= n_whole + 1, "the last line may lack only its line end"
    assert found == everything[: len(found)]
    assert all("incomplete" in reason for reason in reasons)


def test_a_damaged_line_is_reported_and_skipped(tmp_path: Path) -> None:
    facts = [AudioGap("", n, n + 1) for n in range(5)]
    whole = log_of(tmp_path, facts).splitlines(keepends=True)
    whole[2] = whole[2].replace(b'"end_sample": 2', b'"end_sample": 9')
    whole[4] = b"\x00\xff garbage \n"
    (tmp_path / EVENTS).write_bytes(b"".join(whole))
    found, reasons = read(tmp_path)
    assert found == [header(), facts[0], facts[2], facts[4]]
    assert sum("damaged" in reason for reason in reasons) == 2
    assert sum("facts missing before this line: 1" in reason for reason in reasons) == 2


def test_zero_bytes_after_a_power_cut_are_skipped(tmp_path: Path) -> None:
    facts = [AudioGap("", n, n + 1) for n in range(3)]
    lines = log_of(tmp_path, facts).splitlines(keepends=True)
    (tmp_path / EVENTS).write_bytes(lines[0] + lines[1] + bytes(len(lines[2])) + lines[3] + bytes(4096))
    found, _ = read(tmp_path)
    assert found == [header(), facts[0], facts[2]]


def test_facts_that_were_written_twice_count_once(tmp_path: Path) -> None:
    facts = [AudioGap("", n, n + 1) for n in range(4)]
    lines = log_of(tmp_path, facts).splitlines(keepends=True)
    (tmp_path / EVENTS).write_bytes(b"".join([*lines[:4], lines[2], lines[3], lines[4]]))
    assert read(tmp_path) == ([header(), *facts], [])


def test_a_log_of_the_first_format_is_read(tmp_path: Path) -> None:
    facts = list(said(["Good morning.", "And good night."]))
    old = [header(), *facts, SessionEnded(80_000, "stopped")]
    (tmp_path / EVENTS).write_text("".join(to_json(fact, 1.0) + "\n" for fact in old))
    session = RecordedSession(tmp_path)
    assert [utterance.text for utterance in session.utterances()] == ["Good morning.", "And good night."]
    assert session.ended and not session.damages


def test_a_line_without_a_checksum_is_damage_in_a_log_that_has_them(tmp_path: Path) -> None:
    whole = log_of(tmp_path, [AudioGap("", 1, 2)])
    (tmp_path / EVENTS).write_bytes(whole + to_json(AudioGap("", 5, 6), 1.0).encode() + b"\n")
    found, reasons = read(tmp_path)
    assert found == [header(), AudioGap("", 1, 2)] and "checksum" in reasons[0]


def test_types_and_fields_of_later_versions_are_skipped(tmp_path: Path) -> None:
    import zlib

    def line(body: str) -> bytes:
        data = body.encode()
        return data + b', "crc": "%08x"}\n' % zlib.crc32(data)

    lines = encode_line(header(), 0.0, 0) + line('{"type": "mood", "wall_seconds": 1.0, "seq": 1')
    gap = '{"type": "audio_gap", "track": "", "start_sample": 1, "end_sample": 2'
    lines += line(f'{gap}, "why": "x", "wall_seconds": 1.0, "seq": 2')
    (tmp_path / EVENTS).write_bytes(lines)
    assert read(tmp_path) == ([header(), AudioGap("", 1, 2)], [])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not a session log"),
        (b"# Notes\n\nnothing of ours\n", "not a session log"),
        (b'{"version": 2, "width": 80, "height": 24}\n[0.1, "o", "hello"]\n', "not a session log"),
        (b'{"type": "message", "text": "of another program"}\n', "not a session log"),
        (bytes(5000), "not a session log"),
    ],
    ids=["empty", "Markdown", "asciinema", "other JSON", "zeros"],
)
def test_a_log_of_another_program_is_one_clear_error(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / EVENTS).write_bytes(content)
    with pytest.raises(LogError, match=message):
        LogReader(tmp_path / EVENTS)
    assert (tmp_path / EVENTS).read_bytes() == content


def test_a_log_of_a_later_format_is_one_clear_error(tmp_path: Path) -> None:
    import zlib

    body = encode_line(header(), 0.0, 0).replace(b'"log": 2', b'"log": 3').rpartition(b', "crc": "')[0]
    (tmp_path / EVENTS).write_bytes(body + b', "crc": "%08x"}\n' % zlib.crc32(body))
    with pytest.raises(LogError, match="Update livecap"):
        LogReader(tmp_path / EVENTS)


def test_a_log_without_its_header_still_has_its_text(tmp_path: Path) -> None:
    folder = write(tmp_path, said(["Good morning.", "And good night."]))
    data = (folder / EVENTS).read_bytes()
    (folder / EVENTS).write_bytes(b"X" + data[1:])
    session = RecordedSession(folder)
    assert [utterance.text for utterance in session.utterances()] == ["Good morning.", "And good night."]
    assert session.started.source == "unknown source" and session.clock.date == "2026-03-01 10:02"
    assert session.damages


def fuzzed(rng: random.Random, number: int) -> bytes:
    """A log with a few or many changes; every third has format 1, without checksums."""
    mark = Marked("", 5, "x", header().wall_time)
    said_once = [header(), *said(["Good morning to you.", "And good night."]), mark, Paused("", 9, header().wall_time)]
    if number % 3:
        data = bytearray(b"".join(encode_line(fact, 1.0, n) for n, fact in enumerate(said_once)))
    else:
        data = bytearray(b"".join(to_json(fact, 1.0).encode() + b"\n" for fact in said_once))
    for _ in range(rng.choice([1, 1, 2, 5, 40])):
        place = rng.randrange(len(data))
        match rng.randrange(5):
            case 0:
                data[place] = rng.randrange(256)
            case 1:
                data = data[:place] + data[place + rng.randrange(1, 200) :] or bytearray(b" ")
            case 2:
                data[place:place] = bytes(rng.choices(b'{}[]",:0123456789e-\n\\u\x00\xff', k=rng.randrange(1, 30)))
            case 3:
                data[place:place] = bytes(rng.choices(b"0123456789", k=rng.randrange(1, 30)))
            case 4:
                data = data[:place] or bytearray(b" ")
    return bytes(data)


def test_fuzzed_logs_are_read_or_refused_and_never_changed(tmp_path: Path) -> None:
    rng, n_read = random.Random(5), 0
    for number in range(N_FUZZED):
        data = fuzzed(rng, number)
        (tmp_path / EVENTS).write_bytes(data)
        try:
            session = RecordedSession(tmp_path)
            list(session.facts())
            session.clock.at(session.n_samples)
            n_read += 1
        except LogError as error:
            assert "\n" not in str(error)
        assert (tmp_path / EVENTS).read_bytes() == data
    assert n_read > N_FUZZED // 2


def test_fuzzed_logs_are_exported_searched_and_ended_or_refused(tmp_path: Path) -> None:
    rng = random.Random(6)
    folder = tmp_path / "2026-03-01_10-02-03"
    folder.mkdir()
    with Index(tmp_path) as index:
        for number in range(N_FUZZED // 10):
            (folder / EVENTS).write_bytes(fuzzed(rng, number))
            try:
                session = RecordedSession(folder)
            except LogError:
                continue
            for form in FORMATS:
                assert all(isinstance(piece, str) for piece in export_pieces(session, form))
            index.forget([folder.name])
            assert index.refresh(lambda: [folder.name]) == [] and len(index.sessions()) == 1
            with suppress(LogError):  # it has ended
                keep(folder)
                assert RecordedSession(folder).ended


def test_an_endless_line_is_not_read_into_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("livecap.archive.reader.MAX_LINE_BYTES", 4096)
    facts: list[SessionEvent] = [AudioGap("", 1, 2), AudioGap("", 3, 4)]
    lines = log_of(tmp_path, facts).splitlines(keepends=True)
    (tmp_path / EVENTS).write_bytes(b"".join([*lines[:2], b"x" * 20_000 + b"\n", lines[2]]))
    found, reasons = read(tmp_path)
    assert found == [header(), *facts]
    assert "too long" in reasons[0]


def test_the_last_hour_is_all_that_is_read_of_a_long_log(tmp_path: Path) -> None:
    folder = tmp_path
    sentences = said([f"This is sentence number {n}." for n in range(2000)])
    log_of(folder, [*sentences, SessionEnded(9999 * 16_000, "stopped")])
    session = RecordedSession(folder, last_seconds=100)
    texts = [utterance.text for utterance in session.utterances()]
    assert texts[-20:] == [f"This is sentence number {n}." for n in range(1980, 2000)] and len(texts) <= 21
    assert isinstance(session.started, SessionStarted) and session.ended
    reader = LogReader(folder / EVENTS)
    size = (folder / EVENTS).stat().st_size
    assert size - reader.offset_of(1900 * 5 * 16_000) < size / 4

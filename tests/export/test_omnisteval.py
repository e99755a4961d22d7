"""The log for OmniSTEval has a delay for each of its units, and says nothing that is not known."""

import json
from pathlib import Path

import pytest

from livecap.archive.clock import iso_time
from livecap.archive.recorded import RecordedSession
from livecap.cli.main import run
from livecap.errors import LogError
from livecap.export.formats import FORMATS, MEASURES, export_file
from livecap.export.omnisteval import to_omnisteval
from livecap.transcript import ClockAnchored, Jumped, SessionEvent, TextCommitted, UtteranceEnded, UtteranceSettled
from tests.archive.facts import SECOND, header, said, write
from tests.archive.when import STARTED


def committed(text: str, end_seconds: float, utterance: int = 0, track: str = "") -> TextCommitted:
    return TextCommitted(track, utterance, text, 0, round(end_seconds * SECOND))


def lines(folder: Path, *facts: SessionEvent, **fields: object) -> list[dict[str, object]]:
    """The log of a session with these facts."""
    session = RecordedSession(write(folder / "sessions", list(facts), header(**fields)))
    return [json.loads(line) for line in to_omnisteval(session)]


def test_each_word_has_the_time_at_which_its_last_letter_was_stable(tmp_path: Path) -> None:
    facts = [committed("Good mor", 1), committed("ning  all,", 2.5), committed(" Thank\u00a0you.", 4, utterance=1)]
    [line] = lines(tmp_path, *facts, live=False, settings={"replay": "/talks/talk.flac"})
    assert line["source"] == "talk.flac" and str(line["prediction"]).split() == [
        "Good",
        "morning",
        "all,",
        "Thank",
        "you.",
    ]
    assert line["delays"] == [1000, 2500, 2500, 4000, 4000] and line["source_length"] == 4000
    assert "elapsed" not in line, "a recording is not heard by the clock"


def test_the_text_is_the_live_one(tmp_path: Path) -> None:
    ended = UtteranceEnded("", 0, "Good mourning.", 0, SECOND, "English")
    settled = UtteranceSettled("", 0, "Good morning!", 0, SECOND, "English")
    [line] = lines(tmp_path, committed("Good mourning.", 1), ended, settled)
    assert line["prediction"] == "Good mourning."


def test_a_live_session_says_how_late_its_text_was_written(tmp_path: Path) -> None:
    heard = ClockAnchored("", 0, iso_time(STARTED.timestamp()), 0.0)
    [line] = lines(tmp_path, heard, committed("One", 1), committed(" two.", 2), live=True)
    delays, elapsed = line["delays"], line["elapsed"]
    assert isinstance(delays, list) and isinstance(elapsed, list) and len(elapsed) == len(delays) == 2
    assert all(late >= delay for delay, late in zip(delays, elapsed, strict=True)) and elapsed == sorted(elapsed)


def test_each_track_is_a_recording_of_its_own(tmp_path: Path) -> None:
    facts = [committed("Mine.", 1, track="me"), committed("Theirs.", 2, track="them")]
    both = lines(tmp_path, *facts, tracks=("me", "them"), live=False)
    assert [line["source"] for line in both] == ["2026-03-01_10-02-03-me.wav", "2026-03-01_10-02-03-them.wav"]
    assert [line["prediction"] for line in both] == ["Mine.", "Theirs."]


def test_a_track_without_text_has_an_empty_line(tmp_path: Path) -> None:
    mine, theirs = lines(tmp_path, committed("Mine.", 1, track="me"), tracks=("me", "them"), live=False)
    assert mine["delays"] == [1000] and theirs["prediction"] == "" and theirs["delays"] == []


def test_scripts_without_spaces_have_a_delay_for_each_character(tmp_path: Path) -> None:
    [line] = lines(
        tmp_path, committed("我們今天", 1), committed("討論。", 2), committed("好", 3, utterance=1), live=False
    )
    assert line["prediction"] == "我們今天討論。好" and line["delays"] == [1000] * 4 + [2000] * 3 + [3000]


def test_a_session_that_was_rewound_has_no_delays(tmp_path: Path) -> None:
    with pytest.raises(LogError, match="rewound or skipped"):
        lines(tmp_path, committed("One.", 1), Jumped("", SECOND, 0), live=False)


def test_the_log_is_written_only_where_it_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    session = RecordedSession(write(tmp_path / "sessions", list(said(["One."]))))
    assert export_file(session, "omnisteval", tmp_path).name.endswith(".omnisteval.jsonl")
    assert not FORMATS.keys() & MEASURES.keys()
    where = ["--log-dir", str(tmp_path / "sessions")]
    assert run(["export", session.name, "-f", "omnisteval", "-o", "-", *where]) == 0
    assert json.loads(capsys.readouterr().out)["prediction"] == "One."

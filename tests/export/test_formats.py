"""Every export has settled text, labels and marks, and takes nothing that was said for syntax."""

import json
import os
import re
import shutil
import stat
import subprocess
from itertools import pairwise
from pathlib import Path

import pytest

from livecap.archive.recorded import RecordedSession
from livecap.errors import LogError
from livecap.export.formats import FORMATS, export_file, export_pieces
from livecap.text.safety import printable
from livecap.transcript import Marked, UtteranceEnded, UtteranceSettled
from tests.archive.facts import SECOND, header, said, write

NASTY = 'A --> B </script> <i>x</i> \ttab & "quote" {\\an8} *bold* `code`'


@pytest.fixture
def session(tmp_path: Path) -> RecordedSession:
    facts = [*said(["Good mourning.", NASTY, "And good night."], "me"), *said(["One.", "我們今天先討論預算。"], "them")]
    facts.append(UtteranceSettled("me", 0, "Good morning!", 0, 4 * SECOND, "English"))
    facts.append(Marked("me", 2 * SECOND, "ask --> finance", header().wall_time))
    return RecordedSession(write(tmp_path / "sessions", facts))


def text_of(session: RecordedSession, form: str) -> str:
    return "".join(export_pieces(session, form))


@pytest.mark.parametrize("form", FORMATS)
def test_every_form_has_settled_text_labels_and_other_scripts(session: RecordedSession, form: str) -> None:
    text = text_of(session, form)
    assert "Good morning!" in text or "morning!</span>" in text
    assert "mourning" not in text
    assert "them" in text and "me" in text
    assert "討論" in re.sub(r"<[^>]*>", "", text)


@pytest.mark.parametrize("form", sorted(FORMATS.keys() - {"srt"}))
def test_marks_are_in_every_form_that_has_a_place_for_them(session: RecordedSession, form: str) -> None:
    text = text_of(session, form)
    assert "★ ask" in text or "marked" in text


def test_every_row_of_a_table_has_the_same_columns(session: RecordedSession) -> None:
    rows = [line.split("\t") for line in text_of(session, "tsv").splitlines()]
    assert rows[0] == ["start", "end", "label", "text"]
    assert all(len(row) == 4 for row in rows) and rows[1][:3] == ["0", "4000", "me"]


def test_with_word_times_each_word_has_its_own_in_every_form_that_can_carry_them(session: RecordedSession) -> None:
    """txt, md and srt have no place for them and stay as they are. `said` gives each word half a second."""
    timed = {form: "".join(export_pieces(session, form, word_times=True)) for form in FORMATS}
    assert {form for form in FORMATS if timed[form] == text_of(session, form)} == {"txt", "md", "srt"}
    words = [(word["label"], word["text"], word["start"], word["end"]) for word in json.loads(timed["json"])["words"]]
    assert ("them", "One.", 0.0, 4.0) in words and all(start <= end for _, _, start, end in words)
    rows = [line.split("\t") for line in timed["tsv"].splitlines()[1:]]
    assert all(len(row) == 4 and int(row[0]) <= int(row[1]) for row in rows) and ["0", "4000", "them", "One."] in rows
    assert [row[3] for row in rows if row[2] == "me"][:2] == ["Good", "morning!"]
    assert "".join(row[3] for row in rows if row[2] == "them") == "One.我們今天先討論預算。"
    assert re.search(r'<span data-s="\d+" data-e="\d+">One\.</span>', timed["html"])


def test_timestamps_in_vtt_rise_within_their_cue_and_change_no_text(session: RecordedSession) -> None:
    """As the WebVTT standard asks, so that players show karaoke instead of dropping the cue."""
    timed = "".join(export_pieces(session, "vtt", word_times=True))
    stamp = re.compile(r"<(\d\d:\d\d:\d\d\.\d{3})>")
    assert stamp.sub("", timed) == text_of(session, "vtt")
    n_stamps = 0
    for block in timed.split("\n\n"):
        if " --> " in block:
            times, _, text = block.partition("\n")
            start, end = times.split(" --> ")
            stamps = [start, *stamp.findall(text), end]
            assert stamps == sorted(set(stamps))
            n_stamps += len(stamps) - 2
    assert n_stamps > 10


def test_json_is_one_document_with_samples_and_seconds(session: RecordedSession) -> None:
    document = json.loads(text_of(session, "json"))
    facts = document["facts"]
    assert document["header"]["model"] == "tiny" and len(facts) == 6
    assert facts[0]["type"] == "utterance_settled" and facts[0]["start_seconds"] == 0.0
    nasty = next(fact for fact in facts if fact["text" if "text" in fact else "note"] == NASTY)
    assert nasty["at"] == "10:02:08" and nasty["words"]


def test_markdown_shows_syntax_in_speech_as_text(session: RecordedSession) -> None:
    text = text_of(session, "md")
    assert r"\*bold\*" in text and r"\<i\>x\</i\>" in text and "[10:02:03] me: Good morning!" in text


def test_subtitles_have_no_tags_or_arrows_from_speech(session: RecordedSession) -> None:
    srt = text_of(session, "srt")
    assert not re.search(r"<[/a-z]|\{\\", srt)
    assert srt.count("-->") == len(re.findall(r"^\d\d:\d\d:\d\d,\d{3} --> \d\d:\d\d:\d\d,\d{3}$", srt, re.MULTILINE))
    vtt = text_of(session, "vtt")
    assert vtt.startswith("WEBVTT\n\n")
    assert vtt.count("-->") == len(re.findall(r"^[\d:.]{12} --> [\d:.]{12}$", vtt, re.MULTILINE))
    assert "<v them>" in vtt and "&lt;/script&gt;" in vtt


@pytest.mark.parametrize("form", ["srt", "vtt"])
def test_players_read_every_cue(session: RecordedSession, tmp_path: Path, form: str) -> None:
    ffprobe = shutil.which("ffprobe")
    if ffprobe is None:
        pytest.skip("needs ffmpeg")
    path = export_file(session, form, tmp_path)
    command = [ffprobe, "-v", "error", "-show_entries", "packet=pts_time,duration_time", "-of", "json", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    packets = json.loads(done.stdout)["packets"]
    assert done.stderr == "" and len(packets) == path.read_text().count(" --> ")
    times = [(float(packet["pts_time"]), float(packet["duration_time"])) for packet in packets]
    assert all(a + length <= b + 0.002 for (a, length), (b, _) in pairwise(times))


@pytest.mark.parametrize(("form", "point"), [("srt", ","), ("vtt", ".")])
def test_times_of_subtitles_carry_into_minutes_and_hours(tmp_path: Path, form: str, point: str) -> None:
    starts = [0, 60 * SECOND - 1, 3600 * SECOND - 1, 100 * 3600 * SECOND]
    facts = [UtteranceEnded("me", n, "Yes.", at, at + SECOND, "English", ()) for n, at in enumerate(starts)]
    text = text_of(RecordedSession(write(tmp_path, facts)), form)
    times = [time.replace(point, ".") for time in re.findall(r"^([\d:.,]+) -->", text, re.MULTILINE)]
    assert times == ["00:00:00.000", "00:00:59.999", "00:59:59.999", "100:00:00.000"]


def test_webvtt_is_valid_by_its_grammar(session: RecordedSession) -> None:
    blocks = text_of(session, "vtt").rstrip("\n").split("\n\n")
    assert blocks[0] == "WEBVTT"
    for block in blocks[1:]:
        first, *rest = block.split("\n")
        if first.startswith("NOTE"):
            assert "-->" not in block
            continue
        assert re.fullmatch(r"\d\d:\d\d:\d\d\.\d{3} --> \d\d:\d\d:\d\d\.\d{3}", first)
        assert rest and all(line.strip() and "-->" not in line for line in rest)
        body = re.sub(r"^<v [^>\n]+>(.*)</v>$", r"\1", "\n".join(rest), flags=re.MULTILINE)
        body = re.sub(r"^<v [^>\n]+>", "", body)
        assert "<" not in body and not re.search(r"&(?!amp;|lt;|gt;)", body)


def test_an_export_is_private_whole_and_overwrites_nothing(session: RecordedSession, tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        path = export_file(session, "txt", tmp_path)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with pytest.raises(LogError, match="exists already"):
        export_file(session, "txt", tmp_path)
    path.unlink()
    outside = tmp_path / "outside"
    outside.write_text("stays")
    path.symlink_to(outside)
    with pytest.raises(LogError, match="exists already"):
        export_file(session, "txt", tmp_path)
    export_file(session, "txt", tmp_path, overwrite=True)
    assert outside.read_text() == "stays" and not path.is_symlink()
    assert {entry.name for entry in tmp_path.iterdir()} == {"outside", "sessions", path.name}


def test_an_export_is_named_after_the_title(session: RecordedSession, tmp_path: Path) -> None:
    (session.folder / "title.txt").write_text("../Budget: part 2")
    assert export_file(session, "md", tmp_path).name == "Budget-part-2.md"


@pytest.mark.parametrize(
    "text",
    ["=HYPERLINK(1)", "+1+cmd|' /C calc'!A0", "-2+3", "@SUM(1)", " =1", "＝1", "\x1b=1", "\t=1", '"Well,', ' "Well,'],
)
def test_a_table_holds_no_formula_and_no_open_quotation(tmp_path: Path, text: str) -> None:
    session = RecordedSession(write(tmp_path / "sessions", said([f"{text} said"], track=text)))
    _, row = text_of(session, "tsv").splitlines()
    cells = row.split("\t")
    assert len(cells) == 4
    for cell in cells[2:]:
        assert cell.startswith("'") and cell[1:].strip().startswith(printable(text).strip())


def test_ordinary_cells_stay_as_they_are(tmp_path: Path) -> None:
    session = RecordedSession(write(tmp_path / "sessions", said(["It's 3 - 2 = 1 @ home."], track="me")))
    assert text_of(session, "tsv").splitlines()[1] == "0\t4000\tme\tIt's 3 - 2 = 1 @ home."

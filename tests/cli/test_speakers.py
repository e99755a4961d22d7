"""Speakers from the command line: labelled, listed, named, merged, split, searched and exported."""

import io
import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from livecap.cli import speakers_work
from livecap.cli.main import run
from livecap.cli.output import PlainOutput
from livecap.transcript import Notice, SessionEnded, SessionStarted, SpeakersHeard, UtteranceEnded, Voice
from tests.archive.facts import SECOND, header, said, write
from tests.speakers.scripted import ScriptedDiariser

TEXTS = ["Shall we begin?", "Yes, of course. Who has the numbers?", "Me."]
TURNS = [(0, 4, 0), (5, 6.7, 1), (6.7, 9, 0), (10, 14, 1)]
Livecap = Callable[..., tuple[int, str, str]]


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    folder = write(tmp_path / "logs", said(TEXTS))
    (folder / "audio").mkdir()
    soundfile.write(folder / "audio" / "sound.wav", np.full(15 * SECOND, 0.1, np.float32), SECOND)
    return tmp_path / "logs"


@pytest.fixture
def scripts(monkeypatch: pytest.MonkeyPatch) -> list[list[tuple[float, float, int]]]:
    """What the diariser says of each sound in turn."""
    scripts: list[list[tuple[float, float, int]]] = [TURNS]
    monkeypatch.setattr(speakers_work, "known_voices_path", lambda: Path("no-such-file"))
    monkeypatch.setattr(speakers_work, "load_diariser", lambda: ScriptedDiariser(scripts))  # type: ignore[arg-type]
    return scripts


@pytest.fixture
def livecap(logs: Path, capsys: pytest.CaptureFixture[str]) -> Livecap:
    """Runs the command line on these sessions: status, output, errors."""

    def call(*arguments: str) -> tuple[int, str, str]:
        try:
            status = run([*arguments, "--log-dir", str(logs)])
        except SystemExit as leaving:
            status = int(leaving.code or 0)
        return status, *capsys.readouterr()

    return call


@pytest.mark.usefixtures("scripts")
def test_a_session_is_labelled_once_and_then_only_listed(livecap: Livecap) -> None:
    status, out, err = livecap("speakers", "last")
    assert status == 0 and [line.split() for line in out.splitlines()] == [
        ["A", "6", "s", *TEXTS[0].split()],
        ["B", "6", "s", "Yes,", "of", "course."],
    ]
    assert "--name A=NAME" in err
    assert livecap("speakers", "last")[1] == out


@pytest.mark.usefixtures("scripts")
def test_speakers_are_named_and_merged_by_letter_or_name_in_any_case(livecap: Livecap) -> None:
    status, out, err = livecap("speakers", "last", "--name", "a=Tom", "--name", "B=Priya Rao")
    assert (status, err) == (0, "") and "B   Priya Rao" in out
    assert livecap("export", "last", "--stdout")[1].startswith("Tom: Shall we begin?\nPriya Rao: Yes, of course.\n")
    assert "Priya Rao: " in livecap("search", "course", "--speaker", "priya rao")[1]
    assert livecap("search", "course", "--speaker", "Tom")[0] == 1
    livecap("speakers", "last", "--name", "tom=Thomas")
    assert livecap("export", "last", "--stdout")[1].startswith("Thomas: ")
    status, out, _ = livecap("speakers", "last", "--merge", "Thomas=B", "--json")
    assert [row["label"] for row in json.loads(out)["speakers"]] == ["Priya Rao"]
    assert livecap("speakers", "last", "--split", "A")[0] == 0
    assert livecap("export", "last", "--stdout")[1].startswith("Thomas: "), "a merge is undone without its sound"


@pytest.mark.parametrize("calls", [["--merge B=A --merge C=B"], ["--merge B=A", "--merge C=B"]], ids=["once", "twice"])
def test_whoever_is_merged_into_a_merged_speaker_joins_all_of_them(
    livecap: Livecap, scripts: list[list[tuple[float, float, int]]], calls: list[str]
) -> None:
    scripts[0] = [(0, 4, 0), (5, 9, 1), (10, 14, 2)]
    livecap("speakers", "last")
    for call in calls:
        out = livecap("speakers", "last", *call.split(), "--json")[1]
    assert [row["speaker"] for row in json.loads(out)["speakers"]] == ["B"], "the one that was named last"


@pytest.mark.usefixtures("scripts")
def test_a_name_counts_after_the_merges_of_the_same_call(livecap: Livecap) -> None:
    livecap("speakers", "last", "--name", "A=Tom", "--merge", "B=A")
    out = livecap("speakers", "last", "--merge", "B=B", "--name", "B=Priya", "--json")[1]
    assert [row["label"] for row in json.loads(out)["speakers"]] == ["Tom", "Priya"]
    out = livecap("speakers", "last", "--merge", "B=A", "--name", "B=Thomas", "--json")[1]
    assert [row["label"] for row in json.loads(out)["speakers"]] == ["Thomas"]


@pytest.mark.usefixtures("scripts")
def test_first_words_in_a_script_without_spaces_are_shown(livecap: Livecap, logs: Path) -> None:
    folder = write(logs, said(["今日の会議を始めます。" * 20, *TEXTS[1:]]))
    (folder / "audio").mkdir()
    soundfile.write(folder / "audio" / "sound.wav", np.full(15 * SECOND, 0.1, np.float32), SECOND)
    assert "今日の会議を始めます。今日の会議" in livecap("speakers", folder.name)[1].splitlines()[0]
    row = json.loads(livecap("speakers", folder.name, "--json")[1])["speakers"][0]
    assert row["first_words"].startswith("今日の会議を始めます。今日") and len(row["first_words"]) <= 100


@pytest.mark.usefixtures("scripts")
def test_json_lists_all_that_is_known(livecap: Livecap) -> None:
    row = json.loads(livecap("speakers", "last", "--name", "B=Priya", "--json")[1])["speakers"][1]
    assert row == {
        "speaker": "B",
        "name": "Priya",
        "label": "Priya",
        "track": "",
        "seconds": 5.71,
        "utterances": 2,
        "first_words": "Yes, of course.",
    }


def test_a_number_labels_again_and_names_stay(livecap: Livecap, scripts: list[list[tuple[float, float, int]]]) -> None:
    livecap("speakers", "last", "--name", "B=Priya")
    scripts.append([(0, 4, 0), (5, 9, 1), (10, 14, 2)])
    out = livecap("speakers", "last", "--num-speakers", "3")[1]
    assert [line.split()[0] for line in out.splitlines()] == ["A", "B", "C"]
    assert livecap("export", "last", "--stdout")[1] == f"A: {TEXTS[0]}\nC: {TEXTS[1]}\nPriya: {TEXTS[2]}\n"


def test_a_speaker_is_split_in_two(livecap: Livecap, scripts: list[list[tuple[float, float, int]]]) -> None:
    livecap("speakers", "last")
    scripts.append([(0, 4, 0), (4, 6.3, 1)])
    assert [line.split()[0] for line in livecap("speakers", "last", "--split", "A")[1].splitlines()] == ["A", "B", "C"]


@pytest.mark.usefixtures("scripts")
@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--name", "Q=Priya"], "There is no speaker 'Q' in .* Speakers: A, B."),
        (["--name", "Priya"], "must be like A=NAME, not 'Priya'"),
        (["--name", f"A={'x' * 61}"], "at most 60 characters, not 61"),
        (["--num-speakers", "0"], "--num-speakers must be"),
        (["--num-speakers", "2", "--max", "3"], "exact number of speakers, or"),
        (["--min", "3", "--max", "2"], "At least 3 speakers are more than at most 2"),
        (["--track", "you"], "no text on a track 'you'"),
        (["--split", "Q"], "There is no speaker 'Q'"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_be_is_one_line_that_says_what_can(livecap: Livecap, arguments: list[str], sentence: str) -> None:
    status, out, err = livecap("speakers", "last", *arguments)
    assert status != 0 and out == "" and len(err.splitlines()) == 1
    assert re.search(sentence, err)


def test_a_session_without_sound_says_that_it_has_none(livecap: Livecap, logs: Path) -> None:
    folder = write(logs, said(TEXTS))
    status, _, err = livecap("speakers", folder.name)
    assert status == 1 and "was not kept" in err and "--save-audio" in err
    assert len(err.splitlines()) == 1


def test_sound_of_a_track_without_text_is_no_sound_of_what_was_said(livecap: Livecap, logs: Path) -> None:
    (sound,) = logs.glob("*/audio/sound.wav")
    sound.rename(sound.with_name("them.wav"))
    status, out, err = livecap("speakers", "last")
    assert status == 1 and out == "" and "was not kept" in err


def test_plain_lines_wait_a_moment_for_their_speaker() -> None:
    out = io.StringIO()
    plain = PlainOutput(out, io.StringIO(), lambda trouble: None, with_speakers=True)
    started: SessionStarted = header(live=False)
    plain(started)
    ended = [event for event in said(TEXTS) if isinstance(event, UtteranceEnded)]
    plain(ended[0])
    assert out.getvalue() == ""
    plain(SpeakersHeard("", 0, (Voice(0, 4 * SECOND, 0),), settled=False))
    plain(SpeakersHeard("", 1, (Voice(5 * SECOND, 7 * SECOND, 0),), settled=False))  # it has not ended
    plain(ended[1])
    plain(SpeakersHeard("", 1, (Voice(5 * SECOND, 9 * SECOND, 1),), settled=False))
    plain(ended[2])
    plain(SessionEnded(14 * SECOND, "stopped"))
    assert out.getvalue() == f"[0:00:00] {TEXTS[0]}\n[0:00:05] B: {TEXTS[1]}\n[0:00:10] {TEXTS[2]}\n"


@pytest.mark.parametrize(("reason", "printed"), [("stopped", True), ("failed: it left", False)])
def test_a_serious_notice_is_printed_unless_the_session_fails_by_it(reason: str, printed: bool) -> None:
    err = io.StringIO()
    plain = PlainOutput(io.StringIO(), err, lambda trouble: None)
    for event in (header(live=False), Notice("Sound was lost.", SECOND, "error"), SessionEnded(2 * SECOND, reason)):
        plain(event)
    assert err.getvalue() == ("[0:00:01] Sound was lost.\n" if printed else "")

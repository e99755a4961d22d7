"""Speakers of past sessions: labelled from kept sound, matched with earlier labels, split."""

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from livecap.archive.amend import amend
from livecap.archive.archive import Archive
from livecap.archive.folder import has_end
from livecap.archive.line import encode_line
from livecap.archive.log import SessionLog
from livecap.archive.recorded import RecordedSession
from livecap.errors import LogError, SettingsError
from livecap.session.labelling import label, sounds_to_hear, split_speaker, voices_of
from livecap.speakers.counts import Counts
from livecap.speakers.turns import Turn
from livecap.transcript import (
    SessionEnded,
    SpeakerNamed,
    SpeakersHeard,
    SpeakersMerged,
    Voice,
    to_json,
)
from tests.archive.facts import SECOND, header, said, write
from tests.speakers.scripted import ScriptedDiariser

TEXTS = ["Shall we begin?", "Yes, of course. Who has the numbers?", "Me."]
TURNS = [(0, 4, 0), (5, 6.7, 1), (6.7, 9, 0), (10, 14, 1)]


def with_sound(folder: Path, *names: str) -> Path:
    (folder / "audio").mkdir()
    for name in names or ("sound",):
        soundfile.write(folder / "audio" / f"{name}.wav", np.full(15 * SECOND, 0.1, np.float32), SECOND)
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return with_sound(write(tmp_path, said(TEXTS)))


def labelled(session: RecordedSession) -> list[tuple[str, str]]:
    return [(utterance.label, utterance.text) for utterance in session.utterances()]


def test_a_session_is_labelled_afterwards_and_still_has_its_end(folder: Path) -> None:
    diariser = ScriptedDiariser([TURNS])
    session = label(folder, diariser)
    expected = [("A", TEXTS[0]), ("B", "Yes, of course."), ("A", "Who has the numbers?"), ("B", TEXTS[2])]
    assert labelled(session) == expected
    assert diariser.asked == [{"n": 15 * SECOND, "speakers": None, "at_least": 1, "at_most": None}]
    assert session.ended == SessionEnded(14 * SECOND, "stopped") and has_end(folder / "session.jsonl")
    assert "B: Yes, of course." in (folder / "transcript.md").read_text()
    assert Archive(folder.parent).cut_off() == []


def test_many_facts_after_the_end_do_not_hide_it(tmp_path: Path) -> None:
    folder = with_sound(write(tmp_path, said(["Yes."] * 300)))
    label(folder, ScriptedDiariser([[(5 * n, 5 * n + 4, n % 2) for n in range(300)]]))
    assert (folder / "session.jsonl").stat().st_size > 100_000 and has_end(folder / "session.jsonl")


def test_a_session_whose_labelling_is_interrupted_keeps_its_end(tmp_path: Path) -> None:
    def facts(session: RecordedSession) -> Iterator[SpeakerNamed]:
        for number in range(300):
            yield SpeakerNamed(0, f"Tom {number}")
        raise KeyboardInterrupt

    folder = write(tmp_path, said(TEXTS))
    with pytest.raises(KeyboardInterrupt):
        amend(folder, facts)
    assert has_end(folder / "session.jsonl") and Archive(tmp_path).cut_off() == []
    session = RecordedSession(folder)
    assert session.ended is not None and session.voices.label(0) == "Tom 299" and session.damages == []


@pytest.mark.parametrize("ended", [True, False])
def test_a_session_whose_labelling_is_killed_keeps_its_end(tmp_path: Path, ended: bool) -> None:
    folder = write(tmp_path, said(TEXTS), end=ended)
    session = RecordedSession(folder)
    log = SessionLog.reopen(folder, session.n_facts, session.clock)
    for number in range(300):
        log.append(SpeakerNamed(0, f"Tom {number}"), 1.0)
    log.close()
    with (folder / "session.jsonl").open("ab") as file:
        file.write(b'{"type": "speaker_na')
    assert has_end(folder / "session.jsonl") == ended
    assert Archive(tmp_path).cut_off() == ([] if ended else [folder.name])


def test_a_session_of_the_first_version_is_labelled_too(tmp_path: Path) -> None:
    folder = tmp_path / "2026-01-01_10-00-00"
    folder.mkdir()
    facts = [header(), *said(TEXTS), SessionEnded(14 * SECOND, "stopped")]
    (folder / "session.jsonl").write_text("".join(to_json(fact, 1.0) + "\n" for fact in facts))
    session = label(with_sound(folder), ScriptedDiariser([TURNS]))
    session = amend(folder, lambda session: [SpeakerNamed(1, "Priya")])
    assert labelled(session)[1:3] == [("Priya", "Yes, of course."), ("A", "Who has the numbers?")]
    assert session.damages == []


def test_names_stay_with_their_voices_when_a_session_is_labelled_again(folder: Path) -> None:
    label(folder, ScriptedDiariser([TURNS]))
    amend(folder, lambda session: [SpeakerNamed(1, "Priya")])
    again = ScriptedDiariser([[(0, 3, 0), (3, 4, 1), (5, 6.7, 2), (6.7, 9, 0), (10, 14, 2)]])
    session = label(folder, again, Counts(exactly=3))
    assert again.asked[0]["speakers"] == 3
    assert labelled(session) == [
        ("A", "Shall we"),
        ("C", "begin?"),
        ("Priya", "Yes, of course."),
        ("A", "Who has the numbers?"),
        ("Priya", "Me."),
    ]


def test_a_remembered_name_moves_to_the_voice_that_it_belongs_to(folder: Path) -> None:
    levels = np.repeat(np.array([0.1, 0.6, 0.1], np.float32), 5 * SECOND)
    soundfile.write(folder / "audio" / "sound.wav", levels, SECOND)
    diariser = ScriptedDiariser([[(0, 9, 0), (10, 14, 1)], [(0, 4, 0), (5, 8, 1), (10, 14, 2)]])
    known = {"Tom": diariser.embed(levels)}
    assert [who for who, _ in labelled(label(folder, diariser, known=known))] == ["Tom", "Tom", "B"]
    session = label(folder, diariser, Counts(exactly=3), known=known)
    assert [who for who, _ in labelled(session)] == ["A", "Tom", "B"], "A is not Tom"


def test_speakers_that_a_person_merged_stay_one_unless_their_number_is_given(folder: Path) -> None:
    label(folder, ScriptedDiariser([TURNS]))
    amend(folder, lambda session: [SpeakersMerged(0, 1), SpeakerNamed(1, "Priya")])
    assert {who for who, _ in labelled(label(folder, ScriptedDiariser([TURNS])))} == {"Priya"}
    assert {who for who, _ in labelled(label(folder, ScriptedDiariser([TURNS]), Counts(exactly=2)))} == {"A", "Priya"}


def test_each_track_has_its_own_voices_and_one_alone_keeps_its_label(tmp_path: Path) -> None:
    facts = [*said(["Hello.", "Fine."], "me"), *said(TEXTS, "them")]
    folder = with_sound(write(tmp_path, facts, header(tracks=("me", "them"))), "me", "them")
    session = label(folder, ScriptedDiariser([[(0, 9, 0)], TURNS]))
    assert {each.label for each in session.utterances() if each.track == "me"} == {"me"}
    assert {each.label for each in session.utterances() if each.track == "them"} == {"B", "C"}


def test_a_number_of_speakers_belongs_to_one_track(tmp_path: Path) -> None:
    facts = [*said(["Hello.", "Fine."], "me"), *said(TEXTS, "them")]
    folder = with_sound(write(tmp_path, facts, header(tracks=("me", "them"))), "me", "them")
    with pytest.raises(SettingsError, match="me, them.*--track"):
        label(folder, ScriptedDiariser([]), Counts(exactly=2))
    session = label(folder, ScriptedDiariser([TURNS]), Counts(exactly=2), track="them")
    assert {each.label for each in session.utterances()} == {"me", "A", "B"}
    with pytest.raises(LogError, match="no text on a track 'you'. It has me, them"):
        label(folder, ScriptedDiariser([]), track="you")


def test_without_sound_it_says_so_and_changes_nothing(tmp_path: Path) -> None:
    folder = write(tmp_path, said(TEXTS))
    before = (folder / "session.jsonl").read_bytes()
    with pytest.raises(LogError, match="was not kept.*--save-audio"):
        label(folder, ScriptedDiariser([]))
    assert (folder / "session.jsonl").read_bytes() == before


def test_a_replayed_recording_is_heard_again_where_it_still_is(tmp_path: Path) -> None:
    recording = tmp_path / "talk.wav"
    soundfile.write(recording, np.full(15 * SECOND, 0.1, np.float32), SECOND)
    os.utime(recording, (0, 0))
    started = header(live=False, settings={"replay": str(recording)})
    folder = write(tmp_path, said(TEXTS), started)
    assert len(labelled(label(folder, ScriptedDiariser([TURNS])))) == 4
    os.utime(recording)  # now
    with pytest.raises(LogError, match=f"its recording {recording} is not there any more, or was changed"):
        label(folder, ScriptedDiariser([]))


@pytest.mark.parametrize("labels", [("me", "them"), ("Ann", "Ben")], ids=["as it was", "with --label"])
def test_a_replayed_session_of_two_tracks_is_heard_again(tmp_path: Path, labels: tuple[str, str]) -> None:
    recorded = with_sound(write(tmp_path / "old", said(TEXTS), header(tracks=("me", "them"))), "me", "them")
    for path in (recorded / "audio").iterdir():
        os.utime(path, (0, 0))
    facts = [*said(["Hello.", "Fine."], labels[0]), *said(TEXTS, labels[1])]
    started = header(tracks=labels, live=False, settings={"replay": str(recorded)})
    folder = write(tmp_path / "new", facts, started)
    assert sounds_to_hear(RecordedSession(folder)) == {
        labels[0]: recorded / "audio" / "me.wav",
        labels[1]: recorded / "audio" / "them.wav",
    }
    session = label(folder, ScriptedDiariser([TURNS]), Counts(exactly=2), track=labels[1])
    assert {each.label for each in session.utterances()} == {labels[0], "A", "B"}
    os.utime(recorded / "audio" / "them.wav")  # now
    with pytest.raises(LogError, match="was changed"):
        label(folder, ScriptedDiariser([]), track=labels[1])


def test_a_recording_of_which_the_log_does_not_say_where_it_was_can_be_put_beside_it(tmp_path: Path) -> None:
    folder = write(tmp_path, said(TEXTS), header(live=False))
    with pytest.raises(LogError, match=f"recording Mic was.*Copy it to {folder / 'audio' / 'sound.flac'}"):
        label(folder, ScriptedDiariser([]))
    assert len(labelled(label(with_sound(folder), ScriptedDiariser([TURNS])))) == 4


def test_a_session_that_was_cut_off_is_recovered_first(tmp_path: Path) -> None:
    folder = with_sound(write(tmp_path, said(TEXTS), end=False))
    with pytest.raises(LogError, match="livecap recover"):
        label(folder, ScriptedDiariser([]))


def test_a_refused_change_of_the_speakers_leaves_the_log_as_it_was(folder: Path) -> None:
    label(folder, ScriptedDiariser([TURNS]))
    before = (folder / "session.jsonl").read_bytes()

    def refuse(session: RecordedSession) -> list[SpeakerNamed]:
        raise SettingsError("There is no speaker Q.")

    with pytest.raises(SettingsError, match="no speaker Q"):
        amend(folder, refuse)
    assert (folder / "session.jsonl").read_bytes() == before


def test_a_speaker_is_split_where_two_voices_are_found(folder: Path) -> None:
    label(folder, ScriptedDiariser([TURNS]))
    amend(folder, lambda session: [SpeakerNamed(0, "Tom")])
    diariser = ScriptedDiariser([[(0, 4, 0), (4, 6.3, 1)]])  # all that A says: 0 to 4 s and 6.7 to 9 s, joined
    session = split_speaker(folder, diariser, 0)
    assert diariser.asked[0]["n"] == round(6.3 * SECOND) and diariser.asked[0]["speakers"] == 2
    expected = [("Tom", TEXTS[0]), ("B", "Yes, of course."), ("C", "Who has the numbers?"), ("B", TEXTS[2])]
    assert labelled(session) == expected


def test_one_voice_alone_is_not_split(folder: Path) -> None:
    label(folder, ScriptedDiariser([TURNS]))
    before = (folder / "session.jsonl").read_bytes()
    with pytest.raises(LogError, match="Only one voice was found in what B says"):
        split_speaker(folder, ScriptedDiariser([[(0, 5, 0)]]), 1)
    assert (folder / "session.jsonl").read_bytes() == before


def test_facts_are_added_after_those_of_another_process(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    label(folder, ScriptedDiariser([TURNS]))
    n_facts, reopen = RecordedSession(folder).n_facts, SessionLog.reopen

    def late(*arguments: object) -> SessionLog:
        """Another process adds a name just before the log is locked."""
        monkeypatch.setattr(SessionLog, "reopen", reopen)
        with open(folder / "session.jsonl", "ab") as log:
            log.write(encode_line(SpeakerNamed(1, "Priya"), 1.0, n_facts))
            log.write(encode_line(SessionEnded(14 * SECOND, "stopped"), 1.0, n_facts + 1))
        return reopen(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(SessionLog, "reopen", late)
    session = amend(folder, lambda session: [SpeakerNamed(0, "Tom")])
    assert labelled(session)[:2] == [("Tom", TEXTS[0]), ("Priya", "Yes, of course.")]
    assert session.damages == []


def test_a_word_near_a_voice_belongs_to_it_and_silence_to_the_nearest() -> None:
    spoken = [(10 * n * SECOND, (10 * n + 1) * SECOND) for n in range(3)]
    turns = [Turn(SECOND, 4 * SECOND, 0), Turn(10 * SECOND, 12 * SECOND, 1)]
    assert voices_of(spoken, turns) == [
        (Voice(SECOND, SECOND * 3 // 2, 0),),
        (Voice(10 * SECOND, 11 * SECOND, 1),),
        (Voice(10 * SECOND, 12 * SECOND, 1),),
    ]
    assert voices_of(spoken, []) == [(), (), ()]


def test_where_no_voice_is_found_no_text_has_a_speaker(folder: Path) -> None:
    session = label(folder, ScriptedDiariser([[]]))
    assert labelled(session) == [("", text) for text in TEXTS]
    heard = [session.heard_in(utterance) for utterance in session.whole_utterances()]
    assert heard == [SpeakersHeard("", number, (), True) for number in range(3)]
